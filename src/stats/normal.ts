/** The upper tail of the standard normal distribution, in logs, for any z. */
import { LN10, log10Complement } from './logs.js';

const LOG10_SQRT_2PI = Math.log10(2 * Math.PI) / 2;

/** Mills' ratio Q(z)/φ(z) for z ≥ 2 by Laplace's continued fraction 1/(z + 1/(z + 2/(z + 3/…))) (DLMF 7.9.1), from the tail up. */
function millsRatio(z: number): number {
  const terms = z > 10 ? 40 : 400;
  let tail = z;
  for (let k = terms; k >= 1; k--) tail = z + k / tail;
  return 1 / tail;
}

/** Φ(z) − 1/2 for |z| < 2: φ(z) Σ z^(2k+1) / (1·3·5…(2k+1)). */
function centralMass(z: number): number {
  let term = z;
  let sum = z;
  for (let k = 1; k < 60; k++) {
    term *= (z * z) / (2 * k + 1);
    sum += term;
  }
  return (sum * Math.exp(-0.5 * z * z)) / Math.sqrt(2 * Math.PI);
}

/**
 * log10 P(Z ≥ z) for Z ~ N(0, 1). Relative error of the logarithm below 1e-12 for |z| ≤ 1e4.
 *
 * Null: the statistic is exactly standard normal (the keyed mark, docs/theory.md §7).
 */
export function log10NormalTail(z: number): number {
  if (Number.isNaN(z)) return 0;
  if (z <= -2) return log10Complement(log10NormalTail(-z));
  if (z < 2) return Math.log10(0.5 - centralMass(z));
  return -0.5 * z * z * Math.LOG10E - LOG10_SQRT_2PI + Math.log(millsRatio(z)) / LN10;
}
