/** What a rule is: which axes of a node's inputs, weights and outputs carry the same units. No rule, no claim. */
import type { GraphNode } from '../formats/index.js';
import { type Axis, limitScaling, pin, type Scaling, unify } from './labels.js';
import { attributeOf, pinValue, sizeOf, type Value } from './values.js';

/** The outputs' values; null where nothing is proven, and then every input's axes are pinned. */
export type Rule = (node: GraphNode, inputs: readonly (Value | undefined)[]) => readonly Value[] | null;
export type Axes = readonly (Axis | null)[];

export const limit = (axes: Axes, scaling: Scaling) => {
  for (const axis of axes) if (axis !== null) limitScaling(axis, scaling);
};
export const join = (a: Axis | null | undefined, b: Axis | null | undefined): void => {
  if (a && b) unify(a, b);
  else if (a) pin(a, 'meets an axis of unknown size');
  else if (b) pin(b, 'meets an axis of unknown size');
};
export const pinAxis = (axis: Axis | null | undefined, reason: string) => {
  if (axis) pin(axis, reason);
};
export const from = (axis: number, rank: number) => (axis < 0 ? axis + rank : axis);

/** Numpy broadcasting: axes aligned from the last; size 1 stretches. */
export function broadcast(
  values: readonly (Value | undefined)[],
  scaling: 'together' | 'product' | 'none',
): Axes | null {
  const given = values.filter((value) => value !== undefined);
  if (given.some((value) => value.axes === null)) {
    for (const value of given) pinValue(value, 'meets a value of unknown rank');
    return null;
  }
  const rank = Math.max(...given.map((value) => value.axes!.length));
  return Array.from({ length: rank }, (_, at) => {
    const all = given.map((value) => value.axes![at - rank + value.axes!.length]);
    const wide = all.filter((axis): axis is Axis | null => axis !== undefined && sizeOf(axis) !== 1);
    const first = wide.find((axis) => axis !== null) ?? wide[0];
    if (first === undefined) return all.find((axis) => axis) ?? null;
    for (const axis of wide) if (axis !== first) join(first, axis);
    if (first !== null) {
      const shared = wide.length === given.length;
      if (scaling === 'none' || (scaling === 'together' ? !shared : shared)) limitScaling(first, 'none');
    }
    return first;
  });
}

/** A value of unknown rank carries no units (it was pinned where the rank was lost): only its rank is missing. */
export const ofRank = (value: Value | undefined, rank: number): { readonly axes: Axes } => ({
  axes: value?.axes ?? Array<null>(rank).fill(null),
});

export const isSingle = (value: Value | undefined): boolean =>
  value === undefined || (value.axes?.every((axis) => sizeOf(axis) === 1) ?? false);

export const axesArgument = (node: GraphNode, argument: Value | undefined): readonly number[] | null => {
  const given = attributeOf.numbers(node, 'axes') ?? argument?.ints ?? null;
  return given?.every((axis) => axis !== null) ? (given as readonly number[]) : null;
};
