/** Points of the unit-against-unit plots: where each unit of the suspect lies, and where the opened order puts the unit it resembles most. */
import { loadTable, matchGroup } from '../align/index.js';
import { fromHex } from '../base/index.js';
import { commonTables } from '../detect/index.js';
import { groupOrders, type ReleasePlan } from '../mark/index.js';
import type { ExpertPart } from './expert.js';
import { checkedModel } from './opened-rows.js';
import { partnerIn } from './pairing.js';
import type { UnitPoint } from './plot.js';

export interface GroupPoints {
  readonly group: string;
  readonly label: string;
  readonly size: number;
  readonly points: readonly UnitPoint[];
}

/** Of the groups whose order the opened batch draws, from the opened rows alone. */
export async function unitPoints({ expert, commitment, release }: ExpertPart): Promise<readonly GroupPoints[]> {
  const plan: ReleasePlan = commitment.plan;
  const { batch, seed, names } = expert.keys;
  const nameOf = partnerIn(names);
  const original = checkedModel(expert.original, commitment.original, plan.test, (tensor) => tensor, 'original');
  const theirs = checkedModel(expert.suspect, expert.suspect, plan.test, nameOf, 'suspect');
  const part = { ...plan.test, tensors: plan.test.tensors.filter((tensor) => theirs.tensors.has(nameOf(tensor.name))) };
  const { reference, suspect } = commonTables(await loadTable(original, part), await loadTable(theirs, part, nameOf));
  const keys = {
    release: release.release,
    original: commitment.original.root,
    beacon: release.beacon.value,
    seeds: new Map([[batch, fromHex(seed)]]),
  };
  const orders = groupOrders(plan, keys);
  const aligned = new Map(expert.alignment.steps.map((step) => [step.group, step.assignment]));
  const earlier = new Map<string, ArrayLike<number>>();
  const out: GroupPoints[] = [];
  for (const group of plan.test.groups) {
    const order = orders.get(group.id);
    if (order !== undefined && group.tested) {
      const place = new Map(Array.from(order, (unit, i) => [unit, i]));
      const match = matchGroup(plan.test, group, reference, suspect, earlier);
      const points = Array.from(match.f, (unit, i) => ({
        suspect: i,
        original: unit < 0 ? null : (place.get(unit) ?? null),
      }));
      out.push({ group: group.id, label: group.label, size: group.size, points });
    }
    const known = order ?? aligned.get(group.id);
    if (known !== undefined) earlier.set(group.id, known);
  }
  return out;
}
