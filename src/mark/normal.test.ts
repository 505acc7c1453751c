import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { keyedStream, sha256, sha256Hex, utf8 } from '../base/index.js';
import { ksUniform, log10NormalTail } from '../stats/index.js';
import { chip, chips, fixedExp, fixedLog, upperQuantile } from './normal.js';

const vector = <T>(name: string): T =>
  JSON.parse(readFileSync(new URL(`../../vectors/mark/${name}`, import.meta.url), 'utf8')) as T;
const oracle = vector<{ quantiles: { p: number; x: number }[]; logarithms: { x: number; ln: number }[] }>(
  'normal.json',
);
const digests = vector<{ key: string; count: number; sha256: string; first: number[] }>('chips.json');

const key = (text: string): Uint8Array => sha256(utf8(text));
const bytesOf = (values: Float64Array): Uint8Array => {
  const view = new DataView(new ArrayBuffer(values.length * 8));
  values.forEach((value, k) => {
    view.setFloat64(k * 8, value, true);
  });
  return new Uint8Array(view.buffer);
};

test('quantiles agree with mpmath, from the middle to the last grid point of the tail', () => {
  for (const { p, x } of oracle.quantiles) {
    assert.ok(Math.abs(upperQuantile(p) - x) <= 4e-15 * Math.max(x, 1e-3), `p ${p}: ${upperQuantile(p)} against ${x}`);
  }
});

test('our own logarithm agrees with mpmath over the whole range of float64', () => {
  for (const { x, ln } of oracle.logarithms) {
    assert.ok(Math.abs(fixedLog(x) - ln) <= 4.5e-16 * Math.abs(ln), `x ${x}: ${fixedLog(x)} against ${ln}`);
  }
});

test('our own exponential undoes our own logarithm, and agrees with mpmath at the ends', () => {
  for (const { x, ln } of oracle.logarithms) {
    if (Math.abs(ln) < 690) assert.ok(Math.abs(fixedExp(ln) - x) <= 3e-16 * Math.max(1, Math.abs(ln)) * x, `ln ${ln}`);
  }
  assert.equal(fixedExp(0), 1);
  // mpmath 1.3.0, exp(−1) and exp(−600) rounded once.
  assert.ok(Math.abs(fixedExp(-1) / 0.36787944117144233 - 1) < 3e-16);
  assert.ok(Math.abs(fixedExp(-600) / 2.6503965530043108e-261 - 1) < 1e-13);
});

test('100,000 chips have the committed digest: the same on every machine', () => {
  const drawn = chips(keyedStream(key(digests.key)), digests.count);
  assert.deepEqual(Array.from(drawn.subarray(0, digests.first.length)), digests.first);
  assert.equal(sha256Hex(bytesOf(drawn)), digests.sha256);
});

test('chips are standard normal: Kolmogorov–Smirnov over 100,000, both signs and the far tail', () => {
  const drawn = chips(keyedStream(key('chips under test')), 100_000);
  const p = ksUniform(Array.from(drawn, (value) => 10 ** log10NormalTail(value)));
  assert.ok(p > 1e-4, `KS p ${p}`);
  const beyond = drawn.filter((value) => Math.abs(value) > 3).length;
  // 100,000 · 2Q(3) = 270 ± 16.4.
  assert.ok(Math.abs(beyond - 270) < 82, `${beyond} beyond 3`);
});

test('the bits of a chip: top bit the sign, the lowest 52 the size, nothing else', () => {
  const of = (high: number, low: number): number => {
    const words = [high, low];
    return chip({ u32: () => words.shift()!, unit: () => Number.NaN, below: () => Number.NaN });
  };
  assert.equal(of(0x80000000, 7), -of(0, 7));
  assert.equal(of(0x7ff00000, 7), of(0, 7));
  assert.ok(of(0, 0) > 8.2 && of(0, 0) < 8.3);
  assert.ok(of(0x000fffff, 0xffffffff) > 0);
  assert.ok(of(0x000fffff, 0xffffffff) < 1e-15);
});
