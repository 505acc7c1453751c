/** Which tensor of one model is compared with which of the other, and the plan over the pairs. */
import { type PlanAxis, type PlanTensor, planGroups, type TestPlan } from '../align/index.js';
import { elementsOf, learnedElements, type Subject } from './subject.js';

export interface Pairing {
  /** Reference name → suspect name. */
  readonly names: ReadonlyMap<string, string>;
  /** Reference names that were paired by place and shape and not by name. */
  readonly byPosition: readonly string[];
}

/** Longer lists of unpaired tensors are left unpaired: the alignment below costs their product. */
const MAX_UNPAIRED = 4000;

/**
 * Pairs tensors by name and shape; by name alone where only widths differ; what is left by shape in graph order
 * (a longest common subsequence, so that an added or removed layer shifts nothing), matrices before vectors; then once
 * more what is still left, since formats that list vectors apart from matrices keep the order of each.
 */
export function pairTensors(reference: Subject, suspect: Subject): Pairing {
  const names = new Map<string, string>();
  const taken = new Set<string>();
  for (const [name, tensor] of reference.tensors) {
    const other = suspect.tensors.get(name);
    if (other !== undefined && couldPair(tensor.shape, other.shape)) {
      names.set(name, name);
      taken.add(name);
    }
  }
  const byPosition: string[] = [];
  for (let pass = 0; pass < 2; pass++) {
    const left = [...reference.tensors].filter(([name]) => !names.has(name)).slice(0, MAX_UNPAIRED);
    const right = [...suspect.tensors].filter(([name]) => !taken.has(name)).slice(0, MAX_UNPAIRED);
    const pairs = commonSubsequence(
      left.map(([, tensor]) => shapeKey(tensor.shape, tensor.role)),
      right.map(([, tensor]) => shapeKey(tensor.shape, tensor.role)),
      left.map(([, tensor]) => (tensor.shape.length > 1 ? MATRIX : 1)),
    );
    for (const [i, j] of pairs) {
      names.set(left[i]![0], right[j]![0]);
      taken.add(right[j]![0]);
      byPosition.push(left[i]![0]);
    }
  }
  return { names, byPosition };
}

/** Worth of a matrix beside a vector: a chain of biases never outweighs the weights. 4,000 of them fit 16 bits. */
const MATRIX = 8;

const shapeKey = (shape: readonly number[], role: string): string => `${role} ${shape.join('×')}`;

/** Tensors of one name whose widths differ by more are other layers that happen to share a name. */
const MAX_WIDTH_RATIO = 8;

const couldPair = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length &&
  a.every((size, axis) => Math.max(size, b[axis]!) <= MAX_WIDTH_RATIO * Math.min(size, b[axis]!) || size === b[axis]);

/** @param worth of each place of `a`; the subsequence of the greatest sum is taken */
function commonSubsequence(a: readonly string[], b: readonly string[], worth: readonly number[]): [number, number][] {
  const width = b.length + 1;
  const length = new Uint16Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      length[i * width + j] =
        a[i] === b[j]
          ? length[(i + 1) * width + j + 1]! + worth[i]!
          : Math.max(length[(i + 1) * width + j]!, length[i * width + j + 1]!);
    }
  }
  const pairs: [number, number][] = [];
  for (let i = 0, j = 0; i < a.length && j < b.length; ) {
    if (a[i] === b[j]) pairs.push([i++, j++]);
    else if (length[(i + 1) * width + j]! >= length[i * width + j + 1]!) i++;
    else j++;
  }
  return pairs;
}

/**
 * The plan of the reference over the paired tensors. Where a hidden width differs, the first min(n, m) units of both
 * are compared (the reading of theory §2: the same units on both sides make n := m).
 * @param refuse a reason to leave a tensor out, e.g. poison
 */
export function pairedPlan(
  reference: Subject,
  suspect: Subject,
  pairing: Pairing,
  refuse: (tensor: string) => string | null,
): TestPlan {
  const plan = planGroups(reference, (name) => {
    const other = pairing.names.get(name);
    if (other === undefined) return 'no counterpart in the other model';
    const theirs = suspect.tensors.get(other)!;
    if (theirs.nature.kind === 'constant') return `a constant in the other model: ${theirs.nature.what}`;
    return refuse(name);
  });
  return cropPlan(plan, (name) => suspect.tensors.get(pairing.names.get(name)!)!.shape);
}

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
  const spoken = new Set(tensors.map((tensor) => tensor.group));
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
