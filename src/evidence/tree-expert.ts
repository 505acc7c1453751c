/** The expert part of a bundle about marked trees: every array of both models, the gaps, and one batch of the chips' seeds. */
import { evidenceError, fromHex } from '../base/index.js';
import { type EvidenceLine, jitterLine, jitterPlaces, type Multiplicity } from '../detect/index.js';
import {
  assumptionOf,
  type CommitmentFact,
  checkSeed,
  GAPS,
  gapsFrom,
  type ModelCommitment,
  planDigest,
  type ReleaseFact,
  treesFrom,
  treeTensorsIn,
} from '../mark/index.js';
import { canonicalTrees } from '../structure/index.js';
import type { Expert } from './bundle.js';
import { checkedValues, type OpenedModel } from './opened-rows.js';

/** What is opened of the original: its arrays, and all gaps, since which gap a split lies in depends on its neighbours. */
export const openedOfOriginal = ({ layout }: ModelCommitment): readonly string[] => [...treeTensorsIn(layout), GAPS];
export const openedOfSuspect = ({ layout }: ModelCommitment): readonly string[] => treeTensorsIn(layout);

type Opened = Pick<Expert, 'original' | 'suspect'> & { readonly keys: Pick<Expert['keys'], 'batch' | 'seed'> };

/**
 * The line of one batch, from what is opened alone: nothing is chosen by whoever opens it, since the pairing is a
 * function of both models and the gaps, and is made anew.
 * @throws `BUNDLE_PLAN`, `BUNDLE_ROWS`, `MARK_SEED_COMMITMENT`, `MARK_ROW_NOT_COMMITTED`, `MARK_TREE_OPENED`
 */
export function treeLines(
  { original, suspect, keys }: Opened,
  commitment: CommitmentFact,
  release: ReleaseFact,
  check: ModelCommitment,
  multiplicity: Multiplicity,
): readonly EvidenceLine[] {
  const { plan } = commitment;
  const committed = commitment.seeds[keys.batch];
  if (planDigest(plan) !== commitment.planDigest || committed === undefined) {
    throw evidenceError('BUNDLE_PLAN', 'the plan is not the one that was committed, or has no such batch', {
      expected: commitment.planDigest,
      got: `${planDigest(plan)}, batch ${keys.batch}`,
      where: commitment.release,
    });
  }
  const seed = fromHex(keys.seed);
  checkSeed(seed, committed, keys.batch);
  requireAll(openedOfOriginal(commitment.original), original, 'original');
  requireAll(openedOfSuspect(check), suspect, 'suspect');
  const ours = checkedValues(original, commitment.original, 'original');
  const theirs = checkedValues(suspect, check, 'suspect');
  const gaps = gapsFrom(ours.get(GAPS)!);
  const places = jitterPlaces(
    gaps,
    treesFrom(ours, 'reading').map(canonicalTrees),
    treesFrom(theirs, 'stored').map(canonicalTrees),
  );
  const open = {
    release: commitment.release,
    original: commitment.original.root,
    beacon: release.beacon.value,
    seeds: new Map([[keys.batch, seed]]),
  };
  return [jitterLine(plan, open, places, multiplicity, assumptionOf(release.beacon))];
}

/** All that was committed is opened, once: whoever knows the key may not leave out what speaks against him. */
function requireAll(names: readonly string[], { tensors }: OpenedModel, where: string): void {
  const shown = tensors.map(({ tensor }) => tensor);
  const missing = names.find((name) => !shown.includes(name));
  if (missing !== undefined || new Set(shown).size !== shown.length || shown.length !== names.length) {
    throw evidenceError('BUNDLE_ROWS', 'an array of the trees is not opened, or not once', {
      expected: `${names.length} arrays`,
      got: missing === undefined ? `${shown.length} arrays` : `no ${missing}`,
      where,
    });
  }
}
