import assert from 'node:assert/strict';
import { test } from 'node:test';
import { keyedStream, randomPermutation, seededRandom } from './random.js';

test('FIPS 197: the stream begins with AES-256 of a zero block under a zero key', () => {
  const stream = keyedStream(new Uint8Array(32));
  assert.deepEqual(
    [stream.u32(), stream.u32(), stream.u32(), stream.u32()],
    [0xdc95c078, 0xa2408989, 0xad48a214, 0x92842087],
  );
});

test('the same key gives the same numbers, over many blocks; seeds and labels keep streams apart', () => {
  const draw = (seed: number, label: string): number[] => {
    const stream = seededRandom(seed, label);
    return Array.from({ length: 5000 }, () => stream.u32());
  };
  assert.deepEqual(draw(1, 'a'), draw(1, 'a'));
  assert.equal(new Set(draw(1, 'a').slice(0, 100)).size, 100);
  for (const [seed, label] of [
    [2, 'a'],
    [1, 'b'],
    [11, ''],
    [1, ''],
  ] as const)
    assert.notDeepEqual(draw(seed, label), draw(1, 'a'));
});

test('unit is uniform on the open interval: Kolmogorov–Smirnov over 10,000 draws', () => {
  const stream = seededRandom(5, 'uniform');
  const n = 10_000;
  const draws = Array.from({ length: n }, () => stream.unit()).sort((a, b) => a - b);
  assert.ok(draws[0]! > 0 && draws.at(-1)! < 1);
  const distance = Math.max(...draws.map((u, i) => Math.max((i + 1) / n - u, u - i / n)));
  // P(D > 1.95/√n) is about 0.001 (Kolmogorov's limit); the seed is fixed.
  assert.ok(distance < 1.95 / Math.sqrt(n), String(distance));
});

test('below has no modulo bias: n just under 2^32 would give small numbers twice as often', () => {
  const stream = seededRandom(6, 'below');
  const n = 3 * 2 ** 30;
  const draws = 20_000;
  const low = Array.from({ length: draws }, () => stream.below(n)).filter((value) => value < 2 ** 30).length;
  // Binomial(20000, 1/3), s.d. 67: five of them. With the bias the share is 1/2.
  assert.ok(Math.abs(low - draws / 3) < 5 * 67, String(low));
  assert.equal(stream.below(1), 0);
});

test('permutations are permutations, each of the 24 of four as frequent as the others', () => {
  const stream = seededRandom(7, 'permutations');
  assert.deepEqual(
    [...randomPermutation(1000, stream)].sort((a, b) => a - b),
    [...Array(1000).keys()],
  );
  assert.deepEqual([...randomPermutation(0, stream)], []);
  const counts = new Map<string, number>();
  const draws = 24_000;
  for (let i = 0; i < draws; i++) {
    const key = randomPermutation(4, stream).join();
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  assert.equal(counts.size, 24);
  const chiSquare = [...counts.values()].reduce((sum, count) => sum + (count - 1000) ** 2 / 1000, 0);
  // χ² with 23 degrees of freedom exceeds 49.73 with probability 0.001.
  assert.ok(chiSquare < 49.73, String(chiSquare));
});
