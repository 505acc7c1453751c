/** Keras models and HDF5 files: names, types and values as Keras and h5py hold them; layouts; settings; writing. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { type Model, openModel, writeModel } from './index.js';
import { inTemporaryFolder, readAll, refusal, vector } from './testing/files.js';

interface ExpectedTensor {
  readonly dtype: string;
  readonly shape: readonly number[];
  /** Base64 of little-endian float64. */
  readonly f64: string;
}
const { files: expected } = JSON.parse(readFileSync(vector('expected-keras.json'), 'utf8')) as {
  readonly files: Readonly<Record<string, Readonly<Record<string, ExpectedTensor>>>>;
};
const numbers = (f64: string): Float64Array => new Float64Array(Uint8Array.from(Buffer.from(f64, 'base64')).buffer);
const good = (file: string): string => vector(`good/${file}`);

for (const [file, wanted] of Object.entries(expected)) {
  test(`${file}: names, types, shapes and values, whole and in parts`, async () => {
    const model = await openModel(good(file));
    assert.equal(model.format, file.startsWith('keras') ? 'keras' : 'hdf5');
    const numeric = [...model.tensors.values()].filter(({ dtype }) => dtype !== 'STRING');
    assert.deepEqual(numeric.map(({ name }) => name).sort(), Object.keys(wanted).sort());
    for (const tensor of numeric) {
      const { dtype, shape, f64 } = wanted[tensor.name]!;
      const values = numbers(f64);
      assert.deepEqual([tensor.dtype, tensor.shape], [dtype, shape], tensor.name);
      assert.deepEqual(await tensor.read(0, tensor.elements), values, tensor.name);
      const [third, most] = [Math.floor(tensor.elements / 3), tensor.elements - (tensor.elements > 1 ? 1 : 0)];
      assert.deepEqual(await tensor.read(third, most), values.slice(third, most), tensor.name);
    }
    await model.close();
  });
}

const layoutsIn = (model: Model): Readonly<Record<string, string>> =>
  Object.fromEntries(
    [...model.tensors.values()].flatMap(({ name, outputsFirst }) =>
      outputsFirst === undefined ? [] : [[name, outputsFirst.join()]],
    ),
  );

async function opened<T>(file: string, work: (model: Model) => Promise<T> | T): Promise<T> {
  const model = await openModel(good(file));
  try {
    return await work(model);
  } finally {
    await model.close();
  }
}

test('outputs lie where the classes of the layers say, in every way of storing', async () => {
  const wanted = {
    'conv/kernel': '3,2,0,1',
    'depthwise/kernel': '2,3,0,1',
    'separable/depthwise_kernel': '2,3,0,1',
    'separable/pointwise_kernel': '3,2,0,1',
    'transpose/kernel': '2,3,0,1',
    'dense/kernel': '1,0',
  };
  for (const ending of ['.h5', '.keras', '.weights.h5']) {
    assert.deepEqual(await opened(`keras/images${ending}`, layoutsIn), wanted, ending);
  }
  const sequences = await opened('keras/sequences.keras', layoutsIn);
  assert.equal(sequences['attention/query/kernel'], '1,2,0');
  assert.equal(sequences['attention/attention_output/kernel'], '2,0,1');
  // Behind the direction that ONNX has.
  assert.equal(sequences['both/backward_lstm/lstm_cell/recurrent_kernel'], '2,1');
  assert.equal(sequences['steps/each/kernel'], '1,0');
  assert.equal(sequences['embedding/embeddings'], undefined);
});

test('class, version, layers and optimiser are metadata; layers with code are named', async () => {
  assert.deepEqual(await opened('keras/images.h5', ({ metadata }) => Object.fromEntries(metadata)), {
    keras_version: '3.15.1',
    backend: 'torch',
    optimizer: 'Adam',
    class: 'Functional',
    name: 'images',
    layers:
      'InputLayer 1, Conv2D 1, DepthwiseConv2D 1, BatchNormalization 1, SeparableConv2D 1, Conv2DTranspose 1, Flatten 1, Dense 1',
  });
  for (const ending of ['.h5', '.keras']) {
    const code = await opened(`keras/lambda${ending}`, ({ metadata }) =>
      metadata.get('layers with code (not executed)'),
    );
    assert.equal(code, 'code');
  }
});

test('the graph follows the layers; without one the metadata says why', async () => {
  const operators = ({ graph }: Model): string => (graph?.nodes ?? []).map(({ op }) => op).join(' ');
  for (const ending of ['.h5', '.keras']) {
    assert.match(await opened(`keras/images${ending}`, operators), /Conv .*BatchNormalization .*ConvTranspose .*Gemm$/);
    assert.equal(await opened(`keras/lambda${ending}`, operators), 'Lambda MatMul Add');
    assert.equal(await opened(`keras/images${ending}`, ({ metadata }) => metadata.get('graph')), undefined);
  }
  for (const [file, why] of [
    ['images.weights.h5', /weights alone/],
    ['own.keras', /class of its author’s \(Own\)/],
  ] as const) {
    const { graph, metadata } = await opened(`keras/${file}`, (model) => model);
    assert.equal(graph, null, file);
    assert.match(metadata.get('graph')!, why);
  }
});

test('a plain file’s settings are metadata, its texts are tensors without numbers', () =>
  opened('hdf5/latest.h5', async ({ metadata, tensors }) => {
    assert.equal(metadata.get('text'), 'any text');
    assert.equal(metadata.get('number'), '1.5');
    assert.equal(metadata.get('several'), undefined);
    await assert.rejects(tensors.get('words')!.read(0, 1), refusal('TENSOR_NOT_NUMERIC'));
  }));

test('values in place are written and all else stays; packed values are not, nor those under a checksum', () =>
  inTemporaryFolder(async (folder) => {
    const out = path.join(folder, 'copy.h5');
    const changed = Float64Array.of(0.5, -1, 2);
    await opened('keras/nested.h5', async (model) => {
      await writeModel(model, new Map([['out/kernel', changed]]), out);
      const copy = await openModel(out);
      const [before, after] = [await readAll(model), await readAll(copy)];
      await copy.close();
      assert.deepEqual(after, new Map(before).set('out/kernel', changed));
    });
    const [original, bytes] = [await readFile(good('keras/nested.h5')), await readFile(out)];
    assert.equal(bytes.length, original.length);
    assert.ok(bytes.filter((byte, i) => byte !== original[i]).length <= 12);
    await opened('keras/nested.keras', async (model) => {
      const archive = path.join(folder, 'copy.keras');
      await writeModel(model, new Map([['out/kernel', changed]]), archive);
      const copy = await openModel(archive);
      assert.deepEqual(await copy.tensors.get('out/kernel')!.read(0, 3), changed);
      await copy.close();
    });
    await opened('hdf5/earliest.h5', ({ tensors }) => {
      const writable = [...tensors.values()].filter((tensor) => tensor.writable).map(({ name }) => name);
      assert.ok(writable.includes('types/little f4'));
      // Two names of one array.
      assert.ok(!writable.includes('scalar') && !writable.includes('same'));
      assert.ok(!writable.some((name) => /^(chunks|sparse|compact|unwritten|types.big)/.test(name)));
    });
  }));

test('a row costs its bytes', () =>
  opened('hdf5/earliest.h5', async (model) => {
    const before = model.bytesRead;
    await model.tensors.get('types/little f4')!.read(2, 4);
    assert.equal(model.bytesRead - before, 8);
  }));
