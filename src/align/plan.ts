/**
 * The test plan: which unit groups are tested, in which order, and which tensor speaks for which group.
 * Plain JSON, made from one model's structure alone, so that it can be committed before a suspect is seen
 * (docs/theory.md §1, §3).
 */
import type { Segment, TensorNature, UnitGroup, Vouched } from '../structure/index.js';

/** What planning needs of a canonical model; `structure`'s CanonicalModel is one. */
export interface Plannable {
  readonly tensors: ReadonlyMap<string, PlannableTensor>;
  readonly groups: readonly UnitGroup[];
}

export interface PlannableTensor {
  readonly shape: readonly number[];
  readonly role: 'weight' | 'bias' | 'norm' | 'recurrent' | 'other';
  readonly nature: TensorNature;
}

/** One axis of a tensor along which a group's units lie. `in`: values that make the unit; `out`: values that use it. */
export interface PlanAxis {
  readonly axis: number;
  readonly group: string;
  readonly side: 'in' | 'out';
  readonly segments: readonly Segment[];
}

export interface PlanTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly axes: readonly PlanAxis[];
  /** The later of its groups: the only one it speaks for in the order test (docs/theory.md §3). Null: none. */
  readonly group: string | null;
  /** Groups in the other units of the same outer group (dimensions of the other heads): it speaks for them where they lie. */
  readonly beside?: readonly string[];
  /**
   * Outer groups that nothing else speaks for: it describes their units by sums over what moves within them, which no
   * inner order changes (docs/theory.md §4).
   */
  readonly pooled?: readonly string[];
  /** `invariant`: one group lies on two axes, so only what no permutation changes may speak (sorted rows; §2). */
  readonly use?: 'invariant';
  /** Positions to read along each axis of the stored tensor, where the plan was sampled; null reads all. */
  readonly select: readonly (readonly number[] | null)[] | null;
  /** Shape before sampling. */
  readonly full: readonly number[];
}

export interface PlanGroup {
  readonly id: string;
  readonly size: number;
  readonly vouched: Vouched;
  readonly scaling: UnitGroup['scaling'];
  readonly label: string;
  /** False where no tensor speaks for it: its order is carried along for the others, never counted. */
  readonly tested: boolean;
  /** As in `UnitGroup`. */
  readonly within?: { readonly group: string; readonly unit: number };
  readonly members?: readonly (readonly string[])[];
}

export interface TestPlan {
  readonly version: 1;
  /** In the order in which they are tested. */
  readonly groups: readonly PlanGroup[];
  readonly tensors: readonly PlanTensor[];
  readonly leftOut: readonly { readonly tensor: string; readonly reason: string }[];
}

/**
 * Plans the order test, and the alignment, of everything learned that lies on a unit group.
 *
 * A tensor speaks only for the later of its groups; constants speak for none. A tensor with one group on two
 * axes would align with itself through its diagonal (docs/theory.md §2): at most its permutation invariants speak.
 * @param keep further names to leave out give false, e.g. poisoned tensors
 */
export function planGroups(model: Plannable, keep: (tensor: string) => string | null = () => null): TestPlan {
  const leftOut: { tensor: string; reason: string }[] = [];
  const order = new Map(model.groups.map((group, index) => [group.id, index]));
  const byId = new Map(model.groups.map((group) => [group.id, group]));
  const carriers = new Map(
    model.groups.flatMap(({ id, members = [] }) => members.flat().map((tensor) => [tensor, id] as const)),
  );
  const normalised = normalisedGroups(model);
  const axesByTensor = axesOf(model.groups);
  const tensors: PlanTensor[] = [];
  for (const [name, tensor] of model.tensors) {
    const axes = axesByTensor.get(name) ?? [];
    const ids = axes.map((axis) => axis.group);
    const later = ids.reduce((best, id) => (order.get(id)! > order.get(best)! ? id : best), ids[0]!);
    const carrier = carriers.get(name);
    const reason =
      refusal(tensor, axes, normalised, keep(name)) ??
      (carrier !== undefined && order.get(carrier)! > order.get(later)!
        ? 'moves with units whose order is asked later'
        : null);
    if (reason !== null) {
      leftOut.push({ tensor: name, reason });
      continue;
    }
    const twice = new Set(ids).size < ids.length;
    const beside = twice ? [] : siblings(ids, later, byId);
    tensors.push({
      name,
      shape: tensor.shape,
      axes,
      group: later,
      ...(beside.length === 0 ? {} : { beside }),
      ...(twice ? { use: 'invariant' as const } : {}),
      select: null,
      full: tensor.shape,
    });
  }
  silenceInvariants(tensors, leftOut);
  const spokenFor = withPools(tensors, byId);
  const spoken = spokenGroups(spokenFor);
  const used = new Set(tensors.flatMap((tensor) => tensor.axes.map((axis) => axis.group)));
  const groups = model.groups
    .filter((group) => used.has(group.id))
    .map(({ id, size, vouched, scaling, label, within, members }) => ({
      id,
      size,
      vouched,
      scaling,
      label,
      tested: size > 1 && spoken.has(id),
      ...(within === undefined ? {} : { within }),
      ...(members === undefined ? {} : { members }),
    }));
  return { version: 1, groups, tensors: spokenFor, leftOut };
}

/** True where the tensor's own values speak for the group in the order test. */
export const speaksFor = ({ group, beside }: PlanTensor, id: string): boolean =>
  group === id || beside?.includes(id) === true;

/** Ids of all groups that some tensor speaks for. */
export const spokenGroups = (tensors: readonly PlanTensor[]): ReadonlySet<string | null> =>
  new Set(tensors.flatMap(({ group, beside = [], pooled = [] }) => [group, ...beside, ...pooled]));

/** In each other unit of the same outer group the last group that lies on the tensor. */
function siblings(ids: readonly string[], later: string, groups: ReadonlyMap<string, UnitGroup>): readonly string[] {
  const outer = groups.get(later)?.within;
  if (outer === undefined) return [];
  const lastOf = new Map<number, string>();
  for (const id of ids) {
    const within = groups.get(id)!.within;
    if (within?.group === outer.group && within.unit !== outer.unit) lastOf.set(within.unit, id);
  }
  return [...lastOf.values()];
}

/** Outer groups that no values speak for are described by sums over what moves within them. */
function withPools(tensors: readonly PlanTensor[], groups: ReadonlyMap<string, UnitGroup>): readonly PlanTensor[] {
  const direct = spokenGroups(tensors.filter((tensor) => tensor.use !== 'invariant'));
  const outer = new Set([...groups.values()].flatMap(({ within }) => within?.group ?? []));
  return tensors.map((tensor) => {
    const pooled = tensor.axes
      .filter(({ group, axis }) => {
        const isOuter = outer.has(group) && !direct.has(group) && tensor.use !== 'invariant';
        return (
          isOuter && tensor.axes.some((one) => one.axis === axis && groups.get(one.group)!.within?.group === group)
        );
      })
      .map(({ group }) => group);
    return pooled.length === 0 ? tensor : { ...tensor, pooled };
  });
}

/** The groups that count in the pooled tail: G of docs/theory.md §3. */
export const testedGroups = (plan: TestPlan): readonly PlanGroup[] => plan.groups.filter((group) => group.tested);

/**
 * Invariants say less than values: they speak where their group has nothing else, and only where no other group lies on
 * the tensor (whose order they would need).
 */
function silenceInvariants(tensors: PlanTensor[], leftOut: { tensor: string; reason: string }[]): void {
  const direct = new Set(tensors.filter((tensor) => tensor.use !== 'invariant').map((tensor) => tensor.group));
  tensors.forEach((tensor, k) => {
    if (tensor.use !== 'invariant') return;
    const single = new Set(tensor.axes.map((axis) => axis.group)).size === 1;
    if (!direct.has(tensor.group) && single) return;
    leftOut.push({ tensor: tensor.name, reason: 'one unit group on both axes: it would align with itself' });
    tensors[k] = { ...tensor, group: null };
  });
}

/** Per tensor, in the order of the groups: what an outer group carries comes before what moves within it. */
function axesOf(groups: readonly UnitGroup[]): ReadonlyMap<string, PlanAxis[]> {
  const found = new Map<string, PlanAxis[]>();
  for (const group of groups) {
    for (const side of ['in', 'out'] as const) {
      const places = new Map<string, Segment[]>();
      for (const segment of side === 'in' ? group.incoming : group.outgoing) {
        const key = JSON.stringify([segment.tensor, segment.axis]);
        places.set(key, [...(places.get(key) ?? []), segment]);
      }
      for (const segments of places.values()) {
        const { tensor, axis } = segments[0]!;
        const axes = found.get(tensor) ?? [];
        found.set(tensor, axes);
        axes.push({ axis, group: group.id, side, segments });
      }
    }
  }
  return found;
}

/** Where a normalisation follows, a bias only makes sense after folding; the weights' rows carry the units there. */
function normalisedGroups(model: Plannable): ReadonlySet<string> {
  return new Set(
    model.groups
      .filter((group) => group.incoming.some((segment) => model.tensors.get(segment.tensor)?.role === 'norm'))
      .map((group) => group.id),
  );
}

function refusal(
  tensor: PlannableTensor,
  axes: readonly PlanAxis[],
  normalised: ReadonlySet<string>,
  reason: string | null,
): string | null {
  if (reason !== null) return reason;
  if (tensor.nature.kind === 'constant') return `a constant: ${tensor.nature.what}`;
  if (tensor.role === 'norm') return 'normalisation: it follows the weights beside it';
  if (axes.length === 0) return 'no axis with exchangeable units';
  if (tensor.role === 'bias' && axes.some((axis) => normalised.has(axis.group))) {
    return 'a bias before a normalisation';
  }
  return null;
}
