/** Unit groups out of a walked graph. */
import { axisSize, type Part, partsOf, type UnitClass } from './labels.js';
import type { Segment, UnitGroup } from './types.js';
import type { Walked } from './walk.js';

interface Found {
  readonly incoming: Segment[];
  readonly outgoing: Segment[];
  readonly label: string;
  fits: boolean;
}

/** @param nameOf stored name → canonical name */
export function groupsOf(walked: Walked, nameOf: (stored: string) => string): readonly UnitGroup[] {
  return [...classesOf(walked, nameOf)]
    .filter(([, found]) => flawOf(found) === null)
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

/** Why a tensor lies in no group: what pins each of its canonical axes, by stored name. */
export function pinsOf(walked: Walked): ReadonlyMap<string, string> {
  const classes = classesOf(walked, (stored) => stored);
  return new Map(
    [...walked.uses.values()].map(({ tensor, perm }) => [
      tensor.name,
      perm
        .flatMap((stored, axis) => {
          const reasons = partsOf(walked.axes.get(tensor.name)![stored]!).flatMap(({ units }) => {
            const found = classes.get(units);
            return units.pinned ?? (found === undefined ? [] : (flawOf(found) ?? []));
          });
          return reasons.length === 0 ? [] : `axis ${axis}: ${[...new Set(reasons)].slice(0, MAX_REASONS).join(', ')}`;
        })
        .join('; '),
    ]),
  );
}

/** Of an axis cut into many parts the first few say enough. */
const MAX_REASONS = 3;

const flawOf = ({ incoming, outgoing, fits }: Found): string | null =>
  !fits
    ? 'units on an axis that the canonical form leaves out'
    : incoming.length === 0
      ? 'nothing stored makes these units'
      : outgoing.length === 0
        ? 'no stored weight takes these units in'
        : null;

/** Gates are told one by one: an LSTM's two biases together have eight. */
const MAX_TOLD = 8;

/** The same units many times over, as behind flattened positions, are one stretch: `times` from one to the next. */
function runsOf(parts: readonly Part[]): readonly (Part & { readonly times: number })[] {
  const out: (Part & { readonly times: number })[] = [];
  for (let at = 0; at < parts.length; ) {
    const { units, inner } = parts[at]!;
    let times = 1;
    while (inner === 1 && parts[at + times]?.units === units && parts[at + times]!.inner === 1) times++;
    if (times > MAX_TOLD) out.push({ units, inner, times });
    else for (let k = 0; k < times; k++) out.push({ units, inner, times: 1 });
    at += times;
  }
  return out;
}

function classesOf(walked: Walked, nameOf: (stored: string) => string): ReadonlyMap<UnitClass, Found> {
  const found = new Map<UnitClass, Found>();
  for (const use of walked.uses.values()) {
    const axes = walked.axes.get(use.tensor.name)!;
    axes.forEach((axis, stored) => {
      let start = 0;
      for (const { units, inner, times } of runsOf(partsOf(axis))) {
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
            ...(times > 1 ? { repeat: times, repeatStride: units.size } : { repeat: inner, repeatStride: 1 }),
          };
          const consumes = at === 1 && (use.role === 'weight' || use.role === 'recurrent');
          (consumes ? group.outgoing : group.incoming).push(segment);
        }
        start += units.size * inner * times;
      }
    });
  }
  return found;
}
