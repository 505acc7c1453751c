/** The one-sample Kolmogorov–Smirnov test, used to show that our own nulls hold. */

/** sup |F_n − F| for a sample against the uniform distribution on [0, 1]. */
export function ksDistance(sample: readonly number[]): number {
  const sorted = [...sample].sort((a, b) => a - b);
  const n = sorted.length;
  return sorted.reduce((worst, x, i) => Math.max(worst, (i + 1) / n - x, x - i / n), 0);
}

/**
 * p of the KS test that a sample is uniform on [0, 1]: Kolmogorov's limit law with Stephens' correction
 * (JRSS B 32, 1970), within 0.5/n of the exact law.
 */
export function ksUniform(sample: readonly number[]): number {
  const root = Math.sqrt(sample.length);
  const x = (root + 0.12 + 0.11 / root) * ksDistance(sample);
  if (x < 0.2) return 1;
  let sum = 0;
  for (let k = 1; k <= 100; k++) sum += (k % 2 === 1 ? 2 : -2) * Math.exp(-2 * k * k * x * x);
  return Math.min(1, Math.max(0, sum));
}
