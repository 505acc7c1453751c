/**
 * Gaussian chips that are the same on every machine: only + − × ÷ √ in float64 and fixed coefficients, never the
 * engine's log or cos, whose last digits differ between engines (docs/theory.md §1).
 */
import type { RandomStream } from '../base/index.js';

const SQRT_HALF = Math.SQRT1_2;
const LN2_HIGH = 0.6931471803691238;
const LN2_LOW = 1.9082149292705877e-10;
const view = new DataView(new ArrayBuffer(8));

/** 1/25, 1/23 … 1/3: the same float64 as a division each time, and faster. */
const ODD_INVERSES = Float64Array.from({ length: 12 }, (_, k) => 1 / (25 - 2 * k));

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
  let sum = ODD_INVERSES[0]!;
  for (let at = 1; at < ODD_INVERSES.length; at++) sum = ODD_INVERSES[at]! + q * sum;
  return k * LN2_HIGH + (2 * s + (2 * s * q * sum + k * LN2_LOW));
}

/** 1/15!, 1/14! … 1/0!: the factorials are exact in float64. */
const INVERSES = Float64Array.from({ length: 16 }, (_, k) => {
  let factorial = 1;
  for (let n = 2; n <= 15 - k; n++) factorial *= n;
  return 1 / factorial;
});

/**
 * e^x, the same on every machine, for −700 ≤ x ≤ 700 (clamped): x = k·ln 2 + r, |r| ≤ ½ ln 2, and Taylor's series to
 * the 15th power, whose remainder is below 1e-20.
 */
export function fixedExp(x: number): number {
  const bounded = Math.max(-700, Math.min(700, x));
  const k = Math.round(bounded / (LN2_HIGH + LN2_LOW));
  const r = bounded - k * LN2_HIGH - k * LN2_LOW;
  let sum = INVERSES[0]!;
  for (let at = 1; at < INVERSES.length; at++) sum = INVERSES[at]! + r * sum;
  view.setUint32(0, (k + 1023) << 20);
  view.setUint32(4, 0);
  return sum * view.getFloat64(0);
}

const horner = (coefficients: readonly number[], x: number): number => {
  let sum = 0;
  for (let i = coefficients.length - 1; i >= 0; i--) sum = sum * x + coefficients[i]!;
  return sum;
};

// Wichura, Algorithm AS 241 (Applied Statistics 37, 1988), PPND16.
const A = [
  3.3871328727963665, 133.14166789178438, 1971.5909503065513, 13731.69376550946, 45921.95393154987, 67265.7709270087,
  33430.57558358813, 2509.0809287301227,
];
const B = [
  1, 42.31333070160091, 687.1870074920579, 5394.196021424751, 21213.794301586597, 39307.89580009271, 28729.085735721943,
  5226.495278852546,
];
const C = [
  1.4234371107496835, 4.630337846156546, 5.769497221460691, 3.6478483247632045, 1.2704582524523684, 0.2417807251774506,
  0.022723844989269184, 0.0007745450142783414,
];
const D = [
  1, 2.053191626637759, 1.6763848301838038, 0.6897673349851, 0.14810397642748008, 0.015198666563616457,
  0.0005475938084995345, 1.0507500716444169e-9,
];
const E = [
  6.657904643501103, 5.463784911164114, 1.7848265399172913, 0.29656057182850487, 0.026532189526576124,
  0.0012426609473880784, 2.7115555687434876e-5, 2.0103343992922881e-7,
];
const F = [
  1, 0.599832206555888, 0.1369298809227358, 0.014875361290850615, 0.0007868691311456133, 1.8463183175100548e-5,
  1.421511758316446e-7, 2.0442631033899397e-15,
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
