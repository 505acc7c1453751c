/**
 * Tree ensembles in one layout, whatever wrote them: XGBoost, LightGBM, ONNX.
 *
 * An ensemble is kept whole and in memory, as typed arrays in `Model.trees`, and is shown as tensors too. Formats state
 * trees in lists that only a pass over all of them can check (children in range, no cycle), so there is nothing to be
 * lazy about once they are known to be trees, and what reads trees wants nodes, not ranges of a tensor. The tensors
 * (`trees.feature`, `trees.threshold`, …) are the same arrays, for whatever lists or digests the content of a model.
 *
 * Nodes are numbered in preorder from the root of the first tree to the last leaf of the last tree: the left child of
 * a split is the next node. The numbers of the file carry no meaning and are not kept; nodes that no root reaches
 * (XGBoost leaves pruned ones in place) are left out.
 */
import { inputError } from '../base/index.js';
import type { DType } from './model.js';
import { type Edit, type StoredTensor, storedTensor } from './stored-tensor.js';

/** What sends an example to the left. `trees.comparison` holds the place in this list. */
export const COMPARISONS = ['leaf', '<', '<=', '>', '>=', 'in', 'not in'] as const;
export type Comparison = (typeof COMPARISONS)[number];

/** Bits of `trees.missing`. A missing value (NaN) goes left; else right. */
export const MISSING_LEFT = 1;
/** Values of at most 1e-35 in size count as missing too (LightGBM's `zero_as_missing`). */
export const ZERO_IS_MISSING = 2;
/** NaN is read as 0 and compared (LightGBM, where training saw no missing value). */
export const MISSING_IS_ZERO = 4;

export interface TreeEnsemble {
  /** Prefix of its tensors' names: '' where the file is one ensemble, the node's name in ONNX. */
  readonly name: string;
  /** In which thresholds and leaf values are stored, and inputs compared. */
  readonly precision: 'F32' | 'F64';
  /** Inputs: as the format states, else the largest used and one. */
  readonly features: number;
  readonly featureNames: readonly string[] | null;
  /** Classes or targets, as the leaves name them. */
  readonly outputs: number;
  readonly aggregate: 'sum' | 'average' | 'min' | 'max';
  /** The objective or the function applied to the sums, in the format's own words. */
  readonly objective: string;
  /** Added to each output's sum; one for all where it has one element, none where it is empty. */
  readonly base: Float64Array;
  /** What `base` is: added as it stands, or on the scale of predictions (XGBoost: a probability for `binary:logistic`). */
  readonly baseIs: 'margin' | 'response';
  /** [trees]: its first node. */
  readonly root: Int32Array;
  /** [trees]: leaf values count so many times (XGBoost's dart; 1 elsewhere). */
  readonly weight: Float64Array;
  /** [nodes]: the input compared, −1 for a leaf. */
  readonly feature: Int32Array;
  /** [nodes]: 0 for leaves and categorical splits. */
  readonly threshold: Float64Array;
  /** [nodes]: places in `COMPARISONS`. */
  readonly comparison: Uint8Array;
  /** [nodes]: bits, 0 for a leaf. */
  readonly missing: Uint8Array;
  /** [nodes]: nodes, −1 for a leaf. */
  readonly left: Int32Array;
  readonly right: Int32Array;
  /** [nodes + 1]: the categories of node i are `category[categoryStart[i]]` to before `category[categoryStart[i + 1]]`. */
  readonly categoryStart: Int32Array;
  readonly category: Float64Array;
  /** [nodes + 1]: the values of leaf i likewise; most have one, vector leaves one for each output. */
  readonly leafStart: Int32Array;
  /** The class or target that the value is added to. */
  readonly leafOutput: Int32Array;
  readonly leaf: Float64Array;
}

/** Gives the bytes by which the file states other thresholds; see `write-trees.ts`. */
export type ThresholdEdits = (thresholds: Float64Array) => Promise<readonly Edit[]>;

/** The arrays as tensors, in the order of the type. @param edits absent: nothing of it can be written */
export function tensorsOfTrees(ensemble: TreeEnsemble, edits?: ThresholdEdits): readonly StoredTensor[] {
  const prefix = ensemble.name === '' ? 'trees' : `${ensemble.name}/trees`;
  const { precision } = ensemble;
  const arrays: readonly (readonly [string, DType, Float64Array | Int32Array | Uint8Array])[] = [
    ['base', precision, ensemble.base],
    ['root', 'I32', ensemble.root],
    ['weight', precision, ensemble.weight],
    ['feature', 'I32', ensemble.feature],
    ['threshold', precision, ensemble.threshold],
    ['comparison', 'U8', ensemble.comparison],
    ['missing', 'U8', ensemble.missing],
    ['left', 'I32', ensemble.left],
    ['right', 'I32', ensemble.right],
    ['category.start', 'I32', ensemble.categoryStart],
    ['category', precision, ensemble.category],
    ['leaf.start', 'I32', ensemble.leafStart],
    ['leaf.output', 'I32', ensemble.leafOutput],
    ['leaf', precision, ensemble.leaf],
  ];
  return arrays.map(([name, dtype, values]) =>
    storedTensor('TREES', `${prefix}.${name}`, dtype, [values.length], {
      kind: 'values',
      read: async (start, end) => Float64Array.from(values.subarray(start, end)),
      ...(name === 'threshold' && edits !== undefined ? { edits } : {}),
    }),
  );
}

/** Names of the tensors that show a model's ensembles: no weights of layers. */
export const treeTensorNames = ({ trees = [] }: { readonly trees?: readonly TreeEnsemble[] }): ReadonlySet<string> =>
  new Set(trees.flatMap((ensemble) => tensorsOfTrees(ensemble)).map(({ name }) => name));

/** @throws `TREES_EMPTY` where no tree of the model splits and none gives a value */
export function checkTrees(ensemble: TreeEnsemble, where: string): TreeEnsemble {
  if (ensemble.root.length === 0 || ensemble.leaf.length === 0) {
    throw inputError('TREES_EMPTY', 'the ensemble has no tree with a leaf', {
      where,
      todo: 'the model was never trained; name the file that holds the trained one',
    });
  }
  return ensemble;
}
