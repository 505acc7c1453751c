/** What is known of a graph's values while it is walked: axes, sizes, and small integers that shapes are made of. */
import type { AttributeValue, GraphNode, Tensor } from '../formats/index.js';
import { type Axis, axisSize, freshAxis, pin } from './labels.js';
import type { ScaleTrail } from './scales.js';

export interface Value extends ScaleTrail {
  /** Null: rank unknown. Entry null: an axis that carries no units and whose size is unknown. */
  readonly axes: readonly (Axis | null)[] | null;
  /** Values of small integer vectors, for Reshape and Slice. */
  readonly ints?: readonly (number | null)[] | undefined;
  /** The stored tensor that this is, unchanged but for layout. */
  readonly stored?: StoredRef | undefined;
  /** A graph input on its way into the first learned product: names of the stored tensors applied so far. */
  readonly prepared?: readonly string[] | undefined;
}

export interface StoredRef {
  readonly tensor: Tensor;
  /** Axis of the value → axis of the stored tensor. */
  readonly perm: readonly number[];
}

export const sizeOf = (axis: Axis | null): number | null => (axis === null ? null : axisSize(axis));

export function pinValue(value: Value | undefined, reason: string): void {
  for (const axis of value?.axes ?? []) if (axis !== null) pin(axis, reason);
}

export const nothing: Value = { axes: null };

/** An axis that no group may use. */
export const bare = (size: number | null): Axis | null => (size === null ? null : freshAxis(size, 'no units'));

export const attributeOf = {
  number(node: GraphNode, name: string, otherwise: number): number {
    const value: AttributeValue | undefined = node.attributes.get(name);
    return typeof value === 'number' || typeof value === 'bigint' ? Number(value) : otherwise;
  },
  text(node: GraphNode, name: string, otherwise: string): string {
    const value = node.attributes.get(name);
    return typeof value === 'string' ? value : otherwise;
  },
  numbers(node: GraphNode, name: string): readonly number[] | null {
    const value = node.attributes.get(name);
    return Array.isArray(value) ? value.map(Number) : null;
  },
};
