/** The canonical form of tree ensembles: one for every lossless conversion, and it predicts what the original predicts. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { memorySource } from '../base/index.js';
import { openModel, type TreeEnsemble } from '../formats/index.js';
import { vector } from '../formats/testing/files.js';
import { predictTrees } from '../formats/testing/predict-trees.js';
import { expectedTrees, probeRows } from '../formats/testing/trees.js';
import { canonicalTrees, nextUp, treesDigest } from './trees.js';

const { models, conversions } = expectedTrees;

async function treesOf(file: string): Promise<TreeEnsemble> {
  return (await openModel(memorySource(readFileSync(vector(`good/trees/${file}`)), file))).trees![0]!;
}

test('files of one model have one digest, other models another', async () => {
  const files = new Map<string, string[]>();
  const names = new Map<string, Set<string>>();
  for (const [file, { digest: name }] of Object.entries(models)) {
    const digest = treesDigest(canonicalTrees(await treesOf(file)));
    files.set(digest, [...(files.get(digest) ?? []), file]);
    names.set(name, (names.get(name) ?? new Set()).add(digest));
  }
  for (const [name, digests] of names) assert.equal(digests.size, 1, name);
  assert.equal(files.size, names.size);
  const threes = [...files.values()].filter((same) => same.length === 3).map((same) => same.join());
  assert.deepEqual(threes, [
    'binary.json,binary.ubj,binary.onnx',
    'multi.json,multi.ubj,multi.onnx',
    'missing.json,missing.ubj,missing.onnx',
    'pruned.json,pruned.ubj,pruned.onnx',
  ]);
});

test('the canonical form predicts what the file predicts', async () => {
  for (const file of Object.keys(models)) {
    const trees = await treesOf(file);
    const canonical = canonicalTrees(trees);
    const constant = (output: number): number =>
      (canonical.constants.get(output) ?? 0) / (trees.aggregate === 'average' ? trees.root.length : 1);
    const wanted = predictTrees(trees, probeRows);
    const got = predictTrees(canonical, probeRows).map((sum, k) => sum + constant(k % trees.outputs));
    for (const [k, value] of wanted.entries())
      assert.ok(Math.abs(got[k]! - value) <= 1e-6 * Math.max(1, Math.abs(value)), `${file}: ${got[k]}, ${value}`);
  }
});

test('only <, in and leaves are left', async () => {
  for (const file of Object.keys(models)) {
    const { comparison, weight, missing } = canonicalTrees(await treesOf(file));
    assert.ok(
      [...new Set(comparison)].every((one) => [0, 1, 5].includes(one)),
      file,
    );
    assert.ok(weight.every((one) => one === 1) && missing.every((one) => one < 4), file);
  }
});

test('one changed leaf, threshold or direction is another digest', async () => {
  const trees = canonicalTrees(await treesOf('missing.json'));
  const digest = treesDigest(trees);
  const leaf = trees.leaf.map((value, k) => (k === 3 ? Math.fround(value * (1 + 2 ** -22)) : value));
  const threshold = trees.threshold.map((value, k) => (k === 0 ? nextUp(value, 'F32') : value));
  const missing = trees.missing.map((value, k) => (k === 0 ? 1 - value : value));
  for (const changed of [{ leaf }, { threshold }, { missing }])
    assert.notEqual(treesDigest({ ...trees, ...changed }), digest, Object.keys(changed).join());
});

/** The model with two trees exchanged, their classes with them. */
async function exchanged(file: string, one: number, other: number): Promise<string> {
  const json = JSON.parse(readFileSync(vector(`good/trees/${file}`), 'utf8')) as {
    learner: { gradient_booster: { model: { trees: unknown[]; tree_info: number[] } } };
  };
  const { trees, tree_info: info } = json.learner.gradient_booster.model;
  [trees[one], trees[other]] = [trees[other], trees[one]];
  [info[one], info[other]] = [info[other]!, info[one]!];
  const model = await openModel(memorySource(Buffer.from(JSON.stringify(json)), 'm.json'));
  return treesDigest(canonicalTrees(model.trees![0]!));
}

test('the order of trees counts within a class and not between classes', async () => {
  const binary = treesDigest(canonicalTrees(await treesOf('binary.json')));
  assert.equal(await exchanged('binary.json', 0, 0), binary);
  assert.notEqual(await exchanged('binary.json', 0, 1), binary);
  const multi = treesDigest(canonicalTrees(await treesOf('multi.json')));
  assert.equal(await exchanged('multi.json', 0, 1), multi);
  assert.notEqual(await exchanged('multi.json', 0, 3), multi);
});

test('x ≤ t is x < nextUp(t), in the precision of t', () => {
  const f32 = fc.float({ noNaN: true, noDefaultInfinity: true });
  fc.assert(
    fc.property(f32, f32, (x, t) => {
      assert.equal(x <= t, x < nextUp(t, 'F32'));
      const next = nextUp(t, 'F32');
      assert.equal(next, Math.fround(next));
      assert.ok(next > t);
    }),
    { seed: 11, numRuns: 2000 },
  );
  const f64 = fc.double({ noNaN: true, noDefaultInfinity: true });
  fc.assert(
    fc.property(f64, f64, (x, t) => assert.equal(x <= t, x < nextUp(t, 'F64'))),
    { seed: 11, numRuns: 2000 },
  );
  assert.equal(nextUp(0, 'F32'), 2 ** -149);
  assert.equal(nextUp(-(2 ** -149), 'F32') === 0, true);
  assert.equal(nextUp(0, 'F64'), Number.MIN_VALUE);
  assert.equal(nextUp(1, 'F32'), 1 + 2 ** -23);
  assert.equal(nextUp(1, 'F64'), 1 + Number.EPSILON);
  assert.equal(nextUp(Number.POSITIVE_INFINITY, 'F32'), Number.POSITIVE_INFINITY);
});

test('converters round thresholds to the nearest float32, whichever side that is', () => {
  for (const [library, { stored, converted, nearest }] of Object.entries(conversions)) {
    assert.equal(converted, nearest, library);
    assert.equal(nearest, Math.fround(stored), library);
    assert.notEqual(nearest, stored, library);
  }
  // The middle of two values lies below its float32 in one, above it in the other: the cut may move.
  assert.ok(conversions.lightgbm!.converted > conversions.lightgbm!.stored);
  assert.ok(conversions['scikit-learn']!.converted < conversions['scikit-learn']!.stored);
});
