/** The order line: hits over all planned groups and the bound on their chance (docs/theory.md §2, §3, §6). */
import {
  countHits,
  type GroupMatch,
  matchUnits,
  type TestPlan,
  testedGroups,
  type WeightTable,
} from '../align/index.js';
import { bonferroni, cappedByEntropy, log10HitsTail, log10PooledHits } from '../stats/index.js';
import type { EvidenceLine, LineKind } from './types.js';

/** Conditional order lines at or below this are `related`; exact ones at −6 (theory §11). */
export const CONDITIONAL_LEVEL = -9;
export const EXACT_LEVEL = -6;

/** Beside the line over all groups, that of the groups which a base does not have is a second look at one pair: each pays for both. */
export const LOOKS_WITH_BASE = 2;
export const speaksBeyondBase = (beyond: OrderStatistic | null): beyond is OrderStatistic =>
  beyond !== null && bonferroni(beyond.log10p, LOOKS_WITH_BASE) <= CONDITIONAL_LEVEL;

export interface GroupHits {
  readonly group: string;
  readonly label: string;
  readonly units: number;
  readonly eligible: number;
  readonly hits: number;
}

export interface OrderStatistic {
  /** T: hits over all tested groups. */
  readonly hits: number;
  readonly n: number;
  readonly groups: readonly GroupHits[];
  /** Pooled tail over all tested groups, those without a hit included; uncorrected. */
  readonly log10p: number;
}

/**
 * @param sigma per group the order of the suspect's units (suspect unit i is reference unit σ(i)); without it both are
 *   taken to stand in the same order
 */
export function orderStatistic(
  plan: TestPlan,
  reference: WeightTable,
  suspect: WeightTable,
  sigma?: ReadonlyMap<string, ArrayLike<number>>,
): OrderStatistic {
  return poolHits(plan, matchUnits(plan, reference, suspect, sigma), sigma);
}

export function poolHits(
  plan: TestPlan,
  matches: readonly GroupMatch[],
  sigma?: ReadonlyMap<string, ArrayLike<number>>,
): OrderStatistic {
  const groups = testedGroups(plan).map((group): GroupHits => {
    const match = matches.find((candidate) => candidate.group === group.id)!;
    const hits = countHits(match, sigma?.get(group.id));
    return { group: group.id, label: group.label, units: group.size, eligible: match.eligible, hits };
  });
  const hits = groups.reduce((sum, group) => sum + group.hits, 0);
  const n = groups.reduce((sum, group) => sum + group.eligible, 0);
  return { hits, n, groups, log10p: log10PooledHits(hits, groups.length) };
}

/** Groups in which the hits alone say something: 1/k! ≤ 1e-3. A description of where, never a further p-value. */
export const hitGroups = (order: OrderStatistic): ReadonlySet<string> =>
  new Set(order.groups.filter((group) => log10HitsTail(group.hits) <= -3).map((group) => group.group));

const ASSUMPTIONS: Readonly<Record<LineKind, string>> = {
  conditional:
    'The two models were initialised independently of each other, and training treats the units of a group alike. A shared start, base, framework seed or constant breaks this.',
  exact: 'The permutation was drawn after it was committed to, from a seed of 256 bits and a later public value.',
  calibrated: 'The controls named.',
};

const NULLS: Readonly<Record<LineKind, string>> = {
  conditional: 'The second model does not depend on the first: the order of its hidden units is independent of it.',
  exact: 'The suspect does not depend on the secret order of the hidden units of this release.',
  calibrated: 'The suspect is one more control.',
};

/** What no order test can see. */
export const ORDER_BLIND: readonly string[] = [
  're-permuted hidden units',
  'rotated or merged units',
  'models extracted through their answers',
];

/**
 * The line as it is printed.
 * @param looks how many tests share the error: releases × rules × recipients × the cost of the look (theory §11)
 */
export function orderLine(order: OrderStatistic, kind: LineKind, looks = 1): EvidenceLine {
  const bound = kind === 'exact' ? cappedByEntropy(order.log10p) : order.log10p;
  return {
    test: 'order',
    null: NULLS[kind],
    assumption: ASSUMPTIONS[kind],
    statistic: order.hits,
    n: order.n,
    log10p: bonferroni(bound, looks),
    kind,
    blindTo: ORDER_BLIND,
    detail: {
      groups: order.groups,
      uncorrected: order.log10p,
      looks,
      bound: 'P(T ≥ k) ≤ G!·G^(k−G)/k! over G unit groups (docs/theory.md §3)',
    },
  };
}
