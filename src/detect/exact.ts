/**
 * The two exact lines. Pure functions of two weight tables, the committed plan and the opened keys, in plain float64
 * with a fixed order of summation: an opened bundle gives the same figures as the room did (docs/theory.md §12).
 */
import {
  type AlignedGroup,
  type Alignment,
  carryUnits,
  countHits,
  matchGroup,
  type PlanTensor,
  type WeightTable,
} from '../align/index.js';
import { checkPlan, eachMarkedRow, groupOrders, type OpenedKeys, type ReleasePlan, strengthOf } from '../mark/index.js';
import { cappedByEntropy, log10NormalTail, log10PooledHits } from '../stats/index.js';
import { direction } from './direction.js';
import type { EvidenceLine } from './types.js';

export interface ExactInput {
  readonly plan: ReleasePlan;
  /** The unmarked original w0, never the release. */
  readonly reference: WeightTable;
  readonly suspect: WeightTable;
  /** All batches, or one. */
  readonly keys: OpenedKeys;
  /** Of the suspect to the reference, made without any key; null where the model is too large to be aligned: then the mark is not read. */
  readonly alignment: Alignment | null;
  /** As `markDirection` gives them, where several releases of one plan share them; made here where they are not given. */
  readonly directions?: ReadonlyMap<string, Float64Array>;
}

/**
 * Both tables without what one of them lacks, or holds NaN or an infinity in: every test and alignment runs on these.
 * The plan stays whole, so groups that can no longer be tested still count in the bound.
 */
export function commonTables(
  reference: WeightTable,
  suspect: WeightTable,
): { reference: WeightTable; suspect: WeightTable } {
  const finite = (values: Float64Array): boolean => values.every((value) => Number.isFinite(value));
  const names = [...reference.tensors].flatMap(([name, { values }]) => {
    const theirs = suspect.tensors.get(name)?.values;
    return theirs?.length === values.length && finite(theirs) && finite(values) ? [name] : [];
  });
  const only = (table: WeightTable): WeightTable => ({
    tensors: new Map(names.map((name) => [name, table.tensors.get(name)!])),
  });
  return { reference: only(reference), suspect: only(suspect) };
}

export interface OrderResult {
  readonly hits: number;
  /** Units whose order was open. */
  readonly units: number;
  readonly groups: readonly { readonly id: string; readonly hits: number; readonly size: number }[];
  /** log10 of the bound, not capped. */
  readonly bound: number;
  /** Capped by the key's entropy; not corrected for multiplicity. */
  readonly log10p: number;
}

/**
 * Hits of the committed order: f(i), the unit of w0 that unit i of the suspect looks most like, against σ(i).
 *
 * Null: the suspect does not depend on (σ, c) of this release; then P(T ≥ k) ≤ G^(k−G)·G!/k! over the G groups whose
 * order is open, whatever the suspect is (docs/theory.md §2, §3). f comes from the suspect, w0 and the σ of earlier
 * groups alone. Where an earlier group's batch is closed, the key-free alignment stands in for its σ: it does not see
 * any key, so the bound holds as it does with none. A group without a tensor that speaks for it is not tested.
 */
export function orderTest({ plan, reference, suspect, keys, alignment }: ExactInput): OrderResult {
  const orders = groupOrders(plan, keys);
  const aligned = new Map(alignment?.groups.map((group) => [group.id, group.assignment]));
  const earlier = new Map<string, ArrayLike<number>>();
  const groups: { id: string; hits: number; size: number }[] = [];
  for (const group of plan.test.groups) {
    const order = orders.get(group.id);
    if (group.tested && order !== undefined) {
      const match = matchGroup(plan.test, group, reference, suspect, earlier);
      groups.push({ id: group.id, hits: countHits(match, order), size: group.size });
    }
    const known = order ?? aligned.get(group.id);
    if (known !== undefined) earlier.set(group.id, known);
  }
  const hits = groups.reduce((sum, group) => sum + group.hits, 0);
  const units = groups.reduce((sum, group) => sum + group.size, 0);
  const bound = log10PooledHits(hits, groups.length);
  return { hits, units, groups, bound, log10p: cappedByEntropy(bound) };
}

export interface MarkResult {
  readonly z: number;
  /** Chips that were read. */
  readonly n: number;
  readonly perTensor: readonly { readonly tensor: string; readonly z: number; readonly n: number }[];
  /** log10 of the tail, not capped. */
  readonly bound: number;
  /** Capped by the key's entropy; not corrected for multiplicity. */
  readonly log10p: number;
}

/**
 * d = g(aligned suspect, w0) per marked tensor, in w0's order; see `direction`. A tensor that the suspect lacks, or
 * with NaN in it, gives none.
 */
export function markDirection(
  plan: ReleasePlan,
  reference: WeightTable,
  suspect: WeightTable,
  alignment: Pick<Alignment, 'groups' | 'aligned'>,
): ReadonlyMap<string, Float64Array> {
  const out = new Map<string, Float64Array>();
  const groups = new Map(alignment.groups.map((group) => [group.id, group]));
  for (const marked of plan.marked) {
    const { tensor, rows, width } = marked;
    const ours = reference.tensors.get(tensor)?.values;
    const theirs = alignment.aligned.tensors.get(tensor)?.values;
    const planned = plan.test.tensors.find((one) => one.name === tensor);
    if (ours === undefined || theirs === undefined || planned === undefined || ours.length !== theirs.length) continue;
    if (suspect.tensors.get(tensor)?.values.some((value) => !Number.isFinite(value)) === true) continue;
    const d = direction(ours, theirs, scaleFactors(planned, groups), rows, width);
    // What a chip moved is its tensor's strength: the score by the chip is the score by the weight times that.
    if (d !== null)
      out.set(
        tensor,
        d.map((value) => value * strengthOf(plan, marked)),
      );
  }
  return out;
}

/** What the alignment multiplied each value of a tensor by, in the reference's order. */
function scaleFactors(planned: PlanTensor, groups: ReadonlyMap<string, AlignedGroup>): Float64Array {
  let factors = new Float64Array(planned.shape.reduce((all, size) => all * size, 1)).fill(1);
  for (const { axis, group, side, segments } of planned.axes) {
    const { assignment, scale, sign } = groups.get(group)!;
    const factor = scale.map((value, unit) => sign[unit]! * (side === 'in' ? 1 / value : value));
    factors = Float64Array.from(carryUnits(factors, planned.shape, axis, segments, assignment, factor));
  }
  return factors;
}

/**
 * z = ⟨c, d⟩/‖d‖ over the open batches.
 *
 * Null: the suspect does not depend on (σ, c) of this release; then z ~ N(0, 1) exactly, whatever the suspect is, since
 * c is independent of d (docs/theory.md §7). d = 0 gives p = 1.
 */
export function markTest(input: ExactInput): MarkResult {
  const { plan, keys, reference, suspect, alignment } = input;
  if (alignment === null) return { z: 0, n: 0, perTensor: [], bound: 0, log10p: 0 };
  return correlate(plan, keys, input.directions ?? markDirection(plan, reference, suspect, alignment));
}

export function correlate(
  plan: ReleasePlan,
  keys: OpenedKeys,
  directions: ReadonlyMap<string, Float64Array>,
): MarkResult {
  const most = largest(plan, directions);
  let product = 0;
  let squares = 0;
  let n = 0;
  const perTensor: { tensor: string; z: number; n: number }[] = [];
  for (const marked of plan.marked) {
    const d = directions.get(marked.tensor);
    if (d === undefined) continue;
    let own = 0;
    let ownSquares = 0;
    let count = 0;
    eachMarkedRow(plan, marked, keys, (row, chips) => {
      const start = row * marked.width;
      for (let k = 0; k < chips.length; k++) {
        const scaled = d[start + k]! / most;
        own += chips[k]! * scaled;
        ownSquares += scaled * scaled;
      }
      count += chips.length;
    });
    product += own;
    squares += ownSquares;
    n += count;
    perTensor.push({ tensor: marked.tensor, z: ownSquares > 0 ? own / Math.sqrt(ownSquares) : 0, n: count });
  }
  const z = squares > 0 ? product / Math.sqrt(squares) : 0;
  const bound = squares > 0 ? log10NormalTail(z) : 0;
  return { z, n, perTensor, bound, log10p: cappedByEntropy(bound) };
}

/**
 * The largest |d|, by which all are divided: a suspect far from w0 has d near 1e-160, whose squares round to 0 or to
 * the least float64, and ‖d‖ would come out many times too small.
 */
function largest(plan: ReleasePlan, directions: ReadonlyMap<string, Float64Array>): number {
  let most = 0;
  for (const { tensor } of plan.marked) {
    for (const value of directions.get(tensor) ?? []) most = Math.max(most, Math.abs(value));
  }
  return most > 0 ? most : 1;
}

export interface Multiplicity {
  /** Everything that could have fired: commitments × rules × looks × choice of batch. */
  readonly factor: number;
  /** In words, for the report. */
  readonly how: string;
  /**
   * log10 of the ways in which tensors could have been paired; paid before the key's entropy caps, since it is one key
   * whatever the pairing: P(any of W pairings gives p ≤ x) ≤ W·x, and whoever guesses the key wins with all of them.
   */
  readonly log10Pairings?: number;
}

/** @param beacon what the assumption says of the outside value; see `mark`'s `assumptionOf` */
export function exactLines(
  input: ExactInput,
  multiplicity: Multiplicity,
  assumption: string,
): readonly [EvidenceLine, EvidenceLine] {
  checkPlan(input.plan);
  const order = orderTest(input);
  const mark = markTest(input);
  const { factor, how, log10Pairings = 0 } = multiplicity;
  const corrected = (bound: number): number =>
    cappedByEntropy(Math.min(0, cappedByEntropy(Math.min(0, bound + log10Pairings)) + Math.log10(factor)));
  const release = input.keys.release;
  const batches = [...input.keys.seeds.keys()].sort((a, b) => a - b);
  const detail = { correction: how, factor, ...(log10Pairings === 0 ? {} : { log10Pairings }), batches };
  return [
    {
      test: 'order',
      null: `the suspect does not depend on the secret order and marks of release ${release}`,
      assumption,
      statistic: order.hits,
      n: order.units,
      log10p: corrected(order.bound),
      kind: 'exact',
      blindTo: ['units permuted again', 'extraction'],
      detail: { ...detail, uncorrectedLog10p: order.log10p, groups: order.groups },
    },
    {
      test: 'mark',
      null: `the suspect does not depend on the secret order and marks of release ${release}`,
      assumption,
      statistic: mark.z,
      n: mark.n,
      log10p: corrected(mark.bound),
      kind: 'exact',
      blindTo: ['extraction'],
      detail: { ...detail, uncorrectedLog10p: mark.log10p, perTensor: mark.perTensor },
    },
  ];
}
