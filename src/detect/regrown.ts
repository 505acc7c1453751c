/** Pruned, and then trained on: values that are small again, and say nothing of w0. */
import { fixedLog } from '../mark/index.js';
import { bell, type Cut, LEAST } from './likelihood.js';
import { rescaleByLargest } from './rescaling.js';

/** A value counts as small below this share of the spread. */
const SMALL = 0.25;

/** More small values than w0 has, from which they may be cut down and regrown. */
const MORE_SMALL = 0.1;

const ROUNDS = 12;

/**
 * What was pruned and then tuned is no zero any more, and says nothing of w0: then w0's scale is told by the largest
 * values alone, and the rest is a mixture of values near what w0 predicts and of values near zero.
 * @returns null where the suspect has no more small values than w0
 */
export function regrownFrom(
  raw: Float64Array,
  mu: Float64Array,
  given: Float64Array,
  ours: Float64Array,
  rows: number,
  width: number,
  spread: number,
): (Cut & { mu: Float64Array; factor: Float64Array; logLikelihood: number }) | null {
  const scaled = { mu: Float64Array.from(mu), factor: Float64Array.from(given) };
  rescaleByLargest(raw, scaled.mu, scaled.factor, rows, width);
  let more = 0;
  for (let k = 0; k < ours.length; k++) {
    if (raw[k] === 0) continue;
    if (Math.abs(raw[k]! * scaled.factor[k]!) < SMALL * spread) more++;
    if (Math.abs(ours[k]!) < SMALL * spread) more--;
  }
  if (more < MORE_SMALL * ours.length) return null;
  const unit = (value: number, k: number): number => (value * Math.abs(scaled.factor[k]!)) / spread;
  let [share, spreadOfCut, drift, logLikelihood] = [0.5, SMALL / 2, SMALL, 0];
  for (let round = 0; round < ROUNDS; round++) {
    let cut = 0;
    let [squares, rest] = [0, 0];
    logLikelihood = 0;
    for (let k = 0; k < raw.length; k++) {
      const value = unit(raw[k]!, k);
      const off = value - unit(scaled.mu[k]!, k);
      const near = ((1 - share) * bell(off / drift)) / drift;
      const zero = (share * bell(value / spreadOfCut)) / spreadOfCut;
      const part = zero / (zero + near + LEAST);
      cut += part;
      squares += part * value * value;
      rest += (1 - part) * off * off;
      if (round === ROUNDS - 1) logLikelihood += fixedLog((zero + near + LEAST) * Math.abs(scaled.factor[k]!));
    }
    share = Math.min(0.99, Math.max(0.01, cut / raw.length));
    spreadOfCut = Math.max(0.01, Math.sqrt(squares / Math.max(1, cut)));
    drift = Math.min(1, Math.max(0.01, Math.sqrt(rest / Math.max(1, raw.length - cut))));
  }
  return { ...scaled, share, width: spreadOfCut, logLikelihood };
}

/** Of all values as w0 predicts them, with one drift. */
export function wholeLogLikelihood(raw: Float64Array, mu: Float64Array, factor: Float64Array, spread: number): number {
  let squares = 0;
  for (let k = 0; k < raw.length; k++) squares += (((raw[k]! - mu[k]!) * factor[k]!) / spread) ** 2;
  const drift = Math.max(0.01, Math.sqrt(squares / raw.length));
  let sum = 0;
  for (let k = 0; k < raw.length; k++) {
    const off = ((raw[k]! - mu[k]!) * factor[k]!) / spread;
    sum += fixedLog((bell(off / drift) / drift + LEAST) * Math.abs(factor[k]!));
  }
  return sum;
}
