/**
 * The release plan: what will be permuted, marked and tested, in which batches. Plain JSON made from the original's
 * structure alone; it is committed, with the original and the seeds, before anything is drawn (docs/theory.md §1).
 */

import { type PlanTensor, planGroups, type TestPlan } from '../align/index.js';
import { canonicalBytes, evidenceError, inputError, type Json, sha256Hex } from '../base/index.js';
import type { CanonicalModel, CanonicalTensor, Segment, UnitGroup } from '../structure/index.js';
import { messageBits, WEIGHTS_PER_BIT } from './message.js';
import type { TreePlan } from './tree-plan.js';

/** Strength in standard deviations of each tensor: outputs of an 8-64-64-2 net move by 3 % (rms), and z still grows with √N at int8 and int4. */
export const DEFAULT_STRENGTH = 0.05;
export const MAX_STRENGTH = 0.5;
/** Two batches: one can be opened in court while the other still serves. */
export const DEFAULT_BATCHES = 2;
export const MAX_BATCHES = 64;
/**
 * Above this many weights only so many are tested, tensors in graph order, and of these a keyed quarter of the rows is
 * marked, so that deriving and reading stay affordable.
 */
export const FULL_MARK_WEIGHTS = 2 ** 24;
const SUBSET_SHARE = 0.25;
/** Tensors of a large model are tested only where their units can be aligned: the assignment costs the cube of a group. */
const MAX_GROUP_OF_LARGE = 1024;

export interface MovedGroup {
  readonly id: string;
  readonly size: number;
  /** Whose seed draws its order. */
  readonly batch: number;
  /** Every place that moves; biases and normalisations too. */
  readonly segments: readonly Segment[];
}

export interface MarkedTensor {
  readonly tensor: string;
  readonly rows: number;
  readonly width: number;
  /** Rows marked in each batch: all of that batch's, or a keyed subset of this many. */
  readonly perBatch: number;
  /** Where it is not the plan's: what this tensor bears, measured before the plan was committed (`spreadStrength`). */
  readonly strength?: number;
}

export interface ReleasePlan {
  readonly version: 1;
  readonly strength: number;
  readonly batches: number;
  readonly groups: readonly MovedGroup[];
  readonly marked: readonly MarkedTensor[];
  readonly test: TestPlan;
  /** Of a model of decision trees: its thresholds are moved, and nothing else of it. */
  readonly trees?: TreePlan;
  /** Hexadecimal, whole bytes: what the signs of the chips say, see `messageBits`. */
  readonly message?: string;
}

/** Row r belongs to batch r mod B: disjoint, and known to all. */
export const rowBatch = (row: number, batches: number): number => row % batches;

export const batchRows = (rows: number, batch: number, batches: number): readonly number[] =>
  Array.from({ length: Math.max(0, Math.ceil((rows - batch) / batches)) }, (_, k) => batch + k * batches);

/**
 * Refuses a plan in which a group or a marked tensor stands twice: its hits, or its chips, would count twice, and no
 * bound of docs/theory.md §2, §3, §7 would hold. The owner makes the plan, so whoever tests or verifies checks it.
 * @throws `MARK_PLAN_REPEATS`
 */
export function checkPlan({ groups, marked, test }: ReleasePlan): void {
  const lists = {
    'moved groups': groups.map((group) => group.id),
    'tested groups': test.groups.map((group) => group.id),
    'planned tensors': test.tensors.map((tensor) => tensor.name),
    'marked tensors': marked.map((one) => one.tensor),
  };
  for (const [where, names] of Object.entries(lists)) {
    const twice = names.find((name, index) => names.indexOf(name) !== index);
    if (twice !== undefined) {
      throw evidenceError('MARK_PLAN_REPEATS', 'a test plan names the same thing twice, so it would count twice', {
        got: twice,
        where,
      });
    }
  }
}

/** In standard deviations of the tensor. */
export const strengthOf = (plan: ReleasePlan, marked: MarkedTensor): number => marked.strength ?? plan.strength;

export const planDigest = (plan: ReleasePlan): string => sha256Hex(canonicalBytes(plan as unknown as Json));

export interface PlanOptions {
  /** 0 draws an order only: the copy then answers as the original does. */
  readonly strength?: number;
  /** Strength of single tensors, by canonical name, where it is not `strength`. */
  readonly strengths?: ReadonlyMap<string, number>;
  readonly batches?: number;
  /** Hexadecimal; written into the mark. */
  readonly message?: string;
  /** Weights up to which everything is tested and marked. Default `FULL_MARK_WEIGHTS`. */
  readonly budget?: number;
}

/**
 * @throws `MARK_STRENGTH`, `MARK_BATCHES`; `MARK_NOTHING` where no float weight can be marked and no group permuted
 */
export function planRelease(model: CanonicalModel, options: PlanOptions = {}): ReleasePlan {
  const strength = options.strength ?? DEFAULT_STRENGTH;
  const batches = options.batches ?? DEFAULT_BATCHES;
  for (const one of [strength, ...(options.strengths?.values() ?? [])]) {
    if (one >= 0 && one <= MAX_STRENGTH) continue;
    throw inputError('MARK_STRENGTH', 'the strength of the mark is out of range', {
      expected: `0 to ${MAX_STRENGTH}`,
      got: String(one),
    });
  }
  if (!(Number.isInteger(batches) && batches >= 1 && batches <= MAX_BATCHES)) {
    throw inputError('MARK_BATCHES', 'the number of batches is out of range', {
      expected: `1 to ${MAX_BATCHES}`,
      got: String(batches),
    });
  }
  const own = storedAlone(model);
  const movable = model.groups.filter((group) => isMovable(model, group, own));
  const markable = [...model.tensors.values()].filter(
    (tensor) => tensor.markable && sizeOf(tensor) > 0 && own.has(tensor.name) && strengthFor(options, tensor.name) > 0,
  );
  const whole = testPlan(model, movable, markable);
  const budget = options.budget ?? FULL_MARK_WEIGHTS;
  const large = whole.tensors.reduce((sum, tensor) => sum + elements(tensor.shape), 0) > budget;
  const test = large ? withinBudget(whole, budget) : whole;
  const tested = new Set(test.tensors.map((tensor) => tensor.name));
  const marked = markable.filter((tensor) => tested.has(tensor.name));
  if (movable.length === 0 && marked.length === 0) {
    throw inputError('MARK_NOTHING', 'nothing in this model can be marked or permuted', {
      expected: 'weights that were learned and can be written, or unit groups that a graph or the owner vouches for',
      todo: 'release the model before it is converted; for a file without a graph give --graph or --plain-stack',
    });
  }
  const plan: ReleasePlan = {
    version: 1,
    strength,
    batches,
    groups: movable.map(({ id, size, incoming, outgoing }, index) => ({
      id,
      size,
      batch: index % batches,
      segments: [...incoming, ...outgoing],
    })),
    marked: shares(marked, batches, large ? SUBSET_SHARE : 1).map((one) => {
      const own = strengthFor(options, one.tensor);
      return own === strength ? one : { ...one, strength: own };
    }),
    test,
    ...(options.message === undefined ? {} : { message: options.message }),
  };
  if (options.message !== undefined) requireRoom(options.message, plan);
  return plan;
}

/** Marked weights of all batches. */
export const markedWeights = ({ marked, batches }: ReleasePlan): number =>
  marked.reduce((sum, one) => sum + Math.min(one.rows, one.perBatch * batches) * one.width, 0);

function requireRoom(message: string, plan: ReleasePlan): void {
  const bits = messageBits(message).length;
  const weights = markedWeights(plan);
  if (weights >= bits * WEIGHTS_PER_BIT) return;
  throw inputError('MARK_MESSAGE_ROOM', 'this model has too few marked weights for the message', {
    expected: `at most ${Math.floor(weights / WEIGHTS_PER_BIT / 8)} bytes in ${weights} weights`,
    got: `${bits / 8} bytes`,
    todo: 'write a shorter message, such as a licence number',
  });
}

const strengthFor = ({ strength = DEFAULT_STRENGTH, strengths }: PlanOptions, tensor: string): number =>
  strengths?.get(tensor) ?? strength;

/** Only what a graph or the owner vouches for, and whose every tensor can be written, is permuted. */
function isMovable(model: CanonicalModel, group: UnitGroup, own: ReadonlySet<string>): boolean {
  const writable = [...group.incoming, ...group.outgoing].every((segment) => {
    const tensor = model.tensors.get(segment.tensor);
    return (
      tensor !== undefined &&
      own.has(tensor.name) &&
      model.model.tensors.get(tensor.stored)?.writable === true &&
      isFloat(tensor)
    );
  });
  return group.size > 1 && group.vouched !== 'names' && writable;
}

/** Names of tensors whose stored values serve no other canonical tensor: only these can be written without a side effect. */
function storedAlone(model: CanonicalModel): ReadonlySet<string> {
  const count = new Map<string, number>();
  for (const tensor of model.tensors.values()) count.set(tensor.stored, (count.get(tensor.stored) ?? 0) + 1);
  return new Set([...model.tensors.values()].filter(({ stored }) => count.get(stored) === 1).map(({ name }) => name));
}

const FLOATS: ReadonlySet<string> = new Set(['F64', 'F32', 'F16', 'BF16']);
export const isFloat = ({ dtype, quantisation, packed }: CanonicalTensor): boolean =>
  FLOATS.has(dtype) && quantisation === null && packed === null;

const elements = (shape: readonly number[]): number => shape.reduce((all, size) => all * size, 1);
const sizeOf = (tensor: CanonicalTensor): number => elements(tensor.shape);

function shares(tensors: readonly CanonicalTensor[], batches: number, share: number): MarkedTensor[] {
  return tensors.map((tensor) => {
    const rows = tensor.shape[0] ?? 1;
    return {
      tensor: tensor.name,
      rows,
      width: sizeOf(tensor) / rows,
      perBatch: Math.ceil(Math.ceil(rows / batches) * share),
    };
  });
}

/** The test reads the groups that are permuted, and every marked tensor, those without exchangeable axes too. */
function testPlan(model: CanonicalModel, groups: readonly UnitGroup[], marked: readonly CanonicalTensor[]): TestPlan {
  const plan = planGroups({ tensors: model.tensors, groups });
  const planned = new Set(plan.tensors.map((tensor) => tensor.name));
  const bare: PlanTensor[] = marked
    .filter((tensor) => !planned.has(tensor.name))
    .map(({ name, shape }) => ({ name, shape, full: shape, axes: [], group: null, select: null }));
  return { ...plan, tensors: [...plan.tensors, ...bare] };
}

/** Whole tensors, in order, as they fit; groups that nothing speaks for any more are no longer tested. */
function withinBudget(plan: TestPlan, budget: number): TestPlan {
  const sizes = new Map(plan.groups.map((group) => [group.id, group.size]));
  const leftOut = [...plan.leftOut];
  let left = budget;
  const tensors = plan.tensors.filter((tensor) => {
    const fits =
      elements(tensor.shape) <= left && tensor.axes.every(({ group }) => sizes.get(group)! <= MAX_GROUP_OF_LARGE);
    if (fits) left -= elements(tensor.shape);
    else leftOut.push({ tensor: tensor.name, reason: 'beyond what is tested of a model this large' });
    return fits;
  });
  const spoken = new Set(tensors.map((tensor) => tensor.group));
  const used = new Set(tensors.flatMap((tensor) => tensor.axes.map((axis) => axis.group)));
  const groups = plan.groups
    .filter((group) => used.has(group.id))
    .map((group) => ({ ...group, tested: group.tested && spoken.has(group.id) }));
  return { ...plan, groups, tensors, leftOut };
}
