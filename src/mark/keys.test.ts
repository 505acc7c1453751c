import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MunimentError, sha256, toHex, utf8 } from '../base/index.js';
import { ksUniform } from '../stats/index.js';
import { checkSeed, groupOrder, markedRows, type OpenedKeys, rowChips, seedCommitment } from './keys.js';
import { batchRows } from './plan.js';

const seed = (n: number): Uint8Array => sha256(utf8(`test seed ${n}`));
const keys = (n: number, more: Partial<OpenedKeys> = {}): OpenedKeys => ({
  release: 'r1',
  original: '11'.repeat(32),
  beacon: '22'.repeat(32),
  seeds: new Map([
    [0, seed(2 * n)],
    [1, seed(2 * n + 1)],
  ]),
  ...more,
});

test('everything that a derivation is bound to changes it', () => {
  const base = rowChips(keys(0), 0, 'fc.weight', 3, 4)!;
  const others = [
    rowChips(keys(1), 0, 'fc.weight', 3, 4),
    rowChips(keys(0, { release: 'r2' }), 0, 'fc.weight', 3, 4),
    rowChips(keys(0, { original: '12'.repeat(32) }), 0, 'fc.weight', 3, 4),
    rowChips(keys(0, { beacon: '23'.repeat(32) }), 0, 'fc.weight', 3, 4),
    rowChips(keys(0), 1, 'fc.weight', 3, 4),
    rowChips(keys(0), 0, 'fc.weighs', 3, 4),
    rowChips(keys(0), 0, 'fc.weight', 4, 4),
  ];
  for (const other of others) assert.notDeepEqual(other, base);
  assert.deepEqual(rowChips(keys(0), 0, 'fc.weight', 3, 4), base);
});

test('a closed batch gives nothing', () => {
  const one = keys(0, { seeds: new Map([[1, seed(1)]]) });
  assert.equal(rowChips(one, 0, 'w', 0, 4), null);
  assert.equal(groupOrder(one, 0, 'g0', 8), null);
  assert.equal(markedRows(one, 0, 'w', [0, 2, 4], 1), null);
  assert.deepEqual(groupOrder(one, 1, 'g0', 8), groupOrder(keys(0), 1, 'g0', 8));
});

test('orders are uniform: every permutation of 4 units equally often over 24,000 keys', () => {
  const counts = new Map<string, number>();
  for (let n = 0; n < 24_000; n++) {
    const order = groupOrder(keys(0, { release: `r${n}` }), 0, 'g0', 4)!.join('');
    counts.set(order, (counts.get(order) ?? 0) + 1);
  }
  assert.equal(counts.size, 24);
  const chi = [...counts.values()].reduce((sum, count) => sum + (count - 1000) ** 2 / 1000, 0);
  // χ² with 23 degrees of freedom: P(≥ 65) = 7e-6 (SciPy stats.chi2.sf).
  assert.ok(chi < 65, `χ² ${chi}`);
});

test('a position of a chip is uniform in p over keys', () => {
  const below = Array.from({ length: 2000 }, (_, n) => rowChips(keys(n), 0, 'w', 0, 3)![2]!);
  assert.ok(below.filter((value) => value > 0).length > 850);
  assert.ok(ksUniform(below.map((value) => normalCdf(value))) > 1e-4);
});

/** Abramowitz & Stegun 7.1.26, error below 1.5e-7: another way to the distribution function than the one under test. */
function normalCdf(x: number): number {
  const t = 1 / (1 + (0.3275911 * Math.abs(x)) / Math.SQRT2);
  const tail =
    t *
    (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429)))) *
    Math.exp((-x * x) / 2);
  return x >= 0 ? 1 - tail / 2 : tail / 2;
}

test('batches divide the rows; a keyed subset stays inside its batch', () => {
  const rows = [0, 1, 2].flatMap((batch) => batchRows(11, batch, 3));
  assert.deepEqual(
    [...rows].sort((a, b) => a - b),
    Array.from({ length: 11 }, (_, k) => k),
  );
  const subset = markedRows(keys(0), 1, 'w', batchRows(1000, 1, 2), 20)!;
  assert.equal(new Set(subset).size, 20);
  assert.ok(subset.every((row) => row % 2 === 1 && row < 1000));
});

test('a seed that was not committed is refused', () => {
  const commitment = seedCommitment(seed(1));
  checkSeed(seed(1), commitment, 0);
  assert.throws(
    () => checkSeed(seed(2), commitment, 0),
    (error) => error instanceof MunimentError && error.code === 'MARK_SEED_COMMITMENT',
  );
  assert.throws(() => checkSeed(seed(1).subarray(0, 31), commitment, 0));
  assert.notEqual(commitment, toHex(sha256(seed(1))));
});
