import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type Dense,
  initialDense,
  permuted,
  pruned,
  quantised,
  rescaled,
  teacherData,
  trainDense,
} from '../align/testing/dense.js';
import { randomPermutation, seededRandom } from '../base/index.js';
import { compareSubjects } from './index.js';
import { subjectOf } from './testing/subjects.js';

const WIDTHS = [8, 64, 64, 2];
const data = teacherData(8, 600, 1);
const net = (seed: number, widths: readonly number[] = WIDTHS): Dense =>
  trainDense(initialDense(widths, seededRandom(seed, 'start of a test net')), data, 12, 3e-3, seed);
const owner = net(1);
const compare = (a: Dense, b: Dense) => compareSubjects(subjectOf(a, { name: 'a' }), subjectOf(b, { name: 'b' }));

test('int8, int4, half pruned and fine-tuned copies are related, and named for what was done', async () => {
  const int8 = await compare(owner, quantised(owner, 8));
  assert.equal(int8.verdict, 'related');
  assert.equal(int8.kind, 'conditional');
  assert.ok(int8.log10p! < -176, String(int8.log10p));
  assert.deepEqual(int8.tweaks, [{ kind: 'quantised', bits: 8, granularity: 'tensor' }]);
  assert.equal(int8.scope.related > 0.99, true);
  const int4 = await compare(owner, quantised(owner, 4));
  assert.equal(int4.verdict, 'related');
  assert.deepEqual(int4.tweaks, [{ kind: 'quantised', bits: 4, granularity: 'tensor' }]);
  const half = await compare(owner, pruned(owner, 0.5));
  assert.equal(half.verdict, 'related');
  assert.deepEqual(
    half.tweaks.map((tweak) => tweak.kind),
    ['pruned'],
  );
  assert.ok(Math.abs(Number(half.tweaks[0]!.share) - 0.5) < 0.02);
  const tuned = await compare(owner, trainDense(owner, teacherData(8, 300, 7), 30, 1e-3, 9));
  assert.equal(tuned.verdict, 'related');
  assert.ok(tuned.log10p! < -12);
  assert.deepEqual(
    tuned.tweaks.map((tweak) => tweak.kind),
    ['fine-tuned'],
  );
  const both = await compare(owner, quantised(pruned(owner, 0.6), 8));
  assert.deepEqual(
    both.tweaks.map((tweak) => tweak.kind),
    ['quantised', 'pruned'],
  );
  const random = seededRandom(3, 'a thousandth');
  const nearly = new Map(
    [...owner].map(([name, { shape, values }]) => [
      name,
      { shape, values: values.map((value) => value * (1 + 1e-3 * (random.unit() - 0.5))) },
    ]),
  );
  // Nearer than bfloat16 rounds, and no bfloat16: nothing is called what it is not.
  assert.deepEqual((await compare(owner, nearly)).tweaks, [{ kind: 'converted', precision: 'within 5e-4' }]);
  const copy = await compare(owner, owner);
  assert.deepEqual(copy.tweaks, [{ kind: 'exact-copy' }]);
});

test('nets of a few units align with anything, and are never called a permuted copy', async () => {
  const tiny = (seed: number) => initialDense([1, 16, 1], seededRandom(seed, 'tiny'));
  for (let seed = 0; seed < 12; seed++) {
    const answer = await compare(tiny(seed), tiny(seed + 100));
    assert.equal(answer.verdict, 'inconclusive');
    assert.doesNotMatch(answer.reason, /permuted copy/);
  }
});

test('other widths: large layers are cut to the units of both, and sampled within them', async () => {
  const wide = (units: number) => initialDense([400, units, 2], seededRandom(units, 'wide'));
  const answer = await compare(wide(900), wide(700));
  assert.equal(answer.lines[0]!.detail.sampled, true);
  assert.notEqual(answer.verdict, 'related');
  const first700 = new Map(
    [...wide(900)].map(
      ([name, { shape, values }]): [string, Dense extends ReadonlyMap<string, infer T> ? T : never] => {
        if (shape[0] === 900) {
          return [name, { shape: [700, ...shape.slice(1)], values: values.slice(0, (values.length / 900) * 700) }];
        }
        if (shape[1] !== 900) return [name, { shape, values }];
        return [name, { shape: [2, 700], values: values.filter((_, k) => k % 900 < 700) }];
      },
    ),
  );
  const cut = await compare(wide(900), first700);
  assert.equal(cut.verdict, 'related');
  assert.equal(cut.lines[0]!.statistic, cut.lines[0]!.n);
});

test('an independent net of the same data: no evidence, with power shown', async () => {
  const answer = await compare(owner, net(2));
  assert.equal(answer.verdict, 'no-evidence');
  assert.match(answer.reason, /int8, int4, prune 50 %, noise 30 %/);
  assert.match(answer.reason, /re-ordered/);
  const power = answer.lines[0]!.detail.power as { found: number; trials: number }[];
  assert.ok(power.every(({ found, trials }) => found === 20 && trials === 20));
});

test('a permuted copy is inconclusive without a release, and described', async () => {
  const random = seededRandom(4);
  const orders = [randomPermutation(64, random), randomPermutation(64, random)];
  const answer = await compare(owner, rescaled(permuted(owner, orders), 0.4, random));
  assert.equal(answer.verdict, 'inconclusive');
  assert.match(answer.reason, /permuted copy/);
  assert.deepEqual(
    answer.tweaks.map((tweak) => tweak.kind),
    ['permuted', 'rescaled'],
  );
});

test('nets too narrow to be told apart are inconclusive', async () => {
  const answer = await compare(net(3, [8, 6, 2]), net(4, [8, 6, 2]));
  assert.equal(answer.verdict, 'inconclusive');
  assert.match(answer.reason, /too little power/);
});

test('nothing in common: inconclusive with a plain reason', async () => {
  const other: Dense = new Map([['conv.kernel', { shape: [4, 3, 3, 3], values: new Float64Array(108).fill(1) }]]);
  const answer = await compareSubjects(subjectOf(owner), subjectOf(other, { groups: [] }));
  assert.equal(answer.verdict, 'inconclusive');
  assert.equal(answer.log10p, null);
  assert.deepEqual(answer.lines, []);
  assert.match(answer.reason, /no tensor in common/);
});

test('a poisoned tensor is left out and named; all poisoned is refused', async () => {
  const bad = new Map(owner);
  const values = Float64Array.from(owner.get('fc0.weight')!.values);
  values[5] = Number.NaN;
  bad.set('fc0.weight', { shape: [64, 8], values });
  const answer = await compare(owner, bad);
  assert.equal(answer.verdict, 'related');
  assert.ok(answer.leftOut.some(({ tensor, reason }) => tensor === 'fc0.weight' && /NaN/.test(reason)));
  const worse: Dense = new Map(
    [...owner].map(([name, { shape, values: v }]) => [name, { shape, values: v.map(() => Number.NaN) }]),
  );
  await assert.rejects(compare(owner, worse), { code: 'COMPARE_NOTHING_LEFT', kind: 'input' });
});
