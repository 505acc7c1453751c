/** How likely one value of a suspect is, given what w0 predicts there: exact, rounded, pruned, or grown again. */
import { fixedExp } from '../mark/index.js';

/**
 * Deviations beyond so many drifts count as so many: a value that nothing explains must not drown the rest, yet codes
 * that a mark moves rarely, and then far, still speak.
 */
const FAR = 4;

/** Share of values that nothing explains. */
export const OUTLIERS = 0.02;

export const LEAST = 1e-6;

/** A level narrower than this share of the drift is as good as a point: its mass is off by less than one in a hundred. */
const FINE = 0.5;

/** Values that were set to zero and then trained on: such a share, spread about zero with such a width (in `spread`s). */
export interface Cut {
  readonly share: number;
  readonly width: number;
}

export interface Cells {
  readonly raw: Float64Array;
  readonly mu: Float64Array;
  readonly factor: Float64Array;
  /** Density of a value that nothing explains. */
  readonly strays: Float64Array;
  readonly cut: Cut | null;
  readonly steps: Float64Array;
  readonly halves: Float64Array;
  readonly width: number;
  readonly spread: number;
}

/**
 * Likelihood of one value and its derivative by the prediction, both in units of the drift σ.
 * Writes [density, score] into `out`.
 */
export function observe(cells: Cells, k: number, row: number, drift: number, out: Float64Array): void {
  const size = Math.abs(cells.factor[k]!);
  const sigma = (drift * cells.spread) / size;
  const value = cells.raw[k]!;
  const mu = cells.mu[k]!;
  const step = cells.steps[row]!;
  const half = cells.halves[row]!;
  if (step === 0 && !(value === 0 && half > 0)) {
    const x = (value - mu) / sigma;
    let inlier = (bell(x) * (1 - OUTLIERS)) / drift;
    let kept = 1;
    if (cells.cut !== null) {
      const { share, width } = cells.cut;
      const regrown = (share * bell((value * size) / (width * cells.spread))) / width;
      inlier *= 1 - share;
      kept = inlier / (inlier + regrown + LEAST);
      inlier += regrown;
    }
    out[0] = inlier + cells.strays[k]! + LEAST;
    out[1] = kept * Math.max(-FAR, Math.min(FAR, x));
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

export const bell = (x: number): number => fixedExp(-0.5 * x * x) / ROOT_2PI;

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
