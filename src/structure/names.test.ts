import assert from 'node:assert/strict';
import { test } from 'node:test';
import { memorySource } from '../base/index.js';
import { buildSafetensors, openModel } from '../formats/index.js';
import { canonicalise } from './index.js';
import { floats, groupText } from './testing/nets.js';

/** A model of tensors named and shaped as torch's state_dict has them. */
async function stack(shapes: Readonly<Record<string, readonly number[]>>, plainStack = false) {
  const tensors = Object.fromEntries(
    Object.entries(shapes).map(([name, shape]) => [
      name,
      { dtype: 'F32', shape, values: floats(name, ...shape).values as ArrayLike<number> } as const,
    ]),
  );
  return canonicalise(await openModel(memorySource(buildSafetensors(tensors), 'stack.safetensors')), { plainStack });
}

test('layers follow each other in natural order of names; the last makes no group', async () => {
  const shapes = {
    'layers.10.weight': [3, 4],
    'layers.2.weight': [4, 8],
    'layers.2.bias': [4],
    'layers.1.bias': [8],
    'layers.1.weight': [8, 5],
    'layers.10.bias': [3],
  };
  const { groups, fromGraph } = await stack(shapes);
  assert.equal(fromGraph, false);
  assert.deepEqual(groups.map(groupText), [
    '8 positive: layers.1.weight.0 layers.1.bias.0 → layers.2.weight.1',
    '4 positive: layers.2.weight.0 layers.2.bias.0 → layers.10.weight.1',
  ]);
  assert.ok(groups.every((group) => group.vouched === 'names'));
});

test("normalisation between two layers moves with the first; another layer's bias of that width does not", async () => {
  const { groups } = await stack({
    'a.0.weight': [6, 3, 3, 3],
    'a.1.weight': [6],
    'a.1.bias': [6],
    'a.1.running_mean': [6],
    'a.1.running_var': [6],
    'a.3.weight': [4, 6, 3, 3],
    'a.3.bias': [4],
    'b.bias': [6],
    'b.weight': [6, 4],
  });
  assert.deepEqual(groups.map(groupText), [
    '6 positive: a.0.weight.0 a.1.bias.0 a.1.running_mean.0 a.1.running_var.0 a.1.weight.0 → a.3.weight.1',
    '4 positive: a.3.weight.0 a.3.bias.0 → b.weight.1',
  ]);
});

test('a depthwise convolution hands on the channels of the layer before, whatever names its format uses', async () => {
  const { groups } = await stack({
    'conv0/filters': [6, 3, 3, 3],
    'conv0/bias': [6],
    'conv1/depthwise_filter': [6, 1, 3, 3],
    'conv1/pointwise_filter': [8, 6, 1, 1],
    'conv1/bias': [8],
    'fc/weights': [3, 8],
    'fc/biases': [3],
  });
  assert.deepEqual(groups.map(groupText), [
    '6 positive: conv0/filters.0 conv0/bias.0 conv1/depthwise_filter.0 → conv1/pointwise_filter.1',
    '8 positive: conv1/pointwise_filter.0 conv1/bias.0 → fc/weights.1',
  ]);
  // One channel in is no depthwise convolution where no layer of as many channels stands before.
  const grey = await stack({ 'a.weight': [6, 1, 3, 3], 'b.weight': [4, 6, 3, 3] });
  assert.deepEqual(grey.groups.map(groupText), ['6 positive: a.weight.0 → b.weight.1']);
});

test('a convolution feeds a dense layer flattened; a dense layer that is wider than its input fits not at all', async () => {
  const { groups } = await stack({ 'a.weight': [6, 3, 3, 3], 'b.weight': [4, 6 * 16], 'c.weight': [3, 8] });
  assert.deepEqual(groups.map(groupText), ['6 positive: a.weight.0 → b.weight.1*16']);
});

test('groups of one width are one unless the owner vouches: a hidden residual may tie them', async () => {
  const shapes = { 'a.weight': [6, 5], 'b.weight': [6, 6], 'c.weight': [3, 6] };
  const merged = await stack(shapes);
  assert.deepEqual(merged.groups.map(groupText), ['6 positive: a.weight.0 b.weight.0 → b.weight.1 c.weight.1']);
  const vouched = await stack(shapes, true);
  assert.deepEqual(vouched.groups.map(groupText), [
    '6 positive: a.weight.0 → b.weight.1',
    '6 positive: b.weight.0 → c.weight.1',
  ]);
  assert.deepEqual(
    vouched.groups.map(({ id, vouched: by }) => [id, by]),
    [
      ['g0', 'owner'],
      ['g1', 'owner'],
    ],
  );
});

test('roles by name: only float weights of two axes or more can carry a mark', async () => {
  const { tensors } = await stack({
    'fc.weight': [4, 5],
    'fc.bias': [4],
    'norm.weight': [4],
    'rnn.weight_hh_l0': [8, 2],
    table: [4, 5],
    'norm.num_batches_tracked': [3],
  });
  assert.deepEqual(
    [...tensors.values()].map(({ name, role, markable }) => [name, role, markable]),
    [
      ['fc.weight', 'weight', true],
      ['fc.bias', 'bias', false],
      ['norm.weight', 'norm', false],
      ['rnn.weight_hh_l0', 'recurrent', false],
      ['table', 'other', false],
      ['norm.num_batches_tracked', 'other', false],
    ],
  );
});
