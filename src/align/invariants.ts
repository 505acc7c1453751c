/**
 * What a tensor with one unit group on both axes may say: only what does not change when the group is permuted on both
 * at once. Entry by entry it would align with itself through its diagonal (docs/theory.md §2).
 */
import type { UnitRows } from './units.js';

/** Bins of a sorted row: neighbours in a long sorted row say the same. */
const BINS = 256;

/**
 * Every unit's values sorted, slice by slice (a gate, a bias row), binned, less the mean over the units: a row's own
 * shape, without the order of what it multiplies.
 * @param slices runs per row that are sorted apart
 */
export function sortedRows({ rows, width, values }: UnitRows, slices: number): UnitRows {
  const length = width / slices;
  const bins = Math.min(BINS, length);
  const out = new Float64Array(rows * slices * bins);
  for (let row = 0; row < rows; row++) {
    for (let slice = 0; slice < slices; slice++) {
      const start = row * width + slice * length;
      const sorted = values.slice(start, start + length).sort();
      for (let bin = 0; bin < bins; bin++) {
        const from = Math.floor((bin * length) / bins);
        const to = Math.floor(((bin + 1) * length) / bins);
        let sum = 0;
        for (let k = from; k < to; k++) sum += sorted[k]!;
        out[(row * slices + slice) * bins + bin] = sum / (to - from);
      }
    }
  }
  return centred({ rows, width: slices * bins, values: out });
}

function centred({ rows, width, values }: UnitRows): UnitRows {
  for (let column = 0; column < width; column++) {
    let sum = 0;
    for (let row = 0; row < rows; row++) sum += values[row * width + column]!;
    const mean = sum / rows;
    for (let row = 0; row < rows; row++) values[row * width + column] = values[row * width + column]! - mean;
  }
  return { rows, width, values };
}
