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
