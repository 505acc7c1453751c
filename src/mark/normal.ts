/**
 * Gaussian chips that are the same on every machine: only + − × ÷ √ in float64 and fixed coefficients, never the
 * engine's log or cos, whose last digits differ between engines (docs/theory.md §1).
 */
import type { RandomStream } from '../base/index.js';

const SQRT_HALF = 0.7071067811865476;
const LN2_HIGH = 0.69314718036912381649;
const LN2_LOW = 1.90821492927058770002e-10;
const view = new DataView(new ArrayBuffer(8));

/**
 * Natural logarithm of a positive normal number. x = 2^k·m, √½ ≤ m < √2, ln m = 2 artanh((m − 1)/(m + 1)) by its
 * series to the 25th power, whose remainder is below 2e-21. ln 2 in two parts (fdlibm), so that k·ln 2 loses nothing.
 */
export function fixedLog(x: number): number {
  view.setFloat64(0, x);
  const high = view.getUint32(0);
  let k = (high >>> 20) - 1023;
  view.setUint32(0, (high & 0x000fffff) | 0x3ff00000);
  let m = view.getFloat64(0);
  if (m >= 2 * SQRT_HALF) {
    m = m / 2;
    k = k + 1;
  }
  const s = (m - 1) / (m + 1);
  const q = s * s;
  let sum = 1 / 25;
  for (let odd = 23; odd >= 3; odd -= 2) sum = 1 / odd + q * sum;
  return k * LN2_HIGH + (2 * s + (2 * s * q * sum + k * LN2_LOW));
}

const horner = (coefficients: readonly number[], x: number): number => {
  let sum = 0;
  for (let i = coefficients.length - 1; i >= 0; i--) sum = sum * x + coefficients[i]!;
  return sum;
};

// Wichura, Algorithm AS 241 (Applied Statistics 37, 1988), PPND16.
const A = [
  3.387132872796366608, 133.14166789178437745, 1971.5909503065514427, 13731.693765509461125, 45921.953931549871457,
  67265.770927008700853, 33430.575583588128105, 2509.0809287301226727,
];
const B = [
  1, 42.313330701600911252, 687.1870074920579083, 5394.1960214247511077, 21213.794301586595867, 39307.89580009271061,
  28729.085735721942674, 5226.495278852545925,
];
const C = [
  1.42343711074968357734, 4.6303378461565452959, 5.7694972214606914055, 3.64784832476320460504, 1.27045825245236838258,
  0.24178072517745061177, 0.0227238449892691845833, 7.7454501427834140764e-4,
];
const D = [
  1, 2.05319162663775882187, 1.6763848301838038494, 0.68976733498510000455, 0.14810397642748007459,
  0.0151986665636164571966, 5.475938084995344946e-4, 1.05075007164441684324e-9,
];
const E = [
  6.6579046435011037772, 5.4637849111641143699, 1.7848265399172913358, 0.29656057182850489123, 0.026532189526576123093,
  0.0012426609473880784386, 2.71155556874348757815e-5, 2.01033439929228813265e-7,
];
const F = [
  1, 0.59983220655588793769, 0.13692988092273580531, 0.0148753612908506148525, 7.868691311456132591e-4,
  1.8463183175100546818e-5, 1.4215117583164458887e-7, 2.04426310338993978564e-15,
];

/**
 * Upper-tail quantile of N(0, 1): the x ≥ 0 with P(Z ≥ x) = p, for 0 < p ≤ ½. Relative error near 1e-16 (AS 241).
 */
export function upperQuantile(p: number): number {
  const q = 0.5 - p;
  if (q <= 0.425) {
    const r = 0.180625 - q * q;
    return (q * horner(A, r)) / horner(B, r);
  }
  const r = Math.sqrt(-fixedLog(p));
  if (r <= 5) return horner(C, r - 1.6) / horner(D, r - 1.6);
  return horner(E, r - 5) / horner(F, r - 5);
}

/**
 * One chip from 64 uniform bits: a sign and p = (k + ½)/2^53, k uniform on 52 bits, which is exact in float64.
 * N(0, 1) on a grid of 2^53 equally likely values, |chip| < 8.3: its tails are never heavier than the normal's.
 */
export function chip(stream: RandomStream): number {
  const high = stream.u32();
  const low = stream.u32();
  const size = upperQuantile(((high & 0x000fffff) * 4294967296 + low + 0.5) / 9007199254740992);
  return high >>> 31 === 1 ? -size : size;
}

export function chips(stream: RandomStream, length: number): Float64Array {
  const out = new Float64Array(length);
  for (let i = 0; i < length; i++) out[i] = chip(stream);
  return out;
}
