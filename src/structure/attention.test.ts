import assert from 'node:assert/strict';
import { test } from 'node:test';
import { attentionBlocks } from './attention.js';
import { expertGroupsOf } from './experts.js';
import { transformerGroups } from './transformer.js';
import type { TensorNature } from './types.js';

interface Described {
  readonly name: string;
  readonly shape: readonly number[];
  readonly nature: TensorNature;
}

const shapesOf = (shapes: Readonly<Record<string, readonly number[]>>): Described[] =>
  Object.entries(shapes).map(([name, shape]) => ({ name, shape, nature: { kind: 'learned' } }));

const llama = (prefix: string, q: number, kv: number, more: Readonly<Record<string, readonly number[]>> = {}) => ({
  [`${prefix}self_attn.q_proj.weight`]: [q, 16],
  [`${prefix}self_attn.k_proj.weight`]: [kv, 16],
  [`${prefix}self_attn.v_proj.weight`]: [kv, 16],
  [`${prefix}self_attn.o_proj.weight`]: [16, q],
  ...more,
});
const LAYER = 'model.layers.0.';

const headsOf = (shapes: Readonly<Record<string, readonly number[]>>, metadata: Readonly<Record<string, string>>) =>
  attentionBlocks(shapesOf(shapes), new Map(Object.entries(metadata)))[0]!.heads;

test('numbers of heads: from settings, from the width of a head, from its normalisation; else none', () => {
  const eightOfTwo = { query: 8, keyValue: 2, width: 4, valueWidth: 4 };
  const shapes = llama(LAYER, 32, 8);
  assert.deepEqual(headsOf(shapes, { 'config.num_attention_heads': '8' }), eightOfTwo);
  assert.deepEqual(headsOf(shapes, { 'config.text_config.num_attention_heads': '8' }), eightOfTwo);
  assert.deepEqual(headsOf(shapes, { 'config.head_dim': '4' }), eightOfTwo);
  const normed = { ...shapes, [`${LAYER}self_attn.q_norm.weight`]: [4], [`${LAYER}self_attn.k_norm.weight`]: [4] };
  assert.deepEqual(headsOf(normed, {}), eightOfTwo);
  assert.equal(headsOf({ ...shapes, [`${LAYER}self_attn.q_norm.weight`]: [32] }, {}), null, 'a norm over all heads');
  assert.equal(headsOf(shapes, {}), null);
  const lies = ['7', '0', '-8', '1e9', 'NaN', '8.5', '64', ''];
  for (const lie of lies) assert.equal(headsOf(shapes, { 'config.num_attention_heads': lie }), null, lie);
  assert.equal(headsOf(shapes, { 'config.num_attention_heads': '8', 'config.head_dim': '8' }), null);
});

test('several towers: each by its own section; encoder and decoder by their own numbers', () => {
  const shapes = shapesOf({ ...llama('vision_tower.layers.0.', 32, 32), ...llama(LAYER, 32, 8) });
  const metadata = new Map([
    ['config.text_config.num_attention_heads', '8'],
    ['config.vision_config.num_attention_heads', '4'],
  ]);
  const found = attentionBlocks(shapes, metadata);
  assert.deepEqual(
    found.map(({ prefix, heads }) => [prefix, heads?.query, heads?.keyValue]),
    [
      [LAYER, 8, 2],
      ['vision_tower.layers.0.', 4, 4],
    ],
  );
});

test('GGUF: one number for all layers, or one for each', () => {
  const block = (l: number, q: number, kv: number) => ({
    [`blk.${l}.attn_q.weight`]: [q, 16],
    [`blk.${l}.attn_k.weight`]: [kv, 16],
    [`blk.${l}.attn_v.weight`]: [kv, 16],
    [`blk.${l}.attn_output.weight`]: [16, q],
  });
  const metadata = new Map([
    ['general.architecture', 'openelm'],
    ['openelm.attention.head_count', '[2, 4]'],
  ]);
  assert.deepEqual(
    attentionBlocks(shapesOf({ ...block(0, 8, 4), ...block(1, 16, 8) }), metadata).map(({ heads }) => heads),
    [
      { query: 2, keyValue: 1, width: 4, valueWidth: 4 },
      { query: 4, keyValue: 2, width: 4, valueWidth: 4 },
    ],
  );
});

const bert = (more: Readonly<Record<string, readonly number[]>> = {}) =>
  shapesOf({
    'embeddings.word_embeddings.weight': [20, 16],
    'embeddings.position_embeddings.weight': [12, 16],
    'embeddings.LayerNorm.weight': [16],
    'encoder.layer.0.attention.self.query.weight': [16, 16],
    'encoder.layer.0.attention.self.query.bias': [16],
    'encoder.layer.0.attention.self.key.weight': [16, 16],
    'encoder.layer.0.attention.self.value.weight': [16, 16],
    'encoder.layer.0.attention.output.dense.weight': [16, 16],
    'encoder.layer.0.attention.output.LayerNorm.weight': [16],
    ...more,
  });

const dimensions = (tensors: readonly Described[], metadata: Readonly<Record<string, string>> = {}) =>
  transformerGroups(
    tensors,
    new Map(Object.entries({ 'config.num_attention_heads': '4', ...metadata })),
  )!.groups.filter(({ label }) => label.includes('query and key dimensions')).length;

test('BERT: dimensions of queries and keys are free only where positions are added before', () => {
  assert.equal(dimensions(bert()), 4);
  assert.equal(dimensions(bert(), { 'config.position_embedding_type': 'relative_key' }), 0);
  assert.equal(dimensions(bert({ 'encoder.layer.0.attention.self.distance_embedding.weight': [23, 4] })), 0);
  assert.equal(dimensions(bert({ 'rotary_embeddings.inv_freq': [2] })), 0);
  assert.equal(dimensions(bert().filter(({ name }) => !name.includes('position'))), 0);
});

test('the residual stream is a group only where every tensor is accounted for', () => {
  const known = new Map([['config.num_attention_heads', '4']]);
  const has = (tensors: readonly Described[]): boolean =>
    transformerGroups(tensors, known)!.groups.some(({ label }) => label === 'residual stream');
  assert.ok(has(bert()));
  assert.ok(!has(bert({ 'something.else.weight': [16, 16] })), 'an unknown tensor may tie places down');
  assert.ok(!has(bert({ 'embeddings.LayerNorm.weight': [15] })), 'a width that does not fit');
  const sinusoids = bert().map((tensor) =>
    tensor.name.includes('position')
      ? { ...tensor, nature: { kind: 'constant', what: 'sinusoidal positions' } as const }
      : tensor,
  );
  assert.ok(!has(sinusoids), 'constants do not move');
  const ones = bert().map((tensor) =>
    tensor.name.includes('LayerNorm')
      ? { ...tensor, nature: { kind: 'constant', what: 'one value' } as const }
      : tensor,
  );
  assert.ok(has(ones));
});

test('heads that nothing tells the number of are said', () => {
  const found = transformerGroups(
    shapesOf(
      llama(LAYER, 32, 8, {
        [`${LAYER}mlp.up_proj.weight`]: [8, 16],
        [`${LAYER}mlp.gate_proj.weight`]: [8, 16],
        [`${LAYER}mlp.down_proj.weight`]: [16, 8],
      }),
    ),
    new Map(),
  )!;
  assert.deepEqual(
    found.groups.map(({ size }) => size),
    [8],
  );
  assert.equal(found.leftOut.length, 4);
  assert.match(found.leftOut[0]!.reason, /number of attention heads is not known/);
});

const deepseek = (more: Readonly<Record<string, readonly number[]>> = {}) => {
  const shapes: Record<string, readonly number[]> = { [`${LAYER}mlp.gate.weight`]: [4, 16], ...more };
  for (let e = 0; e < 4; e++) {
    shapes[`${LAYER}mlp.experts.${e}.gate_proj.weight`] = [8, 16];
    shapes[`${LAYER}mlp.experts.${e}.up_proj.weight`] = [8, 16];
    shapes[`${LAYER}mlp.experts.${e}.down_proj.weight`] = [16, 8];
  }
  return shapesOf(shapes);
};

test('experts among which the router chooses by groups are not exchangeable', () => {
  const count = (tensors: readonly Described[], groups?: string) =>
    expertGroupsOf(tensors, new Map(groups === undefined ? [] : [['config.n_group', groups]])).length;
  assert.equal(count(deepseek()), 1);
  assert.equal(count(deepseek(), '2'), 0);
  const corrected = deepseek({ [`${LAYER}mlp.gate.e_score_correction_bias`]: [4] });
  assert.equal(count(corrected), 0, 'DeepSeek’s router, and nothing says how many groups');
  assert.equal(count(corrected, '1'), 1);
  assert.equal(count(deepseek().filter(({ name }) => !name.includes('3.up_proj'))), 0, 'an expert lacks a tensor');
  assert.equal(count(shapesOf({ [`${LAYER}mlp.gate.weight`]: [1e9, 1] })), 0);
});
