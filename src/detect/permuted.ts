/** Whether the suspect looks like the reference with its units in another order: a description that asks for a release, no test. */
import { type Alignment, alignTables, needsSampling, testedGroups, type WeightTable } from '../align/index.js';
import { randomPermutation, seededRandom } from '../base/index.js';
import type { Tested } from './tested.js';

export interface Permuted {
  readonly alignment: Alignment;
  /** Mean cosine of the matched units, weighted by units, −1 … 1. */
  readonly similarity: number;
}

/** Alignment of a pair is tried up to this many units a group: the assignment costs their cube. */
const MAX_ALIGNED_UNITS = 1024;
/** Mean similarity after alignment at which a permuted copy must be feared. Independent nets of one data set reach 0.3–0.6. */
const ALIKE = 0.85;
/**
 * By how much the similarity must exceed that of the same values in random order. Few units of one or two values each
 * align with anything: the best of many matches is close to 1 there.
 */
const ABOVE_CHANCE = 0.25;

/** Null where no alignment was possible, or where it finds no more than in shuffled values. */
export function permutedLike({ full, plan, ours, theirs }: Tested): Permuted | null {
  if (needsSampling(full) || plan.groups.some((group) => group.size > MAX_ALIGNED_UNITS)) return null;
  if (testedGroups(plan).length === 0) return null;
  const alignment = alignTables(plan, ours, theirs, 1);
  const similarity = meanSimilarity(alignment);
  if (similarity < ALIKE) return null;
  const chance = meanSimilarity(alignTables(plan, ours, shuffled(theirs), 1));
  return similarity - chance >= ABOVE_CHANCE ? { alignment, similarity } : null;
}

/** A group that no tensor speaks for is carried along unaligned and says nothing. */
function meanSimilarity({ groups }: Alignment): number {
  const units = groups.reduce((sum, group) => sum + group.assignment.length, 0);
  const sum = groups.reduce((total, group) => total + group.similarity * group.assignment.length, 0);
  return units === 0 ? 0 : sum / units;
}

function shuffled(table: WeightTable): WeightTable {
  return {
    tensors: new Map(
      [...table.tensors].map(([name, { shape, values }]) => {
        const order = randomPermutation(values.length, seededRandom(1, `shuffled ${name}`));
        return [name, { shape, values: Float64Array.from(order, (at) => values[at]!) }];
      }),
    ),
  };
}
