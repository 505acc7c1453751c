/** Levels that a suspect's values were rounded to, and the cell around zero that pruning empties. */
import { FEWEST_FOR_SCALE } from './rescaling.js';

/** Levels of a stored integer: beyond 8 bits rounding is finer than any drift and needs no model. */
const MOST_LEVELS = 127;

/** A value is on a grid when it lies this near to a level, in levels: float16 storage of 127 levels errs by 0.06. */
const ON_GRID = 0.02;

/** Fewer values than this fit some grid by chance. */
const FEWEST_FOR_GRID = 6;

/** Step of the grid that values lie on, 0 for none: the largest value is m steps, for the least m that fits all. */
function gridStep(values: Float64Array): number {
  const most = values.reduce((high, value) => Math.max(high, Math.abs(value)), 0);
  if (most === 0 || values.length < FEWEST_FOR_GRID) return 0;
  for (let levels = 1; levels <= MOST_LEVELS; levels++) {
    const scale = levels / most;
    if (values.every((value) => Math.abs(value * scale - Math.round(value * scale)) <= ON_GRID)) return most / levels;
  }
  return 0;
}

/** One step per row: of the whole tensor where it has one, else of each row that has its own. */
export function gridSteps(raw: Float64Array, rows: number, width: number): Float64Array {
  const whole = gridStep(raw);
  const out = new Float64Array(rows).fill(whole);
  if (whole > 0) return out;
  for (let row = 0; row < rows; row++) out[row] = gridStep(raw.subarray(row * width, (row + 1) * width));
  return out;
}

export function quantileOfSize(values: Float64Array, count: number): number {
  if (count === 0) return 0;
  return Float64Array.from(values, Math.abs).sort()[Math.min(values.length, count) - 1]!;
}

/** Half the width of what became zero: as many of the predicted values lie inside as zeros were found. */
export function zeroCells(
  raw: Float64Array,
  mu: Float64Array,
  rows: number,
  width: number,
  zeros: number,
  steps: Float64Array,
): Float64Array {
  const whole = quantileOfSize(mu, zeros);
  const perRow = steps.some((step) => step !== steps[0]) && width >= FEWEST_FOR_SCALE;
  return Float64Array.from({ length: rows }, (_, row) => {
    if (!perRow || steps[row] === 0) return Math.max(whole, steps[row]! / 2);
    const own = raw.subarray(row * width, (row + 1) * width);
    const count = own.reduce((sum, value) => sum + (value === 0 ? 1 : 0), 0);
    return Math.max(quantileOfSize(mu.subarray(row * width, (row + 1) * width), count), steps[row]! / 2);
  });
}
