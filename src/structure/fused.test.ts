import assert from 'node:assert/strict';
import { test } from 'node:test';
import { memorySource } from '../base/index.js';
import { buildSafetensors, openModel } from '../formats/index.js';
import { type CanonicalModel, canonicalise } from './index.js';

/** Every element is its own place in the file's tensor, so that what is read tells where it lay. */
async function opened(
  shapes: Readonly<Record<string, readonly number[]>>,
  settings: Readonly<Record<string, string>> = {},
): Promise<CanonicalModel> {
  const tensors = Object.fromEntries(
    Object.entries(shapes).map(([name, shape]) => {
      const size = shape.reduce((all, one) => all * one, 1);
      return [name, { dtype: 'F64' as const, shape, values: Float64Array.from({ length: size }, (_, k) => k ** 1.5) }];
    }),
  );
  const model = await openModel(memorySource(buildSafetensors(tensors, settings), 'model.safetensors'));
  return canonicalise(model, { settings: true });
}

const places = async (model: CanonicalModel, name: string): Promise<number[]> =>
  [...(await model.tensors.get(name)!.read())].map((value) => Math.round(value ** (1 / 1.5)));

const range = (start: number, count: number, step = 1) => Array.from({ length: count }, (_, k) => start + k * step);

test('Phi-3: queries, keys and values in blocks, gate and up after each other', async () => {
  const layer = 'model.layers.0.';
  const model = await opened({
    [`${layer}self_attn.qkv_proj.weight`]: [8, 3],
    [`${layer}self_attn.o_proj.weight`]: [3, 4],
    [`${layer}mlp.gate_up_proj.weight`]: [10, 3],
    [`${layer}mlp.down_proj.weight`]: [3, 5],
  });
  assert.deepEqual(await places(model, `${layer}self_attn.q_proj.weight`), range(0, 12));
  assert.deepEqual(await places(model, `${layer}self_attn.k_proj.weight`), range(12, 6));
  assert.deepEqual(await places(model, `${layer}self_attn.v_proj.weight`), range(18, 6));
  assert.deepEqual(await places(model, `${layer}mlp.gate_proj.weight`), range(0, 15));
  assert.deepEqual(await places(model, `${layer}mlp.up_proj.weight`), range(15, 15));
});

test('torch.nn.MultiheadAttention: in_proj_weight and in_proj_bias', async () => {
  const model = await opened({
    'layers.0.self_attn.in_proj_weight': [12, 4],
    'layers.0.self_attn.in_proj_bias': [12],
    'layers.0.self_attn.out_proj.weight': [4, 4],
    'layers.0.self_attn.out_proj.bias': [4],
  });
  assert.deepEqual(await places(model, 'layers.0.self_attn.k_proj.weight'), range(16, 16));
  assert.deepEqual(await places(model, 'layers.0.self_attn.v_proj.bias'), range(8, 4));
});

test('Falcon and its kin: groups need the number of heads; without it the projection stays whole and is said', async () => {
  const shapes = {
    'transformer.h.0.self_attention.query_key_value.weight': [16, 2],
    'transformer.h.0.self_attention.dense.weight': [2, 8],
    'transformer.h.0.mlp.dense_h_to_4h.weight': [6, 2],
    'transformer.h.0.mlp.dense_4h_to_h.weight': [2, 6],
  };
  // Four heads of 2: two key heads, each with two queries, itself, its values.
  const model = await opened(shapes, { 'config.n_head': '4' });
  assert.deepEqual(await places(model, 'transformer.h.0.self_attention.query.weight'), [
    ...range(0, 8),
    ...range(16, 8),
  ]);
  assert.deepEqual(await places(model, 'transformer.h.0.self_attention.key.weight'), [...range(8, 4), ...range(24, 4)]);
  assert.deepEqual(await places(model, 'transformer.h.0.self_attention.value.weight'), [
    ...range(12, 4),
    ...range(28, 4),
  ]);
  const unknown = await opened(shapes);
  assert.ok(unknown.tensors.has('transformer.h.0.self_attention.query_key_value.weight'));
  const wrong = await opened(shapes, { 'config.n_head': '3' });
  assert.ok(wrong.tensors.has('transformer.h.0.self_attention.query_key_value.weight'));
});

test('StarCoder: GPT-2’s names, outputs first, one key head', async () => {
  const model = await opened({
    'h.0.attn.c_attn.weight': [8, 4],
    'h.0.attn.c_proj.weight': [4, 4],
    'h.0.mlp.c_fc.weight': [16, 4],
    'h.0.mlp.c_proj.weight': [4, 16],
  });
  assert.deepEqual(model.tensors.get('h.0.attn.c_attn.k.weight')!.shape, [2, 4]);
  assert.deepEqual(await places(model, 'h.0.attn.c_proj.weight'), range(0, 16));
  assert.deepEqual(
    model.groups.map(({ size }) => size),
    [16],
  );
});

const DOWN = 'mlp.experts.down_proj';
const BOTH = 'mlp.experts.gate_up_proj';

test('experts in one array: halves, turns, and the layout that the router’s width tells', async () => {
  const layer = 'model.layers.0.';
  const expert = (part: string, e = 1) => `${layer}mlp.experts.${e}.${part}`;
  const outIn = await opened({
    [`${layer}mlp.gate.weight`]: [2, 3],
    [`${layer}${BOTH}`]: [2, 10, 3],
    [`${layer}${DOWN}`]: [2, 3, 5],
  });
  assert.deepEqual(await places(outIn, expert('up_proj.weight')), range(30 + 15, 15));
  assert.deepEqual(await places(outIn, expert('down_proj.weight')), range(15, 15));
  const inOut = await opened({
    [`${layer}mlp.router.weight`]: [2, 3],
    [`${layer}mlp.router.bias`]: [2],
    [`${layer}${BOTH}`]: [2, 3, 10],
    [`${layer}${BOTH}_bias`]: [2, 10],
    [`${layer}${DOWN}`]: [2, 5, 3],
    [`${layer}${DOWN}_bias`]: [2, 3],
  });
  // Row u of the gate: column 2u of the array, for each of three inputs.
  const gate = range(0, 5).flatMap((u) => range(30 + 2 * u, 3, 10));
  assert.deepEqual(await places(inOut, expert('gate_proj.weight')), gate);
  assert.deepEqual(await places(inOut, expert('up_proj.bias')), range(11, 5, 2));
  assert.deepEqual(
    await places(inOut, expert('down_proj.weight')),
    range(0, 3).flatMap((row) => range(15 + row, 5, 3)),
  );
  assert.deepEqual(await places(inOut, expert('down_proj.bias', 0)), range(0, 3));
  for (const model of [outIn, inOut]) {
    assert.deepEqual(
      model.groups.map(({ size, within }) => [size, within?.unit]),
      [
        [2, undefined],
        [5, 0],
        [5, 1],
      ],
    );
  }
  const square = await opened({
    [`${layer}mlp.gate.weight`]: [2, 4],
    [`${layer}${BOTH}`]: [2, 4, 4],
    [`${layer}${DOWN}`]: [2, 4, 4],
  });
  assert.ok(square.tensors.has(`${layer}${BOTH}`), 'nothing tells the layout');
});

test('Meta’s and Mistral’s own files keep rotary halves in turns; Hugging Face does not', async () => {
  const attention = 'layers.0.attention.';
  const shapes = {
    [`${attention}wq.weight`]: [8, 1],
    [`${attention}wk.weight`]: [4, 1],
    [`${attention}wv.weight`]: [4, 1],
    [`${attention}wo.weight`]: [1, 8],
  };
  const model = await opened(shapes, { 'config.n_heads': '2' });
  assert.deepEqual(await places(model, `${attention}wq.weight`), [0, 2, 1, 3, 4, 6, 5, 7]);
  assert.deepEqual(await places(model, `${attention}wk.weight`), [0, 2, 1, 3]);
  assert.deepEqual(await places(model, `${attention}wv.weight`), [0, 1, 2, 3]);
});

test('a part that would take another tensor’s name is none', async () => {
  const layer = 'model.layers.0.';
  const model = await opened({
    [`${layer}self_attn.qkv_proj.weight`]: [8, 3],
    [`${layer}self_attn.q_proj.weight`]: [4, 3],
    [`${layer}self_attn.o_proj.weight`]: [3, 4],
  });
  assert.ok(model.tensors.has(`${layer}self_attn.qkv_proj.weight`));
});
