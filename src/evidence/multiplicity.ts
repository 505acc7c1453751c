/** The correction that an expert bundle's lines carry (docs/theory.md §8, §11). */
import type { Multiplicity } from '../detect/index.js';
import { lookCost } from '../stats/index.js';

/** Order and mark. */
export const RULES = 2;

/** As for the check itself, times the batches among which the opened one was chosen. */
export const expertMultiplicity = (
  check: { readonly chances: number; readonly look: number },
  batches: number,
): Multiplicity => {
  const chances = Math.max(1, check.chances);
  return {
    factor: chances * RULES * lookCost(check.look) * batches,
    how: `${chances} releases that could have fired × ${RULES} rules × ${check.look}·${check.look + 1} for look ${check.look} of the room × ${batches} batches that could have been opened`,
  };
};
