/** Probabilities as log10, so that 1e-400 is a number like any other and p is never 0. */

export const LN10 = Math.LN10;

/** log10 of p for an impossible event: used inside sums only, never reported. */
export const LOG10_ZERO = Number.NEGATIVE_INFINITY;

/** log10(10^a + 10^b) without leaving logs. */
export function log10Add(a: number, b: number): number {
  const high = Math.max(a, b);
  if (high === LOG10_ZERO) return LOG10_ZERO;
  return high + Math.log1p(10 ** (Math.min(a, b) - high)) / LN10;
}

/** log10(1 − 10^a) for a ≤ 0; accurate at both ends. */
export function log10Complement(a: number): number {
  if (a >= 0) return LOG10_ZERO;
  const ln = a * LN10;
  return (ln > -Math.LN2 ? Math.log(-Math.expm1(ln)) : Math.log1p(-Math.exp(ln))) / LN10;
}

/** log10 of the mean of 10^values. The average of e-values is an e-value whatever their dependence (Vovk & Wang 2021). */
export function log10Mean(values: readonly number[]): number {
  let sum = LOG10_ZERO;
  for (const value of values) sum = log10Add(sum, value);
  return sum - Math.log10(values.length);
}

/**
 * Bonferroni: the chance that any of `looks` tests reaches this p under their nulls, whatever their dependence.
 * @param looks how many tests were made or could have been, ≥ 1
 */
export const bonferroni = (log10p: number, looks: number): number =>
  Math.min(0, log10p + Math.log10(Math.max(1, looks)));

/**
 * The k-th look of a room costs k(k+1): Σ 1/(k(k+1)) = 1, so over all looks that will ever be made the chance
 * of one false `related` stays below the level, without knowing their number beforehand (theory §11).
 */
export const lookCost = (k: number): number => k * (k + 1);

/** A keyed p is never below the key's entropy: 2^−256 (theory §1). */
export const LOG10_KEY_ENTROPY = -256 * Math.LOG10E * Math.LN2;

export const cappedByEntropy = (log10p: number): number => Math.max(log10p, LOG10_KEY_ENTROPY);

/** Markov: an e-value E rejects at p = min(1, 1/E). */
export const log10pOfE = (log10e: number): number => Math.min(0, -log10e);
