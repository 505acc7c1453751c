/** Normal noise from a seeded stream. */
import type { RandomStream } from '../base/index.js';

/** N(0, 1) by Marsaglia's polar method: one of the pair is dropped, so that a draw depends on the stream alone. */
export function normal(stream: RandomStream): number {
  for (;;) {
    const x = 2 * stream.unit() - 1;
    const y = 2 * stream.unit() - 1;
    const radius = x * x + y * y;
    if (radius < 1) return x * Math.sqrt((-2 * Math.log(radius)) / radius);
  }
}

/** A random walk of normal steps, shifted and scaled to mean 0 and the given standard deviation over its length. */
export function normalisedWalk(length: number, deviation: number, stream: RandomStream): Float64Array {
  const walk = new Float64Array(length);
  for (let i = 1; i < length; i++) walk[i] = walk[i - 1]! + normal(stream);
  const mean = walk.reduce((sum, value) => sum + value, 0) / length;
  const variance = walk.reduce((sum, value) => sum + (value - mean) ** 2, 0) / length;
  const scale = variance > 0 ? deviation / Math.sqrt(variance) : 0;
  return walk.map((value) => (value - mean) * scale);
}
