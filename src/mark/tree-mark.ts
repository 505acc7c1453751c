/** Where in its gap each threshold of a release lies: the middle, and from there by the chip of the gap, never to the edge. */
import { evidenceError } from '../base/index.js';
import { type Model, openModel, type TreeEnsemble } from '../formats/index.js';
import { type CanonicalModel, nextUp } from '../structure/index.js';
import { committable } from './canonical.js';
import { commitModel } from './commitment.js';
import { type OpenedKeys, rowChips } from './keys.js';
import { batchRows, type ReleasePlan } from './plan.js';
import type { CommitmentFact } from './statements.js';
import { GAPS, gapRows } from './tree-commit.js';
import { boundsOf, cutOf, type Gap, gapFinder, isNumericSplit } from './tree-gaps.js';
import { readingOf } from './tree-reading.js';

/** Share of the half gap beyond which no threshold goes: at the very edge it would tell a value of the training data. */
const EDGE = 0.95;

/** Chips of the gaps whose batch is open, in their order, NaN for the others. Gap g is of batch g mod B. */
export function gapChips({ batches }: Pick<ReleasePlan, 'batches'>, gaps: number, keys: OpenedKeys): Float64Array {
  const out = new Float64Array(gaps).fill(Number.NaN);
  for (let batch = 0; batch < batches; batch++) {
    const own = batchRows(gaps, batch, batches);
    const chips = rowChips(keys, batch, GAPS, 0, own.length);
    if (chips !== null) for (const [k, gap] of own.entries()) out[gap] = chips[k]!;
  }
  return out;
}

const nextDown = (value: number): number => -nextUp(-value, 'F32');

/**
 * The threshold of a gap for one chip: a float32 strictly between `low` and `high`, so that no comparison and no
 * conversion to float32 moves a training row to the other side.
 */
export function thresholdIn(gap: Pick<Gap, 'low' | 'high'>, chip: number, strength: number): number {
  const { low, high } = boundsOf(gap);
  const half = (high - low) / 2;
  const wanted = Math.fround(low + half + Math.max(-EDGE, Math.min(EDGE, strength * chip)) * half);
  const [above, below] = [Math.fround(low), Math.fround(high)];
  const least = above > low ? above : nextUp(above, 'F32');
  const most = below < high ? below : nextDown(below);
  return Math.max(least, Math.min(most, wanted));
}

/** New thresholds of every ensemble, under the names of their tensors: what `writeModel` takes. */
export function releasedThresholds(
  model: Model,
  gaps: readonly Gap[],
  plan: ReleasePlan,
  keys: OpenedKeys,
): ReadonlyMap<string, Float64Array> {
  const chips = gapChips(plan, gaps.length, keys);
  const thresholds = Float64Array.from(gaps, (gap, row) => thresholdIn(gap, chips[row]!, plan.trees!.strength));
  const find = gapFinder(gaps);
  return new Map(
    readingOf(model).map((ensemble, index) => [
      `${ensemble.name === '' ? '' : `${ensemble.name}/`}trees.threshold`,
      ensemble.threshold.map((own, node) => {
        const row = isNumericSplit(ensemble, node)
          ? find(index, ensemble.feature[node]!, cutOf(ensemble, node), ensemble.precision)
          : -1;
        return row === -1 ? own : thresholds[row]!;
      }),
    ]),
  );
}

/**
 * That the copy sends every training row the way the original does: each split as it was, or moved inside its gap.
 * @throws `MARK_TREE_MOVED`
 */
export function checkUnmoved(
  original: readonly TreeEnsemble[],
  copy: readonly TreeEnsemble[],
  gaps: readonly Gap[],
): void {
  const find = gapFinder(gaps);
  const fail = (where: string, got: string): never => {
    throw evidenceError('MARK_TREE_MOVED', 'a split of the copy is not where a release may move it', {
      expected: 'the original’s split, moved at most inside its gap',
      got,
      where,
      todo: 'this is a fault of Muniment or of this machine; please report it',
    });
  };
  if (copy.length !== original.length) fail('the copy', `${copy.length} ensembles`);
  for (const [index, ours] of original.entries()) {
    const theirs = copy[index]!;
    if (theirs.feature.length !== ours.feature.length) fail(ours.name, `${theirs.feature.length} nodes`);
    for (let node = 0; node < ours.feature.length; node++) {
      const place = `${ours.name} node ${node}`;
      if (theirs.feature[node] !== ours.feature[node] || theirs.comparison[node] !== ours.comparison[node])
        fail(place, 'another split');
      if (!isNumericSplit(ours, node) || theirs.threshold[node] === ours.threshold[node]) continue;
      const [before, after] = [cutOf(ours, node), cutOf(theirs, node)];
      const row = find(index, ours.feature[node]!, before, ours.precision);
      if (row === -1 || row !== find(index, ours.feature[node]!, after, ours.precision))
        fail(place, `${before} moved to ${after}`);
    }
  }
}

/** The same, of a copy that was written: as it is read back. */
export async function checkCopyUnmoved(original: Model, copy: string, gaps: readonly Gap[]): Promise<void> {
  const model = await openModel(copy);
  try {
    checkUnmoved(readingOf(original), readingOf(model), gaps);
  } finally {
    await model.close();
  }
}

/**
 * That gaps are those that were committed with the original, before any key was known: whoever chose them afterwards
 * could choose them to fit.
 * @throws `MARK_TREE_GAPS`
 */
export async function checkGaps(
  canonical: CanonicalModel,
  { original, release }: CommitmentFact,
  gaps: readonly Gap[],
  salt: Uint8Array,
): Promise<void> {
  const { root } = await commitModel([...(await committable(canonical)), gapRows(gaps)], salt);
  if (root === original.root) return;
  throw evidenceError(
    'MARK_TREE_GAPS',
    'the gaps, or the original, are not those that the release was committed with',
    {
      expected: original.root,
      got: root,
      where: release,
      todo: 'restore the vault from a copy of the room; nothing can be said by other gaps',
    },
  );
}
