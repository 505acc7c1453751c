import assert from 'node:assert/strict';
import { test } from 'node:test';
import { memorySource, randomPermutation, seededRandom } from '../base/index.js';
import { buildSafetensors, openModel } from '../formats/index.js';
import { canonicalise, permuteGroup } from './index.js';
import { floats } from './testing/nets.js';

async function model(shapes: Readonly<Record<string, readonly number[]>>) {
  const tensors = Object.fromEntries(
    Object.entries(shapes).map(([name, shape]) => [
      name,
      { dtype: 'F32', shape, values: floats(name, ...shape).values as ArrayLike<number> } as const,
    ]),
  );
  return canonicalise(await openModel(memorySource(buildSafetensors(tensors), 'model.safetensors')));
}

/** prefix, tensors of one block, units, places that move together */
const rows: readonly [string, Readonly<Record<string, readonly number[]>>, number, number][] = [
  [
    'Llama',
    {
      'model.layers.0.mlp.gate_proj.weight': [12, 8],
      'model.layers.0.mlp.up_proj.weight': [12, 8],
      'model.layers.0.mlp.down_proj.weight': [8, 12],
    },
    12,
    3,
  ],
  [
    'an expert of a mixture',
    {
      'model.layers.3.block_sparse_moe.experts.5.w1.weight': [12, 8],
      'model.layers.3.block_sparse_moe.experts.5.w2.weight': [8, 12],
      'model.layers.3.block_sparse_moe.experts.5.w3.weight': [12, 8],
    },
    12,
    3,
  ],
  [
    'gate and up in one',
    { 'model.layers.0.mlp.gate_up_proj.weight': [24, 8], 'model.layers.0.mlp.down_proj.weight': [8, 12] },
    12,
    3,
  ],
  [
    'GGUF',
    { 'blk.7.ffn_gate.weight': [12, 8], 'blk.7.ffn_up.weight': [12, 8], 'blk.7.ffn_down.weight': [8, 12] },
    12,
    3,
  ],
  [
    'GPT-2, stored in × out',
    {
      'h.0.mlp.c_fc.weight': [8, 12],
      'h.0.mlp.c_fc.bias': [12],
      'h.0.mlp.c_proj.weight': [12, 8],
      'h.0.attn.c_proj.weight': [8, 8],
    },
    12,
    3,
  ],
  [
    'BERT',
    {
      'encoder.layer.0.intermediate.dense.weight': [12, 8],
      'encoder.layer.0.intermediate.dense.bias': [12],
      'encoder.layer.0.output.dense.weight': [8, 12],
      'encoder.layer.0.attention.output.dense.weight': [8, 8],
    },
    12,
    3,
  ],
  [
    'Whisper',
    {
      'decoder.layers.0.fc1.weight': [12, 8],
      'decoder.layers.0.fc1.bias': [12],
      'decoder.layers.0.fc2.weight': [8, 12],
    },
    12,
    3,
  ],
];

for (const [name, shapes, size, places] of rows) {
  test(`a feed-forward block of ${name}`, async () => {
    const { groups, fromGraph } = await model({ 'model.embed_tokens.weight': [20, 8], 'norm.weight': [8], ...shapes });
    assert.equal(fromGraph, false);
    assert.equal(groups.length, 1);
    const [group] = groups;
    assert.deepEqual(
      [group!.size, group!.vouched, group!.incoming.length + group!.outgoing.length],
      [size, 'names', places],
    );
  });
}

test('layers of one width are groups of their own: no residual ties hidden units', async () => {
  const layer = (n: number) => ({
    [`model.layers.${n}.mlp.gate_proj.weight`]: [12, 8],
    [`model.layers.${n}.mlp.up_proj.weight`]: [12, 8],
    [`model.layers.${n}.mlp.down_proj.weight`]: [8, 12],
  });
  const { groups } = await model({ ...layer(10), ...layer(2) });
  assert.deepEqual(
    groups.map(({ id, label }) => [id, label.split('mlp')[0]]),
    [
      ['g0', 'model.layers.2.'],
      ['g1', 'model.layers.10.'],
    ],
  );
});

test('fc1 and fc2 without numbered layers stay a plain stack', async () => {
  const { groups } = await model({ 'fc1.weight': [12, 8], 'fc2.weight': [6, 12], 'fc3.weight': [2, 6] });
  assert.deepEqual(
    groups.map((group) => group.size),
    [12, 6],
  );
});

test('a block whose shapes do not fit is no block', async () => {
  const { groups } = await model({ 'layers.0.fc1.weight': [12, 8], 'layers.0.fc2.weight': [8, 9] });
  assert.ok(groups.every((group) => !group.label.includes('feed-forward')));
});

test('any order of the units leaves what a gated block answers unchanged', async () => {
  const canonical = await model(rows[0]![1]);
  const { groups, tensors } = canonical;
  const names = ['gate_proj', 'up_proj', 'down_proj'].map((part) => `model.layers.0.mlp.${part}.weight`);
  const weights = new Map(
    await Promise.all(names.map(async (name) => [name, await tensors.get(name)!.read()] as const)),
  );
  const input = floats('input', 8).values as ArrayLike<number>;
  const answer = (of: ReadonlyMap<string, Float64Array>): number[] => {
    const [gate, up, down] = names.map((name) => of.get(name)!);
    const dot = (m: Float64Array, row: number): number =>
      Array.from({ length: 8 }, (_, k) => m[row * 8 + k]! * input[k]!).reduce((a, b) => a + b);
    const hidden = Array.from({ length: 12 }, (_, u) => {
      const g = dot(gate!, u);
      return (g / (1 + Math.exp(-g))) * dot(up!, u);
    });
    return Array.from({ length: 8 }, (_, o) => hidden.map((h, u) => down![o * 12 + u]! * h).reduce((a, b) => a + b));
  };
  const before = answer(weights);
  const after = answer(await permuteGroup(canonical, groups[0]!, randomPermutation(12, seededRandom(4))));
  for (const [index, value] of before.entries()) assert.ok(Math.abs(value - after[index]!) < 1e-12);
});
