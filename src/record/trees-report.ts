/** What an inspection tells of a tree ensemble. */
import type { TreeEnsemble } from '../formats/index.js';
import { canonicalTrees, treesDigest } from '../structure/index.js';

export interface TreesReport {
  /** '' where the file is one ensemble, the node's name in ONNX. */
  readonly name: string;
  readonly precision: TreeEnsemble['precision'];
  readonly objective: string;
  readonly aggregate: TreeEnsemble['aggregate'];
  readonly outputs: number;
  readonly base: readonly number[];
  readonly trees: number;
  /** Splits on the longest way from a root to a leaf, and the mean over trees of each tree's longest. */
  readonly depth: { readonly most: number; readonly mean: number };
  readonly splits: number;
  readonly categoricalSplits: number;
  readonly leaves: number;
  /** Numbers that training set: thresholds, categories and leaf values. */
  readonly parameters: number;
  readonly features: number;
  /** Inputs that some split asks for, the most asked first. */
  readonly used: readonly { readonly feature: number; readonly name: string | null; readonly splits: number }[];
  /** SHA-256 of the canonical form: equal for every lossless conversion. */
  readonly sha256: string;
}

export function treesReport(ensemble: TreeEnsemble): TreesReport {
  const { feature, left, right, root, category, leaf, featureNames } = ensemble;
  const asked = new Map<number, number>();
  let splits = 0;
  for (const one of feature) {
    if (one === -1) continue;
    splits++;
    asked.set(one, (asked.get(one) ?? 0) + 1);
  }
  // Preorder: a parent stands before its children.
  const depth = new Int32Array(feature.length);
  const deepest = Array.from(root, (from, tree) => {
    let most = 0;
    for (let node = from; node < (root[tree + 1] ?? feature.length); node++) {
      most = Math.max(most, depth[node]!);
      if (left[node] === -1) continue;
      depth[left[node]!] = depth[node]! + 1;
      depth[right[node]!] = depth[node]! + 1;
    }
    return most;
  });
  const categoricalSplits = feature.reduce(
    (sum, _, node) => sum + (ensemble.categoryStart[node + 1]! > ensemble.categoryStart[node]! ? 1 : 0),
    0,
  );
  return {
    name: ensemble.name,
    precision: ensemble.precision,
    objective: ensemble.objective,
    aggregate: ensemble.aggregate,
    outputs: ensemble.outputs,
    base: [...ensemble.base],
    trees: root.length,
    depth: {
      most: deepest.reduce((most, one) => Math.max(most, one), 0),
      mean: deepest.reduce((sum, one) => sum + one, 0) / deepest.length,
    },
    splits,
    categoricalSplits,
    leaves: feature.length - splits,
    parameters: splits - categoricalSplits + category.length + leaf.length,
    features: ensemble.features,
    used: [...asked]
      .sort(([a, x], [b, y]) => y - x || a - b)
      .map(([index, n]) => ({ feature: index, name: featureNames?.[index] ?? null, splits: n })),
    sha256: treesDigest(canonicalTrees(ensemble)),
  };
}
