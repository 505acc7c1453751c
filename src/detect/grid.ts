/** Quantisation read off the values: whether they lie on a grid of few evenly spaced levels. */

export interface Grid {
  readonly bits: number;
  readonly step: number;
}

/** Fewer values than this cannot tell a grid from chance. */
const MIN_VALUES = 8;
/** Distance from a whole multiple of the step, in steps: float32 scales err by 2^−24 · 255. */
const TOLERANCE = 1e-3;
/** Grids of more levels look like any float; int16 is not called quantised here. */
const MAX_BITS = 8;

/** The coarsest grid through 0 that holds all values, or null. `bits` is 2, 3, 4 or 8. */
export function gridOf(values: ArrayLike<number>): Grid | null {
  if (values.length < MIN_VALUES) return null;
  const levels = distinctMagnitudes(values);
  if (levels === null || levels.length === 0) return null;
  let gap = levels[0]!;
  for (let k = 1; k < levels.length; k++) gap = Math.min(gap, levels[k]! - levels[k - 1]!);
  // Where few values are seen no two neighbours may be one step apart, so fractions of the gap are tried too.
  for (let part = 1; part <= 8; part++) {
    const step = gap / part;
    const top = levels[levels.length - 1]! / step;
    if (top > 2 ** MAX_BITS) return null;
    if (levels.every((level) => Math.abs(level / step - Math.round(level / step)) < TOLERANCE)) {
      return { bits: bitsFor(values, step), step };
    }
  }
  return null;
}

/** Sorted |values| without 0 and without repeats; null where there are too many for a grid. */
function distinctMagnitudes(values: ArrayLike<number>): number[] | null {
  const seen = new Set<number>();
  for (let i = 0; i < values.length; i++) {
    const size = Math.fround(Math.abs(values[i]!));
    if (!Number.isFinite(size)) return null;
    if (size > 0) seen.add(size);
    // Rounding may split one level in a few neighbouring floats.
    if (seen.size > 8 * 2 ** MAX_BITS) return null;
  }
  const sorted = [...seen].sort((a, b) => a - b);
  const merged: number[] = [];
  for (const size of sorted) {
    const last = merged.at(-1);
    if (last === undefined || size - last > last * 1e-5) merged.push(size);
  }
  return merged.length > 2 ** MAX_BITS ? null : merged;
}

function bitsFor(values: ArrayLike<number>, step: number): number {
  let low = 0;
  let high = 0;
  for (let i = 0; i < values.length; i++) {
    const level = Math.round(values[i]! / step);
    low = Math.min(low, level);
    high = Math.max(high, level);
  }
  const needed = Math.ceil(Math.log2(high - low + 1));
  return needed <= 2 ? 2 : needed <= 3 ? 3 : needed <= 4 ? 4 : 8;
}

export interface TensorGrid extends Grid {
  readonly granularity: 'tensor' | 'channel';
  /** Per row, the step; one entry for a whole tensor. */
  readonly steps: readonly number[];
}

/** Grid of a tensor, or of four fifths of its rows and more. */
export function tensorGrid(values: Float64Array, rows: number): TensorGrid | null {
  const whole = gridOf(values);
  if (whole !== null) return { ...whole, granularity: 'tensor', steps: [whole.step] };
  const width = rows === 0 ? 0 : values.length / rows;
  if (width < MIN_VALUES) return null;
  const grids = Array.from({ length: rows }, (_, row) => gridOf(values.subarray(row * width, (row + 1) * width)));
  const found = grids.filter((grid) => grid !== null);
  if (found.length === 0 || found.length < 0.8 * rows) return null;
  const bits = found.map((grid) => grid.bits).sort((a, b) => a - b)[Math.floor(found.length / 2)]!;
  return { bits, step: found[0]!.step, granularity: 'channel', steps: grids.map((grid) => grid?.step ?? 0) };
}
