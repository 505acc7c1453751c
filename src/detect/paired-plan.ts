/** The plan over the tensors that two models have in common. */
import {
  type Correspondence,
  type PlanAxis,
  type PlanGroup,
  type PlanTensor,
  planGroups,
  sampleSilent,
  spokenGroups,
  type TestPlan,
} from '../align/index.js';
import { elementsOf, learnedElements, type Subject } from './subject.js';

/**
 * The plan of the reference over the paired tensors. Where a hidden width differs, the first min(n, m) units of both
 * are compared (the reading of theory §2: the same units on both sides make n := m).
 * @param refuse a reason to leave a tensor out, e.g. poison
 */
export function pairedPlan(
  reference: Subject,
  suspect: Subject,
  pairing: Correspondence,
  refuse: (tensor: string) => string | null,
): TestPlan {
  const plan = planGroups(reference, (name) => {
    const other = pairing.names.get(name);
    if (other === undefined) return 'no counterpart in the other model';
    const theirs = suspect.tensors.get(other)!;
    if (theirs.nature.kind === 'constant') return `a constant in the other model: ${theirs.nature.what}`;
    return refuse(name);
  });
  const groups = plan.groups.map((group) => withoutPlaced(group, suspect, pairing));
  return cropPlan({ ...plan, groups }, (name) => suspect.tensors.get(pairing.names.get(name)!)!.shape);
}

/**
 * Where units are whole tensors (experts) and their values told which is which, the pairing has put them in place
 * already; the order of the router's rows then moves nothing else.
 */
function withoutPlaced({ members, ...group }: PlanGroup, suspect: Subject, pairing: Correspondence): PlanGroup {
  if (members === undefined) return group;
  const unitOf = new Map(
    suspect.groups.flatMap((one) =>
      (one.members ?? []).flatMap((names, unit) => names.map((name) => [name, unit] as const)),
    ),
  );
  const inPlace = members.every((names, unit) =>
    names.every((name) => {
      const other = pairing.names.get(name);
      return other === undefined || (unitOf.get(other) ?? unit) === unit;
    }),
  );
  return inPlace ? { ...group, members } : group;
}

/**
 * The plan, and beside it, speaking for no group, every other learned tensor that both have in one shape: outputs, norms,
 * embeddings. They count for no chance; they are compared value by value, so that what is shared of them is said.
 * @param seed 32 bytes; of a large tensor some rows and columns are read
 */
export function withSilent(
  plan: TestPlan,
  reference: Subject,
  suspect: Subject,
  pairing: Correspondence,
  seed: Uint8Array,
): TestPlan {
  const planned = new Set(plan.tensors.map(({ name }) => name));
  const silent = [...reference.tensors.values()].flatMap(({ name, shape, nature }): PlanTensor[] => {
    const other = suspect.tensors.get(pairing.names.get(name) ?? '');
    const isShared = other?.nature.kind === 'learned' && other.shape.join() === shape.join();
    if (planned.has(name) || nature.kind !== 'learned' || !isShared) return [];
    const whole: PlanTensor = { name, shape, axes: [], group: null, select: null, full: shape };
    return [elementsOf(shape) <= MAX_SILENT ? whole : sampleSilent(whole, seed)];
  });
  return { ...plan, tensors: [...plan.tensors, ...silent] };
}

/** Larger tensors that speak for no group are sampled. */
const MAX_SILENT = 2 ** 16;

/** Cuts every group to the units that both models have; a tensor that differs anywhere else is left out. */
export function cropPlan(plan: TestPlan, otherShape: (tensor: string) => readonly number[]): TestPlan {
  const leftOut = [...plan.leftOut];
  const size = new Map(plan.groups.map((group) => [group.id, group.size]));
  const comparable = plan.tensors.filter((tensor) => {
    const reason = mismatch(tensor, otherShape(tensor.name));
    if (reason !== null) leftOut.push({ tensor: tensor.name, reason });
    return reason === null;
  });
  const cut = new Set<string>();
  for (const tensor of comparable) {
    const other = otherShape(tensor.name);
    for (const { axis, group } of tensor.axes) {
      if (other[axis] === tensor.shape[axis]) continue;
      cut.add(group);
      size.set(group, Math.min(size.get(group)!, other[axis]!));
    }
  }
  if (cut.size === 0 && comparable.length === plan.tensors.length) return plan;
  const tensors = comparable.flatMap((tensor): PlanTensor[] => {
    const axes = tensor.axes.filter((axis) => cut.has(axis.group));
    if (axes.some((axis) => !fills(axis, tensor.shape, plan.groups))) {
      leftOut.push({
        tensor: tensor.name,
        reason: 'widths differ along an axis that holds more than one run of units',
      });
      return [];
    }
    const select = tensor.shape.map((_, axis): readonly number[] | null => {
      const own = axes.find((along) => along.axis === axis);
      return own === undefined ? null : Array.from({ length: size.get(own.group)! }, (_, unit) => unit);
    });
    if (axes.length === 0) return [tensor];
    if (tensor.use === 'invariant') {
      leftOut.push({ tensor: tensor.name, reason: 'widths differ, so sorted rows cannot be compared' });
      return [];
    }
    const shape = tensor.shape.map((length, axis) => select[axis]?.length ?? length);
    return [{ ...tensor, shape, select }];
  });
  const spoken = spokenGroups(tensors);
  const used = new Set(tensors.flatMap((tensor) => tensor.axes.map((axis) => axis.group)));
  const groups = plan.groups
    .filter((group) => used.has(group.id))
    .map((group) => {
      const units = size.get(group.id)!;
      return { ...group, size: units, tested: group.tested && units > 1 && spoken.has(group.id) };
    });
  return { version: 1, groups, tensors, leftOut };
}

/** One run of the group's units is all that lies along the axis. */
function fills({ axis, group, segments }: PlanAxis, shape: readonly number[], groups: TestPlan['groups']): boolean {
  const [only, ...more] = segments;
  const size = groups.find(({ id }) => id === group)!.size;
  return more.length === 0 && only!.unitStride === 1 && only!.repeat === 1 && size === shape[axis];
}

function mismatch(tensor: PlanTensor, other: readonly number[]): string | null {
  if (other.length !== tensor.shape.length) return 'another number of axes in the other model';
  const fixed = tensor.shape.findIndex(
    (size, axis) => size !== other[axis] && !tensor.axes.some((along) => along.axis === axis),
  );
  return fixed < 0
    ? null
    : `axis ${fixed} has ${tensor.shape[fixed]} places here and ${other[fixed]} there, and is no unit group`;
}

/** Share of the larger model's learned parameters that the plan's tensors, and others paired, hold. */
export function sharePaired(reference: Subject, suspect: Subject, names: Iterable<string>): number {
  const total = Math.max(learnedElements(reference), learnedElements(suspect));
  let sum = 0;
  for (const name of names) {
    const tensor = reference.tensors.get(name);
    if (tensor?.nature.kind === 'learned') sum += elementsOf(tensor.shape);
  }
  return total === 0 ? 0 : Math.min(1, sum / total);
}
