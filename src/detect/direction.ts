/**
 * The direction in which a mark is looked for: d = g(aligned suspect, w0), for a g that sees neither key nor release, so
 * that ⟨c, d⟩/‖d‖ is N(0, 1) under the null whatever g does (docs/theory.md §7). A better g only adds power.
 *
 * g is the score of a simple model of what a thief does: the suspect's value is w0 + mark + drift, in the suspect's own
 * scale, seen exactly, or only as the level it was rounded to, or only as small enough to be pruned. So rounding that
 * w0 alone explains adds no noise, a weight that was pruned tells only where w0 stood near the threshold, and rows that
 * drifted far, or were aligned wrongly, count for little.
 */
import { fixedExp, fixedLog } from '../mark/index.js';

/** Levels of a stored integer: beyond 8 bits rounding is finer than any drift and needs no model. */
const MOST_LEVELS = 127;
/** A value is on a grid when it lies this near to a level, in levels: float16 storage of 127 levels errs by 0.06. */
const ON_GRID = 0.02;
/** Fewer values than this fit some grid by chance. */
const FEWEST_FOR_GRID = 6;
/** Rows or columns shorter than this are not rescaled by themselves: the fit would eat the mark. */
const FEWEST_FOR_SCALE = 16;
/** Share of exact zeros from which they are read as pruned or rounded away. */
const ZERO_SHARE = 0.01;
/** Values that the whole tensor counts for when a row's drift is estimated. */
const PRIOR = 8;
/**
 * Deviations beyond so many drifts count as so many: a value that nothing explains must not drown the rest, yet codes
 * that a mark moves rarely, and then far, still speak.
 */
const FAR = 4;
/** Share of values that nothing explains. */
const OUTLIERS = 0.02;
const LEAST = 1e-6;

/** Candidate drifts, in standard deviations of w0. */
const DRIFTS = Array.from({ length: 15 }, (_, j) => 0.01 * 1.45 ** j);

/**
 * @param ours w0, folded, rows × width
 * @param aligned the suspect in w0's order, scale and sign
 * @param factor aligned = the suspect's own value × factor
 * @returns null where there is nothing to compare: NaN or infinity, a constant w0, or no difference at all
 */
export function direction(
  ours: Float64Array,
  aligned: Float64Array,
  factor: Float64Array,
  rows: number,
  width: number,
): Float64Array | null {
  const spread = deviationOf(ours);
  if (!(spread > 0 && Number.isFinite(spread))) return null;
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
  rescale(raw, mu, rows, width, pruned ? quantileOfSize(mu, zeros) : 0);
  const halves = zeroCells(raw, mu, rows, width, pruned ? zeros : 0, steps);
  const strays = Float64Array.from(
    raw,
    (value, k) => (OUTLIERS * bell((value * Math.abs(factor[k]!)) / (3 * spread))) / 3,
  );
  const cells = { raw, mu, factor, strays, steps, halves, width, spread };
  if (pruned && raw.length <= MOST_FOR_LIKELIHOOD) {
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
function gridSteps(raw: Float64Array, rows: number, width: number): Float64Array {
  const whole = gridStep(raw);
  const out = new Float64Array(rows).fill(whole);
  if (whole > 0) return out;
  for (let row = 0; row < rows; row++) out[row] = gridStep(raw.subarray(row * width, (row + 1) * width));
  return out;
}

function quantileOfSize(values: Float64Array, count: number): number {
  if (count === 0) return 0;
  return Float64Array.from(values, Math.abs).sort()[Math.min(values.length, count) - 1]!;
}

/** Half the width of what became zero: as many of the predicted values lie inside as zeros were found. */
function zeroCells(
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

/**
 * The prediction moved by the median difference: the least or the largest of several copies' values lies off w0 by as
 * much everywhere, and whoever mixes copies so would else drown the mark in that.
 */
function relocate(ours: Float64Array, aligned: Float64Array, factor: Float64Array, mu: Float64Array): void {
  const offset = Float64Array.from(aligned, (value, k) => value - ours[k]!).sort()[aligned.length >> 1]!;
  for (let k = 0; k < mu.length; k++) mu[k] = mu[k]! + offset / factor[k]!;
}

/** Rows and columns of the prediction rescaled by regression on what lies clear of the zero cell; chosen by the prediction, so unbiased. */
function rescale(raw: Float64Array, mu: Float64Array, rows: number, width: number, half: number): void {
  const fit = (lines: number, length: number, at: (line: number, k: number) => number): void => {
    if (length < FEWEST_FOR_SCALE) return;
    for (let line = 0; line < lines; line++) {
      let cross = 0;
      let square = 0;
      let used = 0;
      for (let k = 0; k < length; k++) {
        const place = at(line, k);
        if (!(Math.abs(mu[place]!) > 1.5 * half)) continue;
        cross += raw[place]! * mu[place]!;
        square += mu[place]! * mu[place]!;
        used++;
      }
      const ratio = cross / square;
      if (used < FEWEST_FOR_SCALE / 2 || !(ratio > 0.25 && ratio < 4)) continue;
      for (let k = 0; k < length; k++) mu[at(line, k)] = mu[at(line, k)]! * ratio;
    }
  };
  for (let sweep = 0; sweep < 2; sweep++) {
    fit(rows, width, (line, k) => line * width + k);
    fit(width, rows, (line, k) => k * width + line);
  }
}

/** Larger tensors keep the regression alone: they have enough values on either side of the zero cell. */
const MOST_FOR_LIKELIHOOD = 2 ** 18;
const SWEEPS = 4;
/** Steps of scale tried for a row or column, and the drift at which they are compared. */
const SCALES = Array.from({ length: 13 }, (_, j) => 2 ** ((j - 6) / 6));
const FIT_DRIFT = 0.15;

/** Where most values are zero, regression cannot tell a unit's scale; the likelihood of zeros and levels can. */
function likelyScales(cells: Cells, lines: number, length: number, at: (line: number, k: number) => number): void {
  if (length < FEWEST_FOR_SCALE) return;
  const { mu, width } = cells;
  const seen = new Float64Array(2);
  const kept = new Float64Array(length);
  for (let line = 0; line < lines; line++) {
    for (let k = 0; k < length; k++) kept[k] = mu[at(line, k)]!;
    let best = 1;
    let most = Number.NEGATIVE_INFINITY;
    for (const scale of SCALES) {
      let sum = 0;
      let product = 1;
      for (let k = 0; k < length; k++) {
        const place = at(line, k);
        mu[place] = kept[k]! * scale;
        observe(cells, place, Math.floor(place / width), FIT_DRIFT, seen);
        product *= seen[0]!;
        if (k % TOGETHER === TOGETHER - 1 || k === length - 1) {
          sum += fixedLog(product);
          product = 1;
        }
      }
      if (sum > most) {
        most = sum;
        best = scale;
      }
    }
    for (let k = 0; k < length; k++) mu[at(line, k)] = kept[k]! * best;
  }
}

/** Densities whose product is taken before its logarithm: each lies between 1e-6 and 1e4, so nothing over- or underflows. */
const TOGETHER = 32;

/** A level narrower than this share of the drift is as good as a point: its mass is off by less than one in a hundred. */
const FINE = 0.5;

interface Cells {
  readonly raw: Float64Array;
  readonly mu: Float64Array;
  readonly factor: Float64Array;
  /** Density of a value that nothing explains. */
  readonly strays: Float64Array;
  readonly steps: Float64Array;
  readonly halves: Float64Array;
  readonly width: number;
  readonly spread: number;
}

/**
 * Likelihood of one value and its derivative by the prediction, both in units of the drift σ.
 * Writes [density, score] into `out`.
 */
function observe(cells: Cells, k: number, row: number, drift: number, out: Float64Array): void {
  const size = Math.abs(cells.factor[k]!);
  const sigma = (drift * cells.spread) / size;
  const value = cells.raw[k]!;
  const mu = cells.mu[k]!;
  const step = cells.steps[row]!;
  const half = cells.halves[row]!;
  if (step === 0 && !(value === 0 && half > 0)) {
    const x = (value - mu) / sigma;
    const inlier = (bell(x) * (1 - OUTLIERS)) / drift;
    const density = inlier + cells.strays[k]! + LEAST;
    out[0] = density;
    out[1] = Math.max(-FAR, Math.min(FAR, x));
    return;
  }
  if (value !== 0 && step < FINE * sigma && Math.abs(value) > 1.5 * half) {
    const x = (value - mu) / sigma;
    const inlier = bell(x) * (step / sigma) * (1 - OUTLIERS);
    const density = inlier + OUTLIERS * 0.1 + LEAST;
    out[0] = density;
    out[1] = Math.max(-FAR, Math.min(FAR, x));
    return;
  }
  let low = value - step / 2;
  let high = value + step / 2;
  if (value === 0) {
    low = -half;
    high = half;
  } else if (Math.abs(value) < 1.5 * step) {
    if (value > 0) low = Math.min(half, high - step / 4);
    else high = Math.max(-half, low + step / 4);
  }
  const a = (low - mu) / sigma;
  const b = (high - mu) / sigma;
  const mass = (a > 0 ? tail(a) - tail(b) : tail(-b) - tail(-a)) * (1 - OUTLIERS);
  const density = mass + OUTLIERS * 0.1 + LEAST;
  out[0] = density;
  out[1] = ((bell(a) - bell(b)) * (1 - OUTLIERS)) / density;
}

const ROOT_2PI = 2.5066282746310002;
const bell = (x: number): number => fixedExp(-0.5 * x * x) / ROOT_2PI;

/** P(Z ≥ x) within 1.2e-7 relative (Numerical Recipes, erfcc): enough for a weight, and the same everywhere. */
function tail(x: number): number {
  const z = Math.abs(x) / Math.SQRT2;
  const t = 1 / (1 + z / 2);
  const series =
    -1.26551223 +
    t *
      (1.00002368 +
        t *
          (0.37409196 +
            t *
              (0.09678418 +
                t *
                  (-0.18628806 +
                    t * (0.27886807 + t * (-1.13520398 + t * (1.48851587 + t * (-0.82215223 + t * 0.17087277))))))));
  const half = (t * fixedExp(-z * z + series)) / 2;
  return x >= 0 ? half : 1 - half;
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
