/**
 * Units that hold other units (heads hold dimensions), described by what no order within them changes: sums over the
 * places that change with one another.
 */
import type { PlanAxis, PlanGroup, PlanTensor } from './plan.js';
import { around, type UnitRows, unitPositions } from './units.js';

/** Position along the axis → the least position that it can come to; null where nothing moves within the units. */
export function poolOf(tensor: PlanTensor, along: PlanAxis, inner: readonly PlanGroup[]): Int32Array | null {
  const sizes = new Map(inner.map(({ id, size }) => [id, size]));
  const axes = tensor.axes.filter((one) => one.axis === along.axis && sizes.has(one.group));
  if (axes.length === 0) return null;
  const orbit = Int32Array.from({ length: tensor.shape[along.axis]! }, (_, position) => position);
  const find = (position: number): number => {
    let root = position;
    while (orbit[root] !== root) root = orbit[root]!;
    return root;
  };
  for (const { group, segments } of axes) {
    const first = unitPositions(segments, 0);
    for (let unit = 1; unit < sizes.get(group)!; unit++) {
      unitPositions(segments, unit).forEach((position, k) => {
        const [a, b] = [find(first[k]!), find(position)];
        orbit[Math.max(a, b)] = Math.min(a, b);
      });
    }
  }
  return orbit.map((_, position) => find(position));
}

/** Row u: the sums of unit u over each set of places that change with one another, in the order of their first places. */
export function pooledRows(
  values: Float64Array,
  shape: readonly number[],
  { axis, segments }: PlanAxis,
  units: number,
  orbit: Int32Array,
): UnitRows {
  const { outer, length, inner } = around(shape, axis);
  const sets = Array.from({ length: units }, (_, unit) => {
    const bySet = new Map<number, number[]>();
    for (const position of unitPositions(segments, unit)) {
      const known = bySet.get(orbit[position]!);
      if (known === undefined) bySet.set(orbit[position]!, [position]);
      else known.push(position);
    }
    return [...bySet.values()];
  });
  const most = Math.max(...sets.map((own) => own.length));
  const width = most * outer * inner;
  const out = new Float64Array(units * width);
  sets.forEach((own, unit) => {
    own.forEach((positions, k) => {
      for (const position of positions) {
        for (let o = 0; o < outer; o++) {
          const from = (o * length + position) * inner;
          const to = unit * width + (k * outer + o) * inner;
          for (let i = 0; i < inner; i++) out[to + i] = out[to + i]! + values[from + i]!;
        }
      }
    });
  });
  return { rows: units, width, values: out };
}
