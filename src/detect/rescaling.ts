/** The scale and place of w0's prediction, fitted to a suspect row by row and column by column, without any key. */
import { fixedLog } from '../mark/index.js';
import { type Cells, observe } from './likelihood.js';

/** Rows or columns shorter than this are not rescaled by themselves: the fit would eat the mark. */
export const FEWEST_FOR_SCALE = 16;

/**
 * The prediction moved by the median difference: the least or the largest of several copies' values lies off w0 by as
 * much everywhere, and whoever mixes copies so would else drown the mark in that.
 */
export function relocate(ours: Float64Array, aligned: Float64Array, factor: Float64Array, mu: Float64Array): void {
  const offset = Float64Array.from(aligned, (value, k) => value - ours[k]!).sort()[aligned.length >> 1]!;
  for (let k = 0; k < mu.length; k++) mu[k] = mu[k]! + offset / factor[k]!;
}

/** Rows and columns of the prediction rescaled by regression on what lies clear of the zero cell; chosen by the prediction, so unbiased. */
export function rescale(raw: Float64Array, mu: Float64Array, rows: number, width: number, half: number): void {
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

/** Share of a row or column, of its largest values, by which its scale is told where the rest was cut down. */
const LARGEST = 0.1;

/** Rows and columns of the prediction rescaled by the median ratio of the suspect's largest values, which pruning spares. */
export function rescaleByLargest(
  raw: Float64Array,
  mu: Float64Array,
  factor: Float64Array,
  rows: number,
  width: number,
): void {
  const fit = (lines: number, length: number, at: (line: number, k: number) => number): void => {
    if (length < FEWEST_FOR_SCALE) return;
    const sizes = new Float64Array(length);
    const most = Math.max(5, Math.ceil(LARGEST * length));
    for (let line = 0; line < lines; line++) {
      for (let k = 0; k < length; k++) sizes[k] = Math.abs(raw[at(line, k)]!);
      const least = sizes.sort()[length - most]!;
      const ratios: number[] = [];
      for (let k = 0; k < length; k++) {
        const place = at(line, k);
        const ratio = raw[place]! / mu[place]!;
        if (Math.abs(raw[place]!) >= least && ratio > 0 && Number.isFinite(ratio)) ratios.push(ratio);
      }
      const ratio = ratios.sort((a, b) => a - b)[ratios.length >> 1];
      if (ratio === undefined) continue;
      for (let k = 0; k < length; k++) {
        const place = at(line, k);
        mu[place] = mu[place]! * ratio;
        factor[place] = factor[place]! / ratio;
      }
    }
  };
  for (let sweep = 0; sweep < 2; sweep++) {
    fit(rows, width, (row, k) => row * width + k);
    fit(width, rows, (column, k) => k * width + column);
  }
}

/** Steps of scale tried for a row or column, and the drift at which they are compared. */
const SCALES = Array.from({ length: 13 }, (_, j) => 2 ** ((j - 6) / 6));

const FIT_DRIFT = 0.15;

/** Densities whose product is taken before its logarithm: each lies between 1e-6 and 1e4, so nothing over- or underflows. */
export const TOGETHER = 32;

/** Where most values are zero, regression cannot tell a unit's scale; the likelihood of zeros and levels can. */
export function likelyScales(
  cells: Cells,
  lines: number,
  length: number,
  at: (line: number, k: number) => number,
): void {
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
