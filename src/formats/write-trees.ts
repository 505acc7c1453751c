/** New thresholds of a tree ensemble, as what its file has to say in their place. The rest of the file stays as it is. */
import { inputError } from '../base/index.js';
import type { TreeEnsemble } from './trees.js';
import type { NodePlaces } from './trees-builder.js';

export interface PlacedTrees {
  readonly ensemble: TreeEnsemble;
  readonly places: NodePlaces;
}

/** By the call of the builder that brought the node (a tree, or all trees), and by the file's own number of the node. */
export type ChangedThresholds = ReadonlyMap<number, ReadonlyMap<number, number>>;

/**
 * Only thresholds that differ: what stays is written as it was, character for character.
 * @param thresholds [nodes]
 * @throws `WRITE_SIZE`; `WRITE_THRESHOLD` for a leaf, a set of categories, and numbers that the format cannot hold
 */
export function changedThresholds({ ensemble, places }: PlacedTrees, thresholds: Float64Array): ChangedThresholds {
  const { threshold, feature, comparison, precision } = ensemble;
  if (thresholds.length !== threshold.length) {
    throw inputError('WRITE_SIZE', 'the new thresholds are not as many as the nodes', {
      expected: String(threshold.length),
      got: String(thresholds.length),
      where: ensemble.name,
    });
  }
  const changed = new Map<number, Map<number, number>>();
  for (const [node, value] of thresholds.entries()) {
    if (Object.is(value, threshold[node])) continue;
    const isNumeric = feature[node] !== -1 && comparison[node]! <= LAST_NUMERIC;
    if (!isNumeric || !Number.isFinite(value) || (precision === 'F32' && Math.fround(value) !== value)) {
      throw inputError('WRITE_THRESHOLD', 'this node cannot hold the new threshold', {
        expected: isNumeric ? `a finite number in ${precision}` : 'a split that compares with a number',
        got: String(value),
        where: `${ensemble.name} node ${node}`,
      });
    }
    const tree = places.added[node]!;
    const own = changed.get(tree) ?? new Map<number, number>();
    own.set(places.index[node]!, value);
    changed.set(tree, own);
  }
  return changed;
}

/** Place of `>=` in `COMPARISONS`: behind it come sets. */
const LAST_NUMERIC = 4;

/** The file is not as it was when it was opened, or lists its numbers in a form that is not written. */
export function refuseWriting(where: string, got: string): never {
  throw inputError('WRITE_NOT_WRITABLE', 'the thresholds do not stand where they were read', {
    got,
    where,
    todo: 'the file was changed meanwhile, or another tool than the trainer wrote it; save the model again',
  });
}
