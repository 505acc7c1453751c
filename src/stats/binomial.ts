/** Binomial tails and the Clopper–Pearson interval. */
import { lnChoose } from './factorial.js';
import { LN10, LOG10_ZERO, log10Complement } from './logs.js';

/** ln P(X = k). */
function lnMass(k: number, n: number, p: number): number {
  return lnChoose(n, k) + (k === 0 ? 0 : k * Math.log(p)) + (n - k === 0 ? 0 : (n - k) * Math.log1p(-p));
}

/** Σ of pmf ratios from k outwards until they no longer count; the terms fall away from the mode. */
function log10Sum(k: number, n: number, p: number, step: 1 | -1): number {
  let term = 1;
  let sum = 1;
  for (let i = k; step === 1 ? i < n : i > 0; i += step) {
    term *= step === 1 ? ((n - i) * p) / ((i + 1) * (1 - p)) : (i * (1 - p)) / ((n - i + 1) * p);
    sum += term;
    if (term < sum * 1e-17) break;
  }
  return (lnMass(k, n, p) + Math.log(sum)) / LN10;
}

/** log10 P(X ≥ k) for X ~ Bin(n, p), 0 ≤ k ≤ n. Exact. */
export function log10BinomialTail(k: number, n: number, p: number): number {
  if (k <= 0) return 0;
  if (k > n || p <= 0) return LOG10_ZERO;
  if (p >= 1) return 0;
  return k > n * p ? log10Sum(k, n, p, 1) : log10Complement(log10Sum(k - 1, n, p, -1));
}

/** log10 P(X ≤ k). */
export const log10BinomialLower = (k: number, n: number, p: number): number => log10BinomialTail(n - k, n, 1 - p);

/**
 * The Clopper–Pearson interval of a share (Biometrika 26, 1934): covers the true share with at least `confidence`.
 * @returns [low, high] in 0…1
 */
export function clopperPearson(k: number, n: number, confidence = 0.95): readonly [number, number] {
  const level = Math.log10((1 - confidence) / 2);
  const solve = (tail: (p: number) => number, rising: boolean): number => {
    let low = 0;
    let high = 1;
    for (let i = 0; i < 80; i++) {
      const middle = (low + high) / 2;
      if (tail(middle) < level === rising) low = middle;
      else high = middle;
    }
    return (low + high) / 2;
  };
  return [
    k === 0 ? 0 : solve((p) => log10BinomialTail(k, n, p), true),
    k === n ? 1 : solve((p) => log10BinomialLower(k, n, p), false),
  ];
}
