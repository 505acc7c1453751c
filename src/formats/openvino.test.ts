/** OpenVINO IR: constants as the runtime reads them, the graph in ONNX's terms, canonical digests equal to the ONNX source's. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { copyFile, mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { test } from 'node:test';
import { memorySource } from '../base/index.js';
import { type Graph, type Model, openModel, type Tensor, writeModel } from './index.js';
import { inTemporaryFolder, refusal, vector } from './testing/files.js';

interface ExpectedTensor {
  readonly dtype: string;
  readonly shape: readonly number[];
  /** Of the values as float64, little-endian. */
  readonly sha256: string;
  readonly first: readonly number[];
}
type ByName<T> = Readonly<Record<string, T>>;
const expected = JSON.parse(readFileSync(vector('expected-openvino.json'), 'utf8')) as {
  readonly constants: ByName<ByName<readonly ExpectedTensor[]>>;
  readonly dequantised: ByName<ByName<Omit<ExpectedTensor, 'dtype' | 'shape'>>>;
  readonly fakeQuantised: { readonly codes: readonly number[] };
};
const good = (file: string): string => vector(`good/openvino/${file}`);
const all = ({ read, elements }: Tensor): Promise<Float64Array> => read(0, elements);
const sha256 = (values: Float64Array): string =>
  createHash('sha256')
    .update(new Uint8Array(values.map((value) => value + 0).buffer))
    .digest('hex');
const isGate = (graph: Graph, name: string): boolean =>
  graph.nodes.some(({ op, inputs }) => /^(LSTM|GRU|RNN)$/.test(op) && inputs.slice(1, 4).includes(name));

for (const [file, wanted] of Object.entries(expected.constants)) {
  test(`${file}.xml: names, types and values are those that the runtime reads`, async () => {
    const model = await openModel(good(`${file}.xml`));
    assert.equal(model.format, 'openvino');
    assert.equal(model.metadata.get('ir_version'), file === 'image-v10' ? '10' : '11');
    let read = 0;
    for (const [name, constants] of Object.entries(wanted)) {
      for (const [k, { dtype, shape, sha256: digest, first }] of constants.entries()) {
        const tensor = model.tensors.get(k === 0 ? name : `${name}#${k}`);
        // Gates are shown in ONNX's order, codes in groups as what they stand for with the scales in them: tested below.
        if (tensor === undefined) assert.match(name, /\/(scale|zero_point)$/);
        if (tensor === undefined || tensor.packed !== undefined || isGate(model.graph!, tensor.name)) continue;
        assert.equal(tensor.dtype, dtype, name);
        assert.equal(
          tensor.elements,
          shape.reduce((product, size) => product * size, 1),
          name,
        );
        const values = await all(tensor);
        assert.deepEqual([...values.subarray(0, 4)], first, name);
        assert.equal(sha256(values), digest, name);
        read++;
      }
    }
    assert.ok(read > 0);
    await model.close();
  });
}

/** Whatever a node takes was given before: by the graph around, an input, a constant, or a node. */
function checkOrder(graph: Graph, outer: ReadonlySet<string> = new Set()): void {
  const given = new Set([...outer, ...graph.inputs.map(({ name }) => name), ...graph.initialisers.keys()]);
  for (const { op, inputs, outputs, attributes } of graph.nodes) {
    for (const input of inputs) assert.ok(input === '' || given.has(input), `${op} takes ${input}`);
    for (const value of attributes.values()) {
      if (typeof value === 'object' && 'nodes' in value) checkOrder(value, given);
    }
    for (const output of outputs) given.add(output);
  }
  for (const { name } of graph.outputs) assert.ok(given.has(name), name);
}

for (const file of Object.keys(expected.constants)) {
  test(`${file}.xml: no value of the graph is taken before it is given`, async () => {
    const model = await openModel(good(`${file}.xml`));
    checkOrder(model.graph!);
    await model.close();
  });
}

const opsOf = (model: Model): readonly string[] =>
  model.graph!.nodes.map(({ op, domain }) => (domain === '' ? op : `${domain}.${op}`));

test('images: biases in their convolutions, groups in one axis, slopes behind their channels', async () => {
  const model = await openModel(good('image.xml'));
  assert.deepEqual(opsOf(model), [
    ...['Conv', 'Relu', 'Conv', 'Relu', 'Conv', 'PRelu', 'MaxPool', 'ConvTranspose', 'Sigmoid', 'ReduceMean'],
    ...['Transpose', 'MatMul', 'Add', 'Tanh', 'Transpose', 'MatMul', 'Add', 'Softmax'],
  ]);
  const [first, depthwise] = model.graph!.nodes.filter(({ op }) => op === 'Conv');
  assert.deepEqual(Object.fromEntries(first!.attributes), {
    strides: [1, 1],
    dilations: [1, 1],
    pads: [1, 1, 1, 1],
    kernel_shape: [3, 3],
    group: 1,
  });
  assert.equal(depthwise!.attributes.get('group'), 16);
  const shapes = depthwise!.inputs.slice(1).map((name) => model.tensors.get(name)!.shape);
  assert.deepEqual(shapes, [[16, 1, 3, 3], [16]]);
  const slopes = model.graph!.nodes.find(({ op }) => op === 'PRelu')!.inputs[1]!;
  assert.deepEqual(model.tensors.get(slopes)!.shape, [24, 1, 1]);
  assert.deepEqual(model.tensors.get('up.weight')!.outputsFirst, [1, 0, 2, 3]);
  assert.deepEqual(model.graph!.inputs, [{ name: 'x', dtype: 'F32', shape: [1, 3, 8, 8] }]);
  assert.deepEqual(model.graph!.outputs, [{ name: 'y', dtype: null, shape: [1, 5] }]);
  await model.close();
});

test('weights stored as float16 stay what they are', async () => {
  const model = await openModel(good('image-f16.xml'));
  assert.equal(model.tensors.get('first.weight_compressed')!.dtype, 'F16');
  assert.ok(opsOf(model).includes('Cast'));
  await model.close();
});

/** Values of each DequantizeLinear's weight, by the weight. */
async function dequantised(model: Model): Promise<ReadonlyMap<string, Float64Array>> {
  const found = new Map<string, Float64Array>();
  for (const { op, inputs, attributes } of model.graph!.nodes) {
    if (op !== 'DequantizeLinear') continue;
    const [codes, scale, zero] = inputs.map((name) => model.tensors.get(name)!);
    const [s, z] = [await all(scale!), zero === undefined ? Float64Array.of(0) : await all(zero)];
    const axis = attributes.get('axis');
    const inner = codes!.shape.slice((typeof axis === 'number' ? axis : 0) + 1).reduce((a, b) => a * b, 1);
    const at = (values: Float64Array, k: number): number => values[values.length === 1 ? 0 : k]!;
    const values = (await all(codes!)).map((code, k) => {
      const channel = Math.floor(k / inner) % s.length;
      return (code - at(z, channel)) * at(s, channel);
    });
    found.set(codes!.name, values);
  }
  for (const tensor of model.tensors.values()) if (tensor.packed) found.set(tensor.name, await all(tensor));
  return found;
}

for (const [file, wanted] of Object.entries(expected.dequantised)) {
  test(`${file}.xml: quantised weights stand for the values that the runtime computes with`, async () => {
    const model = await openModel(good(`${file}.xml`));
    const found = await dequantised(model);
    assert.deepEqual([...found.keys()].sort(), Object.keys(wanted).sort());
    for (const [name, values] of found) {
      assert.deepEqual([...values.subarray(0, 4)], wanted[name]!.first, name);
      assert.equal(sha256(values), wanted[name]!.sha256, name);
    }
    await model.close();
  });
}

test('codes in groups: laid out as their weight, read in part, with the bits that they take', async () => {
  const model = await openModel(good('encoder-int4.xml'));
  const tensor = model.tensors.get('tokens.weight')!;
  assert.deepEqual([tensor.dtype, tensor.shape, tensor.writable], ['F32', [20, 32], false]);
  // Four bits, a float16 and a zero point of four bits for each group of sixteen.
  assert.deepEqual(tensor.packed, { as: 'u4 in groups of 16', bits: 4 + 16 / 16 + 4 / 16 });
  const whole = await all(tensor);
  for (const [start, end] of [
    [0, 1],
    [15, 17],
    [33, 63],
    [639, 640],
  ] as const) {
    assert.deepEqual(await tensor.read(start, end), whole.slice(start, end), `${start}–${end}`);
  }
  await model.close();
});

test('integers behind FakeQuantize: as the runtime computes them, in float32', async () => {
  const model = await openModel(good('fake-quantised.xml'));
  const values = (await dequantised(model)).get('codes')!;
  assert.equal(values.length, expected.fakeQuantised.codes.length);
  values.forEach((value, k) => {
    assert.ok(Math.abs(value - expected.fakeQuantised.codes[k]!) < 1e-6, `${value} ${expected.fakeQuantised.codes[k]}`);
  });
  await model.close();
});

test('gates in ONNX’s order, sequences between transpositions, states of zeros left out', async () => {
  const [ir, onnx] = [await openModel(good('sequence.xml')), await openModel(good('sequence.onnx'))];
  for (const op of ['LSTM', 'GRU']) {
    const [mine, theirs] = [ir, onnx].map((model) => model.graph!.nodes.find((node) => node.op === op)!);
    for (const k of [1, 2, 3]) {
      const [a, b] = [ir.tensors.get(mine!.inputs[k]!)!, onnx.tensors.get(theirs!.inputs[k]!)!];
      assert.deepEqual([a.shape, await all(a)], [b.shape, await all(b)], `${op} ${k}`);
    }
    assert.equal(mine!.attributes.get('hidden_size'), 6);
    assert.deepEqual(mine!.inputs.slice(5), op === 'LSTM' ? ['', ''] : ['']);
  }
  await ir.close();
  await onnx.close();
  const cell = await openModel(good('cell.xml'));
  assert.deepEqual(cell.tensors.get('cell/w')!.shape, [1, 16, 3]);
  const [f, i, c, o] = [0, 1, 2, 3].map((gate) => expected.constants.cell!['cell/b']![0]!.first[gate]);
  // The bias as stored has f first; ONNX wants i, o, f, c, and a bias of zeros for the state.
  assert.deepEqual([...(await cell.tensors.get('cell/b')!.read(8, 12))], [f, i, c, o]);
  assert.deepEqual(await cell.tensors.get('cell/b')!.read(16, 32), new Float64Array(16));
  await cell.close();
});

test('branches stand in their If and take from outside; a loop keeps its name, and its weights are read', async () => {
  const branches = await openModel(good('branches.xml'));
  const choice = branches.graph!.nodes.find(({ op }) => op === 'If')!;
  assert.deepEqual([...choice.attributes.keys()].sort(), ['else_branch', 'then_branch']);
  for (const branch of choice.attributes.values()) {
    assert.ok(typeof branch === 'object' && 'nodes' in branch);
    assert.deepEqual([branch.inputs, branch.outputs.length, branch.nodes[0]!.op], [[], 1, 'Identity']);
  }
  await branches.close();
  const loop = await openModel(good('loop.xml'));
  const node = loop.graph!.nodes.find(({ domain }) => domain === 'openvino')!;
  assert.equal(node.op, 'Loop');
  assert.deepEqual(loop.tensors.get('step')!.shape, [20, 20]);
  await loop.close();
});

test('a folder with one pair of files is the model; the .xml alone says what is missing', () =>
  inTemporaryFolder(async (folder) => {
    for (const end of ['xml', 'bin']) await copyFile(good(`image.${end}`), path.join(folder, `image.${end}`));
    await writeFile(path.join(folder, 'notes.xml'), '<notes/>');
    const model = await openModel(folder);
    assert.equal(path.basename(model.sources[0]!.name), 'image.xml');
    assert.equal(model.sources.length, 2);
    await model.close();
    await assert.rejects(
      openModel(path.join(folder, 'image.bin')),
      refusal('MODEL_FORMAT_NOT_READ', { todo: /\.xml/ }),
    );
    await rename(path.join(folder, 'image.bin'), path.join(folder, 'other.bin'));
    const missing = refusal('MODEL_PART_MISSING', { where: /image\.xml/, todo: /one folder/ });
    await assert.rejects(openModel(path.join(folder, 'image.xml')), missing);
    await assert.rejects(openModel(memorySource(await readFile(good('image.xml')), 'image.xml')), missing);
    await writeFile(path.join(folder, 'pmml.xml'), '<?xml version="1.0"?>\n<PMML version="4.4"/>');
    const pmml = refusal('MODEL_FORMAT_NOT_READ', { got: /PMML/ });
    await assert.rejects(openModel(path.join(folder, 'pmml.xml')), pmml);
    const other = refusal('MODEL_FORMAT_NOT_READ', { got: /no OpenVINO/ });
    await assert.rejects(openModel(path.join(folder, 'notes.xml')), other);
  }));

test('a copy with changed values: gates land where they are stored, all else stays', () =>
  inTemporaryFolder(async (folder) => {
    const out = path.join(folder, 'copy', 'sequence.xml');
    await mkdir(path.dirname(out));
    const model = await openModel(good('sequence.xml'));
    const names = model.graph!.nodes.find(({ op }) => op === 'LSTM')!.inputs;
    const [w, b] = [model.tensors.get(names[1]!)!, model.tensors.get(names[3]!)!];
    const values = new Map([
      [w.name, (await all(w)).map((value) => value * 2)],
      [b.name, (await all(b)).map((value) => value / 2)],
    ]);
    await writeModel(model, values, out);
    const copy = await openModel(out);
    for (const [name, tensor] of model.tensors) {
      assert.deepEqual(await all(copy.tensors.get(name)!), values.get(name) ?? (await all(tensor)), name);
    }
    assert.deepEqual(await readFile(out), await readFile(good('sequence.xml')));
    await copy.close();
    // The half of the bias that ONNX has and the file has not stays zero.
    const impossible = new Map([[b.name, (await all(b)).fill(1)]]);
    const again = path.join(folder, 'again.xml');
    await assert.rejects(writeModel(model, impossible, again), refusal('WRITE_NOT_WRITABLE'));
    await model.close();
  }));

test('constants that OpenVINO wrote once change together, or not at all', () =>
  inTemporaryFolder(async (folder) => {
    const model = await openModel(good('image-int8.xml'));
    const [a, b] = ['/Relu/fq_output_0/input_high', '/Relu/fq_output_0/output_high'];
    const values = (await all(model.tensors.get(a!)!)).map((_, k) => k + 1);
    const write = async (name: string, changes: readonly (readonly [string, Float64Array])[]): Promise<string> => {
      const out = path.join(folder, name, 'image-int8.xml');
      await mkdir(path.dirname(out));
      await writeModel(model, new Map(changes), out);
      return out;
    };
    await assert.rejects(write('one', [[a!, values]]), refusal('WRITE_OVERLAP'));
    const apart = [a!, b!].map((name, k) => [name, values.map((value) => value + k)] as const);
    await assert.rejects(write('apart', apart), refusal('WRITE_OVERLAP'));
    const copy = await openModel(
      await write(
        'both',
        [a!, b!].map((name) => [name, values] as const),
      ),
    );
    for (const name of [a!, b!]) assert.deepEqual(await all(copy.tensors.get(name)!), values);
    await copy.close();
    await model.close();
  }));

test('behind an address the .bin is found beside the .xml, or said to be missing', async () => {
  const server = createServer((request, response) => {
    const name = path.basename(request.url ?? '');
    const range = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '');
    if (range === null || name === 'loop.bin') {
      response.writeHead(404).end();
      return;
    }
    const bytes = readFileSync(good(name));
    const [start, end] = [Number(range[1]), Math.min(Number(range[2]) + 1, bytes.length)];
    response.writeHead(206, { 'content-range': `bytes ${start}-${end - 1}/${bytes.length}` });
    response.end(bytes.subarray(start, end));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const at = (name: string): string => `http://127.0.0.1:${(server.address() as AddressInfo).port}/models/${name}`;
  try {
    const [model, local] = [await openModel(at('cell.xml')), await openModel(good('cell.xml'))];
    assert.deepEqual(await all(model.tensors.get('out')!), await all(local.tensors.get('out')!));
    await model.close();
    await local.close();
    await assert.rejects(openModel(at('loop.xml')), refusal('MODEL_PART_MISSING', { todo: /one folder/ }));
  } finally {
    server.close();
  }
});
