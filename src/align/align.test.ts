import assert from 'node:assert/strict';
import { test } from 'node:test';
import { randomPermutation, seededRandom } from '../base/index.js';
import { log10PooledHits } from '../stats/index.js';
import { alignTables, checkAlignment, countHits, matchUnits, planGroups, testedGroups } from './index.js';
import {
  type Dense,
  denseModel,
  initialDense,
  permuted,
  pruned,
  quantised,
  rescaled,
  table,
  teacherData,
  trainDense,
} from './testing/dense.js';

const WIDTHS = [8, 64, 64, 2];
const plan = planGroups(denseModel(WIDTHS));
const data = teacherData(8, 600, 1);
const owner = trainDense(initialDense(WIDTHS, seededRandom(1)), data, 20, 3e-3, 1);
const rival = trainDense(initialDense(WIDTHS, seededRandom(2)), data, 20, 3e-3, 2);
const tuned = trainDense(owner, teacherData(8, 200, 1), 10, 3e-3, 5);

const hits = (a: Dense, b: Dense, sigma?: ReadonlyMap<string, ArrayLike<number>>) =>
  matchUnits(plan, table(a), table(b), sigma).reduce(
    (sum, match) => sum + countHits(match, sigma?.get(match.group)),
    0,
  );

test('a plan is plain data: two groups, each tensor speaks for the later of its own', () => {
  assert.deepEqual(JSON.parse(JSON.stringify(plan)), plan);
  assert.deepEqual(
    testedGroups(plan).map((group) => group.id),
    ['g0', 'g1'],
  );
  assert.deepEqual(Object.fromEntries(plan.tensors.map((tensor) => [tensor.name, tensor.group])), {
    'fc0.weight': 'g0',
    'fc0.bias': 'g0',
    'fc1.weight': 'g1',
    'fc1.bias': 'g1',
    'fc2.weight': 'g1',
  });
});

test('figures of the order test on an 8-64-64-2 net', () => {
  const int8 = hits(owner, quantised(owner, 8));
  console.log({
    int8,
    int4: hits(owner, quantised(owner, 4)),
    half: hits(owner, pruned(owner, 0.5)),
    ninety: hits(owner, pruned(owner, 0.95)),
    tuned: hits(owner, tuned),
    rival: hits(owner, rival),
  });
  assert.equal(int8, 128);
  assert.ok(log10PooledHits(int8, 2) < -176);
});

test('alignment recovers permutation and scale after fine-tuning, pruning and int4', () => {
  const random = seededRandom(3);
  const orders = [randomPermutation(64, random), randomPermutation(64, random)];
  const stolen = quantised(pruned(rescaled(permuted(tuned, orders), 0.5, random), 0.5), 4);
  const found = alignTables(plan, table(owner), table(stolen), 1);
  found.groups.forEach((group, l) => {
    const right = group.assignment.filter((j, i) => j === orders[l]![i]).length;
    console.log(group.id, right, group.similarity);
  });
  for (const [name, t] of found.aligned.tensors) {
    let c = 0,
      a = 0,
      b = 0;
    const r = owner.get(name)!.values;
    for (let k = 0; k < r.length; k++) {
      c += r[k]! * t.values[k]!;
      a += r[k]! ** 2;
      b += t.values[k]! ** 2;
    }
    console.log(name, c / Math.sqrt(a * b));
  }
  const again = checkAlignment(plan, table(owner), table(stolen), found.steps);
  assert.deepEqual(again.aligned, found.aligned);
});
