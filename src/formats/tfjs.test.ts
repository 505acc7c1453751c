/** TensorFlow.js models: weights as @tensorflow/tfjs decodes them, and the graph. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { memorySource } from '../base/index.js';
import { openModel, writeModel } from './index.js';
import { inTemporaryFolder, refusal, vector } from './testing/files.js';

const expected = JSON.parse(readFileSync(vector('expected-tfjs.json'), 'utf8')) as Record<
  string,
  Record<string, { readonly shape: readonly number[]; readonly values: readonly number[] }>
>;
const good = (file: string): string => vector(`good/tfjs/${file}`);

/** A weight of an LSTM of 3 units: Keras' gates are i, f, c, o, ONNX's i, o, f, c, with a bias for the state behind. */
function inOnnxOrder({ shape, values }: { readonly shape: readonly number[]; readonly values: readonly number[] }) {
  const rows = shape.length === 2 ? shape[0]! : 1;
  const moved = Array.from({ length: 12 * rows }, (_, at) => {
    const [row, gate, unit] = [Math.floor(at / 12), Math.floor((at % 12) / 3), at % 3];
    return values[12 * row + 3 * 'ifco'.indexOf('iofc'[gate]!) + unit]!;
  });
  if (shape.length === 2) return { shape: [1, ...shape], values: moved };
  return { shape: [1, 24], values: [...moved, ...Array<number>(12).fill(0)] };
}

for (const folder of Object.keys(expected)) {
  test(`${folder}: names, shapes and values are those that the library decodes, by folder and by file`, async () => {
    for (const where of [good(folder), good(`${folder}/${folder === 'bare' ? 'weights_manifest' : 'model'}.json`)]) {
      const model = await openModel(where);
      assert.equal(model.format, 'tfjs');
      const numeric = [...model.tensors.values()].filter(({ dtype }) => dtype !== 'STRING');
      assert.deepEqual(
        numeric.map(({ name }) => name),
        Object.keys(expected[folder]!),
      );
      for (const { name, shape, elements, read } of numeric) {
        const wanted = name.startsWith('lstm/') ? inOnnxOrder(expected[folder]![name]!) : expected[folder]![name]!;
        assert.deepEqual(shape, wanted.shape, name);
        assert.deepEqual(
          [...(await read(0, elements))].map((x) => x + 0),
          wanted.values,
          name,
        );
      }
      await model.close();
    }
  });

  test(`${folder}: any part of a weight, across files too, is that part of the whole`, async () => {
    const model = await openModel(good(folder));
    for (const { name, dtype, elements, read } of model.tensors.values()) {
      if (dtype === 'STRING') continue;
      const whole = await read(0, elements);
      await fc.assert(
        fc.asyncProperty(fc.nat(elements), fc.nat(elements), async (x, y) => {
          const [start, end] = x < y ? [x, y] : [y, x];
          const before = model.bytesRead;
          assert.deepEqual(await read(start, end), whole.slice(start, end), name);
          assert.ok(model.bytesRead - before <= (end - start) * 4);
        }),
        { seed: 11, numRuns: 40 },
      );
    }
    await model.close();
  });
}

test('types: what is stored and what the runtime sees', async () => {
  const model = await openModel(good('graph'));
  const seen = [...model.tensors.values()].map(({ name, dtype, packed }) => [name, dtype, packed?.as ?? '']);
  assert.deepEqual(seen, [
    ['conv/w', 'F32', 'uint8'],
    ['conv/depthwise', 'F32', 'uint16'],
    ['dense/w', 'F16', ''],
    ['dense/turned', 'F32', ''],
    ['steps', 'I32', 'uint8'],
    ['words', 'STRING', ''],
    ['flags', 'BOOL', ''],
    ['shape', 'I32', ''],
    ['scalar', 'F32', ''],
    ['none', 'F32', ''],
    ['both', 'F32', ''],
  ]);
  assert.equal(model.metadata.get('format'), 'graph-model');
  await model.close();
});

test('where outputs lie: by the layers’ classes, by the operators that take a weight, by name in a bare list', async () => {
  const layoutsIn = async (folder: string): Promise<Record<string, string>> => {
    const model = await openModel(good(folder));
    await model.close();
    return Object.fromEntries(
      [...model.tensors.values()].flatMap(({ name, outputsFirst }) =>
        outputsFirst === undefined ? [] : [[name, outputsFirst.join()]],
      ),
    );
  };
  assert.deepEqual(await layoutsIn('layers'), {
    'conv/kernel': '3,2,0,1',
    'depthwise/depthwise_kernel': '2,3,0,1',
    'separable/depthwise_kernel': '2,3,0,1',
    'separable/pointwise_kernel': '3,2,0,1',
    'transposed/kernel': '2,3,0,1',
    'conv1d/kernel': '2,1,0',
    'lstm/kernel': '2,1',
    'lstm/recurrent_kernel': '2,1',
    'dense/kernel': '1,0',
  });
  // `both` is used plain and transposed.
  assert.deepEqual(await layoutsIn('graph'), {
    'conv/w': '3,2,0,1',
    'conv/depthwise': '2,3,0,1',
    'dense/w': '1,0',
    'dense/turned': '0,1',
  });
  assert.deepEqual(await layoutsIn('bare'), { 'a/weights': '1,0' });
});

test('the graph in ONNX’s terms, in an order that can be computed', async () => {
  const model = await openModel(good('graph'));
  const graph = model.graph!;
  assert.deepEqual(
    graph.nodes.map(({ op }) => op),
    [
      ...['Identity', 'Transpose', 'Transpose', 'Conv', 'Transpose'],
      ...['Transpose', 'Transpose', 'Conv', 'Transpose'],
      ...['Gemm', 'Gemm', 'Gemm', 'Gemm'],
    ],
  );
  assert.deepEqual(
    graph.nodes
      .filter(({ op }) => op === 'Gemm')
      .map(({ inputs, attributes }) => [inputs[1], attributes.get('transB')]),
    [
      ['dense/w', 0],
      ['dense/turned', 1],
      ['both', 0],
      ['both', 1],
    ],
  );
  const [conv, depthwise] = graph.nodes.filter(({ op }) => op === 'Conv');
  assert.deepEqual(Object.fromEntries(conv!.attributes), {
    auto_pad: 'SAME_UPPER',
    strides: [1, 1],
    dilations: [1, 1],
    kernel_shape: [3, 3],
    group: 1,
  });
  assert.equal(depthwise!.attributes.get('group'), 4);
  assert.deepEqual(graph.inputs, [
    { name: 'x', dtype: 'F32', shape: [1, 4, 4, 2] },
    { name: 'features', dtype: 'F32', shape: [1, 6] },
  ]);
  assert.deepEqual(
    graph.outputs.map(({ name }) => name),
    ['d', 'n', 'p'],
  );
  await model.close();
});

/** A graph model of given nodes, whose weights have zeros for bytes. */
const graphModel = (
  node: readonly object[],
  weights: readonly { readonly name: string; readonly shape: readonly number[]; readonly dtype: string }[],
) => {
  const bytes = weights.reduce((sum, { shape }) => sum + 4 * shape.reduce((a, b) => a * b, 1), 0);
  const json = { modelTopology: { node }, weightsManifest: [{ paths: ['data'], weights }] };
  return openModel(memorySource(Buffer.from(JSON.stringify(json)), 'model.json'), async () =>
    memorySource(new Uint8Array(bytes), 'data'),
  );
};
const base64 = (text: string): string => Buffer.from(text).toString('base64');
const texts = (...values: readonly string[]) => ({ list: { s: values.map(base64) } });

test('fused operators are taken apart; nodes stand in any order; what is not known keeps its name', async () => {
  const attr = { padding: { s: base64('SAME') }, strides: { list: { i: ['1', '2', '2', '1'] } } };
  const model = await graphModel(
    [
      { name: 'y', op: 'Mystery', input: ['p', 's:1', '^late'] },
      { name: 's', op: 'Split', input: ['axis', 'm'] },
      { name: 'm', op: '_FusedMatMul', input: ['flat', 'w2', 'b2'], attr: { fused_ops: texts('BiasAdd', 'Relu') } },
      { name: 'flat', op: 'Reshape', input: ['p', 'sizes'] },
      {
        name: 'p',
        op: '_FusedConv2D',
        input: ['x', 'w', 'b', 'slopes'],
        attr: { ...attr, fused_ops: texts('BiasAdd', 'Prelu') },
      },
      { name: 'odd', op: 'Conv2D', input: ['x', 'w'], attr: { ...attr, data_format: { s: base64('NCHW') } } },
      { name: 'late', op: 'NoOp' },
      { name: 'x', op: 'Placeholder' },
      ...['w', 'b', 'slopes', 'w2', 'b2', 'axis', 'sizes'].map((name) => ({ name, op: 'Const' })),
    ],
    [
      { name: 'w', shape: [3, 3, 2, 4], dtype: 'float32' },
      { name: 'b', shape: [4], dtype: 'float32' },
      { name: 'slopes', shape: [4], dtype: 'float32' },
      { name: 'w2', shape: [4, 6], dtype: 'float32' },
      { name: 'b2', shape: [6], dtype: 'float32' },
      { name: 'axis', shape: [], dtype: 'int32' },
      { name: 'sizes', shape: [2], dtype: 'int32' },
    ],
  );
  const nodes = model.graph!.nodes.map(({ op, domain, outputs }) => `${domain}${domain && ':'}${op} ${outputs.length}`);
  assert.deepEqual(nodes, [
    ...['Transpose 1', 'Transpose 1', 'Conv 1', 'Transpose 1', 'PRelu 1'],
    ...['Reshape 1', 'Gemm 1', 'Relu 1', 'Split 2'],
    ...['tensorflow:Mystery 1', 'tensorflow:Conv2D 1', 'tensorflow:NoOp 1'],
  ]);
  assert.deepEqual(model.graph!.inputs, [{ name: 'x', dtype: null, shape: null }]);
  assert.deepEqual(
    model.graph!.outputs.map(({ name }) => name),
    ['y', 'odd'],
  );
});

test('graphs that go in circles, and chains as long as the graph, are read; outputs without end are refused', async () => {
  const one = [{ name: 'w', shape: [1], dtype: 'float32' }];
  const circle = await graphModel(
    [
      { name: 'a', op: 'Relu', input: ['b'] },
      { name: 'b', op: 'Relu', input: ['a'] },
      { name: 'w', op: 'Const' },
      { name: 'i', op: 'Identity', input: ['i'] },
    ],
    one,
  );
  assert.equal(circle.graph!.nodes.length, 3);
  const chain = Array.from({ length: 50_000 }, (_, i) => ({ name: `n${i}`, op: 'Relu', input: [`n${i + 1}`] }));
  assert.equal((await graphModel(chain, one)).graph!.nodes.length, 50_000);
  const many = Array.from({ length: 1000 }, (_, i) => ({ name: `n${i}`, op: 'Relu', input: [`n${i}:9999`] }));
  await assert.rejects(graphModel(many, one), refusal('TFJS_TOO_MANY'));
  await assert.rejects(graphModel(new Array(100_001).fill({ name: 'n', op: 'Relu' }), one), refusal('TFJS_TOO_MANY'));
});

test('a copy with changed values, across files, opens and holds them', () =>
  inTemporaryFolder(async (folder) => {
    const model = await openModel(good('layers'));
    const values = Float64Array.from({ length: 72 }, (_, i) => i / 8);
    await writeModel(model, new Map([['conv/kernel', values]]), path.join(folder, 'model.json'));
    const copy = await openModel(folder);
    assert.deepEqual(await copy.tensors.get('conv/kernel')!.read(0, 72), values);
    assert.deepEqual(
      await copy.tensors.get('lstm/kernel')!.read(0, 72),
      await model.tensors.get('lstm/kernel')!.read(0, 72),
    );
    await copy.close();
    await model.close();
  }));
