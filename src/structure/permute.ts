/** Moves the units of a group. */
import type { CanonicalModel } from './canonical.js';
import type { Segment, UnitGroup } from './types.js';

/** new[u] = old[order[u]] for the unit blocks of these segments, all of one tensor of this shape. */
export function permuteUnits(
  values: Float64Array,
  shape: readonly number[],
  segments: readonly Segment[],
  order: ArrayLike<number>,
): Float64Array {
  let from = values;
  for (const { axis, start, unitStride, repeat, repeatStride } of segments) {
    const out = Float64Array.from(from);
    const length = shape[axis]!;
    const inner = shape.slice(axis + 1).reduce((all, size) => all * size, 1);
    const outer = length * inner === 0 ? 0 : values.length / (length * inner);
    for (let o = 0; o < outer; o++) {
      for (let u = 0; u < order.length; u++) {
        for (let r = 0; r < repeat; r++) {
          const within = start + r * repeatStride;
          const to = (o * length + within + u * unitStride) * inner;
          const source = (o * length + within + order[u]! * unitStride) * inner;
          out.set(from.subarray(source, source + inner), to);
        }
      }
    }
    from = out;
  }
  return from;
}

/** New stored values of every tensor that moves when a group is permuted: what `writeModel` takes. */
export async function permuteGroup(
  canonical: CanonicalModel,
  group: UnitGroup,
  order: ArrayLike<number>,
): Promise<ReadonlyMap<string, Float64Array>> {
  const byTensor = new Map<string, Segment[]>();
  for (const segment of [...group.incoming, ...group.outgoing]) {
    byTensor.set(segment.tensor, [...(byTensor.get(segment.tensor) ?? []), segment]);
  }
  const changes = new Map<string, Float64Array>();
  for (const [name, segments] of byTensor) {
    const tensor = canonical.tensors.get(name)!;
    const moved = permuteUnits(await tensor.readRaw(), tensor.shape, segments, order);
    changes.set(tensor.stored, await tensor.storedFromCanonical(moved));
  }
  for (const [unit, names] of (group.members ?? []).entries()) {
    for (const [k, name] of names.entries()) {
      const tensor = canonical.tensors.get(name)!;
      const source = canonical.tensors.get(group.members![order[unit]!]![k]!)!;
      changes.set(tensor.stored, await tensor.storedFromCanonical(await source.readRaw()));
    }
  }
  return changes;
}
