/** Unit groups out of a walked graph. */
import { axisSize, partsOf, type UnitClass } from './labels.js';
import type { Segment, UnitGroup } from './types.js';
import type { Walked } from './walk.js';

/** @param nameOf stored name → canonical name */
export function groupsOf(walked: Walked, nameOf: (stored: string) => string): readonly UnitGroup[] {
  const found = new Map<UnitClass, { incoming: Segment[]; outgoing: Segment[]; label: string; fits: boolean }>();
  for (const use of walked.uses.values()) {
    const axes = walked.axes.get(use.tensor.name)!;
    axes.forEach((axis, stored) => {
      let start = 0;
      for (const { units, inner } of partsOf(axis)) {
        const at = use.perm.indexOf(stored);
        if (units.pinned === null && units.size > 1 && axisSize(axis) > 1) {
          const group = found.get(units) ?? { incoming: [], outgoing: [], label: use.node, fits: true };
          found.set(units, group);
          // The canonical form leaves out an axis that carries units: they cannot be named there.
          if (at < 0) group.fits = false;
          const segment = {
            tensor: nameOf(use.tensor.name),
            axis: at,
            start,
            unitStride: inner,
            repeat: inner,
            repeatStride: 1,
          };
          const consumes = at === 1 && (use.role === 'weight' || use.role === 'recurrent');
          (consumes ? group.outgoing : group.incoming).push(segment);
        }
        start += units.size * inner;
      }
    });
  }
  return [...found]
    .filter(([, group]) => group.fits && group.incoming.length > 0 && group.outgoing.length > 0)
    .map(([units, { incoming, outgoing, label }], index) => ({
      id: `g${index}`,
      size: units.size,
      vouched: 'graph',
      incoming,
      outgoing,
      scaling: units.scaling,
      label,
    }));
}
