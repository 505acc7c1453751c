/** A dishonest owner who made plan and original to suit, and knows the keys when the bundle is made. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type AlignmentStep, alignTables, checkAlignment } from '../align/index.js';
import { type Dense, initialDense, table } from '../align/testing/dense.js';
import { seededRandom } from '../base/index.js';
import { ALIGNMENT_SEED, exactLines, markTest } from '../detect/index.js';
import type { ReleasePlan } from '../mark/index.js';
import { densePlan, testKeys } from '../mark/testing/dense.js';
import { requireOurs } from './recompute.js';

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
