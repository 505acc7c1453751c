import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { memorySource, seededRandom } from '../base/index.js';
import { buildOnnx, buildSafetensors, type DType, type Model, openModel } from '../formats/index.js';
import { architecturePicture } from './architecture-picture.js';
import { DIGEST_BY_DEFAULT, inspectModel } from './inspect.js';

const random = seededRandom(5, 'inspect');
/** Multiples of 1/64 below 4: float16 holds them too. */
const values = (n: number): number[] => Array.from({ length: n }, () => (random.below(511) - 255) / 64);
const first = values(3 * 8);
const bias = values(8);
const second = values(8 * 2);
const transposed = (m: readonly number[], rows: number, columns: number): number[] =>
  Array.from({ length: m.length }, (_, i) => m[(i % rows) * columns + Math.floor(i / rows)]!);

const open = (bytes: Uint8Array): Promise<Model> => openModel(memorySource(bytes, 'model'));

/** As exporters write a linear layer: in × out for MatMul, out × in for Gemm with transB. */
const onnx = (
  dtype: DType,
  matmul: boolean,
  names: readonly [string, string, string] = ['a', 'b', 'c'],
): Uint8Array => {
  const [w1, b1, w2] = names;
  return buildOnnx({
    graph: {
      name: 'net',
      inputs: [{ name: 'x', dtype, shape: ['n', 3] }],
      outputs: [{ name: 'y', dtype, shape: ['n', 2] }],
      nodes: [
        ...(matmul
          ? [
              { op: 'MatMul', inputs: ['x', w1], outputs: ['p'] },
              { op: 'Add', inputs: ['p', b1], outputs: ['h'] },
            ]
          : [{ op: 'Gemm', inputs: ['x', w1, b1], outputs: ['h'], attributes: { transB: { int: 1 } } }]),
        { op: 'Relu', inputs: ['h'], outputs: ['r'] },
        { op: 'MatMul', inputs: ['r', w2], outputs: ['y'] },
      ],
      initialisers: [
        matmul
          ? { name: w1, dtype, shape: [3, 8], values: first }
          : { name: w1, dtype, shape: [8, 3], values: transposed(first, 3, 8) },
        { name: b1, dtype, shape: [8], values: bias },
        { name: w2, dtype, shape: [8, 2], values: second },
      ],
    },
  });
};
const safetensors = (): Uint8Array =>
  buildSafetensors({
    'layers.0.weight': { dtype: 'F32', shape: [8, 3], values: transposed(first, 3, 8) },
    'layers.0.bias': { dtype: 'F32', shape: [8], values: bias },
    'layers.1.weight': { dtype: 'F32', shape: [2, 8], values: transposed(second, 8, 2) },
  });

test('every lossless conversion of one model has one digest of the weights', async () => {
  const digests = await Promise.all(
    [
      onnx('F32', true),
      onnx('F32', false),
      onnx('F16', true),
      onnx('F32', true, ['w1', 'b1', 'out']),
      safetensors(),
    ].map(async (bytes) => (await inspectModel(await open(bytes))).weights),
  );
  assert.match(digests[0]!, /^[0-9a-f]{64}$/);
  assert.deepEqual(digests, Array(digests.length).fill(digests[0]));
});

test('one changed weight is another digest', async () => {
  const before = (await inspectModel(await open(safetensors()))).weights;
  bias[3]! += 1 / 64;
  assert.notEqual((await inspectModel(await open(safetensors()))).weights, before);
  bias[3]! -= 1 / 64;
});

test('layers, storage and groups are told', async () => {
  const found = await inspectModel(await open(onnx('F32', true)));
  assert.deepEqual([found.format, found.parameters, found.tensors], ['onnx', 48, 3]);
  assert.deepEqual(found.storage, { F32: { tensors: 3, elements: 48 } });
  assert.deepEqual(
    found.layers.map(({ tensor, role, shape }) => [tensor, role, shape.join()]),
    [
      ['a', 'weight', '8,3'],
      ['b', 'bias', '8'],
      ['c', 'weight', '2,8'],
    ],
  );
  assert.deepEqual(
    found.groups.map(({ size, vouched }) => [size, vouched]),
    [[8, 'graph']],
  );
  assert.deepEqual(found.architecture.operations, { Add: 1, MatMul: 2, Relu: 1 });
});

test('a file of many gigabytes is inspected from its headers and a few rows', async () => {
  const elements = DIGEST_BY_DEFAULT / 2;
  const header = JSON.stringify({
    w: { dtype: 'F32', shape: [elements / 1024, 1024], data_offsets: [0, elements * 4] },
  });
  const head = Buffer.concat([Buffer.alloc(8), Buffer.from(header)]);
  head.writeBigUInt64LE(BigInt(header.length));
  const byteLength = head.length + elements * 4;
  let read = 0;
  const model = await openModel({
    name: 'sparse',
    byteLength,
    async slice(start: number, end: number) {
      read += end - start;
      // Anything but one value, so that it is not taken for a constant.
      const bytes = Buffer.alloc(end - start);
      for (let at = 0; at < bytes.length; at++)
        bytes[at] = start + at < head.length ? head[start + at]! : (start + at) % 119;
      return bytes;
    },
    async close() {},
  } as unknown as Parameters<typeof openModel>[0]);
  const found = await inspectModel(model);
  assert.equal(found.weights, null);
  assert.equal(found.parameters, elements);
  assert.ok(read < byteLength / 100, `${read} of ${byteLength} bytes`);
});

test('the picture has every operation, every weight and nothing that runs', async () => {
  const model = await open(onnx('F32', false, ['<w>', 'b', 'c']));
  const svg = await architecturePicture(model.graph!);
  for (const text of ['Gemm', 'Relu', 'MatMul', '8 × 3', '8 × 2']) assert.ok(svg.includes(`>${text}<`), text);
  assert.equal(svg.split('<path d="M').length - 1, 5, 'four edges and the head of an arrow');
  assert.doesNotMatch(svg, /<script|href|<w>/);
});

test('a file in which nothing is learned has no digest of weights', async () => {
  const ones = buildSafetensors({ 'layers.0.weight': { dtype: 'F32', shape: [4, 4], values: Array(16).fill(1) } });
  assert.equal((await inspectModel(await open(ones))).weights, null);
});

test('arrays without a role are digested too', async () => {
  const array = (shift: number) =>
    buildSafetensors({ arr_0: { dtype: 'F32', shape: [6, 4], values: values(24).map((x) => x + shift) } });
  const first = (await inspectModel(await open(array(0)))).weights;
  assert.match(first!, /^[0-9a-f]{64}$/);
  assert.notEqual((await inspectModel(await open(array(1)))).weights, first);
});

test('a PyTorch checkpoint and the safetensors file of the same tensors have one digest', async () => {
  const file = fileURLToPath(new URL('../../vectors/formats/good/pytorch/checkpoint.pt', import.meta.url));
  const torch = await openModel(file);
  const tensors = Object.fromEntries(
    await Promise.all(
      [...torch.tensors.values()].map(async ({ name, dtype, shape, elements, read }) => [
        name,
        { dtype, shape, values: await read(0, elements) },
      ]),
    ),
  ) as Parameters<typeof buildSafetensors>[0];
  const digest = (await inspectModel(torch)).weights;
  assert.match(digest!, /^[0-9a-f]{64}$/);
  assert.equal((await inspectModel(await open(buildSafetensors(tensors)))).weights, digest);
});
