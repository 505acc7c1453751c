/**
 * Key-free alignment of a suspect to the reference: which unit of the suspect is which unit of the reference, at which
 * scale and sign. It sees two weight tables and the plan; no key, no release (docs/theory.md §7, §12).
 *
 * The groups are matched one after the other in plan order, first by what earlier groups leave known, then in a fixed
 * number of further passes by all their tensors. Each step is one linear assignment whose dual potentials prove it
 * optimal, so whoever checks recomputes the cost and needs no trust in who searched.
 */
import { evidenceError, randomPermutation, seededRandom } from '../base/index.js';
import { type Assignment, assign, isOptimal } from '../compute/index.js';
import { groupParts, innerGroups, scores, speakers, type UnitPart } from './match.js';
import { placeMembers } from './members.js';
import type { PlanAxis, PlanGroup, PlanTensor, TestPlan } from './plan.js';
import type { TableTensor, WeightTable } from './table.js';
import { carryUnits } from './units.js';

/** Passes over the groups: the second and third mend what a narrow first layer left ambiguous; a fourth changed nothing measured. */
export const PASSES = 3;

/**
 * Spread of log scale (1.4826 · median absolute deviation) below which a group counts as not rescaled: drift alone
 * makes estimates scatter by a few per cent, and undoing that would add noise to every tensor beside.
 */
const RESCALE_FLOOR = 0.1;

/** A unit's scale is trusted within this factor of the group's median; beyond it the match is wrong, not the scale. */
const MOST_SCALE = 8;

export interface AlignmentStep {
  readonly pass: number;
  readonly group: string;
  /** Suspect unit → reference unit. */
  readonly assignment: Int32Array;
  readonly u: Float64Array;
  readonly v: Float64Array;
}

export interface AlignedGroup {
  readonly id: string;
  /** Suspect unit → reference unit. */
  readonly assignment: Int32Array;
  /** Per suspect unit, how much larger its incoming values are than the reference's; 1 where not rescaled. */
  readonly scale: Float64Array;
  /** Per suspect unit ±1. */
  readonly sign: Int8Array;
  /** Mean score of the matched pairs, −1 … 1: a description, no p-value. */
  readonly similarity: number;
}

export interface Alignment {
  readonly steps: readonly AlignmentStep[];
  readonly groups: readonly AlignedGroup[];
  /** The suspect in the reference's order, scale and sign. */
  readonly aligned: WeightTable;
}

type Solve = (cost: Float64Array, units: number, step: { pass: number; group: string }) => Omit<Assignment, 'cost'>;

/**
 * Aligns a suspect to the reference. The solver sees both sides in random order, so that ties fall by chance and not
 * by index.
 * @param seed of that random order
 */
export function alignTables(plan: TestPlan, reference: WeightTable, suspect: WeightTable, seed: number): Alignment {
  return walk(plan, reference, suspect, (cost, units, { pass, group }) => {
    const random = seededRandom(seed, `align ${pass} ${group}`);
    const rows = randomPermutation(units, random);
    const columns = randomPermutation(units, random);
    const shuffled = new Float64Array(cost.length);
    for (let i = 0; i < units; i++) {
      for (let j = 0; j < units; j++) shuffled[i * units + j] = cost[rows[i]! * units + columns[j]!]!;
    }
    const found = assign(shuffled, units, units);
    const assignment = new Int32Array(units);
    const u = new Float64Array(units);
    const v = new Float64Array(units);
    for (let i = 0; i < units; i++) {
      assignment[rows[i]!] = columns[found.assignment[i]!]!;
      u[rows[i]!] = found.u[i]!;
      v[columns[i]!] = found.v[i]!;
    }
    return { assignment, u, v };
  });
}

/**
 * Recomputes an alignment from its steps: every step's cost afresh, its optimality from the duals.
 * @throws `ALIGNMENT_STEPS` where steps are missing or too many, `ALIGNMENT_NOT_OPTIMAL`
 */
export function checkAlignment(
  plan: TestPlan,
  reference: WeightTable,
  suspect: WeightTable,
  steps: readonly AlignmentStep[],
): Alignment {
  let next = 0;
  const alignment = walk(plan, reference, suspect, (cost, units, { pass, group }) => {
    const step = steps[next++];
    if (step === undefined || step.pass !== pass || step.group !== group) {
      throw evidenceError('ALIGNMENT_STEPS', 'the steps of an alignment do not follow the plan', {
        expected: `pass ${pass}, group ${group}`,
        got: step === undefined ? 'no step' : `pass ${step.pass}, group ${step.group}`,
      });
    }
    if (!isOptimal(cost, units, units, step)) {
      throw evidenceError('ALIGNMENT_NOT_OPTIMAL', 'an assignment is not the optimum of its key-free cost', {
        where: `pass ${pass}, group ${group}`,
      });
    }
    return step;
  });
  if (next !== steps.length) {
    throw evidenceError('ALIGNMENT_STEPS', 'an alignment has more steps than the plan', {
      expected: String(next),
      got: String(steps.length),
    });
  }
  return alignment;
}

interface State {
  assignment: Int32Array;
  scale: Float64Array;
  sign: Int8Array;
  similarity: number;
}

function walk(plan: TestPlan, reference: WeightTable, suspect: WeightTable, solve: Solve): Alignment {
  const state = new Map<string, State>();
  const steps: AlignmentStep[] = [];
  let placed = suspect;
  for (let pass = 0; pass < PASSES; pass++) {
    for (const group of plan.groups) {
      const tensors =
        pass === 0
          ? speakers(plan, group)
          : plan.tensors.filter((tensor) => tensor.axes.some((axis) => axis.group === group.id));
      const how = pass === 0 ? 'sorted' : 'as values';
      const inner = innerGroups(plan, group);
      const ours = groupParts(tensors, group, inner, reference, (_, table) => table.values, how);
      const theirs = groupParts(
        tensors,
        group,
        inner,
        placed,
        (tensor, table, along) => undo(tensor, table, state, along, inner),
        how,
      );
      const similarity = scores(theirs, ours, group.size);
      const { assignment, u, v } = solve(costs(similarity, group), group.size, { pass, group: group.id });
      state.set(group.id, settle(group, similarity, assignment, theirs, ours));
      steps.push({ pass, group: group.id, assignment: Int32Array.from(assignment), u, v });
      if (group.members !== undefined) placed = placeMembers(plan, suspect, new Map(orders(state)));
    }
  }
  const aligned = new Map<string, TableTensor>();
  for (const tensor of plan.tensors) {
    const table = placed.tensors.get(tensor.name);
    if (table === undefined) continue;
    aligned.set(tensor.name, { shape: table.shape, values: undo(tensor, table, state, null, []) });
  }
  const groups = plan.groups.map((group) => ({ id: group.id, ...state.get(group.id)! }));
  return { steps, groups, aligned: { tensors: aligned } };
}

const orders = (state: ReadonlyMap<string, State>): readonly (readonly [string, Int32Array])[] =>
  [...state].map(([id, { assignment }]) => [id, assignment] as const);

/** 1 − score; the sign is free where the activation is odd. A unit without any value costs the same everywhere. */
function costs(similarity: Float64Array, group: PlanGroup): Float64Array {
  return similarity.map((value) => {
    if (Number.isNaN(value)) return 1;
    return 1 - (group.scaling === 'any' ? Math.abs(value) : value);
  });
}

/**
 * The suspect's tensor with the units along every axis but `except`, as far as settled, put in the reference's order,
 * scale and sign; what moves within the units of `except` stays with them.
 */
function undo(
  tensor: PlanTensor,
  table: TableTensor,
  state: ReadonlyMap<string, State>,
  except: PlanAxis | null,
  inner: readonly PlanGroup[],
): Float64Array {
  let values = table.values;
  for (const along of tensor.axes) {
    const { axis, group, side, segments } = along;
    const stays = along === except || inner.some(({ id }) => id === group);
    const known = stays ? undefined : state.get(group);
    if (known === undefined) continue;
    const factor = known.scale.map((scale, unit) => known.sign[unit]! * (side === 'in' ? 1 / scale : scale));
    values = carryUnits(values, tensor.shape, axis, segments, known.assignment, factor);
  }
  return values;
}

function settle(
  group: PlanGroup,
  similarity: Float64Array,
  assignment: Int32Array,
  theirs: readonly UnitPart[],
  ours: readonly UnitPart[],
): State {
  const units = group.size;
  const sign = new Int8Array(units).fill(1);
  let sum = 0;
  for (let i = 0; i < units; i++) {
    const value = similarity[i * units + assignment[i]!]!;
    if (group.scaling === 'any' && value < 0) sign[i] = -1;
    sum += Number.isNaN(value) ? 0 : Math.abs(value);
  }
  const scale = group.scaling === 'none' ? new Float64Array(units).fill(1) : scales(assignment, theirs, ours, units);
  return { assignment: Int32Array.from(assignment), scale, sign, similarity: sum / units };
}

/**
 * Each unit's scale: incoming values tell t, outgoing ones 1/t, both by regression on the reference
 * (⟨suspect, reference⟩/⟨reference, reference⟩, which noise does not bias); logs averaged by width.
 */
function scales(
  assignment: Int32Array,
  theirs: readonly UnitPart[],
  ours: readonly UnitPart[],
  units: number,
): Float64Array {
  const logs = new Float64Array(units);
  for (let i = 0; i < units; i++) {
    let weight = 0;
    for (let p = 0; p < theirs.length; p++) {
      if (theirs[p]!.side === 'invariant') continue;
      const width = theirs[p]!.width;
      const ratio = regression(theirs[p]!, i, ours[p]!, assignment[i]!);
      if (!(ratio > 0 && ratio < Number.POSITIVE_INFINITY)) continue;
      logs[i] = logs[i]! + width * Math.log(ratio) * (theirs[p]!.side === 'in' ? 1 : -1);
      weight += width;
    }
    logs[i] = weight === 0 ? Number.NaN : logs[i]! / weight;
  }
  const middle = median(Array.from(logs).filter((value) => !Number.isNaN(value)));
  const spread =
    1.4826 * median(Array.from(logs, (value) => Math.abs(value - middle)).filter((value) => !Number.isNaN(value)));
  if (!(spread > RESCALE_FLOOR)) return new Float64Array(units).fill(1);
  const most = Math.log(MOST_SCALE);
  return logs.map((value) => Math.exp(Number.isNaN(value) || Math.abs(value - middle) > most ? middle : value));
}

function regression(a: UnitPart, i: number, b: UnitPart, j: number): number {
  let cross = 0;
  let square = 0;
  for (let k = 0; k < a.width; k++) {
    const r = b.values[j * b.width + k]!;
    cross += a.values[i * a.width + k]! * r;
    square += r * r;
  }
  return Math.abs(cross) / square;
}

function median(values: readonly number[]): number {
  if (values.length === 0) return 0;
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[half]! : (sorted[half - 1]! + sorted[half]!) / 2;
}
