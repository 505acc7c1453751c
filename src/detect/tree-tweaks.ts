/** Changed copies of an ensemble, for showing what the matching of trees would have found. */
import type { RandomStream } from '../base/index.js';
import type { CanonicalTrees } from '../structure/index.js';

export const TREE_TWEAKS = [
  'leaf values changed by 10 %',
  'half of the trees dropped',
  'thresholds moved by 1 %',
  'inputs in another order',
] as const;
export type TreeTweak = (typeof TREE_TWEAKS)[number];

export function tweakTrees(trees: CanonicalTrees, tweak: TreeTweak, random: RandomStream): CanonicalTrees {
  if (tweak === 'leaf values changed by 10 %')
    return { ...trees, leaf: trees.leaf.map((value) => value * (1 + 0.1 * (2 * random.unit() - 1))) };
  if (tweak === 'half of the trees dropped')
    return keepTrees(
      trees,
      [...trees.root.keys()].filter(() => random.below(2) === 0),
    );
  if (tweak === 'inputs in another order') {
    const names = [...new Set(trees.feature)].filter((input) => input !== -1);
    const other = new Map(names.map((input, k) => [input, names[(k + 1) % names.length]!]));
    return { ...trees, feature: trees.feature.map((input) => other.get(input) ?? -1) };
  }
  // Of the range of the input's thresholds, in either direction.
  const range = new Map<number, readonly [number, number]>();
  for (const [node, input] of trees.feature.entries()) {
    const cut = trees.threshold[node]!;
    if (input === -1 || !Number.isFinite(cut)) continue;
    const [low, high] = range.get(input) ?? [cut, cut];
    range.set(input, [Math.min(low, cut), Math.max(high, cut)]);
  }
  return {
    ...trees,
    threshold: trees.threshold.map((cut, node) => {
      const [low, high] = range.get(trees.feature[node]!) ?? [0, 0];
      return cut + 0.01 * (high - low) * (2 * random.unit() - 1);
    }),
  };
}

/** The named trees alone, in this order. */
export function keepTrees(trees: CanonicalTrees, kept: readonly number[]): CanonicalTrees {
  const { feature, categoryStart, leafStart } = trees;
  const bounds = kept.map((tree) => [trees.root[tree]!, trees.root[tree + 1] ?? feature.length] as const);
  const joined = <A extends Int32Array | Uint8Array | Float64Array>(
    array: A,
    move: (value: number, shift: number) => number = (value) => value,
    place: (node: number) => number = (node) => node,
  ): readonly number[] => {
    const out: number[] = [];
    for (const [from, to] of bounds) {
      const shift = out.length - place(from);
      for (let k = place(from); k < place(to); k++) out.push(move(array[k]!, shift));
    }
    return out;
  };
  const child = (value: number, shift: number): number => (value === -1 ? -1 : value + shift);
  const starts = (start: Int32Array): Int32Array => {
    const out = [0];
    for (const [from, to] of bounds) for (let k = from; k < to; k++) out.push(out.at(-1)! + start[k + 1]! - start[k]!);
    return Int32Array.from(out);
  };
  const categories = (node: number): number => categoryStart[node]!;
  const leaves = (node: number): number => leafStart[node]!;
  let at = 0;
  return {
    ...trees,
    root: Int32Array.from(bounds, ([from, to]) => {
      at += to - from;
      return at - (to - from);
    }),
    weight: Float64Array.from(kept, (tree) => trees.weight[tree]!),
    feature: Int32Array.from(joined(feature)),
    threshold: Float64Array.from(joined(trees.threshold)),
    comparison: Uint8Array.from(joined(trees.comparison)),
    missing: Uint8Array.from(joined(trees.missing)),
    left: Int32Array.from(joined(trees.left, child)),
    right: Int32Array.from(joined(trees.right, child)),
    categoryStart: starts(categoryStart),
    category: Float64Array.from(joined(trees.category, undefined, categories)),
    leafStart: starts(leafStart),
    leafOutput: Int32Array.from(joined(trees.leafOutput, undefined, leaves)),
    leaf: Float64Array.from(joined(trees.leaf, undefined, leaves)),
  };
}
