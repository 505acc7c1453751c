/**
 * The null of both exact lines, end to end: a fresh original, a fresh suspect and a fresh key in every draw, through the
 * alignment and `exactLines` as a check and a verifier run them (docs/theory.md §2, §3, §7).
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { alignTables } from '../align/index.js';
import { type Dense, initialDense, permuted, pruned, quantised, rescaled, table } from '../align/testing/dense.js';
import { type RandomStream, randomPermutation, seededRandom } from '../base/index.js';
import { densePlan, released, testKeys } from '../mark/testing/dense.js';
import { ksUniform, log10BinomialTail, log10NormalTail } from '../stats/index.js';
import { correlate, exactLines } from './exact.js';

const UNITS = 8;
const WIDTHS = [4, UNITS, UNITS, 2];
const plan = densePlan(WIDTHS);
const DRAWS = 200;

type Suspect = (w0: Dense, random: RandomStream, draw: number) => Dense;
interface Scene {
  readonly original?: (net: Dense) => Dense;
  readonly suspect: Suspect;
}

/** Changes every row of the hidden units; other tensors stay. */
const rows = (net: Dense, change: (row: Float64Array, unit: number, all: readonly Float64Array[]) => Float64Array) =>
  new Map(
    [...net].map(([name, { shape, values }]): [string, { shape: readonly number[]; values: Float64Array }] => {
      if (shape[0] !== UNITS) return [name, { shape, values }];
      const width = values.length / UNITS;
      const all = Array.from({ length: UNITS }, (_, unit) => values.slice(unit * width, (unit + 1) * width));
      const out = new Float64Array(values.length);
      all.forEach((row, unit) => {
        out.set(change(row, unit, all), unit * width);
      });
      return [name, { shape, values: out }];
    }),
  );
const each = (net: Dense, change: (value: number) => number): Dense =>
  new Map([...net].map(([name, { shape, values }]) => [name, { shape, values: values.map(change) }]));
const shuffled = (net: Dense, random: RandomStream): Dense =>
  permuted(net, [randomPermutation(UNITS, random), randomPermutation(UNITS, random)]);
const noisy: Suspect = (w0, random) => each(w0, (value) => value + 0.02 * (random.unit() - 0.5));

const SCENES: Readonly<Record<string, Scene>> = {
  'a rival': { suspect: (_, random) => initialDense(WIDTHS, random) },
  'the original, a little moved': { suspect: noisy },
  'duplicated units': { original: (net) => rows(net, (_, unit, all) => all[unit % 3]!), suspect: noisy },
  'half the units dead': {
    original: (net) => rows(net, (row, unit) => (unit % 2 === 0 ? row : row.fill(0))),
    suspect: (w0, random) => each(w0, (value) => (value === 0 ? 0 : value + 0.02 * (random.unit() - 0.5))),
  },
  'one unit alive': {
    original: (net) => rows(net, (row, unit) => (unit === 0 ? row : row.fill(0))),
    suspect: (_, random) => initialDense(WIDTHS, random),
  },
  "another recipient's release": { suspect: (w0, _, draw) => released(plan, testKeys(`other ${draw}`), w0) },
  'scaled, sign-flipped, permuted': { suspect: (w0, random) => each(shuffled(w0, random), (value) => -3 * value) },
  'rescaled unit by unit': { suspect: (w0, random) => rescaled(shuffled(w0, random), 0.7, random) },
  'nothing but ties': {
    original: (net) => each(net, (value) => Math.sign(value) / 4),
    suspect: (_, random) => each(initialDense(WIDTHS, random), (value) => Math.sign(value) / 4),
  },
  'rows far out': { suspect: (w0) => rows(w0, (row, unit) => row.map((value) => value * 10 ** (3 * (unit % 3)))) },
  'pruned to a tenth': { suspect: (w0) => pruned(w0, 0.9) },
  'three levels': { suspect: (w0) => quantised(w0, 2) },
};

function draw(scene: Scene, name: string, index: number) {
  const random = seededRandom(index, name);
  const net = initialDense(WIDTHS, random);
  const w0 = scene.original?.(net) ?? net;
  const all = testKeys(`null ${name} ${index}`);
  // Both batches, or one alone, as in a bundle.
  const keys = index % 3 === 2 ? all : { ...all, seeds: new Map([[index % 3, all.seeds.get(index % 3)!]]) };
  const [reference, suspect] = [table(w0), table(scene.suspect(w0, random, index))];
  const alignment = alignTables(plan.test, reference, suspect, 1);
  return exactLines({ plan, reference, suspect, keys, alignment }, { factor: 1, how: 'one test' }, 'drawn here');
}

const scenes = Object.entries(SCENES);
const drawn = scenes.map(([name, scene]) => Array.from({ length: DRAWS }, (_, index) => draw(scene, name, index)));

/** At most one failure in 10^6 such tests by chance. */
const notMore = (seen: number, draws: number, k: number, what: string): void =>
  assert.ok(
    seen === 0 || log10BinomialTail(seen, draws, 10 ** -k) > -6,
    `${what}: ${seen} of ${draws} with log10 p ≤ −${k}`,
  );

test(`${scenes.length * DRAWS} draws of both lines: P(log10 p ≤ −k) ≤ 10^−k, scene by scene and together`, () => {
  for (const line of [0, 1] as const) {
    for (const k of [0.5, 1, 1.5, 2, 3]) {
      for (const [at, [name]] of scenes.entries()) {
        notMore(drawn[at]!.filter((lines) => lines[line].log10p <= -k).length, DRAWS, k, `${name}, line ${line}`);
      }
      const all = drawn.flat();
      notMore(all.filter((lines) => lines[line].log10p <= -k).length, all.length, k, `line ${line}`);
    }
  }
});

test('z is N(0, 1) in every scene that has a direction', () => {
  for (const [at, [name]] of scenes.entries()) {
    const ps = drawn[at]!.filter(([, mark]) => mark.statistic !== 0).map(
      ([, mark]) => 10 ** log10NormalTail(mark.statistic),
    );
    assert.ok(ps.length > DRAWS / 2, `${name}: ${ps.length} directions`);
    assert.ok(ksUniform(ps) > 1e-4, `${name}: KS p ${ksUniform(ps)}`);
  }
});

test('a direction so small that its squares leave the numbers of float64 gives no other law', () => {
  // A suspect 28 drifts away from w0 in a fifth of its values has such a d; it sees no key, and z had s.d. 3.6.
  const one = { ...plan, marked: plan.marked.filter(({ tensor }) => tensor === 'fc1.weight') };
  const d = Float64Array.from({ length: UNITS * UNITS }, (_, k) => (k === 0 ? 1.62e-162 : 1.55e-162));
  const ps = Array.from(
    { length: 2000 },
    (_, k) => 10 ** log10NormalTail(correlate(one, testKeys(`small ${k}`), new Map([['fc1.weight', d]])).z),
  );
  assert.ok(ksUniform(ps) > 1e-4, `KS p ${ksUniform(ps)}`);
});
