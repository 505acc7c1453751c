/** Innocent reasons for agreement: a named base, a popular seed (docs/theory.md §6, §11). */
import { correspond, spokenGroups, type TestPlan } from '../align/index.js';
import { CONDITIONAL_LEVEL, type OrderStatistic, orderStatistic } from './order.js';
import type { SeedMatch } from './seeds.js';
import type { Subject } from './subject.js';
import { type Tested, testOrder } from './tested.js';

export type Explanation =
  | ({ readonly kind: 'seed' } & SeedMatch)
  | {
      readonly kind: 'base';
      readonly base: string;
      /** Order test of reference and of suspect against the base, uncorrected. */
      readonly log10p: readonly [reference: number, suspect: number];
      /** Over the unit groups that the base does not have; null where it has all. */
      readonly beyond: OrderStatistic | null;
    };

/**
 * The base explains the agreement where both models depend on it. Subtracting it would restore no null (the residuals
 * still hit), so nothing is subtracted: only unit groups that the base does not have at all can still speak.
 */
export async function baseExplains(tested: Tested, base: Subject): Promise<Explanation | null> {
  const ours = await testOrder(base, tested.reference);
  const theirs = await testOrder(base, tested.suspect);
  const log10p = [ours.order.log10p, theirs.order.log10p] as const;
  if (log10p[0] > CONDITIONAL_LEVEL || log10p[1] > CONDITIONAL_LEVEL) return null;
  const inBase = new Set<string>();
  for (const [name, other] of (await correspond(tested.reference, base)).names) {
    if (tested.reference.tensors.get(name)!.shape.join() === base.tensors.get(other)!.shape.join()) inBase.add(name);
  }
  const rest = beyondTensors(tested.plan, inBase);
  const beyond = rest.groups.some((group) => group.tested) ? orderStatistic(rest, tested.ours, tested.theirs) : null;
  return { kind: 'base', base: base.name, log10p, beyond };
}

/** The plan with some tensors silent: groups for which no other tensor speaks are not tested. */
export function withoutTensors(plan: TestPlan, names: ReadonlySet<string>): TestPlan {
  const tensors = plan.tensors.map((tensor) =>
    names.has(tensor.name) ? { ...tensor, group: null, beside: [], pooled: [] } : tensor,
  );
  const spoken = spokenGroups(tensors);
  return {
    ...plan,
    tensors,
    groups: plan.groups.map((group) => ({ ...group, tested: group.tested && spoken.has(group.id) })),
  };
}

/** The plan in which only groups wholly outside the set are tested. */
function beyondTensors(plan: TestPlan, names: ReadonlySet<string>): TestPlan {
  const known = spokenGroups(plan.tensors.filter((tensor) => names.has(tensor.name)));
  return { ...plan, groups: plan.groups.map((group) => ({ ...group, tested: group.tested && !known.has(group.id) })) };
}
