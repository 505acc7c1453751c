/** Hostile HDF5 files and Keras models: each refused with its exact code, in time; mutants. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { vector } from './testing/files.js';
import { refusalOf, refuseEveryCut, surviveMutants } from './testing/mutants.js';

const bad = JSON.parse(readFileSync(vector('bad/expected-keras.json'), 'utf8')) as Record<string, string>;

test('every hostile file is refused with its code and a place', async () => {
  for (const [file, code] of Object.entries(bad)) {
    const begun = performance.now();
    const error = await refusalOf(vector(`bad/${file}`));
    assert.equal(error?.code, code, `${file}: ${error?.message}`);
    assert.ok(error?.facts.where?.includes(file), `${file}: a place is given`);
    assert.ok(error?.facts.todo, `${file}: what to do is told`);
    assert.ok(performance.now() - begun < 2000, file);
  }
});

const CODES = /^(HDF5|KERAS|ZIP|MODEL|JSON|UTF8|TENSOR)_[A-Z0-9_]+$/;

for (const file of [
  'keras/nested.h5',
  'keras/nested.keras',
  'keras/lambda.keras',
  'hdf5/earliest.h5',
  'hdf5/latest.h5',
]) {
  test(`${file}: 500 mutants give a model or a coded refusal, in bounded time and memory`, async () => {
    const original = await readFile(vector(`good/${file}`));
    const refused = await surviveMutants(original, path.basename(file), { codes: CODES });
    assert.ok(refused > 50, `${refused} of 500 refused`);
  });
}

test('keras2.h5, cut short, is refused', async () => {
  await refuseEveryCut(await readFile(vector('good/keras/keras2.h5')), 'm.h5', 7);
});

test('every bad HDF5 and Keras file is expected', () => {
  const files = readdirSync(vector('bad')).filter((name) => /\.(h5|keras)$/.test(name));
  assert.deepEqual(files.sort(), Object.keys(bad).sort());
});
