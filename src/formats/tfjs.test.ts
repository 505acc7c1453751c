/** TensorFlow.js models: weights as @tensorflow/tfjs decodes them; hostile manifests refused. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { cp, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { memorySource } from '../base/index.js';
import { openModel, writeModel } from './index.js';
import { inTemporaryFolder, refusal, vector } from './testing/files.js';
import { refusalOf, refuseEveryCut, surviveMutants } from './testing/mutants.js';

const expected = JSON.parse(readFileSync(vector('expected-tfjs.json'), 'utf8')) as Record<
  string,
  Record<string, { readonly shape: readonly number[]; readonly values: readonly number[] }>
>;
const good = (file: string): string => vector(`good/tfjs/${file}`);

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
        const wanted = expected[folder]![name]!;
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

test('where outputs lie: by the layers’ classes, by the operators that take a weight, unknown from a bare list', async () => {
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
    'lstm/kernel': '1,0',
    'lstm/recurrent_kernel': '1,0',
    'dense/kernel': '1,0',
  });
  // `both` is used plain and transposed.
  assert.deepEqual(await layoutsIn('graph'), {
    'conv/w': '3,2,0,1',
    'conv/depthwise': '2,3,0,1',
    'dense/w': '1,0',
    'dense/turned': '0,1',
  });
  assert.deepEqual(await layoutsIn('bare'), {});
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
  assert.equal((await openModel(good('layers'))).graph, null);
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

const weight = (facts: object = {}) => ({ name: 'w', shape: [2, 2], dtype: 'float32', ...facts });
const manifest = (weights: unknown, paths: unknown = ['data.bin']) => ({ weightsManifest: [{ paths, weights }] });
const quantised = (quantization: unknown, facts: object = {}) => manifest([weight({ quantization, ...facts })]);

test('every lie of a manifest has its refusal, with the place', () =>
  inTemporaryFolder(async (folder) => {
    const inside = path.join(folder, 'model');
    await mkdir(inside);
    await writeFile(path.join(folder, 'secret.bin'), Buffer.alloc(16));
    await symlink('../secret.bin', path.join(inside, 'link.bin'));
    await writeFile(path.join(inside, 'data.bin'), Buffer.alloc(16));
    await writeFile(path.join(inside, 'short.bin'), Buffer.alloc(15));
    await writeFile(path.join(inside, 'long.bin'), Buffer.alloc(17));
    // Two texts: one of a byte, one that claims 2^32 − 1.
    await writeFile(path.join(inside, 'texts.bin'), Buffer.from([1, 0, 0, 0, 65, 255, 255, 255, 255]));
    const cases: readonly (readonly [string, unknown, string])[] = [
      ['parent', manifest([weight()], ['../secret.bin']), 'MODEL_PATH_ESCAPES'],
      ['through', manifest([weight()], ['a/../../secret.bin']), 'MODEL_PATH_ESCAPES'],
      ['absolute', manifest([weight()], [path.join(folder, 'secret.bin')]), 'MODEL_PATH_ESCAPES'],
      ['link', manifest([weight()], ['link.bin']), 'MODEL_PATH_ESCAPES'],
      ['absent', manifest([weight()], ['absent.bin']), 'MODEL_PART_MISSING'],
      ['address', manifest([weight()], ['https://example.org/data.bin']), 'MODEL_PART_MISSING'],
      ['twice', manifest([weight({ shape: [4, 2] })], ['data.bin', './data.bin']), 'TFJS_MANIFEST'],
      ['paths', manifest([weight()], 'data.bin'), 'TFJS_MANIFEST'],
      ['numbers', manifest([weight()], [1]), 'TFJS_MANIFEST'],
      ['weights', manifest({ w: weight() }), 'TFJS_MANIFEST'],
      ['null', manifest([null]), 'TFJS_MANIFEST'],
      ['nameless', manifest([weight({ name: 7 })]), 'TFJS_MANIFEST'],
      ['shapeless', manifest([weight({ shape: '2,2' })]), 'TFJS_MANIFEST'],
      ['group', { weightsManifest: [{ paths: ['data.bin'], weights: [weight()] }, 5] }, 'TFJS_MANIFEST'],
      ['negative', manifest([weight({ shape: [-2, -2] })]), 'TFJS_SHAPE'],
      ['fraction', manifest([weight({ shape: [0.5, 8] })]), 'TFJS_SHAPE'],
      ['astronomic', manifest([weight({ shape: [1e9, 1e9] })]), 'TFJS_SHAPE'],
      ['large', manifest([weight({ shape: [1e6, 1e6] })]), 'TFJS_TRUNCATED'],
      ['short', manifest([weight()], ['short.bin']), 'TFJS_TRUNCATED'],
      ['nothing', manifest([weight()], []), 'TFJS_TRUNCATED'],
      ['long', manifest([weight()], ['long.bin']), 'TFJS_SIZE'],
      ['same name', manifest([weight({ shape: [2] }), weight({ shape: [2] })]), 'MODEL_DUPLICATE_TENSOR'],
      ['none', manifest([], []), 'MODEL_NO_TENSORS'],
      ['complex', manifest([weight({ dtype: 'complex64' })]), 'TFJS_DTYPE'],
      ['prototype', manifest([weight({ dtype: 'constructor' })]), 'TFJS_DTYPE'],
      ['untyped', manifest([weight({ dtype: null })]), 'TFJS_DTYPE'],
      ['uint4', quantised({ dtype: 'uint4', scale: 1, min: 0 }), 'TFJS_QUANTISATION'],
      ['no scale', quantised({ dtype: 'uint8', min: 0 }), 'TFJS_QUANTISATION'],
      ['text min', quantised({ dtype: 'uint8', scale: 1, min: '0' }), 'TFJS_QUANTISATION'],
      ['half int', quantised({ dtype: 'float16' }, { dtype: 'int32' }), 'TFJS_QUANTISATION'],
      ['quantised text', quantised({ dtype: 'uint8', scale: 1, min: 0 }, { dtype: 'string' }), 'TFJS_QUANTISATION'],
      ['list', quantised([]), 'TFJS_QUANTISATION'],
      ['text beyond', manifest([weight({ shape: [2], dtype: 'string' })], ['texts.bin']), 'TFJS_TRUNCATED'],
      ['texts', manifest([weight({ shape: [1e9], dtype: 'string' })], ['texts.bin']), 'TFJS_TOO_MANY'],
    ];
    const file = path.join(inside, 'model.json');
    for (const [what, json, code] of cases) {
      await writeFile(file, JSON.stringify(json));
      const error = await refusalOf(file);
      assert.equal(error?.code, code, `${what}: ${error?.message}`);
      assert.ok(error?.facts.where, what);
    }
    await writeFile(file, JSON.stringify(manifest([weight()])));
    assert.equal(await refusalOf(file), null);
    await assert.rejects(openModel(memorySource(await readFile(file), 'model.json')), refusal('MODEL_PART_MISSING'));
  }));

const bad = JSON.parse(readFileSync(vector('bad/expected-tfjs.json'), 'utf8')) as Record<string, string>;

for (const [file, code] of Object.entries(bad)) {
  test(`${file} is refused: ${code}`, async () => {
    const error = await refusalOf(vector(`bad/tfjs/${file}`));
    assert.equal(error?.code, code, error?.message);
    assert.ok(error?.facts.where, 'a place is given');
  });
}

test('every bad manifest is expected', () => {
  assert.deepEqual(
    readdirSync(vector('bad/tfjs'))
      .filter((name) => name.endsWith('.json'))
      .sort(),
    Object.keys(bad).sort(),
  );
});

test('a manifest of thousands of files and weights is opened in seconds', () =>
  inTemporaryFolder(async (folder) => {
    const paths = Array.from({ length: 2000 }, (_, i) => `part${i}`);
    for (const name of paths) await writeFile(path.join(folder, name), Buffer.alloc(4));
    const weights = Array.from({ length: 100_000 }, (_, i) => weight({ name: `w${i}`, shape: i < 2000 ? [1] : [0] }));
    await writeFile(path.join(folder, 'model.json'), JSON.stringify(manifest(weights, paths)));
    const begun = performance.now();
    const model = await openModel(folder);
    assert.equal(model.tensors.size, 100_000);
    assert.ok(performance.now() - begun < 5000);
    await model.close();
  }));

const CODES = /^(TFJS|MODEL|JSON|UTF8|TENSOR|ONNX)_[A-Z0-9_]+$/;

for (const [folder, name] of [
  ['layers', 'model.json'],
  ['graph', 'model.json'],
  ['bare', 'weights_manifest.json'],
] as const) {
  test(`${folder}: 500 mutants of the manifest give a model or a coded refusal`, async () => {
    const original = await readFile(good(`${folder}/${name}`));
    const beside = async (part: string) => {
      const known = readdirSync(good(folder)).includes(part);
      return known ? memorySource(await readFile(good(`${folder}/${part}`)), part) : null;
    };
    const refused = await surviveMutants(original, name, {
      codes: CODES,
      open: (bytes) => openModel(memorySource(bytes, name), beside),
    });
    assert.ok(refused > 50, `${refused} of 500 refused`);
    if (folder === 'graph') await refuseEveryCut(original.subarray(0, original.length - 1), name, 7);
  });
}

test('files beside the manifest that became shorter are refused', () =>
  inTemporaryFolder(async (folder) => {
    await cp(good('graph'), folder, { recursive: true });
    const last = path.join(folder, 'group1-shard4of4.bin');
    await writeFile(last, (await readFile(last)).subarray(1));
    await assert.rejects(openModel(folder), refusal('TFJS_TRUNCATED', { where: /group 0, weight steps/ }));
  }));
