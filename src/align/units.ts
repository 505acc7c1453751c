/** Where the units of a group lie in a tensor's values: reading them out as rows, and carrying them to other places. */
import type { Segment } from '../structure/index.js';

/** Positions of unit `unit` along its axis, in a fixed order. */
export function unitPositions(segments: readonly Segment[], unit: number): number[] {
  return segments.flatMap(({ start, unitStride, repeat, repeatStride }) =>
    Array.from({ length: repeat }, (_, r) => start + unit * unitStride + r * repeatStride),
  );
}

/** Row-major strides around one axis: outer × axis × inner. */
export function around(shape: readonly number[], axis: number): { outer: number; length: number; inner: number } {
  const product = (sizes: readonly number[]): number => sizes.reduce((all, size) => all * size, 1);
  return { outer: product(shape.slice(0, axis)), length: shape[axis] ?? 1, inner: product(shape.slice(axis + 1)) };
}

/** Units of a group as rows: row u holds every value of the tensor that lies at unit u. */
export interface UnitRows {
  readonly rows: number;
  readonly width: number;
  /** rows × width, row-major. */
  readonly values: Float64Array;
}

export function unitRows(
  values: Float64Array,
  shape: readonly number[],
  axis: number,
  segments: readonly Segment[],
  units: number,
): UnitRows {
  const { outer, length, inner } = around(shape, axis);
  const places = segments.reduce((sum, segment) => sum + segment.repeat, 0);
  const width = places * outer * inner;
  const out = new Float64Array(units * width);
  for (let unit = 0; unit < units; unit++) {
    let at = unit * width;
    for (const position of unitPositions(segments, unit)) {
      for (let o = 0; o < outer; o++) {
        const from = (o * length + position) * inner;
        for (let k = 0; k < inner; k++) out[at++] = values[from + k]!;
      }
    }
  }
  return { rows: units, width, values: out };
}

/**
 * Carries unit i to the place of unit order[i] along one axis, times factor[i]; all else stays.
 * With order = σ this undoes a release: (P_σ w)_i = w_σ(i).
 */
export function carryUnits(
  values: Float64Array,
  shape: readonly number[],
  axis: number,
  segments: readonly Segment[],
  order: ArrayLike<number>,
  factor?: ArrayLike<number>,
): Float64Array {
  const { outer, length, inner } = around(shape, axis);
  const out = Float64Array.from(values);
  for (let unit = 0; unit < order.length; unit++) {
    const from = unitPositions(segments, unit);
    const to = unitPositions(segments, order[unit]!);
    const times = factor === undefined ? 1 : factor[unit]!;
    for (let p = 0; p < from.length; p++) {
      for (let o = 0; o < outer; o++) {
        const source = (o * length + from[p]!) * inner;
        const target = (o * length + to[p]!) * inner;
        for (let k = 0; k < inner; k++) out[target + k] = values[source + k]! * times;
      }
    }
  }
  return out;
}
