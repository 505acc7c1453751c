/** Makes a release again from the original, the opened seeds and the beacon: on any machine, bit for bit. */
import { evidenceError, noProgress, type Progress } from '../base/index.js';
import { writeModel } from '../formats/index.js';
import type { CanonicalModel } from '../structure/index.js';
import { committable, releasedValues } from './canonical.js';
import { commitModel } from './commitment.js';
import { checkSeed } from './keys.js';
import { planDigest } from './plan.js';
import { checkPlanFits } from './plan-fit.js';
import type { CommitmentFact, ReleaseFact } from './statements.js';
import { gapRows } from './tree-commit.js';
import type { Gap } from './tree-gaps.js';
import { releasedThresholds } from './tree-mark.js';

export interface Opened {
  /** Of every batch, in order. */
  readonly seeds: readonly Uint8Array[];
  readonly originalSalt: Uint8Array;
  /** Of a release of trees. */
  readonly gaps?: readonly Gap[];
}

/**
 * That the plan is the committed one and every batch is opened by the seed that was committed to.
 * @throws `MARK_PLAN_COMMITMENT`, `MARK_SEEDS_MISSING`, `MARK_SEED_COMMITMENT`
 */
export function checkOpened(
  { plan, planDigest: committed, release, seeds }: CommitmentFact,
  opened: readonly Uint8Array[],
): void {
  if (planDigest(plan) !== committed) {
    throw evidenceError('MARK_PLAN_COMMITMENT', 'the plan is not the one that was committed', {
      expected: committed,
      got: planDigest(plan),
      where: release,
      todo: 'ask the owner for the plan of the commitment statement',
    });
  }
  if (opened.length !== seeds.length || plan.batches !== seeds.length) {
    throw evidenceError('MARK_SEEDS_MISSING', 'not every batch of the release is opened, so it cannot be made again', {
      expected: `${seeds.length} seeds`,
      got: `${opened.length} for ${plan.batches} batches`,
      where: release,
      todo: 'ask the owner to open all of them: muniment prove RELEASE --expert --all-batches',
    });
  }
  opened.forEach((seed, batch) => {
    checkSeed(seed, seeds[batch]!, batch);
  });
}

/**
 * Checks that original, seeds and plan are the committed ones, and writes the release anew.
 * @param original the unmarked original, laid out as `commitment.structure` says
 * @throws what `checkOpened` and `checkPlanFits` throw, and `MARK_ORIGINAL_COMMITMENT`
 */
export async function reproduceRelease(
  original: CanonicalModel,
  commitment: CommitmentFact,
  beacon: Pick<ReleaseFact['beacon'], 'value'>,
  opened: Opened,
  out: string,
  progress: (label: string) => Progress = () => noProgress,
): Promise<void> {
  const { plan, release } = commitment;
  checkOpened(commitment, opened.seeds);
  checkPlanFits(plan, original);
  const reading = progress('reading the original');
  const { gaps = [] } = opened;
  const committed = [...(await committable(original)), ...(plan.trees === undefined ? [] : [gapRows(gaps)])];
  const { root } = await commitModel(committed, opened.originalSalt, (done, total) => reading.update(done, total));
  if (root !== commitment.original.root) {
    throw evidenceError('MARK_ORIGINAL_COMMITMENT', 'the original is not the one that was committed', {
      expected: commitment.original.root,
      got: root,
      where: release,
      todo: 'give the unmarked original that the release was made from',
    });
  }
  const keys = {
    release,
    original: root,
    beacon: beacon.value,
    seeds: new Map(opened.seeds.map((seed, batch) => [batch, seed])),
  };
  const values =
    plan.trees === undefined
      ? releasedValues(original, plan, keys)
      : releasedThresholds(original.model, gaps, plan, keys);
  await writeModel(original.model, values, out, progress('making the release again'));
}
