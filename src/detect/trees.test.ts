/** Comparing tree ensembles: copies are seen, trainings on one table are not called copies, and nothing is ever `related`. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { memorySource, seededRandom } from '../base/index.js';
import { type Model, openModel } from '../formats/index.js';
import { vector } from '../formats/testing/files.js';
import { canonicalTrees } from '../structure/index.js';
import { compareFiles } from './compare-files.js';
import { matchTrees } from './tree-match.js';
import { keepTrees, TREE_TWEAKS, tweakTrees } from './tree-tweaks.js';
import { compareTreeModels, showTreePower } from './trees.js';
import type { Comparison } from './types.js';

const inFormats = (name: string): string => vector(`good/trees/${name}`);
const open = (file: string): Promise<Model> => openModel(memorySource(readFileSync(inFormats(file)), file));
const forest = (file: string) => open(file).then((model) => canonicalTrees(model.trees![0]!));
/** A changed copy of the model's one ensemble, as if read from a file. */
const changed = (model: Model, trees: ReturnType<typeof canonicalTrees>): Model => ({ ...model, trees: [trees] });

const TRAINED = ['boot-0', 'boot-1', 'boot-2', 'sub-0', 'sub-1', 'eta'].map((name) => `${name}.ubj`);

test('independent trainings on one table, by bootstraps or drawn rows and columns, have few trees in common', async () => {
  const trees = await Promise.all(TRAINED.map(forest));
  for (const [i, a] of trees.entries()) {
    for (const [j, b] of trees.entries()) {
      const { share } = matchTrees(a, b);
      if (i === j) assert.equal(share, 1);
      else assert.ok(share < 0.1, `${TRAINED[i]} ${TRAINED[j]}: ${share}`);
    }
  }
});

test('they are no evidence, with power shown, and never related', async () => {
  for (const other of ['boot-1.ubj', 'sub-0.ubj', 'eta.ubj']) {
    const answer = compareTreeModels(await open('boot-0.ubj'), await open(other))!;
    assert.equal(answer.verdict, 'no-evidence', `${other}: ${answer.reason}`);
    assert.match(answer.reason, /20 of 20 trials/);
    assert.deepEqual([answer.log10p, answer.lines, answer.shared], [null, [], []]);
  }
});

test('equal thresholds alone are no evidence: most are shared by independent trainings', async () => {
  const cuts = async (file: string): Promise<Set<string>> => {
    const { feature, threshold } = await forest(file);
    return new Set(Array.from(feature, (input, node) => `${input} ${threshold[node]}`));
  };
  const [ours, theirs] = [await cuts('boot-0.ubj'), await cuts('boot-1.ubj')];
  const common = [...theirs].filter((cut) => ours.has(cut)).length;
  assert.ok(common > 0.3 * theirs.size, `${common} of ${theirs.size}`);
  assert.ok(matchTrees(await forest('boot-0.ubj'), await forest('boot-1.ubj')).share < 0.05);
});

test('a copy is found and explained, never related: whole, with every tweak, and another format', async () => {
  const model = await open('boot-0.ubj');
  const trees = await forest('boot-0.ubj');
  const whole = compareTreeModels(model, model)!;
  assert.equal(whole.verdict, 'inconclusive');
  assert.match(whole.reason, /equal in every split and every leaf value.*deterministic trainer on the same data/);
  assert.deepEqual(whole.tweaks, [{ kind: 'exact-copy' }]);
  const kinds = {
    'leaf values changed by 10 %': 'leaves-changed',
    'half of the trees dropped': 'trees-dropped',
    'thresholds moved by 1 %': 'thresholds-moved',
    'inputs in another order': 'inputs-changed',
  } as const;
  for (const tweak of TREE_TWEAKS) {
    const answer = compareTreeModels(model, changed(model, tweakTrees(trees, tweak, seededRandom(7))))!;
    assert.equal(answer.verdict, 'inconclusive', tweak);
    assert.match(answer.reason, /A copy, or a deterministic trainer/, tweak);
    assert.ok(
      answer.tweaks.some(({ kind }) => kind === kinds[tweak]),
      `${tweak}: ${JSON.stringify(answer.tweaks)}`,
    );
    assert.ok(answer.shared.length > 0);
  }
});

test('every tweak at once is still no “no-evidence” where trees follow the same splits', async () => {
  const model = await open('boot-0.ubj');
  let trees = await forest('boot-0.ubj');
  for (const tweak of TREE_TWEAKS.slice(0, 3)) trees = tweakTrees(trees, tweak, seededRandom(3));
  assert.equal(compareTreeModels(model, changed(model, trees))!.verdict, 'inconclusive');
});

test('a few trees taken over whole are seen among others', async () => {
  const [model, own] = [await open('boot-0.ubj'), await forest('boot-1.ubj')];
  const taken = keepTrees(await forest('boot-0.ubj'), [5, 9]);
  const answer = compareTreeModels(model, changed(model, joined(own, taken)))!;
  assert.equal(answer.verdict, 'inconclusive');
  assert.match(answer.reason, /^2 of \d+ trees are equal as a whole/);
});

function joined(a: ReturnType<typeof canonicalTrees>, b: typeof a): typeof a {
  const both = <T extends Int32Array | Uint8Array | Float64Array>(x: T, y: T, shift = 0): T => {
    const all = [...x, ...[...y].map((value) => (value === -1 ? -1 : value + shift))];
    return (x instanceof Int32Array ? Int32Array : x instanceof Uint8Array ? Uint8Array : Float64Array).from(all) as T;
  };
  const nodes = a.feature.length;
  const starts = (x: Int32Array, y: Int32Array): Int32Array => both(x.subarray(0, -1), y, x.at(-1));
  return {
    ...a,
    root: both(a.root, b.root, nodes),
    weight: both(a.weight, b.weight),
    feature: both(a.feature, b.feature),
    threshold: both(a.threshold, b.threshold),
    comparison: both(a.comparison, b.comparison),
    missing: both(a.missing, b.missing),
    left: both(a.left, b.left, nodes),
    right: both(a.right, b.right, nodes),
    categoryStart: starts(a.categoryStart, b.categoryStart),
    category: both(a.category, b.category),
    leafStart: starts(a.leafStart, b.leafStart),
    leafOutput: both(a.leafOutput, b.leafOutput),
    leaf: both(a.leaf, b.leaf),
  };
}

test('a base that both contain is named', async () => {
  const model = await open('boot-0.ubj');
  const answer = compareTreeModels(model, model, model)!;
  assert.match(answer.reason, /30 trees in common, 30 are in the base/);
  assert.ok(answer.shared.every(({ nature }) => nature === 'base'));
});

const compare = (a: string, b: string): Promise<Comparison> => compareFiles(inFormats(a), inFormats(b));

test('converted: equal where it is lossless, tree by tree where thresholds are rounded', async () => {
  const xgboost = await compare('binary.json', 'binary.onnx');
  assert.deepEqual(xgboost.tweaks, [{ kind: 'converted', from: 'xgboost F32', to: 'onnx F32' }]);
  assert.match(xgboost.reason, /equal in every split/);
  const light = await compare('light.txt', 'light.onnx');
  assert.equal(light.verdict, 'inconclusive');
  assert.match(light.reason, /Of 4 trees of the second model, 4 follow the same splits/);
  assert.deepEqual(light.tweaks, [{ kind: 'converted', from: 'lightgbm F64', to: 'onnx F32' }]);
  assert.ok(light.bytesRead > 0);
});

test('trees of two trainers on one table, few and small, are not called more than that', async () => {
  const small = await compare('boosted.onnx', 'pruned.json');
  assert.equal(small.verdict, 'inconclusive');
  assert.match(small.reason, /splits only, which other trainings on the same data may have in common too/);
});

test('trees too few or too small to be told apart show nothing', async () => {
  const small = await compare('boosted.onnx', 'five.onnx');
  assert.equal(small.verdict, 'inconclusive');
  assert.match(small.reason, /too few or too small/);
});

test('trees and a linear booster have nothing to compare', async () => {
  assert.equal((await compare('binary.json', 'linear.json')).verdict, 'inconclusive');
});

test('power is shown by the matching itself: a stump has none', async () => {
  const trees = await forest('boot-0.ubj');
  assert.ok(showTreePower(trees).every(({ found, trials }) => found === trials));
  const stumps = { ...trees, ...keepTrees(trees, []) };
  assert.ok(showTreePower(stumps).every(({ found }) => found === 0));
});
