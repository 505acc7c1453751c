/** Formulas of sound: windowed Fourier bases, alone or stacked, and banks of triangular filters. Everybody computes them alike. */
import type { Seen } from './seen.js';

/** Rows of cosines, of sines, or of cosines and below them sines, times one window: w · cos(2πkt/width). */
export const isFourier = (seen: Seen): boolean =>
  isBasis(seen, seen.rows / 2, 'both') ||
  (seen.rows === seen.width / 2 + 1 && (isBasis(seen, seen.rows, 'cosines') || isBasis(seen, seen.rows, 'sines')));

/**
 * Cosine row 0 is the window; of sines alone row 1 tells it, but where the sine is 0. Of a sample only the columns whose
 * w was seen are asked. Sines may have either sign.
 */
function isBasis(seen: Seen, bins: number, holds: 'both' | 'cosines' | 'sines'): boolean {
  const { width, values, at, close } = seen;
  if (!Number.isInteger(bins)) return false;
  const angle = (row: number, t: number): number => (2 * Math.PI * ((row * t) % width)) / width;
  const tells = holds === 'sines' ? 1 : 0;
  // Row 0 of the sines is 0: of a sample, that alone refutes what training made.
  const isZero = (value: number, k: number): boolean => at(k) >= width || Math.abs(value) < close * seen.peak;
  if (holds === 'sines' && !values.every(isZero)) return false;
  const window = new Map<number, number>();
  values.forEach((value, k) => {
    const t = at(k) - tells * width;
    if (t < 0 || t >= width) return;
    const factor = holds === 'sines' ? Math.abs(Math.sin(angle(1, t))) : 1;
    // Where the sine is small, rounding of the product says nothing of w.
    if (factor > 0.05) window.set(t, (holds === 'sines' ? Math.abs(value) : value) / factor);
  });
  const peak = [...window.values()].reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  if (peak === 0) return seen.sampled && holds === 'sines' && window.size === 0 && seen.peak > 0;
  return values.every((value, k) => {
    const [row, t] = [Math.floor(at(k) / width), at(k) % width];
    const w = window.get(t);
    if (w === undefined) return true;
    const isSine = holds === 'sines' || row >= bins;
    const off = isSine
      ? Math.abs(value) - Math.abs(w * Math.sin(angle(row % bins, t)))
      : value - w * Math.cos(angle(row, t));
    return Math.abs(off) < close * peak;
  });
}

/** Fewer rows than any bank of filters has. */
const MIN_FILTERS = 8;
/** Filters overlap their neighbours alone: most of a bank is 0. */
const MOST_FILLED = 0.5;

/**
 * Triangular filters (mel, bark, linear; Davis and Mermelstein 1980): no number below 0, each filter one run that rises
 * in equal steps to its peak and falls in equal steps, peaks in ascending order. Filters lie along rows, or along columns
 * of a bank that is stored turned.
 */
export function isFilterBank(seen: Seen): boolean {
  const { values, rows, width, n } = seen;
  let filled = 0;
  for (const value of values) {
    if (!(value >= 0)) return false;
    if (value > 0) filled++;
  }
  if (filled === 0 || filled > MOST_FILLED * values.length) return false;
  // A sample refutes by its signs and its zeros alone; the whole tensor is read where it does not.
  if (seen.sampled) return Math.min(rows, width) >= MIN_FILTERS && values.length < n;
  const value = (filter: number, bin: number, turned: boolean): number =>
    values[turned ? bin * width + filter : filter * width + bin]!;
  return (
    (rows >= MIN_FILTERS && areTriangles(rows, width, (f, b) => value(f, b, false))) ||
    (width >= MIN_FILTERS && areTriangles(width, rows, (f, b) => value(f, b, true)))
  );
}

function areTriangles(filters: number, bins: number, value: (filter: number, bin: number) => number): boolean {
  let before = -1;
  let sloped = 0;
  for (let filter = 0; filter < filters; filter++) {
    const row = Float64Array.from({ length: bins }, (_, bin) => value(filter, bin));
    const peak = row.reduce((best, size, bin) => (size > row[best]! ? bin : best), 0);
    if (row[peak] === 0) continue;
    const first = row.findIndex((size) => size > 0);
    const last = row.findLastIndex((size) => size > 0);
    const close = 2e-3 * row[peak]!;
    // The top of a triangle lies between two bins: the highest bin is on one of the two slopes.
    const isTriangle = [peak, peak + 1].some(
      (falls) => isLine(row, first, falls - 1, close) && isLine(row, falls, last, close),
    );
    if (peak < before || !isTriangle) return false;
    if (last - first > 4) sloped++;
    before = peak;
  }
  // Two numbers are a line whatever they are: among six, one slope has three at least.
  return sloped >= filters / 4;
}

function isLine(row: Float64Array, from: number, to: number, close: number): boolean {
  if (to - from < 2) return true;
  const step = (row[to]! - row[from]!) / (to - from);
  for (let bin = from; bin <= to; bin++) {
    if (Math.abs(row[bin]! - row[from]! - step * (bin - from)) > close) return false;
  }
  return true;
}
