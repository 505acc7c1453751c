/** What a release of trees commits to: the gaps, with the unmarked original; and how its thresholds are drawn in them. */
import { inputError } from '../base/index.js';
import type { Model } from '../formats/index.js';
import { DEFAULT_BATCHES, MAX_BATCHES, type PlanOptions, type ReleasePlan } from './plan.js';
import { type TrainingData, trainingValues } from './tree-data.js';
import { type Gap, gapsOf, isNumericSplit } from './tree-gaps.js';
import { readingOf } from './tree-reading.js';

/** Standard deviation of a threshold's place in its gap, in halves of the gap: measured in docs/design/tree-mark.md. */
export const TREE_STRENGTH = 0.6;
export const MAX_TREE_STRENGTH = 1;

export interface TreePlan {
  /** In halves of a gap. */
  readonly strength: number;
  /** Rows of `GAPS` in the original's commitment, which has them by digest: they hold values of the training data. */
  readonly gaps: number;
  /** The table in whose gaps the thresholds lie. */
  readonly data: { readonly sha256: string; readonly rows: number };
}

export interface PlannedTrees {
  readonly plan: ReleasePlan;
  readonly gaps: readonly Gap[];
}

/**
 * @param model whose `trees` are there
 * @throws `MARK_STRENGTH`, `MARK_BATCHES`, `MARK_TREE_NOTHING`, `MARK_TREE_PREPARED`, and what `trainingValues` throws
 */
export async function planTrees(
  model: Model,
  options: PlanOptions & { readonly data?: TrainingData | null },
): Promise<PlannedTrees> {
  const strength = options.strength ?? TREE_STRENGTH;
  const batches = options.batches ?? DEFAULT_BATCHES;
  requireWithin('MARK_STRENGTH', 'the strength of the mark', strength > 0 && strength <= MAX_TREE_STRENGTH, {
    expected: `above 0, at most ${MAX_TREE_STRENGTH} halves of a gap`,
    got: String(strength),
  });
  requireWithin(
    'MARK_BATCHES',
    'the number of batches',
    Number.isInteger(batches) && batches >= 1 && batches <= MAX_BATCHES,
    {
      expected: `1 to ${MAX_BATCHES}`,
      got: String(batches),
    },
  );
  const values = await trainingValues(model.trees ?? [], options.data);
  const trees = readingOf(model);
  const gaps = gapsOf(trees, values);
  if (gaps.length === 0) {
    throw inputError('MARK_TREE_NOTHING', 'no threshold of these trees lies in a gap of this table', {
      expected: 'splits by number between values of the training data',
      got: `${trees.reduce((sum, one) => sum + one.feature.filter((_, node) => isNumericSplit(one, node)).length, 0)} splits by number`,
      where: options.data?.path ?? '',
      todo: 'give the table that the model was trained on',
    });
  }
  const { sha256, rows } = values;
  return {
    gaps,
    plan: {
      version: 1,
      // Of weights: none is marked.
      strength: 0,
      batches,
      groups: [],
      marked: [],
      test: { version: 1, groups: [], tensors: [], leftOut: [] },
      trees: { strength, gaps: gaps.length, data: { sha256, rows } },
    },
  };
}

function requireWithin(code: string, what: string, holds: boolean, facts: { expected: string; got: string }): void {
  if (!holds) throw inputError(code, `${what} is out of range`, facts);
}
