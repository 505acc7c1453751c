import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Alignment, alignTables, checkAlignment } from '../align/index.js';
import {
  type Dense,
  initialDense,
  permuted,
  pruned,
  quantised,
  rescaled,
  table,
  teacherData,
  trainDense,
} from '../align/testing/dense.js';
import { randomPermutation, seededRandom } from '../base/index.js';
import { groupOrders, type OpenedKeys } from '../mark/index.js';
import { densePlan, released, testKeys } from '../mark/testing/dense.js';
import { ksUniform, LOG10_KEY_ENTROPY, log10HitsTail, log10NormalTail } from '../stats/index.js';
import { correlate, type ExactInput, exactLines, markDirection, markTest, orderTest } from './exact.js';

const WIDTHS = [8, 64, 64, 2];
const plan = densePlan(WIDTHS);
const data = teacherData(8, 600, 1);
const owner = trainDense(initialDense(WIDTHS, seededRandom(1)), data, 20, 3e-3, 1);
const rival = trainDense(initialDense(WIDTHS, seededRandom(2)), data, 20, 3e-3, 2);
const first = testKeys('first');
const second = testKeys('second');
const copy = released(plan, second, owner);

const input = (suspect: Dense, keys: OpenedKeys): ExactInput => {
  const alignment = alignTables(plan.test, table(owner), table(suspect), 1);
  return { plan, reference: table(owner), suspect: table(suspect), keys, alignment };
};
const only = (keys: OpenedKeys, batch: number): OpenedKeys => ({
  ...keys,
  seeds: new Map([[batch, keys.seeds.get(batch)!]]),
});

/** What a thief does to the second recipient's copy, in this order. */
function stolen(seed = 3): Dense {
  const random = seededRandom(seed);
  const orders = [randomPermutation(64, random), randomPermutation(64, random)];
  const moved = rescaled(permuted(copy, orders), 0.3, random);
  const { x, y } = data;
  const tuned = trainDense(moved, { x: x.slice(0, 200), y: y.slice(0, 200) }, 30, 1e-3, seed);
  return quantised(pruned(tuned, 0.5), 4);
}

test('an untouched copy: every unit hits and both lines stop at the entropy of the key', () => {
  const own = input(copy, second);
  assert.equal(orderTest(own).hits, 128);
  assert.equal(orderTest(own).log10p, LOG10_KEY_ENTROPY);
  const mark = markTest(own);
  assert.equal(mark.n, 8 * 64 + 64 * 64 + 64 * 2);
  assert.ok(mark.z > 50, `z ${mark.z}`);
  assert.equal(mark.log10p, LOG10_KEY_ENTROPY);
});

test('one batch alone recognises the copy, and opens only its own groups and rows', () => {
  for (const batch of [0, 1]) {
    const result = orderTest(input(copy, only(second, batch)));
    assert.deepEqual(
      result.groups.map((group) => group.id),
      [`g${batch}`],
    );
    assert.ok(result.hits >= 60, `${result.hits} hits in batch ${batch}`);
    const mark = markTest(input(copy, only(second, batch)));
    assert.equal(mark.n, (8 * 64 + 64 * 64 + 64 * 2) / 2);
    assert.ok(mark.z > 35, `z ${mark.z}`);
  }
});

/** Rescaling in the test is by exp(0.3·N(0, 1)) in both layers, at the edge of what int4 with one scale a tensor leaves usable. */
test('permuted, rescaled, fine-tuned for 30 epochs, half pruned and int4: the recipient is named, the other is not', () => {
  const thief = stolen();
  const named = markTest(input(thief, second));
  assert.ok(named.log10p <= -12, `z ${named.z}, log10 p ${named.log10p}`);
  assert.ok(markTest(input(thief, first)).log10p > -4);
  assert.ok(orderTest(input(thief, first)).log10p > -4);
  assert.ok(markTest(input(rival, second)).log10p > -4);
});

test('quantised, pruned and noised in place: the order line alone names the recipient', () => {
  for (const suspect of [quantised(copy, 8), quantised(copy, 4), pruned(copy, 0.5)]) {
    const order = orderTest(input(suspect, second));
    assert.ok(order.log10p < -70, `${order.hits} hits`);
    assert.ok(orderTest(input(suspect, first)).hits <= 8);
  }
});

/** Suspects that are fixed before any key: honest, degenerate, and made to score. */
function adversaries(): [string, Dense][] {
  const constant = new Map([...owner].map(([name, t]) => [name, { ...t, values: t.values.map(() => 1) }]));
  const spike = new Map(
    [...owner].map(([name, t]) => [name, { ...t, values: t.values.map((v, k) => (k === 0 ? 1 : v)) }]),
  );
  const twice = new Map([...owner].map(([name, t]) => [name, { ...t, values: t.values.map((v) => 2 * v) }]));
  return [
    ['an honest rival', rival],
    ['the unmarked original', owner],
    ["another recipient's copy", released(plan, first, owner)],
    ['a constant', constant],
    ['the original with one weight far off', spike],
    ['the original doubled', twice],
    ['the original pruned to 5 %', pruned(owner, 0.95)],
  ];
}

const narrow = { ...plan, marked: plan.marked.filter(({ tensor }) => tensor === 'fc2.weight') };
const wrong = Array.from({ length: 2000 }, (_, k) => testKeys(`wrong ${k}`));

test('the mark under its null: z is N(0, 1) over 2,000 keys for every fixed suspect, adversarial ones too', () => {
  for (const [name, suspect] of adversaries()) {
    const own = input(suspect, first);
    const directions = markDirection(plan, own.reference, own.suspect, own.alignment!);
    if (directions.size === 0) {
      assert.ok(['the unmarked original', 'the original doubled'].includes(name), name);
      continue;
    }
    // The last tensor only: the law is the same for every d, and 2,000 keys over all rows would take minutes.
    const ps = wrong.map((keys) => 10 ** log10NormalTail(correlate(narrow, keys, directions).z));
    assert.ok(ksUniform(ps) > 1e-3, `${name}: KS p ${ksUniform(ps)}`);
  }
});

test('a suspect equal to the original in every value has no direction and p = 1', () => {
  const result = markTest(input(owner, second));
  assert.equal(result.z, 0);
  assert.equal(result.log10p, 0);
});

test('the order under its null: over 2,000 keys P(T ≥ k) stays below the bound, rules that copy the original included', () => {
  for (const suspect of [rival, owner, pruned(owner, 0.95)]) {
    const alignment = alignTables(plan.test, table(owner), table(suspect), 1);
    const counts = Array.from({ length: 2000 }, (_, k) => {
      const keys = testKeys(`order ${k}`);
      return orderTest({ plan, reference: table(owner), suspect: table(suspect), keys: only(keys, 0), alignment }).hits;
    });
    for (let k = 1; k <= 5; k++) {
      const bound = 10 ** log10HitsTail(k);
      const seen = counts.filter((hits) => hits >= k).length;
      assert.ok(seen <= 2000 * bound + 5 * Math.sqrt(2000 * bound * (1 - bound)) + 1, `${seen} of 2000 with ≥ ${k}`);
    }
  }
});

test('a lower p is never printed for tensors with NaN, or for tensors that are missing', () => {
  const poisoned = new Map(
    [...copy].map(([name, t]) => [
      name,
      name === 'fc1.weight' ? { ...t, values: t.values.map((v, k) => (k === 5 ? Number.NaN : v)) } : t,
    ]),
  );
  const { reference, alignment } = input(copy, second) as ExactInput & { alignment: Alignment };
  const directions = markDirection(plan, reference, table(poisoned), alignment);
  assert.deepEqual([...directions.keys()], ['fc0.weight', 'fc2.weight']);
  const none = { ...alignment, aligned: { tensors: new Map() } };
  assert.equal(markDirection(plan, reference, { tensors: new Map() }, none).size, 0);
});

test('lines carry their correction', () => {
  const [order, mark] = exactLines(input(rival, second), { factor: 1200, how: '100 × 2 × 2·3' }, 'assumed');
  for (const line of [order, mark]) {
    assert.equal(line.kind, 'exact');
    assert.equal(line.log10p, Math.min(0, (line.detail.uncorrectedLog10p as number) + Math.log10(1200)));
  }
  const named = exactLines(input(copy, second), { factor: 1200, how: '100 × 2 × 2·3' }, 'assumed');
  assert.equal(named[0].log10p, LOG10_KEY_ENTROPY + Math.log10(1200));
  assert.equal(groupOrders(plan, second).size, 2);
});

test('an expert who holds the rows, one seed and the steps of the alignment gets the same figures', () => {
  const thief = stolen();
  const own = input(thief, only(second, 1));
  const steps = JSON.parse(
    JSON.stringify(own.alignment!.steps, (_, value) =>
      ArrayBuffer.isView(value) ? Array.from(value as never) : value,
    ),
  );
  const alignment = checkAlignment(plan.test, own.reference, own.suspect, steps);
  const again = { ...own, alignment };
  assert.ok(Math.abs(markTest(again).log10p - markTest(own).log10p) <= 1e-9);
  assert.equal(markTest(again).n, 4736 / 2);
  assert.equal(orderTest(again).hits, orderTest(own).hits);
});
