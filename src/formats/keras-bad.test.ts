/** Hostile HDF5 files and Keras models: each refused with its exact code, in time; mutants. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { inTemporaryFolder, vector } from './testing/files.js';
import { openedApart, refusalOf, refuseEveryCut, surviveMutants } from './testing/mutants.js';

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

for (const file of ['keras/nested.h5', 'keras/nested.keras', 'hdf5/small-earliest.h5', 'hdf5/small-latest.h5']) {
  test(`${file}: 500 mutants give a model or a coded refusal, in bounded time and memory`, async () => {
    const original = await readFile(vector(`good/${file}`));
    const refused = await surviveMutants(original, path.basename(file), { codes: CODES });
    assert.ok(refused > 50, `${refused} of 500 refused`);
  });
}

test('keras2.h5, cut short, is refused', async () => {
  await refuseEveryCut(await readFile(vector('good/keras/keras2.h5')), 'm.h5', 7);
});

/** A group of superblock 0 whose lists of names have `count` entries, all of one name and one array. */
function crowded(count: number): Buffer {
  const original = readFileSync(vector('good/hdf5/small-earliest.h5'));
  const tree = original.indexOf('TREE');
  const list = original.indexOf('SNOD');
  const entry = original.subarray(list + 8, list + 48);
  const PER_LIST = 65_000;
  const lists = Math.ceil(count / PER_LIST);
  const node = Buffer.concat([original.subarray(tree, tree + 24), Buffer.alloc(8 + 16 * lists)]);
  node.writeUInt16LE(lists, 6);
  const head = Buffer.from([0x53, 0x4e, 0x4f, 0x44, 1, 0, 0, 0]);
  head.writeUInt16LE(PER_LIST, 6);
  const filled = Buffer.concat([head, Buffer.alloc(40 * PER_LIST, entry)]);
  for (let i = 0; i < lists; i++) {
    node.writeBigUInt64LE(BigInt(original.length + node.length + i * filled.length), 32 + 16 * i);
  }
  const bytes = Buffer.concat([original, node, ...Array.from({ length: lists }, () => filled)]);
  // Wherever the index of the root's names is named: in the superblock, and in the root's header.
  const named = Buffer.alloc(8);
  named.writeBigUInt64LE(BigInt(tree));
  for (let at = bytes.indexOf(named); at >= 0 && at < original.length; at = bytes.indexOf(named, at + 8)) {
    bytes.writeBigUInt64LE(BigInt(original.length), at);
  }
  return bytes;
}

/** A chain of pieces of a header, each naming the next, all of them over the same bytes. */
function overlapping(pieces: number, length: number): Buffer {
  const original = readFileSync(vector('good/hdf5/small-earliest.h5'));
  const continued = (at: number): Buffer => {
    const message = Buffer.alloc(24);
    message.writeUInt16LE(0x10, 0);
    message.writeUInt16LE(16, 2);
    message.writeBigUInt64LE(BigInt(original.length + at), 8);
    message.writeBigUInt64LE(BigInt(length), 16);
    return message;
  };
  const chain = Array.from({ length: pieces }, (_, i) => continued(24 * (i + 1)));
  const bytes = Buffer.concat([original, ...chain, Buffer.alloc(length)]);
  continued(0).copy(bytes, Number(bytes.readBigUInt64LE(64)) + 16);
  return bytes;
}

test('one array named two million times, headers over one another: refused in two seconds and little memory', () =>
  inTemporaryFolder(async (folder) => {
    const made = { 'named.h5': crowded(2_000_000), 'overlapping.h5': overlapping(3000, 1_000_000) };
    for (const [name, bytes] of Object.entries(made)) await writeFile(path.join(folder, name), bytes);
    const opened = await openedApart(Object.keys(made).map((name) => path.join(folder, name)));
    assert.deepEqual(
      opened.map(({ code }) => code),
      ['HDF5_NAME', 'HDF5_TOO_MANY'],
    );
    for (const { milliseconds, peak } of opened) {
      assert.ok(milliseconds < 2000, `${milliseconds} ms`);
      assert.ok(peak < 512, `${peak} MiB`);
    }
  }));

test('every bad HDF5 and Keras file is expected', () => {
  const files = readdirSync(vector('bad')).filter((name) => /\.(h5|keras)$/.test(name));
  assert.deepEqual(files.sort(), Object.keys(bad).sort());
});
