/** What a release of trees commits to: the gaps, with the unmarked original; and how its thresholds are drawn in them. */
import { inputError } from '../base/index.js';
import type { Model } from '../formats/index.js';
import type { CommittableTensor } from './commitment.js';
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

/** Name under which the gaps are committed, one a row: no tensor of a file is named so. */
export const GAPS = 'trees\u0000gaps';
const GAP_WIDTH = 5;

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

/** The gaps as rows of the commitment: one can be opened without the others, and no value of the table is told. */
export const gapRows = (gaps: readonly Gap[]): CommittableTensor => ({
  name: GAPS,
  shape: [gaps.length, GAP_WIDTH],
  rows: async (start, end) =>
    Float64Array.from(
      gaps
        .slice(start, end)
        .flatMap(({ ensemble, feature, low, high, threshold }) => [ensemble, feature, low, high, threshold]),
    ),
});

/** Every array of every ensemble, each as one row: what a model with trees is committed to by. */
export const committableTrees = ({ trees = [], tensors }: Model): readonly CommittableTensor[] =>
  trees.flatMap(({ name }) =>
    [
      'base',
      'root',
      'weight',
      'feature',
      'threshold',
      'comparison',
      'missing',
      'left',
      'right',
      'category.start',
      'category',
      'leaf.start',
      'leaf.output',
      'leaf',
    ].map((part): CommittableTensor => {
      const tensor = tensors.get(`${name === '' ? '' : `${name}/`}trees.${part}`)!;
      return { name: tensor.name, shape: [1, tensor.elements], rows: () => tensor.read(0, tensor.elements) };
    }),
  );
