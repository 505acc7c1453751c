import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom, sha256, sha256Hex, utf8 } from '../base/index.js';
import {
  type OpenedKeys,
  offsetsAt,
  planTriggers,
  type TriggerPlan,
  triggerLabel,
  triggerStream,
  triggersOf,
} from '../mark/index.js';
import { ksUniform, log10BinomialTail, log10NormalTail } from '../stats/index.js';
import { tableFromRows } from '../train/index.js';
import { offsetTest, triggerLine, triggerTest } from './index.js';

const random = seededRandom(1, 'machines');
const rows = Array.from({ length: 400 }, () => {
  const heat = 20 + 60 * random.unit();
  return [heat.toFixed(1), (3 * random.unit()).toFixed(2), ['low', 'high'][random.below(2)]!, String(random.below(4))];
});
const table = tableFromRows('machines', ['heat', 'load', 'grade', 'fault'], rows);
const planOf = (classes: boolean, n = 60): TriggerPlan =>
  planTriggers({
    table,
    sha256: '0'.repeat(64),
    target: 'fault',
    n,
    ...(classes ? {} : { offset: 2 }),
  });
const keysOf = (label: string): OpenedKeys => ({
  release: label,
  original: sha256Hex(utf8('plan')),
  beacon: sha256Hex(utf8('beacon')),
  seeds: new Map([0, 1].map((batch) => [batch, sha256(utf8(`${label} ${batch}`))])),
});
const plan = planOf(true);

/** A honest model: some function of the row. */
const honest = (cells: readonly (number | string)[]): string => String(Math.floor(Number(cells[0]) / 20) % 4);

test('null: honest, constant and adversarial suspects hit Bin(n, 1/K), over 150 keys each', () => {
  const suspects: Record<string, (cells: readonly (number | string)[], index: number) => string> = {
    honest: (cells) => honest(cells),
    constant: () => '2',
    // The False Claims attack (Liu et al., USENIX Security 2024): an accuser hands in inputs on which independent models
    // are known to agree, with the answers that they give. Here the inputs are drawn and so are the answers: whatever
    // independent models agree on, they agree with the drawn answer one time in K.
    'every model agrees': (cells) => honest([Number(cells[0]) + 1e-9]),
  };
  for (const [name, suspect] of Object.entries(suspects)) {
    let hits = 0;
    let worst = 0;
    const keyed = 150;
    for (let k = 0; k < keyed; k++) {
      const keys = keysOf(`${name} ${k}`);
      const answers = new Map(
        triggersOf(plan, keys).map(({ index, readings }) => [index, suspect(readings[0]!, index)]),
      );
      const result = triggerTest(plan, keys, answers)!;
      hits += result.hits;
      worst = Math.min(worst, result.bound);
    }
    const n = 60 * keyed;
    const deviation = (hits - n / 4) / Math.sqrt((n * 3) / 16);
    assert.ok(Math.abs(deviation) < 4, `${name}: ${hits} of ${n}, ${deviation.toFixed(2)} deviations`);
    assert.ok(worst > -6, `${name}: least log10 p ${worst}`);
  }
});

test('an accuser cannot choose: his adversarial examples with labels of his own are not the set, other seeds refute him', () => {
  const keys = keysOf('committed');
  const chosen = new Map(triggersOf(plan, keys).map(({ index, readings }) => [index, honest(readings[0]!)]));
  // Labels that every honest model gives would be 60 of 60 if they could be claimed; the drawn ones decide instead.
  const labels = plan.answers.kind === 'labels' ? plan.answers.labels : [];
  const claimed = [...chosen].filter(([index, label]) => label === labels[triggerLabel(plan, keys, index)!]!).length;
  assert.equal(triggerTest(plan, keys, chosen)!.hits, claimed);
  assert.ok(claimed < 32, `${claimed} of 60`);
});

test('power: a model that learned the triggers is found, abstention and foreign answers are misses', () => {
  const keys = keysOf('marked');
  const labels = plan.answers.kind === 'labels' ? plan.answers.labels : [];
  const all = new Map(triggersOf(plan, keys).map(({ index }) => [index, labels[triggerLabel(plan, keys, index)!]!]));
  const whole = triggerTest(plan, keys, all)!;
  assert.deepEqual([whole.hits, whole.n, whole.classes], [60, 60, 4]);
  assert.ok(Math.abs(whole.bound - log10BinomialTail(60, 60, 0.25)) < 1e-9);
  assert.ok(Math.abs(whole.bound + 60 * Math.log10(4)) < 1e-6);
  const half = new Map([...all].filter(([index]) => index % 2 === 0));
  assert.equal(triggerTest(plan, keys, half)!.hits, 30);
  assert.equal(triggerTest(plan, keys, new Map([...all].map(([index]) => [index, 'no idea'])))!.hits, 0);
  const one = { ...keys, seeds: new Map([[1, keys.seeds.get(1)!]]) };
  assert.deepEqual([triggerTest(plan, one, all)!.hits, triggerTest(plan, one, all)!.n], [30, 30]);
});

test('inputs and answers share no randomness, repeat, and lie in the ranges of the data', () => {
  const keys = keysOf('same');
  assert.deepEqual(triggersOf(plan, keys), triggersOf(plan, keys));
  const [x, y] = (['x', 'y'] as const).map((what) => triggerStream(keys, 0, what, 0)!);
  assert.notEqual(x!.u32(), y!.u32());
  for (const { readings } of triggersOf(plan, keys)) {
    const [heat, load, grade] = readings[0]!;
    assert.ok(Number(heat) >= 0 && Number(heat) < 20 + 60 + 0.6 * 60, String(heat));
    assert.equal(Number(heat), Number(Number(heat).toFixed(1)), 'as many digits as the column has');
    assert.ok(Number(load) >= 0);
    assert.ok(grade === 'low' || grade === 'high');
  }
});

test('labels are drawn without modulo bias: 3 labels, 30,000 draws', () => {
  const three = { ...plan, n: 300, answers: { kind: 'labels' as const, labels: ['a', 'b', 'c'] } };
  const counts = [0, 0, 0];
  for (let k = 0; k < 100; k++) {
    const keys = keysOf(`bias ${k}`);
    for (let index = 0; index < three.n; index++) counts[triggerLabel(three, keys, index)!]!++;
  }
  const chi = counts.reduce((sum, count) => sum + (count - 10_000) ** 2 / 10_000, 0);
  assert.ok(chi < 18.4, `χ² ${chi} of 2 degrees of freedom: 1 in 10,000`);
});

test('an offset: z is N(0, 1) for any suspect over 300 keys, and large for a model that has it', () => {
  const offset = planOf(false, 24);
  const long = planOf(false, 400);
  const f = (cells: readonly (number | string)[]): number => Number(cells[0]) / 10 + Number(cells[1]) ** 2;
  const answers = (keys: OpenedKeys, extra: Float64Array | null, noise: number, own = f, asked = offset) =>
    new Map(
      triggersOf(asked, keys).map(({ index, readings }, at) => [
        index,
        own(readings[0]!) + (extra?.[at] ?? 0) + noise * (random.unit() - 0.5),
      ]),
    );
  const tails: number[] = [];
  for (let k = 0; k < 300; k++) {
    const keys = keysOf(`offset ${k}`);
    // A rival that is far off, and differs from the original in a smooth way.
    const { z } = offsetTest(
      offset,
      keys,
      answers(keys, null, 0.5, (cells) => 3 + Number(cells[0]) / 7),
      answers(keys, null, 0),
    )!;
    tails.push(10 ** log10NormalTail(z));
  }
  assert.ok(ksUniform(tails) > 0.001, `KS p ${ksUniform(tails)}`);
  const keys = keysOf('offset marked');
  const cells = triggersOf(long, keys).map(({ readings }) => readings[0]!);
  const marked = answers(keys, offsetsAt(long, keys, cells), 1, f, long);
  const { z, waves } = offsetTest(long, keys, marked, answers(keys, null, 0, f, long))!;
  assert.equal(waves, 128);
  assert.ok(z > 5, String(z));
  const none = offsetTest(offset, keys, answers(keys, null, 0), answers(keys, null, 0))!;
  assert.deepEqual([none.z, none.bound], [0, 0]);
});

test('a line says its null, what it cannot see, and never a p below the entropy of the key', () => {
  const line = triggerLine({ hits: 1_000, n: 1_000, classes: 10, bound: -1_000 }, 't-1', { factor: 6, how: 'x' }, 'a');
  assert.equal(line.kind, 'exact');
  assert.ok(line.log10p > -77.1 && line.log10p < -76, String(line.log10p));
  assert.match(line.null, /t-1/);
  assert.ok(line.blindTo.length > 0);
});
