import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { BITS, type DType, decodeElements, encodeElements, roundTo } from './index.js';
import { refusal, roundingCases } from './testing/files.js';

const PATTERNS = { F16: 2 ** 16, BF16: 2 ** 16, F8_E4M3: 256, F8_E5M2: 256 } as const;
type Small = keyof typeof PATTERNS;
const SMALL = Object.keys(PATTERNS) as Small[];

const bytesOf = (dtype: Small, pattern: number): Uint8Array =>
  BITS[dtype] === 16 ? Uint8Array.of(pattern & 255, pattern >> 8) : Uint8Array.of(pattern);
const patternValue = (dtype: Small, pattern: number): number => decodeElements(dtype, bytesOf(dtype, pattern), 1)[0]!;

test('every bit pattern of the small floats comes back from its value', () => {
  for (const dtype of SMALL) {
    for (let pattern = 0; pattern < PATTERNS[dtype]; pattern++) {
      const value = patternValue(dtype, pattern);
      if (Number.isNaN(value)) assert.ok(Number.isNaN(roundTo(dtype, value)));
      else assert.deepEqual(encodeElements(dtype, [value]), bytesOf(dtype, pattern), `${dtype} ${pattern}`);
    }
  }
});

test('float16 rounding is numpy’s, at ties and one step beside them', () => {
  for (const [i, value] of roundingCases.cases.entries()) {
    assert.deepEqual(encodeElements('F16', [value]), bytesOf('F16', roundingCases.bits[i]!), String(value));
  }
});

/** By exhaustion: the nearest of all finite values, the even pattern of two equally near. */
function nearest(dtype: Small, values: readonly { pattern: number; value: number }[], x: number): number {
  let low = 0;
  let high = values.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (values[middle]!.value <= x) low = middle;
    else high = middle;
  }
  const below = values[low]!;
  const above = values[high]!;
  // Both differences are exact: neighbours are within a factor of two, or the lower one is zero.
  const [d, u] = [x - below.value, above.value - x];
  const chosen = d < u || (d === u && below.pattern % 2 === 0) ? below : above;
  return patternValue(dtype, chosen.pattern);
}

test('rounding from float64 takes the nearest value, once, ties to even', () => {
  for (const dtype of SMALL) {
    const values = Array.from({ length: PATTERNS[dtype] / 2 }, (_, pattern) => ({
      pattern,
      value: patternValue(dtype, pattern),
    })).filter(({ value }) => Number.isFinite(value));
    const largest = values.at(-1)!.value;
    const position = fc.double({ min: 0, max: 1, noNaN: true });
    fc.assert(
      fc.property(fc.integer({ min: 0, max: values.length - 2 }), position, fc.boolean(), (i, t, tie) => {
        const a = values[i]!.value;
        const b = values[i + 1]!.value;
        const x = Math.min(largest, tie ? (a + b) / 2 : a + (b - a) * t);
        assert.equal(roundTo(dtype, x), nearest(dtype, values, x));
        assert.equal(roundTo(dtype, -x), -nearest(dtype, values, x));
      }),
      { seed: 7, numRuns: 2000 },
    );
  }
});

test('a float64 just above a bfloat16 tie rounds up, where rounding through float32 would round to even', () => {
  const tie = 1 + 2 ** -8;
  const above = tie + 2 ** -40;
  assert.equal(Math.fround(above), tie);
  assert.equal(roundTo('BF16', tie), 1);
  assert.equal(roundTo('BF16', above), 1 + 2 ** -7);
});

test('values beyond the range: infinities where the type has them, else the largest', () => {
  assert.equal(roundTo('F16', 65519.99), 65504);
  assert.equal(roundTo('F16', 65520), Number.POSITIVE_INFINITY);
  assert.equal(roundTo('BF16', 1e300), Number.POSITIVE_INFINITY);
  assert.equal(roundTo('F8_E5M2', -1e9), Number.NEGATIVE_INFINITY);
  assert.equal(roundTo('F8_E4M3', 1e9), 448);
  assert.equal(roundTo('F32', 1e39), Number.POSITIVE_INFINITY);
});

test('integers are rounded to even and clamped; NaN is refused, never stored as something else', () => {
  assert.deepEqual(
    [...Float64Array.of(2.5, 3.5, -2.5, 300, -300)].map((x) => roundTo('I8', x)),
    [2, 4, -2, 127, -128],
  );
  assert.equal(roundTo('I64', 1e30), 2 ** 63 - 1024);
  assert.equal(roundTo('U64', -1), 0);
  for (const dtype of ['I8', 'I64', 'U4', 'BOOL'] as const) {
    assert.throws(() => encodeElements(dtype, [Number.NaN]), refusal('TENSOR_NOT_NUMERIC'));
  }
});

test('decoding what was encoded gives the rounded values, for every type and length', () => {
  const types = Object.keys(BITS) as DType[];
  const doubles = fc.array(fc.double({ noNaN: true }), { maxLength: 9 });
  fc.assert(
    fc.property(fc.constantFrom(...types), doubles, (dtype, values) => {
      const rounded = Float64Array.from(values, (value) => roundTo(dtype, value));
      assert.deepEqual(
        decodeElements(dtype, encodeElements(dtype, values), values.length),
        integerZeros(dtype, rounded),
      );
    }),
    { seed: 11, numRuns: 3000 },
  );
});

/** Integers have one zero only. */
const integerZeros = (dtype: DType, values: Float64Array): Float64Array =>
  dtype.startsWith('F') || dtype === 'BF16' ? values : values.map((value) => value + 0);
