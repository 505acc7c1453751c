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
  const normalised = normalisedGroups(model);
  const tensors: PlanTensor[] = [];
  for (const [name, tensor] of model.tensors) {
    const axes = axesOf(model.groups, name);
    const reason = refusal(tensor, axes, normalised, keep(name));
    if (reason !== null) {
      leftOut.push({ tensor: name, reason });
      continue;
    }
    const ids = axes.map((axis) => axis.group);
    const twice = new Set(ids).size < ids.length;
    const later = ids.reduce((best, id) => (order.get(id)! > order.get(best)! ? id : best), ids[0]!);
    tensors.push({
      name,
      shape: tensor.shape,
      axes,
      group: later,
      ...(twice ? { use: 'invariant' as const } : {}),
      select: null,
      full: tensor.shape,
    });
  }
  silenceInvariants(tensors, leftOut);
  const spoken = new Set(tensors.map((tensor) => tensor.group));
  const used = new Set(tensors.flatMap((tensor) => tensor.axes.map((axis) => axis.group)));
  const groups = model.groups
    .filter((group) => used.has(group.id))
    .map(({ id, size, vouched, scaling, label }) => ({
      id,
      size,
      vouched,
      scaling,
      label,
      tested: size > 1 && spoken.has(id),
    }));
  return { version: 1, groups, tensors, leftOut };
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

function axesOf(groups: readonly UnitGroup[], tensor: string): PlanAxis[] {
  const axes: PlanAxis[] = [];
  for (const group of groups) {
    for (const side of ['in', 'out'] as const) {
      const segments = (side === 'in' ? group.incoming : group.outgoing).filter((segment) => segment.tensor === tensor);
      for (const axis of new Set(segments.map((segment) => segment.axis))) {
        axes.push({ axis, group: group.id, side, segments: segments.filter((segment) => segment.axis === axis) });
      }
    }
  }
  return axes;
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
