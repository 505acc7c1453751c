import assert from 'node:assert/strict';
import { test } from 'node:test';
import { randomPermutation, seededRandom, sha256, utf8 } from '../base/index.js';
import { log10PooledHits } from '../stats/index.js';
import {
  type Alignment,
  alignTables,
  checkAlignment,
  countHits,
  loadTable,
  matchUnits,
  planGroups,
  samplePlan,
  takePositions,
  testedGroups,
} from './index.js';
import {
  type Dense,
  denseModel,
  initialDense,
  permuted,
  plain,
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
  const figures = {
    int8: hits(owner, quantised(owner, 8)),
    int4: hits(owner, quantised(owner, 4)),
    half: hits(owner, pruned(owner, 0.5)),
    most: hits(owner, pruned(owner, 0.95)),
    tuned: hits(owner, tuned),
    rival: hits(owner, rival),
  };
  assert.equal(figures.int8, 128);
  assert.ok(log10PooledHits(figures.int8, 2) < -176);
  assert.ok(
    figures.int4 >= 120 && figures.half >= 100 && figures.most >= 30 && figures.tuned >= 95,
    JSON.stringify(figures),
  );
  assert.ok(figures.rival <= 6, JSON.stringify(figures));
});

test('with σ known a released copy hits in its own order, and a wrong σ does not', () => {
  const random = seededRandom(11);
  const orders = [randomPermutation(64, random), randomPermutation(64, random)];
  const sigma = new Map(orders.map((order, l) => [`g${l}`, order]));
  assert.equal(hits(owner, permuted(quantised(owner, 8), orders), sigma), 128);
  const wrong = new Map(orders.map((_, l) => [`g${l}`, randomPermutation(64, random)]));
  assert.ok(hits(owner, permuted(owner, orders), wrong) <= 8);
});

test('alignment recovers permutation and scale after fine-tuning, pruning and int4', () => {
  const random = seededRandom(3);
  const orders = [randomPermutation(64, random), randomPermutation(64, random)];
  const right = (found: Alignment) =>
    found.groups.map((group, l) => group.assignment.filter((j, i) => j === orders[l]![i]).length);
  const thief = (spread: number) => quantised(pruned(rescaled(permuted(tuned, orders), spread, random), 0.5), 4);
  assert.deepEqual(right(alignTables(plan, table(owner), table(thief(0)), 1)), [64, 64]);
  assert.deepEqual(right(alignTables(plan, table(owner), table(thief(0.3)), 1)), [64, 64]);
  // Rescaling by e^(0.5 N) in both layers before one scale of 15 levels per tensor leaves few values that are not 0.
  const worst = alignTables(plan, table(owner), table(thief(0.5)), 1);
  assert.ok(
    right(worst).every((units) => units >= 45),
    right(worst).join(),
  );
});

test('alignment undoes scale and sign exactly where nothing else was done', () => {
  const random = seededRandom(6);
  const orders = [randomPermutation(64, random), randomPermutation(64, random)];
  const found = alignTables(plan, table(owner), table(rescaled(permuted(owner, orders), 0.5, random)), 1);
  for (const [name, { values }] of found.aligned.tensors) {
    const worst = values.reduce((most, value, k) => Math.max(most, Math.abs(value - owner.get(name)!.values[k]!)), 0);
    assert.ok(worst < 1e-9, `${name}: ${worst}`);
  }
});

test('where the activation is odd, flipped signs are found and undone', () => {
  const odd = planGroups(denseModel(WIDTHS, 'any'));
  const flip = (values: Float64Array, of: (k: number) => number) =>
    values.map((value, k) => (of(k) % 3 === 0 ? -value : value));
  const flipped: Dense = new Map(
    [...owner].map(([name, { shape, values }]) => {
      if (name === 'fc0.weight') return [name, { shape, values: flip(values, (k) => Math.floor(k / 8)) }];
      if (name === 'fc0.bias') return [name, { shape, values: flip(values, (k) => k) }];
      if (name === 'fc1.weight') return [name, { shape, values: flip(values, (k) => k % 64) }];
      return [name, { shape, values }];
    }),
  );
  const found = alignTables(odd, table(owner), table(flipped), 1);
  assert.equal(found.groups[0]!.sign.filter((sign) => sign < 0).length, 22);
  for (const [name, { values }] of found.aligned.tensors) {
    assert.ok(
      values.every((value, k) => Math.abs(value - owner.get(name)!.values[k]!) < 1e-9),
      name,
    );
  }
});

test('an alignment is recomputed from its steps; a swapped pair or a missing step is refused', () => {
  const random = seededRandom(3);
  const orders = [randomPermutation(64, random), randomPermutation(64, random)];
  const stolen = quantised(permuted(tuned, orders), 4);
  const found = alignTables(plan, table(owner), table(stolen), 1);
  const again = checkAlignment(plan, table(owner), table(stolen), found.steps);
  assert.deepEqual(again.aligned, found.aligned);
  const swapped = found.steps.map((step, k) => {
    if (k !== 1) return step;
    const assignment = Int32Array.from(step.assignment);
    assignment[0] = step.assignment[1]!;
    assignment[1] = step.assignment[0]!;
    return { ...step, assignment };
  });
  assert.throws(() => checkAlignment(plan, table(owner), table(stolen), swapped), { code: 'ALIGNMENT_NOT_OPTIMAL' });
  assert.throws(() => checkAlignment(plan, table(owner), table(stolen), found.steps.slice(1)), {
    code: 'ALIGNMENT_STEPS',
  });
  assert.throws(() => checkAlignment(plan, table(owner), table(stolen), [...found.steps, found.steps[0]!]), {
    code: 'ALIGNMENT_STEPS',
  });
});

test('on zeros the solver returns no identity: expected agreement with the index is one unit', () => {
  const zeros: Dense = new Map(
    [...owner].map(([name, { shape, values }]) => [name, { shape, values: values.map(() => 0) }]),
  );
  let same = 0;
  for (let seed = 0; seed < 40; seed++) {
    const found = alignTables(plan, table(owner), table(zeros), seed);
    same += found.groups[0]!.assignment.filter((j, i) => i === j).length;
  }
  assert.ok(same < 80, `${same} fixed points over 40 alignments`);
  assert.equal(hits(zeros, zeros), 0);
});

test('duplicated rows, also at other scales, are one unit and a miss', () => {
  const values = Float64Array.from(owner.get('fc0.weight')!.values);
  const bias = Float64Array.from(owner.get('fc0.bias')!.values);
  for (let k = 0; k < 8; k++) values[8 + k] = 3 * values[k]!;
  bias[1] = 3 * bias[0]!;
  const twice: Dense = new Map([
    ...owner,
    ['fc0.weight', { shape: [64, 8], values }],
    ['fc0.bias', { shape: [64], values: bias }],
  ]);
  const [first] = matchUnits(plan, table(twice), table(twice));
  assert.deepEqual([first!.f[0], first!.f[1], first!.f[2], first!.eligible], [-1, -1, 2, 63]);
});

test('a sampled plan reads the same units of both sides and still finds the copy', async () => {
  const widths = [600, 3000, 2];
  const wide = initialDense(widths, seededRandom(4));
  const big = planGroups(denseModel(widths));
  const sampled = samplePlan(big, sha256(utf8('seed')));
  assert.equal(sampled.groups[0]!.size, 128);
  assert.deepEqual(sampled.tensors.find(({ name }) => name === 'fc0.weight')!.shape, [128, 256]);
  const load = (net: Dense) =>
    loadTable(
      {
        tensors: new Map(
          [...net].map(([name, { shape, values }]) => [
            name,
            {
              shape,
              read: async () => Float64Array.from(values),
              readRows: async (rows: readonly number[]) => takePositions(values, shape, 0, rows),
            },
          ]),
        ),
        foldFactors: async () => null,
      },
      sampled,
    );
  const ours = await load(wide);
  const count = (net: Awaited<ReturnType<typeof load>>) =>
    matchUnits(sampled, ours, net).reduce((sum, match) => sum + countHits(match), 0);
  assert.equal(count(await load(quantised(wide, 8))), 128);
  assert.ok(count(await load(initialDense(widths, seededRandom(5)))) < 6);
  assert.equal(samplePlan(plan, sha256(utf8('seed'))), plan, 'a small plan is not sampled');
});

test('where one group lies on both axes of everything, sorted rows speak and diagonals do not', () => {
  const model = (seed: number, diagonal: number) => {
    const random = seededRandom(seed, 'square');
    const values = Float64Array.from(
      { length: 96 * 96 },
      (_, k) => (k % 97 === 0 ? diagonal : 0) + random.unit() - 0.5,
    );
    return new Map([['w.weight', { shape: [96, 96], values }]]);
  };
  const group = {
    id: 'g',
    size: 96,
    vouched: 'names' as const,
    incoming: [plain('w.weight', 0)],
    outgoing: [plain('w.weight', 1)],
    scaling: 'positive' as const,
    label: 'square',
  };
  const square = planGroups({
    groups: [group],
    tensors: new Map([
      ['w.weight', { shape: [96, 96], role: 'weight' as const, nature: { kind: 'learned' as const } }],
    ]),
  });
  const count = (a: Dense, b: Dense) =>
    matchUnits(square, table(a), table(b)).reduce((sum, match) => sum + countHits(match), 0);
  const whole = model(1, 0);
  assert.equal(square.tensors[0]!.use, 'invariant');
  assert.equal(count(whole, quantised(whole, 8)), 96);
  assert.ok(count(whole, quantised(whole, 4)) > 40);
  assert.ok(count(whole, model(2, 0)) <= 6);
  // Strong diagonals, as after an identity start, carry no index.
  assert.ok(count(model(3, 5), model(4, 5)) <= 6);
});
