/**
 * The direction in which a mark is looked for: d = g(aligned suspect, w0), for a g that sees neither key nor release, so
 * that ⟨c, d⟩/‖d‖ is N(0, 1) under the null whatever g does (docs/theory.md §7). A better g only adds power.
 *
 * g is the score of a simple model of what a thief does: the suspect's value is w0 + mark + drift, in the suspect's own
 * scale, seen exactly, or only as the level it was rounded to, or only as small enough to be pruned. So rounding that
 * w0 alone explains adds no noise, a weight that was pruned tells only where w0 stood near the threshold, and rows that
 * drifted far, or were aligned wrongly, count for little.
 */
import { fixedLog } from '../mark/index.js';
import { gridSteps, quantileOfSize, zeroCells } from './levels.js';
import { bell, type Cells, OUTLIERS, observe } from './likelihood.js';
import { regrownFrom, wholeLogLikelihood } from './regrown.js';
import { likelyScales, relocate, rescale, TOGETHER } from './rescaling.js';

/** Share of exact zeros from which they are read as pruned or rounded away. */
const ZERO_SHARE = 0.01;

/** Values that the whole tensor counts for when a row's drift is estimated. */
const PRIOR = 8;

/** Candidate drifts, in standard deviations of w0. */
const DRIFTS = Array.from({ length: 15 }, (_, j) => 0.01 * 1.45 ** j);

/** Larger tensors keep the regression alone: they have enough values on either side of the zero cell. */
const MOST_FOR_LIKELIHOOD = 2 ** 18;

const SWEEPS = 4;

/**
 * @param ours w0, folded, rows × width
 * @param aligned the suspect in w0's order, scale and sign
 * @param given aligned = the suspect's own value × given
 * @returns null where there is nothing to compare: NaN or infinity, a constant w0, or no difference at all
 */
export function direction(
  ours: Float64Array,
  aligned: Float64Array,
  given: Float64Array,
  rows: number,
  width: number,
): Float64Array | null {
  const spread = deviationOf(ours);
  if (!(spread > 0 && Number.isFinite(spread))) return null;
  const factor = Float64Array.from(given);
  const raw = new Float64Array(ours.length);
  const mu = new Float64Array(ours.length);
  let zeros = 0;
  let differs = false;
  for (let k = 0; k < raw.length; k++) {
    raw[k] = aligned[k]! / factor[k]!;
    mu[k] = ours[k]! / factor[k]!;
    if (!Number.isFinite(raw[k]!) || !Number.isFinite(mu[k]!)) return null;
    if (raw[k] === 0) zeros++;
    if (raw[k] !== mu[k]) differs = true;
  }
  if (!differs || zeros === raw.length) return null;
  relocate(ours, aligned, factor, mu);
  const steps = gridSteps(raw, rows, width);
  const pruned = zeros >= ZERO_SHARE * raw.length;
  const regrown = regrownFrom(raw, mu, factor, ours, rows, width, spread);
  rescale(raw, mu, rows, width, pruned ? quantileOfSize(mu, zeros) : 0);
  const cut = regrown !== null && regrown.logLikelihood > wholeLogLikelihood(raw, mu, factor, spread) ? regrown : null;
  if (cut !== null) {
    mu.set(cut.mu);
    factor.set(cut.factor);
  }
  const halves = zeroCells(raw, mu, rows, width, pruned && cut === null ? zeros : 0, steps);
  const strays = Float64Array.from(
    raw,
    (value, k) => (OUTLIERS * bell((value * Math.abs(factor[k]!)) / (3 * spread))) / 3,
  );
  const cells = { raw, mu, factor, strays, cut, steps, halves, width, spread };
  if (pruned && cut === null && raw.length <= MOST_FOR_LIKELIHOOD) {
    for (let sweep = 0; sweep < SWEEPS; sweep++) {
      likelyScales(cells, rows, width, (row, k) => row * width + k);
      likelyScales(cells, width, rows, (column, k) => k * width + column);
      halves.set(zeroCells(raw, mu, rows, width, zeros, steps));
    }
  }
  return scoreRows(cells, rows, drifts(cells, rows));
}

function deviationOf(values: Float64Array): number {
  let sum = 0;
  for (const value of values) sum += value;
  const mean = sum / values.length;
  let squares = 0;
  for (const value of values) squares += (value - mean) * (value - mean);
  return Math.sqrt(squares / values.length);
}

/** Drift of each row: the likeliest candidate for the row, with the whole tensor as a prior worth PRIOR values. */
function drifts(cells: Cells, rows: number): Float64Array {
  const { width } = cells;
  const logs = DRIFTS.map(() => new Float64Array(rows));
  const whole = new Float64Array(DRIFTS.length);
  const seen = new Float64Array(2);
  DRIFTS.forEach((drift, j) => {
    for (let row = 0; row < rows; row++) {
      let sum = 0;
      let product = 1;
      const end = (row + 1) * width;
      for (let k = row * width; k < end; k++) {
        observe(cells, k, row, drift, seen);
        product *= seen[0]!;
        if ((end - k) % TOGETHER === 1) {
          sum += fixedLog(product);
          product = 1;
        }
      }
      logs[j]![row] = sum;
      whole[j] = whole[j]! + sum;
    }
  });
  return Float64Array.from({ length: rows }, (_, row) => {
    let best = 0;
    let most = Number.NEGATIVE_INFINITY;
    for (let j = 0; j < DRIFTS.length; j++) {
      const value = logs[j]![row]! + (PRIOR / (rows * width)) * whole[j]!;
      if (value > most) {
        most = value;
        best = j;
      }
    }
    return DRIFTS[best]!;
  });
}

function scoreRows(cells: Cells, rows: number, drift: Float64Array): Float64Array | null {
  const { width, factor } = cells;
  const out = new Float64Array(rows * width);
  const seen = new Float64Array(2);
  let squares = 0;
  for (let row = 0; row < rows; row++) {
    for (let k = row * width; k < (row + 1) * width; k++) {
      observe(cells, k, row, drift[row]!, seen);
      // A chip moves the prediction by α·s/factor, with factor's sign: the score by c is the score by μ times that.
      out[k] = ((factor[k]! < 0 ? -1 : 1) * seen[1]!) / drift[row]!;
      squares += out[k]! * out[k]!;
    }
  }
  return squares > 0 ? out : null;
}
