/**
 * How much a gap is to be believed: a copy has one place in a gap for all its splits there, so what scatters in a gap,
 * or lies beyond its edges, is noise, and noise of one size hides more in a narrow gap than in a wide one. Weights see
 * places alone, so they are as free of the key as those (docs/theory.md §16).
 */
import { boundsOf, type Gap } from '../mark/index.js';

/** Noise is looked for up to this many halves of a gap away: further out another gap was meant. */
const REACH = 3;
/** Variance of marked places, in halves of a gap. */
const MARKED = 0.3;

export const meanOf = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

/**
 * @param found by gap, the suspect's places in it, in halves of the gap, edges passed
 * @returns [gaps]: 0 … 1, all 1 where nothing scatters; 0 where nothing was found
 */
export function noiseWeights(gaps: readonly Gap[], found: readonly (readonly number[])[]): Float64Array {
  const halves = gaps.map((gap) => {
    const { low, high } = boundsOf(gap);
    return (high - low) / 2;
  });
  const inputs = new Map<string, { squares: number; splits: number }>();
  const inputOf = ({ ensemble, feature }: Gap): string => `${ensemble} ${feature}`;
  for (const [row, places] of found.entries()) {
    if (places.length === 0) continue;
    const half = halves[row]!;
    const cuts = places.map((place) => half * Math.max(-REACH, Math.min(REACH, place)));
    const mean = meanOf(cuts);
    const scatter = cuts.reduce((sum, cut) => sum + (cut - mean) ** 2, 0);
    const beyond = Math.max(0, mean * mean - half * half);
    const input = inputs.get(inputOf(gaps[row]!)) ?? { squares: 0, splits: 0 };
    inputs.set(inputOf(gaps[row]!), {
      squares: input.squares + scatter + beyond,
      splits: input.splits + places.length,
    });
  }
  return Float64Array.from(found, (places, row) => {
    const input = inputs.get(inputOf(gaps[row]!));
    if (input === undefined || places.length === 0) return 0;
    const noise = input.squares / input.splits / (halves[row]! * halves[row]!);
    return 1 / (1 + noise / places.length / MARKED);
  });
}
