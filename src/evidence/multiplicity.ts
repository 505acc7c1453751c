/** The correction that an expert bundle's lines carry (docs/theory.md §8, §11). */
import { evidenceError } from '../base/index.js';
import type { Multiplicity } from '../detect/index.js';
import type { CommitmentFact, ReleaseFact } from '../mark/index.js';
import { lookCost } from '../stats/index.js';
import type { CheckFact } from './check-fact.js';

/** Order and mark. */
export const RULES = 2;

/**
 * As for the check itself, times the batches among which the opened one was chosen, and the pairings of tensors.
 * @param log10Pairings `pairingChoices`
 */
export const expertMultiplicity = (
  check: { readonly chances: number; readonly look: number },
  batches: number,
  log10Pairings = 0,
): Multiplicity => {
  const chances = Math.max(1, check.chances);
  const pairings =
    log10Pairings === 0
      ? ''
      : ` × 10^${log10Pairings.toFixed(2)} ways to pair tensors whose names differ (paid before the key's entropy caps)`;
  return {
    factor: chances * RULES * lookCost(check.look) * batches,
    how: `${chances} releases that could have fired × ${RULES} rules × ${check.look}·${check.look + 1} for look ${check.look} of the room × ${batches} batches that could have been opened${pairings}`,
    ...(log10Pairings === 0 ? {} : { log10Pairings }),
  };
};

/**
 * That the correction counts this release: it was made before the check, whose count of releases it is in, and it has
 * as many seeds as the plan has batches. An owner who knows the suspect could else draw releases, or batches, until one
 * fires, and pay for none of them.
 * @throws `BUNDLE_UNCOUNTED`
 */
export function requireCounted(check: CheckFact, commitment: CommitmentFact, release: ReleaseFact): void {
  const uncounted = (what: string, expected: string, got: string): never => {
    throw evidenceError('BUNDLE_UNCOUNTED', what, {
      expected,
      got,
      where: release.release,
      todo: 'check the suspect again, then prove that check: its correction counts every release made before it',
    });
  };
  const last = Math.max(commitment.statement.index, release.statement.index);
  if (last >= check.statement.index) {
    uncounted(
      'the release was made after the check, whose correction does not count it',
      `an entry before ${check.statement.index}`,
      `entry ${last}`,
    );
  }
  if (commitment.seeds.length !== commitment.plan.batches) {
    uncounted(
      'more or fewer seeds were committed than the plan has batches',
      `${commitment.plan.batches} seeds`,
      `${commitment.seeds.length}`,
    );
  }
}
