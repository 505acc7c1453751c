/** The line of marked trees: its null whatever the suspect is, its power after each tweak, copies named, colluders too. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { seededRandom } from '../base/index.js';
import { type Model, openModel, type TreeEnsemble } from '../formats/index.js';
import { gapChips, type OpenedKeys, readingOf, releasedThresholds } from '../mark/index.js';
import { testKeys } from '../mark/testing/dense.js';
import { plannedTrees, treeVector } from '../mark/testing/trees.js';
import { ksUniform, LOG10_KEY_ENTROPY, log10NormalTail } from '../stats/index.js';
import { type CanonicalTrees, canonicalTrees } from '../structure/index.js';
import { jitterPlaces, jitterTest } from './tree-jitter.js';
import { keepTrees } from './tree-tweaks.js';

const { model, plan, gaps } = await plannedTrees('fleet.ubj');
const ours = readingOf(model).map(canonicalTrees);
const opened: Model[] = [model];
after(() => Promise.all(opened.map((one) => one.close())));

async function vector(name: string): Promise<TreeEnsemble> {
  const other = await openModel(treeVector(name));
  opened.push(other);
  return other.trees![0]!;
}

function copyFor(keys: OpenedKeys): TreeEnsemble {
  const [threshold] = releasedThresholds(model, gaps, plan, keys).values();
  return { ...model.trees![0]!, threshold: threshold! };
}

const keys = testKeys('acme');
const copy = copyFor(keys);
const places = (suspect: CanonicalTrees) => jitterPlaces(gaps, ours, [suspect]);
const zOf = (suspect: CanonicalTrees, of: OpenedKeys = keys): number => jitterTest(plan, of, places(suspect)).z;
const canonical = (trees: TreeEnsemble): CanonicalTrees => canonicalTrees(trees);
const moved = (trees: TreeEnsemble, to: (cut: number) => number): CanonicalTrees =>
  canonical({ ...trees, threshold: trees.threshold.map((cut, node) => (trees.feature[node] === -1 ? cut : to(cut))) });

test('the copy scores near the root of the number of gaps, every key but its own like chance', () => {
  const { z, n, log10p } = jitterTest(plan, keys, places(canonical(copy)));
  assert.equal(n, gaps.length);
  assert.ok(z > 0.85 * Math.sqrt(gaps.length), `z ${z} of ${gaps.length} gaps`);
  assert.ok(log10p < -20);
  assert.ok(zOf(canonical(copy), testKeys('someone else')) < 4);
});

/** Whatever the suspect is, z over keys that it does not depend on is N(0, 1). */
async function suspects(): Promise<readonly (readonly [string, CanonicalTrees])[]> {
  const thief = seededRandom(9);
  return [
    ['the same data, rows and columns drawn', canonical(await vector('rival-1.ubj'))],
    ['the same data, another trainer', canonical(await vector('fleet.txt'))],
    ['a copy of another recipient', canonical(copy)],
    ['a copy with noise', moved(copy, (cut) => cut * (1 + 0.002 * (thief.unit() - 0.5)))],
    ['every threshold at the edge of its gap', moved(copy, (cut) => Math.ceil(cut))],
    ['one tree', keepTrees(canonical(copy), [3])],
  ];
}

test('null: z ~ N(0, 1) over 2,000 keys for each of six suspects', async () => {
  for (const [what, suspect] of await suspects()) {
    const found = places(suspect);
    const p = Array.from({ length: 2000 }, (_, k) => {
      const { z } = jitterTest(plan, testKeys(`null ${k}`), found);
      return 10 ** log10NormalTail(z);
    });
    const ks = ksUniform(p);
    assert.ok(ks > 0.001, `${what}: KS p ${ks}`);
    assert.ok(Math.min(...p) > 1e-5, `${what}: least p ${Math.min(...p)}`);
  }
});

test('null: one batch alone', () => {
  const found = places(canonical(copy));
  const p = Array.from({ length: 2000 }, (_, k) => {
    const all = testKeys(`batch ${k}`);
    const { z, n } = jitterTest(plan, { ...all, seeds: new Map([[1, all.seeds.get(1)!]]) }, found);
    assert.equal(n, Math.floor(gaps.length / 2));
    return 10 ** log10NormalTail(z);
  });
  assert.ok(ksUniform(p) > 0.001);
});

test('an unmarked copy shows nothing at all: p is 1', () => {
  const result = jitterTest(plan, keys, places(ours[0]!));
  assert.deepEqual([result.z, result.bound, result.log10p], [0, 0, 0]);
});

test('a suspect whose inputs are others, or that asks nothing, is tested on nothing', () => {
  const elsewhere = {
    ...canonical(copy),
    featureNames: null,
    feature: copy.feature.map((input) => (input === -1 ? -1 : input + 50)),
    leaf: copy.leaf.map((value) => 2 * value),
  };
  for (const suspect of [elsewhere, keepTrees(canonical(copy), [])]) {
    const { z, n, log10p } = jitterTest(plan, keys, places(suspect));
    assert.deepEqual([z, n, log10p], [0, 0, 0]);
  }
});

test('dropped, re-ordered, rounded, converted, merged and noisy copies are found', async () => {
  const whole = canonical(copy);
  const random = seededRandom(4);
  const all = [...whole.root.keys()];
  const cases: readonly (readonly [string, CanonicalTrees, number])[] = [
    [
      'half of the trees dropped',
      keepTrees(
        whole,
        all.filter((tree) => tree % 2 === 0),
      ),
      6,
    ],
    [
      'four fifths dropped',
      keepTrees(
        whole,
        all.filter((tree) => tree % 5 === 0),
      ),
      4.5,
    ],
    ['re-ordered', keepTrees(whole, [...all].reverse()), 9],
    ['4 digits', moved(copy, (cut) => Number(cut.toPrecision(4))), 7],
    ['3 digits', moved(copy, (cut) => Number(cut.toPrecision(3))), 4],
    ['float16', moved(copy, (cut) => Math.round(cut * 8) / 8), 4.5],
    ['leaf values changed', { ...whole, leaf: whole.leaf.map((value) => value * random.unit()) }, 9],
    ['noise', moved(copy, (cut) => cut * (1 + 1e-4 * (random.unit() - 0.5))), 8],
  ];
  for (const [what, suspect, least] of cases) assert.ok(zOf(suspect) > least, `${what}: z ${zOf(suspect)}`);
});

test('merged with trees of another training on the same data, the copy is still found', async () => {
  const rival = canonical(await vector('rival-2.ubj'));
  const result = jitterTest(plan, keys, jitterPlaces(gaps, ours, [canonical(copy), rival]));
  assert.ok(result.z > 7, `z ${result.z}`);
});

test('a copy in another format and precision is found', async () => {
  // XGBoost's thresholds as float64 with `<=`, as another trainer would hold them.
  const other: TreeEnsemble = {
    ...copy,
    precision: 'F64',
    comparison: copy.comparison.map((one) => (one === 1 ? 2 : one)),
    featureNames: null,
  };
  assert.ok(zOf(canonical(other)) > 0.85 * Math.sqrt(gaps.length));
});

test('inputs in another order are told by their names', () => {
  const [trees] = model.trees!;
  const names = trees!.featureNames!;
  const order = [3, 5, 0, 1, 4, 2];
  const shuffled: TreeEnsemble = {
    ...copy,
    featureNames: order.map((input) => names[input]!),
    feature: copy.feature.map((input) => (input === -1 ? -1 : order.indexOf(input))),
  };
  assert.ok(zOf(canonical(shuffled)) > 0.85 * Math.sqrt(gaps.length));
});

test('inputs without names in another order, and in other units, are told by the leaves of whole trees', () => {
  const order = [3, 5, 0, 1, 4, 2];
  const bare: TreeEnsemble = {
    ...copy,
    featureNames: null,
    feature: copy.feature.map((input) => (input === -1 ? -1 : order.indexOf(input))),
  };
  assert.ok(zOf(canonical(bare)) > 0.8 * Math.sqrt(gaps.length), `${zOf(canonical(bare))}`);
  // Standardised: what a thief's own preparation would do.
  const standard = canonical({
    ...bare,
    precision: 'F64',
    threshold: bare.threshold.map((cut, node) => {
      const input = bare.feature[node]!;
      return input === -1 ? cut : (cut - 40 * input) / (3 + input);
    }),
  });
  assert.ok(zOf(standard) > 0.7 * Math.sqrt(gaps.length), `${zOf(standard)}`);
  assert.ok(zOf(standard, testKeys('someone else')) < 4);
});

const COLLUSIONS: Readonly<Record<string, (own: readonly number[], pick: number) => number>> = {
  mean: (own) => own.reduce((sum, one) => sum + one, 0) / own.length,
  median: (own) => [...own].sort((a, b) => a - b)[own.length >> 1]!,
  least: (own) => Math.min(...own),
  greatest: (own) => Math.max(...own),
  'random pick': (own, pick) => own[pick % own.length]!,
};

test('three colluders are told from twenty innocents, however they put their thresholds together', () => {
  const guilty = [1, 2, 3].map((k) => testKeys(`colluder ${k}`));
  const copies = guilty.map(copyFor);
  const random = seededRandom(2);
  for (const [how, combine] of Object.entries(COLLUSIONS)) {
    const threshold = copy.threshold.map((_, node) =>
      Math.fround(
        combine(
          copies.map((one) => one.threshold[node]!),
          random.below(3),
        ),
      ),
    );
    const suspect = canonical({ ...copy, threshold });
    const found = guilty.map((one) => zOf(suspect, one));
    const innocent = Array.from({ length: 20 }, (_, k) => zOf(suspect, testKeys(`innocent ${k}`)));
    assert.ok(Math.min(...found) > 1.5, `${how}: ${found}`);
    assert.ok(found.reduce((sum, z) => sum + z, 0) / 3 > 3, `${how}: ${found}`);
    assert.ok(Math.max(...innocent) < 3.5, `${how}: ${innocent}`);
    assert.ok(Math.max(...found) > Math.max(...innocent), how);
  }
});

test('no p lies below the entropy of the key', () => {
  const one: OpenedKeys = { ...keys, seeds: new Map([[0, keys.seeds.get(0)!]]) };
  // The very chips as places, in more gaps than this ensemble has.
  const found = {
    places: gapChips({ batches: 1 }, 5000, one),
    before: new Float64Array(5000),
    weights: new Float64Array(5000).fill(1),
  };
  const { bound, log10p } = jitterTest({ batches: 1 }, one, found);
  assert.ok(bound < LOG10_KEY_ENTROPY);
  assert.equal(log10p, LOG10_KEY_ENTROPY);
});
