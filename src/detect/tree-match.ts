/**
 * Which tree of one ensemble is which of another: by their splits from the root down, or by the values of their leaves.
 *
 * Equal thresholds are no sign of copying. Trainers cut where the data lie, so that two trainings on one table take
 * their thresholds from one list, and the first splits of their trees are often the same. What is matched is therefore
 * a whole tree: an input, a threshold and a way down, again and again, in one order.
 */
import { type CanonicalTrees, nextUp } from '../structure/index.js';

/** Splits from the root down that must agree, and their share of the smaller tree. */
const MIN_SPLITS = 3;
const MATCH = 0.8;
/** Thresholds count as near within this share of the range of their input's thresholds. */
const NEAR = 0.02;
/** Trees looked at for each tree, those that begin most like it. */
const MAX_CANDIDATES = 256;
/** Fewer different values in the leaves are found in any two trees. */
const MIN_LEAF_VALUES = 4;

export interface TreeMatch {
  /** Places among the canonical trees. */
  readonly ours: number;
  readonly theirs: number;
  /** By its splits, or by its leaves alone: the inputs are others, or were moved or scaled. */
  readonly by: 'splits' | 'leaves';
  /** Splits that ask for the same input near the same threshold, reached the same way. */
  readonly splits: number;
  /** Of these, thresholds that are equal to within one float32, or sets of categories that are equal. */
  readonly equalSplits: number;
  /** Leaves reached the same way, and of these, equal as float32. */
  readonly leaves: number;
  readonly equalLeaves: number;
}

export interface TreesMatched {
  readonly matches: readonly TreeMatch[];
  /** Splits in the matched trees, as a share of those of the smaller ensemble. 0 … 1. */
  readonly share: number;
}

interface Indexed {
  readonly trees: CanonicalTrees;
  /** [trees] */
  readonly splits: Int32Array;
  /** The first splits of each tree in preorder: input and threshold. */
  readonly beginning: readonly Float64Array[];
}

/** Splits at the beginning of a tree by which candidates are put in order. */
const BEGINNING = 7;

function indexed(trees: CanonicalTrees): Indexed {
  const { root, feature, threshold } = trees;
  const splits = new Int32Array(root.length);
  const beginning = Array.from(root, (from, tree) => {
    const first: number[] = [];
    for (let node = from; node < (root[tree + 1] ?? feature.length); node++) {
      if (feature[node] === -1) continue;
      splits[tree]!++;
      if (first.length < 2 * BEGINNING) first.push(feature[node]!, threshold[node]!);
    }
    return Float64Array.from(first);
  });
  return { trees, splits, beginning };
}

const inOrder = (a: Float64Array, b: Float64Array): number => {
  for (let k = 0; k < Math.min(a.length, b.length); k++) if (a[k] !== b[k]) return a[k]! - b[k]!;
  return a.length - b.length;
};

export function matchTrees(reference: CanonicalTrees, suspect: CanonicalTrees): TreesMatched {
  const ours = indexed(reference);
  const theirs = indexed(suspect);
  const order = [...ours.beginning.keys()].sort((x, y) => inOrder(ours.beginning[x]!, ours.beginning[y]!));
  const near = toleranceOf(reference);
  const taken = new Uint8Array(ours.splits.length);
  const matches: TreeMatch[] = [];
  const left: number[] = [];
  for (let tree = 0; tree < theirs.splits.length; tree++) {
    let best: TreeMatch | null = null;
    for (const candidate of candidatesOf(ours, order, theirs.beginning[tree]!)) {
      if (taken[candidate] === 1) continue;
      const match = align(ours, candidate, theirs, tree, near);
      if (best === null || isCloser(match, best)) best = match;
      if (match.equalSplits === theirs.splits[tree] && match.equalLeaves === match.equalSplits + 1) break;
    }
    const smaller = best === null ? 0 : Math.min(ours.splits[best.ours]!, theirs.splits[tree]!);
    if (best !== null && best.splits >= MIN_SPLITS && best.splits >= MATCH * smaller) {
      taken[best.ours] = 1;
      matches.push(best);
    } else left.push(tree);
  }
  matches.push(...byLeaves(ours, taken, theirs, left));
  const total = (of: Indexed): number => of.splits.reduce((sum, n) => sum + n, 0);
  const matched = matches.reduce(
    (sum, { ours: a, theirs: b }) => sum + Math.min(ours.splits[a]!, theirs.splits[b]!),
    0,
  );
  return { matches, share: matched / Math.max(1, Math.min(total(ours), total(theirs))) };
}

/** Boosting often takes the same splits twice; then the leaves tell, and then the place. */
function isCloser(a: TreeMatch, b: TreeMatch): boolean {
  const rank = ({ splits, equalSplits, equalLeaves, ours, theirs }: TreeMatch): readonly number[] => [
    splits,
    equalSplits,
    equalLeaves,
    -Math.abs(ours - theirs),
  ];
  const [x, y] = [rank(a), rank(b)];
  const at = x.findIndex((value, k) => value !== y[k]);
  return at >= 0 && x[at]! > y[at]!;
}

/** Trees that begin like this one, from the most alike on. */
function* candidatesOf(ours: Indexed, order: readonly number[], beginning: Float64Array): Generator<number, void> {
  let [low, high] = [0, order.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (inOrder(ours.beginning[order[middle]!]!, beginning) < 0) low = middle + 1;
    else high = middle;
  }
  for (let k = 0; k < MAX_CANDIDATES / 2; k++) {
    if (low + k < order.length) yield order[low + k]!;
    if (low - 1 - k >= 0) yield order[low - 1 - k]!;
  }
}

/** How far two thresholds of an input may lie apart and be near. */
function toleranceOf({ feature, threshold, comparison }: CanonicalTrees): (input: number) => number {
  const range = new Map<number, { low: number; high: number }>();
  for (const [node, input] of feature.entries()) {
    const cut = threshold[node]!;
    if (input === -1 || !Number.isFinite(cut) || comparison[node] === 0) continue;
    const one = range.get(input);
    if (one === undefined) range.set(input, { low: cut, high: cut });
    else {
      one.low = Math.min(one.low, cut);
      one.high = Math.max(one.high, cut);
    }
  }
  return (input) => {
    const one = range.get(input);
    return one === undefined ? 0 : NEAR * (one.high - one.low);
  };
}

/** Two cuts are one to within a float32: what a conversion from float64 does. */
export const isSameCut = (a: number, b: number): boolean => {
  if (a === b) return true;
  const [low, high] = [Math.fround(Math.min(a, b)), Math.fround(Math.max(a, b))];
  return high <= nextUp(low, 'F32');
};

function align(a: Indexed, treeA: number, b: Indexed, treeB: number, near: (input: number) => number): TreeMatch {
  const [x, y] = [a.trees, b.trees];
  const found = { splits: 0, equalSplits: 0, leaves: 0, equalLeaves: 0 };
  walk(x, treeA, y, treeB, near, {
    leaf(m, n) {
      found.leaves++;
      if (isSameLeaf(x, m, y, n)) found.equalLeaves++;
    },
    split(_m, _n, equal) {
      found.splits++;
      if (equal) found.equalSplits++;
    },
  });
  return { ours: treeA, theirs: treeB, by: 'splits', ...found };
}

/**
 * Splits at the same place of trees matched by their leaves, whatever they ask for: a tree whose leaves are ours, in our
 * order, has our splits where the leaves are.
 */
export function pairedByShape(
  x: CanonicalTrees,
  y: CanonicalTrees,
  matches: readonly TreeMatch[],
): readonly (readonly [ours: number, theirs: number])[] {
  const pairs: (readonly [number, number])[] = [];
  for (const { ours, theirs, by } of matches) {
    if (by !== 'leaves') continue;
    const own: (readonly [number, number])[] = [];
    const stack = [x.root[ours]!, y.root[theirs]!];
    let alike = true;
    while (stack.length > 0 && alike) {
      const n = stack.pop()!;
      const m = stack.pop()!;
      const [isLeaf, isToo] = [x.feature[m] === -1, y.feature[n] === -1];
      if (isLeaf || isToo) alike = isLeaf && isToo && isSameLeaf(x, m, y, n);
      else {
        own.push([m, n]);
        stack.push(x.left[m]!, y.left[n]!, x.right[m]!, y.right[n]!);
      }
    }
    if (alike) pairs.push(...own);
  }
  return pairs;
}

interface Visit {
  leaf(m: number, n: number): void;
  split(m: number, n: number, equal: boolean): void;
}

/**
 * Splits of matched trees that are each other's: node of the one, node of the other. Near the same threshold where the
 * splits told the trees; where their leaves did, whatever the thresholds, as long as the inputs are the same.
 */
export function pairedSplits(
  x: CanonicalTrees,
  y: CanonicalTrees,
  matches: readonly TreeMatch[],
): readonly (readonly [ours: number, theirs: number])[] {
  const near = toleranceOf(x);
  const pairs: (readonly [number, number])[] = [];
  for (const { ours, theirs, by } of matches) {
    walk(x, ours, y, theirs, by === 'splits' ? near : () => Number.POSITIVE_INFINITY, {
      leaf: () => {},
      split: (m, n) => pairs.push([m, n]),
    });
  }
  return pairs;
}

function walk(
  x: CanonicalTrees,
  treeA: number,
  y: CanonicalTrees,
  treeB: number,
  near: (input: number) => number,
  visit: Visit,
): void {
  const stack: number[] = [x.root[treeA]!, y.root[treeB]!];
  while (stack.length > 0) {
    const n = stack.pop()!;
    const m = stack.pop()!;
    // Popped in reverse: m is of a, n of b.
    const input = x.feature[m]!;
    if (input !== y.feature[n] || x.comparison[m] !== y.comparison[n]) continue;
    if (input === -1) {
      visit.leaf(m, n);
      continue;
    }
    const isNumeric = x.categoryStart[m] === x.categoryStart[m + 1];
    const equal = isNumeric ? isSameCut(x.threshold[m]!, y.threshold[n]!) : isSameSet(x, m, y, n);
    if (!equal && !(isNumeric && Math.abs(x.threshold[m]! - y.threshold[n]!) <= near(input))) continue;
    visit.split(m, n, equal);
    stack.push(x.left[m]!, y.left[n]!, x.right[m]!, y.right[n]!);
  }
}

function isSameLeaf(x: CanonicalTrees, m: number, y: CanonicalTrees, n: number): boolean {
  const [from, to] = [x.leafStart[m]!, y.leafStart[n]!];
  const length = x.leafStart[m + 1]! - from;
  if (length !== y.leafStart[n + 1]! - to) return false;
  for (let k = 0; k < length; k++) if (Math.fround(x.leaf[from + k]!) !== Math.fround(y.leaf[to + k]!)) return false;
  return true;
}

function isSameSet(x: CanonicalTrees, m: number, y: CanonicalTrees, n: number): boolean {
  const [from, to] = [x.categoryStart[m]!, y.categoryStart[n]!];
  const length = x.categoryStart[m + 1]! - from;
  if (length !== y.categoryStart[n + 1]! - to) return false;
  for (let k = 0; k < length; k++) if (x.category[from + k] !== y.category[to + k]) return false;
  return true;
}

/** Inputs in another order, mirrored or scaled leave the values of the leaves as they are, in another order at most. */
function byLeaves(ours: Indexed, taken: Uint8Array, theirs: Indexed, left: readonly number[]): readonly TreeMatch[] {
  const known = new Map<string, number[]>();
  for (let tree = 0; tree < ours.splits.length; tree++) {
    const key = taken[tree] === 1 ? null : leavesOf(ours.trees, tree);
    if (key === null) continue;
    const others = known.get(key);
    if (others === undefined) known.set(key, [tree]);
    else others.push(tree);
  }
  return left.flatMap((tree): TreeMatch[] => {
    const key = leavesOf(theirs.trees, tree);
    const found = key === null ? undefined : known.get(key)?.pop();
    if (found === undefined) return [];
    const leaves = theirs.splits[tree]! + 1;
    return [{ ours: found, theirs: tree, by: 'leaves', splits: 0, equalSplits: 0, leaves, equalLeaves: leaves }];
  });
}

/** The values of a tree's leaves as float32, in ascending order; null where they are too few to tell trees apart. */
function leavesOf({ root, leafStart, leaf, feature }: CanonicalTrees, tree: number): string | null {
  const end = root[tree + 1] ?? feature.length;
  const values = Float32Array.from(leaf.subarray(leafStart[root[tree]!]!, leafStart[end]!)).sort();
  return new Set(values).size < MIN_LEAF_VALUES ? null : values.join(' ');
}
