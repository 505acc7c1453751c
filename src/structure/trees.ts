/**
 * One form for one ensemble, whatever wrote it.
 *
 * *Comparisons.* Every numeric split asks `x < t`. `x <= t` is `x < nextUp(t)`, the next number in the precision that
 * the ensemble computes in, and the two agree for every finite x of that precision. `>` and `>=` change the children,
 * and so does *not in*, which becomes *in*. So a split is a cut between two neighbouring numbers, and two ensembles of
 * one precision that send every input the same way at a node have the same t there.
 *
 * *What converters do* (measured with onnxmltools 1.16.0 and skl2onnx 1.20.0; `vectors/formats/expected-trees.json`).
 * XGBoost compares float32 with `<`, and so does its ONNX conversion: thresholds, missing directions and leaves come
 * through bit for bit. LightGBM and scikit-learn compare with `<=` a float64 between two values, and the conversion
 * keeps the nearest float32: 0.29907129704952246 becomes 0.2990713119506836, above it, and 0.117485661059618 becomes
 * 0.1174856573343277, below it. A float32 input on that number then goes the other way, so that the conversion is
 * another ensemble; no digest can be equal there, and `compare` allows one float32. Boosters of kind dart are not
 * converted at all (onnxmltools fails on them).
 *
 * *Missing values.* Where NaN is read as 0 the direction is that of 0.
 *
 * *Trees.* Children are numbered in preorder; a tree that is one leaf is a constant and is taken out (`constants`);
 * dart's weights are multiplied into the leaves, rounded as XGBoost rounds. The order of trees counts among those
 * that add to the same outputs, and not between them: one format goes class by class, another round by round.
 *
 * *Not in it*: the base score, which formats keep as a probability, as its logit or as a factor behind the trees, and
 * the function applied to the sums.
 */
import { createHash } from 'node:crypto';
import { sha256Hex, utf8 } from '../base/index.js';
import { COMPARISONS, MISSING_IS_ZERO, MISSING_LEFT, type TreeEnsemble, ZERO_IS_MISSING } from '../formats/index.js';

/** Only `<`, `in` and leaves; weights are 1; `missing` has no `MISSING_IS_ZERO`. */
export interface CanonicalTrees extends TreeEnsemble {
  /** Sums of the trees that are one leaf, by output. */
  readonly constants: ReadonlyMap<number, number>;
}

const LEAF = COMPARISONS.indexOf('leaf');
const LESS = COMPARISONS.indexOf('<');
const IN = COMPARISONS.indexOf('in');
const CLOSED = new Set([COMPARISONS.indexOf('<='), COMPARISONS.indexOf('>')]);
const TURNED = new Set([COMPARISONS.indexOf('>'), COMPARISONS.indexOf('>='), COMPARISONS.indexOf('not in')]);
const CATEGORICAL = new Set([IN, COMPARISONS.indexOf('not in')]);

const scratch = new DataView(new ArrayBuffer(8));

/** The next number above, infinity its own. */
export function nextUp(value: number, precision: 'F32' | 'F64'): number {
  if (value === Number.POSITIVE_INFINITY || Number.isNaN(value)) return value;
  if (precision === 'F32') {
    scratch.setFloat32(0, value === 0 ? 0 : value);
    scratch.setInt32(0, scratch.getInt32(0) + (value >= 0 ? 1 : -1));
    return scratch.getFloat32(0);
  }
  scratch.setFloat64(0, value === 0 ? 0 : value);
  scratch.setBigInt64(0, scratch.getBigInt64(0) + (value >= 0 ? 1n : -1n));
  return scratch.getFloat64(0);
}

const plainZero = (value: number): number => (value === 0 ? 0 : value);

export function canonicalTrees(ensemble: TreeEnsemble): CanonicalTrees {
  const { precision, root, feature, left, right, leafStart } = ensemble;
  const kept = [...root.keys()].filter((tree) => feature[root[tree]!] !== -1);
  const constants = new Map<number, number>();
  const rounded = precision === 'F32' ? Math.fround : (value: number) => value;
  for (const [tree, node] of root.entries()) {
    if (feature[node] !== -1) continue;
    for (let k = leafStart[node]!; k < leafStart[node + 1]!; k++) {
      const output = ensemble.leafOutput[k]!;
      constants.set(output, (constants.get(output) ?? 0) + rounded(ensemble.leaf[k]! * ensemble.weight[tree]!));
    }
  }
  const nodes = feature.length - (root.length - kept.length);
  const out = {
    feature: new Int32Array(nodes),
    threshold: new Float64Array(nodes),
    comparison: new Uint8Array(nodes),
    missing: new Uint8Array(nodes),
    left: new Int32Array(nodes).fill(-1),
    right: new Int32Array(nodes).fill(-1),
    categoryStart: new Int32Array(nodes + 1),
    leafStart: new Int32Array(nodes + 1),
    root: new Int32Array(kept.length),
    weight: new Float64Array(kept.length).fill(1),
  };
  const category: number[] = [];
  const leafOutput: number[] = [];
  const leaf: number[] = [];
  let at = 0;
  for (const [index, tree] of kept.entries()) {
    out.root[index] = at;
    // [node, its parent's new number, 1 for its left child]
    const stack: number[] = [root[tree]!, -1, 0];
    while (stack.length > 0) {
      const isLeft = stack.pop() === 1;
      const parent = stack.pop()!;
      const node = stack.pop()!;
      if (parent >= 0) (isLeft ? out.left : out.right)[parent] = at;
      out.feature[at] = feature[node]!;
      out.categoryStart[at] = category.length;
      out.leafStart[at] = leaf.length;
      if (feature[node] === -1) {
        out.comparison[at] = LEAF;
        const votes = Array.from({ length: leafStart[node + 1]! - leafStart[node]! }, (_, k) => leafStart[node]! + k);
        votes.sort((a, b) => ensemble.leafOutput[a]! - ensemble.leafOutput[b]!);
        for (const k of votes) {
          leafOutput.push(ensemble.leafOutput[k]!);
          leaf.push(plainZero(rounded(ensemble.leaf[k]! * ensemble.weight[tree]!)));
        }
      } else {
        const split = canonicalSplit(ensemble, node);
        out.comparison[at] = split.categories === null ? LESS : IN;
        out.threshold[at] = split.threshold;
        out.missing[at] = split.missing;
        for (const one of split.categories ?? []) category.push(one);
        const [first, second] = split.isTurned ? [right[node]!, left[node]!] : [left[node]!, right[node]!];
        stack.push(second, at, 0, first, at, 1);
      }
      at++;
    }
  }
  out.categoryStart[nodes] = category.length;
  out.leafStart[nodes] = leaf.length;
  return {
    ...ensemble,
    ...out,
    category: Float64Array.from(category),
    leafOutput: Int32Array.from(leafOutput),
    leaf: Float64Array.from(leaf),
    constants,
  };
}

function canonicalSplit(ensemble: TreeEnsemble, node: number) {
  const { precision, threshold, categoryStart, category } = ensemble;
  const comparison = ensemble.comparison[node]!;
  const isTurned = TURNED.has(comparison);
  const own = threshold[node]!;
  const cut = plainZero(CLOSED.has(comparison) ? nextUp(own, precision) : own);
  const categories = CATEGORICAL.has(comparison)
    ? [...new Set(category.subarray(categoryStart[node]!, categoryStart[node + 1]!))]
        .map(plainZero)
        .sort((a, b) => a - b)
    : null;
  const bits = ensemble.missing[node]!;
  const zeroLeft = categories === null ? 0 < cut : categories.includes(0);
  const goesLeft = (bits & MISSING_IS_ZERO) !== 0 ? zeroLeft : ((bits & MISSING_LEFT) !== 0) !== isTurned;
  return {
    isTurned,
    threshold: categories === null ? cut : 0,
    categories,
    missing: (goesLeft ? MISSING_LEFT : 0) | (bits & ZERO_IS_MISSING),
  };
}

/** The outputs that a tree adds to, as one text: trees of one class, or trees whose leaves are vectors. */
export function outputsOfTree({ root, leafStart, leafOutput, feature }: TreeEnsemble, tree: number): string {
  const end = root[tree + 1] ?? feature.length;
  return [...new Set(leafOutput.subarray(leafStart[root[tree]!]!, leafStart[end]!))].sort((a, b) => a - b).join(',');
}

/** SHA-256 of each canonical tree: its nodes in preorder, numbers as float64. */
export function treeDigests(trees: CanonicalTrees): readonly string[] {
  const { root, feature, threshold, comparison, missing, categoryStart, category, leafStart, leafOutput, leaf } = trees;
  return Array.from(root, (from, tree) => {
    const end = root[tree + 1] ?? feature.length;
    const hash = createHash('sha256');
    for (let node = from; node < end; node++) {
      const row: number[] = [comparison[node]!, missing[node]!, feature[node]!, threshold[node]!];
      for (let k = categoryStart[node]!; k < categoryStart[node + 1]!; k++) row.push(category[k]!);
      for (let k = leafStart[node]!; k < leafStart[node + 1]!; k++) row.push(leafOutput[k]!, leaf[k]!);
      const bytes = new DataView(new ArrayBuffer(8 * (row.length + 1)));
      bytes.setFloat64(0, row.length, true);
      for (const [i, value] of row.entries()) bytes.setFloat64(8 * (i + 1), value, true);
      hash.update(new Uint8Array(bytes.buffer));
    }
    return hash.digest('hex');
  });
}

/** One digest for every lossless conversion of one ensemble. */
export function treesDigest(trees: CanonicalTrees): string {
  const groups = new Map<string, string[]>();
  for (const [tree, digest] of treeDigests(trees).entries()) {
    const outputs = outputsOfTree(trees, tree);
    const group = groups.get(outputs);
    if (group === undefined) groups.set(outputs, [digest]);
    else group.push(digest);
  }
  const lines = [...groups].map(([outputs, digests]) => `${outputs}: ${digests.join(' ')}\n`).sort();
  return sha256Hex(utf8(`trees 1 ${trees.aggregate}\n${lines.join('')}`));
}
