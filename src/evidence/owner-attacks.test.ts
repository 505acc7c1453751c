/** A dishonest owner who made plan and original to suit, and knows the keys when the bundle is made. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type AlignmentStep, alignTables, checkAlignment } from '../align/index.js';
import { type Dense, initialDense, table } from '../align/testing/dense.js';
import { seededRandom } from '../base/index.js';
import { ALIGNMENT_SEED, exactLines, markTest, orderTest } from '../detect/index.js';
import type { ReleasePlan } from '../mark/index.js';
import { densePlan, released, testKeys } from '../mark/testing/dense.js';
import { LOG10_KEY_ENTROPY } from '../stats/index.js';
import { requireCounted } from './multiplicity.js';
import { pairingChoices } from './pairing.js';
import { requireOurs, requireWhole } from './recompute.js';

const WIDTHS = [8, 16, 16, 2];
const plan = densePlan(WIDTHS);
const stranger = initialDense(WIDTHS, seededRandom(5));
const ONE = { factor: 1, how: 'one test' };

test('a tensor planned as marked many times would count many times, and is refused', () => {
  const reference = table(initialDense(WIDTHS, seededRandom(6)));
  const suspect = table(stranger);
  const alignment = alignTables(plan.test, reference, suspect, ALIGNMENT_SEED);
  const keys = testKeys('attack');
  const padded: ReleasePlan = { ...plan, marked: Array.from({ length: 100 }, () => plan.marked).flat() };
  const input = { plan, reference, suspect, keys, alignment };
  // The danger is real: the same chips a hundred times multiply z by ten.
  assert.ok(Math.abs(markTest({ ...input, plan: padded }).z - 10 * markTest(input).z) < 1e-9);
  assert.throws(() => exactLines({ ...input, plan: padded }, ONE, ''), { code: 'MARK_PLAN_REPEATS' });
  const doubled: ReleasePlan = { ...plan, test: { ...plan.test, groups: [...plan.test.groups, ...plan.test.groups] } };
  assert.throws(() => exactLines({ ...input, plan: doubled }, ONE, ''), { code: 'MARK_PLAN_REPEATS' });
});

/** Every hidden unit of the first layer alike: any assignment of them is optimal. */
function alike(net: Dense): Dense {
  return new Map(
    [...net].map(([name, { shape, values }]) => {
      if (shape[0] !== 16 || !name.startsWith('fc0')) return [name, { shape, values }];
      const width = values.length / 16;
      return [name, { shape, values: Float64Array.from(values, (_, k) => values[k % width]!) }];
    }),
  );
}

test('where units are alike, an optimum that was chosen among many is refused', () => {
  const reference = table(alike(initialDense(WIDTHS, seededRandom(6))));
  const suspect = table(stranger);
  const honest = alignTables(plan.test, reference, suspect, ALIGNMENT_SEED);
  requireOurs(honest, honest);
  const [first, ...rest] = honest.steps;
  const assignment = Int32Array.from(first!.assignment);
  [assignment[0], assignment[1]] = [assignment[1]!, assignment[0]!];
  const chosen: AlignmentStep = { ...first!, assignment };
  // Only the first pass is bent here; it alone shows that optimality does not settle the choice.
  assert.throws(() => requireOurs({ ...honest, steps: [chosen, ...rest] }, honest), { code: 'ALIGNMENT_CHOSEN' });
  let accepted = false;
  try {
    checkAlignment(plan.test, reference, suspect, [chosen, ...rest]);
    accepted = true;
  } catch (error) {
    // A later step may no longer be optimal after the change, but never the bent one itself.
    assert.match(String((error as { facts?: { where?: string } }).facts?.where), /pass [012], group/);
    assert.ok(
      !String((error as { facts?: { where?: string } }).facts?.where).startsWith(`pass 0, group ${first!.group}`),
    );
  }
  assert.ok(accepted || rest.length > 0);
});

const place = (tensor: string, rows = 16, width = 16) => ({ tensor, rows, width });
/** Three layers of one size; the suspect has the second under another name, with two more to choose from. */
const stack = {
  ...plan.test,
  tensors: ['a', 'b', 'c'].map((name) => ({ ...plan.test.tensors[0]!, name, shape: [16, 16], full: [16, 16] })),
};
const original = { layout: [place('a'), place('a\u0000fold', 16, 1), place('b'), place('c')] };
const renamed = {
  layout: [place('a'), place('a\u0000fold', 16, 1), place('c'), place('x'), place('y'), place('z', 8)],
};

test('a tensor has the partner of its name and size, once, and is not left out', () => {
  const same = { a: 'a', b: 'b', c: 'c' };
  assert.equal(pairingChoices(stack, same, original, original), 0);
  // z of five equal layers rose from 0.8 to 3.6 by choosing, with the key known, which to exchange and which to leave out.
  for (const pairs of [
    { a: 'b', b: 'a', c: 'c' },
    { a: 'a', c: 'c' },
    { ...same, b: 'a' },
    { ...same, b: 'a\u0000fold' },
  ]) {
    assert.throws(() => pairingChoices(stack, pairs, original, original), { code: 'BUNDLE_PAIRING' });
  }
});

test('where names differ every pairing that could have been named is paid for', () => {
  // b with x, with y, or with none.
  for (const pairs of [
    { a: 'a', b: 'x', c: 'c' },
    { a: 'a', c: 'c' },
  ]) {
    assert.ok(Math.abs(pairingChoices(stack, pairs, original, renamed) - Math.log10(3)) < 1e-12);
  }
  for (const b of ['z', 'c', 'w']) {
    assert.throws(() => pairingChoices(stack, { a: 'a', b, c: 'c' }, original, renamed), { code: 'BUNDLE_PAIRING' });
  }
  const other = { layout: ['p', 'q', 'r'].map((name) => place(name)) };
  // Σ_k C(3,k)²·k! = 34.
  assert.ok(Math.abs(pairingChoices(stack, { a: 'p', b: 'q', c: 'r' }, original, other) - Math.log10(34)) < 1e-12);
});

test('pairings are paid before the entropy of the key caps, the rest after', () => {
  const reference = table(initialDense(WIDTHS, seededRandom(6)));
  const keys = testKeys('paid');
  const own = table(released(plan, keys, reference.tensors));
  const alignment = alignTables(plan.test, reference, own, ALIGNMENT_SEED);
  const input = { plan, reference, suspect: own, keys, alignment };
  const [free] = exactLines(input, ONE, '');
  const [paid] = exactLines(input, { ...ONE, factor: 100, log10Pairings: 4 }, '');
  const bound = orderTest(input).bound;
  assert.equal(orderTest(input).hits, 32);
  assert.equal(free.log10p, Math.max(bound, LOG10_KEY_ENTROPY));
  assert.ok(Math.abs(paid.log10p - (Math.max(bound + 4, LOG10_KEY_ENTROPY) + 2)) < 1e-9);
});

test('of a compared tensor everything committed is opened, the fold beside it too', () => {
  const open = (...names: string[]) => ({
    ...original,
    root: '',
    tensors: names.map((tensor) => ({ tensor, values: '', rows: [] })),
  });
  const committed = { ...original, root: '' };
  requireWhole(['a', 'b'], open('a', 'a\u0000fold', 'b'), committed, 'original');
  for (const opened of [open('a', 'b'), open('a', 'a\u0000fold'), open('a', 'a', 'a\u0000fold', 'b')]) {
    assert.throws(() => requireWhole(['a', 'b'], opened, committed, 'suspect'), { code: 'BUNDLE_ROWS' });
  }
  assert.throws(() => requireWhole(['d'], open('a'), committed, 'original'), { code: 'BUNDLE_ROWS' });
});

test('releases and batches that the correction does not count are refused', () => {
  const at = (index: number) => ({ statement: { index } });
  const commitment = (index: number, seeds: number) => ({ ...at(index), plan, seeds: Array(seeds).fill('00') });
  const counted = (committed: number, made: number, seeds: number) => () =>
    requireCounted(at(9) as never, commitment(committed, seeds) as never, at(made) as never);
  counted(3, 5, 2)();
  // 64 groups with a seed each, of which the best is opened, paid for as one batch.
  for (const wrong of [counted(3, 10, 2), counted(10, 11, 2), counted(3, 5, 64), counted(3, 5, 1)]) {
    assert.throws(wrong, { code: 'BUNDLE_UNCOUNTED' });
  }
});
