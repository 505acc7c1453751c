/** Recomputes a release from the original, the opened seeds and the beacon: on any machine, bit for bit. */
import { evidenceError } from '../base/index.js';
import { writeModel } from '../formats/index.js';
import type { CanonicalModel } from '../structure/index.js';
import { committable, releasedValues } from './canonical.js';
import { commitModel } from './commitment.js';
import { checkSeed } from './keys.js';
import { planDigest } from './plan.js';
import type { CommitmentFact, ReleaseFact } from './statements.js';

export interface Opened {
  readonly seeds: readonly Uint8Array[];
  readonly originalSalt: Uint8Array;
}

/**
 * Checks that original, seeds and plan are the committed ones, and writes the release anew.
 * @param original the unmarked original, laid out as `commitment.structure` says
 * @throws `MARK_SEED_COMMITMENT`, `MARK_PLAN_COMMITMENT`, `MARK_ORIGINAL_COMMITMENT`
 */
export async function reproduceRelease(
  original: CanonicalModel,
  commitment: CommitmentFact,
  beacon: Pick<ReleaseFact['beacon'], 'value'>,
  opened: Opened,
  out: string,
): Promise<void> {
  const { plan, release, seeds } = commitment;
  if (planDigest(plan) !== commitment.planDigest || opened.seeds.length !== seeds.length) {
    throw evidenceError('MARK_PLAN_COMMITMENT', 'the plan, or the number of seeds, is not what was committed', {
      expected: commitment.planDigest,
      got: planDigest(plan),
      where: release,
    });
  }
  opened.seeds.forEach((seed, batch) => {
    checkSeed(seed, seeds[batch]!, batch);
  });
  const { root } = await commitModel(await committable(original), opened.originalSalt);
  if (root !== commitment.original.root) {
    throw evidenceError('MARK_ORIGINAL_COMMITMENT', 'the original is not the one that was committed', {
      expected: commitment.original.root,
      got: root,
      where: release,
    });
  }
  const keys = {
    release,
    original: root,
    beacon: beacon.value,
    seeds: new Map(opened.seeds.map((seed, batch) => [batch, seed])),
  };
  await writeModel(original.model, releasedValues(original, plan, keys), out);
}
