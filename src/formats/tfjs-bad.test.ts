/** Hostile TensorFlow.js models: every lie of a manifest has its refusal; mutants. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { cp, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { memorySource } from '../base/index.js';
import { openModel } from './index.js';
import { inTemporaryFolder, refusal, vector } from './testing/files.js';
import { MUTANTS, refusalOf, refuseEveryCut, surviveMutants } from './testing/mutants.js';

const good = (file: string): string => vector(`good/tfjs/${file}`);

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
  test(`${folder}: mutants of the manifest give a model or a coded refusal`, async () => {
    const original = await readFile(good(`${folder}/${name}`));
    const beside = async (part: string) => {
      const known = readdirSync(good(folder)).includes(part);
      return known ? memorySource(await readFile(good(`${folder}/${part}`)), part) : null;
    };
    const refused = await surviveMutants(original, name, {
      codes: CODES,
      open: (bytes) => openModel(memorySource(bytes, name), beside),
    });
    assert.ok(refused > MUTANTS / 10, `${refused} of ${MUTANTS} refused`);
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
