import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { randomPermutation, seededRandom } from '../base/index.js';
import * as stats from './index.js';

/** SciPy and mpmath values; provenance inside the file. */
const oracle = JSON.parse(readFileSync(new URL('../../vectors/stats/oracle.json', import.meta.url), 'utf8'));
const close = (got: number, want: number, tolerance = 1e-10) =>
  assert.ok(Math.abs(got - want) <= tolerance * Math.max(1, Math.abs(want)), `${got} against ${want}`);

test('the normal tail agrees with mpmath for any z', () => {
  for (const [z, want] of oracle.normal) {
    // Near log10 p = 0 the logarithm itself is tiny; compare it relatively there.
    const got = stats.log10NormalTail(z);
    assert.ok(Math.abs(got - want) <= 1e-11 * Math.abs(want), `z ${z}: ${got} against ${want}`);
  }
  assert.equal(stats.log10NormalTail(Number.NaN), 0);
});

test('the normal tail agrees with the figures of the literature note', () => {
  const figures = [
    [3, -2.8697],
    [5, -6.5426],
    [7.03598, -12.0046],
    [13, -38.213],
    [21.32007, -100.432],
    [50, -544.966],
  ] as const;
  for (const [z, want] of figures) assert.ok(Math.abs(stats.log10NormalTail(z) - want) < 6e-4, `z = ${z}`);
});

test('binomial tails, factorials and intervals agree with mpmath and SciPy', () => {
  for (const [k, n, p, want] of oracle.binomial) close(stats.log10BinomialTail(k, n, p), want);
  for (const [n, want] of oracle.factorial) close(stats.log10Factorial(n), want, 1e-13);
  for (const [k, n, low, high] of oracle.clopper) {
    const got = stats.clopperPearson(k, n);
    close(got[0], low, 1e-9);
    close(got[1], high, 1e-9);
  }
});

test('the Kolmogorov–Smirnov test agrees with SciPy', () => {
  for (const { sample, distance, p } of oracle.ks) {
    close(stats.ksDistance(sample), distance, 1e-12);
    assert.ok(Math.abs(stats.ksUniform(sample) - p) < 0.5 / sample.length);
  }
});

test('the pooled bound agrees with mpmath and is below both textbook bounds', () => {
  for (const [k, groups, want] of oracle.pooled) close(stats.log10PooledHits(k, groups), Math.min(0, want));
  for (const groups of [1, 2, 5, 40]) {
    for (let k = groups + 1; k < 6 * groups + 20; k++) {
      const got = stats.log10PooledHits(k, groups);
      const poissonMoment = k * Math.log10(groups) - stats.log10Factorial(k);
      const chernoff = k * Math.log10((Math.E * groups) / k) - groups * Math.LOG10E;
      assert.ok(got <= Math.min(0, poissonMoment, chernoff) + 1e-9, `${k} of ${groups}`);
      assert.ok(got <= stats.log10PooledHits(k - 1, groups));
    }
  }
  for (let k = 0; k < 30; k++) close(stats.log10PooledHits(k, 1), stats.log10HitsTail(k));
});

const fixedPoints = (f: ArrayLike<number>, sigma: ArrayLike<number>) =>
  Array.from(sigma).filter((s, i) => f[i] === s).length;

test('null of hits: P(X ≥ k) ≤ 1/k! over 20,000 draws, for an adversarial rule and for a constant one', () => {
  const random = seededRandom(1, 'hits');
  const n = 12;
  const rules = [
    Array.from({ length: n }, (_, i) => i),
    Array.from({ length: n }, () => 3),
    Array.from({ length: n }, (_, i) => i >> 1),
  ];
  for (const rule of rules) {
    const count = new Float64Array(n + 1);
    const draws = 20_000;
    for (let d = 0; d < draws; d++) count[fixedPoints(rule, randomPermutation(n, random))]!++;
    for (let k = 1; k <= 6; k++) {
      const share = count.slice(k).reduce((a, b) => a + b, 0);
      const bound = 10 ** stats.log10HitsTail(k);
      // The observed count may exceed the bound only as far as chance allows (one in 10^6).
      assert.ok(share === 0 || stats.log10BinomialTail(share, draws, Math.min(1, bound)) > -6, `k = ${k}: ${share}`);
    }
  }
});

test('null of pooled hits over 20,000 draws, and of the e-value: its mean is at most 1', () => {
  const random = seededRandom(2, 'pooled');
  for (const groups of [2, 5]) {
    const draws = 20_000;
    const count = new Float64Array(200);
    let e = 0;
    for (let d = 0; d < draws; d++) {
      let hits = 0;
      for (let g = 0; g < groups; g++) {
        const sigma = randomPermutation(9, random);
        hits += sigma.reduce((sum, s, i) => sum + (s === i ? 1 : 0), 0);
      }
      count[hits]!++;
      e += 10 ** (stats.log10EValueOfHits(hits, 1) - (groups - 1) * Math.LOG10E);
    }
    // s.d. of (1+t)^T e^(−Gt) at t = 1 is √(e^G − 1).
    assert.ok(e / draws < 1 + 5 * Math.sqrt((Math.exp(groups) - 1) / draws));
    for (let k = groups; k <= groups + 12; k++) {
      const share = count.slice(k).reduce((a, b) => a + b, 0);
      const bound = Math.min(1, 10 ** stats.log10PooledHits(k, groups));
      assert.ok(share === 0 || stats.log10BinomialTail(share, draws, bound) > -6, `G ${groups}, k ${k}: ${share}`);
    }
  }
});

test('null of the increasing subsequence over 4,000 draws; the published case', () => {
  const random = seededRandom(3, 'increasing');
  const m = 16;
  const draws = 4_000;
  const count = new Float64Array(m + 1);
  for (let d = 0; d < draws; d++) count[stats.longestIncreasing(randomPermutation(m, random))]!++;
  for (let k = 1; k <= m; k++) {
    const share = count.slice(k).reduce((a, b) => a + b, 0);
    const bound = 10 ** stats.log10IncreasingTail(k, m);
    assert.ok(share === 0 || stats.log10BinomialTail(share, draws, bound) > -6, `k = ${k}`);
  }
  assert.ok(Math.abs(stats.log10IncreasingTail(40, 64) + 30.5) < 0.6);
  assert.equal(stats.longestIncreasing([3, 1, 2, -1, 2, 5, 4]), 3);
});

test('corrections: looks, entropy, averages of e-values', () => {
  close(stats.bonferroni(-10, 100), -8);
  assert.equal(stats.bonferroni(-1, 1000), 0);
  close(
    Array.from({ length: 5000 }, (_, i) => 1 / stats.lookCost(i + 1)).reduce((a, b) => a + b, 0),
    1,
    1e-3,
  );
  close(stats.LOG10_KEY_ENTROPY, -77.0636787, 1e-8);
  assert.equal(stats.cappedByEntropy(-200), stats.LOG10_KEY_ENTROPY);
  close(stats.log10Mean([2, 0]), Math.log10(50.5));
  close(stats.log10Complement(Math.log10(0.25)), Math.log10(0.75));
  close(stats.log10Complement(-30), -1e-30 / Math.LN10, 1e-12);
});
