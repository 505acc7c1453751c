/** Factorials and binomial coefficients in logs. */
import { LN10 } from './logs.js';

const SMALL = 32;
const LN_SMALL = (() => {
  const table = [0];
  for (let n = 1; n <= SMALL; n++) table.push(table[n - 1]! + Math.log(n));
  return table;
})();

/**
 * ln n! for integers n ≥ 0: a table, then Stirling's series (DLMF 5.11.1), whose first left-out term
 * is below 1e-16 from n = 32 on.
 */
export function lnFactorial(n: number): number {
  if (n <= SMALL) return LN_SMALL[n]!;
  const inverse = 1 / n;
  const square = inverse * inverse;
  const series = inverse * (1 / 12 - square * (1 / 360 - square * (1 / 1260 - square / 1680)));
  return (n + 0.5) * Math.log(n) - n + 0.5 * Math.log(2 * Math.PI) + series;
}

export const log10Factorial = (n: number): number => lnFactorial(n) / LN10;

/** ln C(n, k), 0 ≤ k ≤ n. */
export const lnChoose = (n: number, k: number): number => lnFactorial(n) - lnFactorial(k) - lnFactorial(n - k);
