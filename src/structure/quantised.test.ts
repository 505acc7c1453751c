import assert from 'node:assert/strict';
import { test } from 'node:test';
import { memorySource } from '../base/index.js';
import { buildSafetensors, openModel, type TensorSpec } from '../formats/index.js';
import { canonicalise } from './index.js';
import {
  assertGroups,
  canonicalNet,
  dense,
  floats,
  integers,
  type Net,
  node,
  positives,
  scalar,
  value,
} from './testing/nets.js';

const numbers = (tensor: TensorSpec): number[] => Array.from(tensor.values as ArrayLike<number>);
const zeros = (name: string, dtype: 'I8' | 'U8' | 'I32', ...shape: readonly number[]): TensorSpec => ({
  name,
  dtype,
  shape,
  values: new Float64Array(shape.reduce((all, size) => all * size, 1)),
});
const points = (name: string, ...values: readonly number[]): TensorSpec => ({
  name,
  dtype: 'U8',
  shape: values.length === 1 ? [] : [values.length],
  values,
});

/** Values as onnxruntime would dequantise them, transposed to outputs × inputs. */
async function assertDecoded(
  net: Net,
  name: string,
  expected: (row: number, column: number) => number,
  granularity: 'tensor' | 'channel',
): Promise<void> {
  const tensor = (await canonicalNet(net)).tensors.get(name)!;
  const [rows, columns] = tensor.shape as readonly [number, number];
  const width = tensor.shape.slice(1).reduce((all, size) => all * size, 1);
  assert.deepEqual(tensor.quantisation, { bits: 8, granularity });
  assert.equal(tensor.nature.kind, 'learned');
  assert.equal(tensor.markable, true);
  const values = await tensor.read();
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < width; column++) {
      const got = values[row * width + column]!;
      assert.ok(Math.abs(got - expected(row, column)) < 1e-6, `${name} ${row} ${column} of ${columns}: ${got}`);
    }
  }
  assert.deepEqual(await tensor.readRows([rows - 1]), values.subarray((rows - 1) * width));
}

test('DequantizeLinear, one scale per output, whatever the tensors are called', async () => {
  const [q, s, z] = [integers('alpha', 'U8', 5, 6), positives('beta', 6), points('gamma', 100, 110, 120, 130, 140, 90)];
  const net: Net = {
    ...dense([node('Relu', 'h', 'g')]),
    nodes: [
      node('DequantizeLinear', 'alpha beta gamma', 'd', { axis: { int: 1 } }),
      node('MatMul', 'x d', 'h'),
      node('Relu', 'h', 'g'),
      node('MatMul', 'g w2', 'y'),
    ],
    tensors: [q, s, z, floats('w2', 6, 3)],
  };
  const [raw, scale, zero] = [numbers(q), numbers(s), numbers(z)];
  await assertDecoded(
    net,
    'alpha',
    (row, column) => (raw[column * 6 + row]! - zero[row]!) * Math.fround(scale[row]!),
    'channel',
  );
  await assertGroups(net, { groups: ['6 positive: beta.0 gamma.0 alpha.0 → w2.1'] });
});

test('DequantizeLinear with one scale, the weight transposed behind it', async () => {
  const q = integers('one', 'I8', 6, 5);
  const net: Net = {
    ...dense([]),
    nodes: [
      node('DequantizeLinear', 'one two', 'd'),
      node('Transpose', 'd', 't'),
      node('MatMul', 'x t', 'h'),
      node('Relu', 'h', 'g'),
      node('MatMul', 'g w2', 'y'),
    ],
    tensors: [q, scalar('two', 'F32', 0.25), floats('w2', 6, 3)],
  };
  await assertDecoded(net, 'one', (row, column) => numbers(q)[row * 5 + column]! / 4, 'tensor');
  await assertGroups(net, { groups: ['6 positive: one.0 → w2.1'] });
});

test('a convolution with scales per output channel', async () => {
  const [q, s] = [integers('q', 'I8', 6, 3, 3, 3), positives('s', 6)];
  const net: Net = {
    inputs: [value('x', 1, 3, 8, 8)],
    outputs: [value('y', 1, 4, 6, 6)],
    nodes: [
      node('DequantizeLinear', 'q s', 'd', { axis: { int: 0 } }),
      node('Conv', 'x d', 'h'),
      node('Relu', 'h', 'g'),
      node('Conv', 'g k2', 'y'),
    ],
    tensors: [q, s, floats('k2', 4, 6, 1, 1)],
  };
  await assertDecoded(net, 'q', (row, at) => numbers(q)[row * 27 + at]! * Math.fround(numbers(s)[row]!), 'channel');
  await assertGroups(net, { groups: ['6 positive: s.0 q.0 → k2.1'] });
});

test('MatMulInteger: the scale follows behind, multiplied with the dynamic one', async () => {
  const [q, s] = [integers('kernel', 'U8', 5, 6), positives('some', 6)];
  const z = points('point', 100, 110, 120, 130, 140, 90);
  const around = (...multiplied: readonly ReturnType<typeof node>[]): Net => ({
    ...dense([]),
    nodes: [
      node('DynamicQuantizeLinear', 'x', 'xq xs xz'),
      node('MatMulInteger', 'xq kernel xz point', 'i'),
      node('Cast', 'i', 'f', { to: { int: 1 } }),
      ...multiplied,
      node('Relu', 'h', 'g'),
      node('MatMul', 'g w2', 'y'),
    ],
    tensors: [q, s, z, floats('w2', 6, 3)],
  });
  const [raw, scale, zero] = [numbers(q), numbers(s), numbers(z)];
  for (const net of [
    around(node('Mul', 'xs some', 'both'), node('Mul', 'f both', 'h')),
    around(node('Mul', 'some xs', 'both'), node('Mul', 'both f', 'h')),
    around(node('Mul', 'f xs', 'once'), node('Mul', 'once some', 'h')),
  ]) {
    await assertDecoded(
      net,
      'kernel',
      (row, column) => (raw[column * 6 + row]! - zero[row]!) * Math.fround(scale[row]!),
      'channel',
    );
    await assertGroups(net, { groups: ['6 none: kernel.0 point.0 some.0 → w2.1'] });
  }
});

test('ConvInteger with one scale', async () => {
  const q = integers('filter', 'U8', 6, 3, 3, 3);
  const net: Net = {
    inputs: [value('x', 1, 3, 8, 8)],
    outputs: [value('y', 1, 4, 6, 6)],
    nodes: [
      node('DynamicQuantizeLinear', 'x', 'xq xs xz'),
      node('ConvInteger', 'xq filter xz middle', 'i'),
      node('Cast', 'i', 'f', { to: { int: 1 } }),
      node('Mul', 'xs step', 'both'),
      node('Mul', 'f both', 'h'),
      node('Relu', 'h', 'g'),
      node('Conv', 'g k2', 'y'),
    ],
    tensors: [q, scalar('step', 'F32', 0.5), points('middle', 120), floats('k2', 4, 6, 1, 1)],
  };
  await assertDecoded(net, 'filter', (row, at) => (numbers(q)[row * 27 + at]! - 120) / 2, 'tensor');
  await assertGroups(net, { groups: ['6 none: filter.0 → k2.1'] });
});

/** Of quantised activations: `x` → integers, the layer under test, back to numbers. */
const statically = (layer: ReturnType<typeof node>, tensors: readonly TensorSpec[]): Net => ({
  inputs: [value('x', 4, 5)],
  outputs: [value('y', 4, 3)],
  nodes: [
    node('QuantizeLinear', 'x xs xz', 'xq'),
    layer,
    node('DequantizeLinear', 'hq hs hz', 'g'),
    node('MatMul', 'g w2', 'y'),
  ],
  tensors: [
    scalar('xs', 'F32', 0.02),
    points('xz', 128),
    scalar('hs', 'F32', 0.1),
    points('hz', 127),
    floats('w2', 6, 3),
    ...tensors,
  ],
});

const steps = (name: string, ...shape: readonly number[]): TensorSpec => {
  const { values, ...rest } = positives(name, ...shape);
  return { ...rest, values: Float64Array.from(values as ArrayLike<number>, (one) => one / 100) };
};

test('QLinearMatMul with one scale per output', async () => {
  const [q, s] = [integers('b', 'I8', 5, 6), steps('bs', 6)];
  const net = statically(node('QLinearMatMul', 'xq xs xz b bs bz hs hz', 'hq'), [q, s, zeros('bz', 'I8', 6)]);
  await assertDecoded(
    net,
    'b',
    (row, column) => numbers(q)[column * 6 + row]! * Math.fround(numbers(s)[row]!),
    'channel',
  );
  await assertGroups(net, { groups: ['6 none: b.0 bs.0 bz.0 → w2.1'] });
});

for (const transB of [0, 1]) {
  test(`QGemm of onnxruntime, transB ${transB}, and its bias in units of both scales`, async () => {
    const [q, s] = [integers('b', 'I8', ...(transB ? [6, 5] : [5, 6])), steps('bs', 6)];
    const bias: TensorSpec = { name: 'c', dtype: 'I32', shape: [6], values: [400, -300, 200, 100, 50, -700] };
    const net = statically(
      node('QGemm', 'xq xs xz b bs bz c hs hz', 'hq', { transB: { int: transB } }, 'com.microsoft'),
      [q, s, zeros('bz', 'I8', 6), bias],
    );
    const at = (row: number, column: number) => (transB ? row * 5 + column : column * 6 + row);
    await assertDecoded(
      net,
      'b',
      (row, column) => numbers(q)[at(row, column)]! * Math.fround(numbers(s)[row]!),
      'channel',
    );
    const decoded = await (await canonicalNet(net)).tensors.get('c')!.read();
    for (const [k, raw] of numbers(bias).entries()) {
      assert.ok(Math.abs(decoded[k]! - raw * Math.fround(0.02) * Math.fround(numbers(s)[k]!)) < 1e-6);
    }
    await assertGroups(net, { groups: ['6 none: b.0 bs.0 bz.0 c.0 → w2.1'] });
  });
}

test('QLinearConv with its bias', async () => {
  const [q, s] = [integers('k', 'I8', 6, 3, 3, 3), steps('ks', 6)];
  const bias: TensorSpec = { name: 'c', dtype: 'I32', shape: [6], values: [400, -300, 200, 100, 50, -700] };
  const net: Net = {
    inputs: [value('x', 1, 3, 8, 8)],
    outputs: [value('y', 1, 4, 6, 6)],
    nodes: [
      node('QuantizeLinear', 'x xs xz', 'xq'),
      node('QLinearConv', 'xq xs xz k ks kz hs hz c', 'hq'),
      node('DequantizeLinear', 'hq hs hz', 'g'),
      node('Conv', 'g k2', 'y'),
    ],
    tensors: [
      q,
      s,
      zeros('kz', 'I8', 6),
      bias,
      scalar('xs', 'F32', 0.02),
      points('xz', 128),
      scalar('hs', 'F32', 0.1),
      points('hz', 127),
      floats('k2', 4, 6, 1, 1),
    ],
  };
  await assertDecoded(net, 'k', (row, at) => numbers(q)[row * 27 + at]! * Math.fround(numbers(s)[row]!), 'channel');
  await assertGroups(net, { groups: ['6 none: k.0 ks.0 kz.0 c.0 → k2.1'] });
});

test('a name alone decodes nothing where a graph says otherwise', async () => {
  const q = integers('w_quantized', 'I8', 5, 6);
  const net: Net = {
    ...dense([]),
    nodes: [
      node('Cast', 'w_quantized', 'c', { to: { int: 1 } }),
      node('Mul', 'x w_scale', 'xs'),
      node('MatMul', 'xs c', 'h'),
      node('Relu', 'h', 'g'),
      node('MatMul', 'g w2', 'y'),
    ],
    tensors: [q, scalar('w_scale', 'F32', 0.5), floats('w2', 6, 3)],
  };
  const tensor = (await canonicalNet(net)).tensors.get('w_quantized')!;
  assert.equal(tensor.quantisation, null);
  assert.equal((await tensor.read())[1], numbers(q)[6]);
});

test('scales in blocks are not proven: the weight stays as stored and is pinned', async () => {
  const net: Net = {
    ...dense([]),
    opset: 21,
    nodes: [
      node('DequantizeLinear', 'q s', 'd', { axis: { int: 0 }, block_size: { int: 2 } }),
      node('MatMul', 'x d', 'h'),
      node('MatMul', 'h w2', 'y'),
    ],
    inputs: [value('x', 4, 4)],
    tensors: [integers('q', 'I8', 4, 6), positives('s', 2, 6), floats('w2', 6, 3)],
  };
  const { tensors, groups, leftOut } = await canonicalNet(net);
  assert.equal(tensors.get('q')!.quantisation, null);
  assert.deepEqual(groups, []);
  assert.match(leftOut.find(({ tensor }) => tensor === 'q')!.reason, /DequantizeLinear is not proven/);
});

test('without a graph the names of onnxruntime tell: scales per row, one zero point', async () => {
  const q = integers('q', 'U8', 6, 5);
  const tensors = {
    'fc.weight_quantized': { dtype: 'U8', shape: [6, 5], values: numbers(q) },
    'fc.weight_scale': { dtype: 'F32', shape: [6], values: [1, 2, 3, 4, 5, 6] },
    'fc.weight_zero_point': { dtype: 'U8', shape: [1], values: [100] },
    // A scale of another length says nothing of these rows.
    other_quantized: { dtype: 'U8', shape: [6, 5], values: numbers(q) },
    other_scale: { dtype: 'F32', shape: [4], values: [1, 2, 3, 4] },
  } as const;
  const model = await openModel(memorySource(buildSafetensors(tensors), 'q.safetensors'));
  const canonical = await canonicalise(model);
  const weight = canonical.tensors.get('fc.weight_quantized')!;
  assert.deepEqual(weight.quantisation, { bits: 8, granularity: 'channel' });
  assert.deepEqual(
    [...(await weight.read())],
    numbers(q).map((raw, at) => (raw - 100) * (1 + Math.floor(at / 5))),
  );
  assert.equal(canonical.tensors.get('other_quantized')!.quantisation, null);
});
