/** Hostile OpenVINO IRs: XML and graphs that lie are refused with their codes, in time; mutants. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { copyFile, open, readFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { memorySource } from '../base/index.js';
import { type Model, openModel } from './index.js';
import { inTemporaryFolder, readAll, vector } from './testing/files.js';
import { openedApart, refusalOf, surviveMutants } from './testing/mutants.js';

const good = (file: string): string => vector(`good/openvino/${file}`);
const bad = JSON.parse(readFileSync(vector('bad/expected-openvino.json'), 'utf8')) as Record<string, string>;

test('every hostile file has its refusal, with the place', async () => {
  for (const [file, code] of Object.entries(bad)) {
    const error = await refusalOf(vector(`bad/openvino/${file}`));
    assert.equal(error?.code, code, `${file}: ${error?.message}`);
    assert.ok(error?.facts.where, `${file}: a place is given`);
  }
});

test('every hostile file is expected', () => {
  const files = readdirSync(vector('bad/openvino')).filter((name) => name.endsWith('.xml'));
  assert.deepEqual(files.sort(), Object.keys(bad).sort());
});

const HEAD = '<?xml version="1.0"?><net name="n" version="11"><layers>';
const layer = (inner: string): string => `<layer id="0" name="w" type="Const" version="opset1">${inner}`;
/** Text before, a piece repeated, and the code of the refusal. */
const FLOODS: readonly (readonly [name: string, head: string, piece: string, megabytes: number, code: string])[] = [
  ['elements', `${HEAD}${layer('<output><port id="0">')}`, '<a/>', 7, 'OPENVINO_TOO_MANY'],
  ['deep', `${HEAD}${layer('')}`, '<a>', 2, 'OPENVINO_TOO_MANY'],
  ['attribute', `${HEAD}${layer('<data shape="')}`, '1, 1, 1, 1, 1, 1, ', 2, 'OPENVINO_TOO_MANY'],
  ['attributes', `${HEAD}${layer('<data ')}`, 'a="" ', 2, 'OPENVINO_TOO_MANY'],
  ['name', `${HEAD}<`, 'aaaaaaaaaaaaaaaa', 2, 'OPENVINO_TOO_MANY'],
  ['text', `${HEAD}${layer('<output><port id="0"><dim>')}`, '1111111111111111', 2, 'OPENVINO_TOO_MANY'],
  ['comment', `${HEAD}<!--`, 'aaaaaaaaaaaaaaaa', 2, 'OPENVINO_TOO_MANY'],
  ['doctype', '<!DOCTYPE net [', '<!ENTITY a "bbbb">', 2, 'OPENVINO_TOO_MANY'],
  ['before', '<?xml version="1.0"?>', ' ', 2, 'OPENVINO_TOO_MANY'],
];

test('XML made to exhaust time or memory is refused in time and below 512 MiB', () =>
  inTemporaryFolder(async (folder) => {
    const files = FLOODS.map(([name]) => path.join(folder, `${name}.xml`));
    for (const [k, [, head, piece, megabytes]] of FLOODS.entries()) {
      const handle = await open(files[k]!, 'w');
      await handle.write(head);
      const block = piece.repeat(Math.ceil(2 ** 20 / piece.length));
      for (let i = 0; i < megabytes; i++) await handle.write(block);
      await handle.close();
    }
    const opened = await openedApart(files);
    for (const [k, { code, milliseconds, peak }] of opened.entries()) {
      const [name, , , , wanted] = FLOODS[k]!;
      assert.equal(code, wanted, name);
      assert.ok(milliseconds < 10_000, `${name}: ${milliseconds} ms`);
      assert.ok(peak < 512, `${name}: ${peak} MiB`);
    }
  }));

/** Opens changed XML with the .bin as it is. */
const beside =
  (weights: Uint8Array) =>
  (bytes: Uint8Array): Promise<Model> =>
    openModel(memorySource(bytes, 'm.xml'), async (name) => (name === 'm.bin' ? memorySource(weights, name) : null));
const CODES = /^(OPENVINO|MODEL|UTF8|TENSOR|ONNX)_[A-Z0-9_]+$/;

for (const file of ['sequence', 'encoder-int4', 'branches', 'fake-quantised'] as const) {
  test(`${file}.xml: changed at random, it gives a model or a coded refusal, nothing else`, async () => {
    const bytes = await readFile(good(`${file}.xml`));
    const refused = await surviveMutants(bytes, 'm.xml', {
      codes: CODES,
      open: beside(await readFile(good(`${file}.bin`))),
    });
    assert.ok(refused > 100 && refused < 500, `${refused} of 500 refused`);
  });
}

test('the .xml cut short at any of 200 bytes is refused; the .bin one byte short, too', () =>
  inTemporaryFolder(async (folder) => {
    const [xml, bin] = [await readFile(good('cell.xml')), await readFile(good('cell.bin'))];
    await readAll(await beside(bin)(xml));
    const end = xml.lastIndexOf('>');
    for (let k = 0; k < 200; k++) {
      const length = Math.floor((k * end) / 200);
      await assert.rejects(beside(bin)(xml.subarray(0, length)), `${length} bytes`);
    }
    await assert.rejects(beside(bin.subarray(0, -1))(xml), { code: 'OPENVINO_TRUNCATED' });
    await copyFile(good('cell.xml'), path.join(folder, 'cell.xml'));
    await assert.rejects(openModel(path.join(folder, 'cell.xml')), { code: 'MODEL_PART_MISSING' });
  }));
