/** Units that are whole tensors, such as experts stored apart: their tensors change places. */
import type { TestPlan } from './plan.js';
import type { TableTensor, WeightTable } from './table.js';

/**
 * The suspect's table with the tensors of unit i in the places of those of unit order[i], for every group of such units
 * whose order is known.
 * @param orders per group, suspect unit i is reference unit order[i]
 */
export function placeMembers(
  plan: TestPlan,
  suspect: WeightTable,
  orders: ReadonlyMap<string, ArrayLike<number>>,
): WeightTable {
  const moved = new Map<string, TableTensor>();
  for (const { id, members } of plan.groups) {
    const order = orders.get(id);
    if (members === undefined || order === undefined) continue;
    members.forEach((names, unit) => {
      const places = members[order[unit]!] ?? [];
      names.forEach((name, k) => {
        const table = suspect.tensors.get(name);
        const place = places[k];
        if (table !== undefined && place !== undefined) moved.set(place, table);
      });
    });
  }
  return moved.size === 0 ? suspect : { tensors: new Map([...suspect.tensors, ...moved]) };
}
