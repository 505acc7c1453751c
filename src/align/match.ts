/**
 * The matching rule f of the order test: for each unit of the suspect, the unit of the reference that it points at.
 * Plain float64 in a fixed order of summation, so that a verifier gets the same hits (docs/theory.md §2, §12).
 */
import { sortedRows } from './invariants.js';
import { placeMembers } from './members.js';
import { type PlanAxis, type PlanGroup, type PlanTensor, speaksFor, type TestPlan } from './plan.js';
import { pooledRows, poolOf } from './pooled.js';
import type { TableTensor, WeightTable } from './table.js';
import { carryUnits, type UnitRows, unitRows } from './units.js';

/** Scores closer than this are a tie, and a tie is a miss. Rounding of a sum of 2^20 products stays below 1e-10. */
export const TIE = 1e-9;

export interface GroupMatch {
  readonly group: string;
  /** Per suspect unit: the reference unit, or −1 for a miss (tie, zero norm, NaN). */
  readonly f: Int32Array;
  /** Distinct reference units: duplicates and zero rows are no candidates that could be hit. */
  readonly eligible: number;
}

/**
 * f for every tested group, in plan order.
 * @param earlier per group, the order σ of the suspect's units: suspect unit i is reference unit σ(i). The rule for
 *   a group reads the σ of earlier groups only; a group without an entry is taken to stand in reference order.
 */
export function matchUnits(
  plan: TestPlan,
  reference: WeightTable,
  suspect: WeightTable,
  earlier: ReadonlyMap<string, ArrayLike<number>> = new Map(),
): readonly GroupMatch[] {
  const placed = placeMembers(plan, suspect, earlier);
  return plan.groups
    .filter((group) => group.tested)
    .map((group) => matchPlaced(plan, group, reference, placed, earlier));
}

export function matchGroup(
  plan: TestPlan,
  group: PlanGroup,
  reference: WeightTable,
  suspect: WeightTable,
  earlier: ReadonlyMap<string, ArrayLike<number>>,
): GroupMatch {
  return matchPlaced(plan, group, reference, placeMembers(plan, suspect, earlier), earlier);
}

function matchPlaced(
  plan: TestPlan,
  group: PlanGroup,
  reference: WeightTable,
  suspect: WeightTable,
  earlier: ReadonlyMap<string, ArrayLike<number>>,
): GroupMatch {
  const speaking = speakers(plan, group);
  const inner = innerGroups(plan, group);
  const theirs = groupParts(speaking, group, inner, suspect, (tensor, values, along) =>
    carried(tensor, along, values, inner, earlier),
  );
  const ours = groupParts(speaking, group, inner, reference, (_, values) => values.values);
  const f = strictArgmax(scores(theirs, ours, group.size), group.size);
  return { group: group.id, f, eligible: distinctUnits(ours, group.size) };
}

/** The tensors whose values speak for a group; where there are none, those that describe its units by sums. */
export function speakers(plan: TestPlan, group: PlanGroup): readonly PlanTensor[] {
  const direct = plan.tensors.filter((tensor) => speaksFor(tensor, group.id));
  return direct.length > 0 ? direct : plan.tensors.filter(({ pooled }) => pooled?.includes(group.id) === true);
}

/** The groups that lie within units of this one. */
export const innerGroups = (plan: TestPlan, { id }: PlanGroup): readonly PlanGroup[] =>
  plan.groups.filter(({ within }) => within?.group === id);

/** The suspect's values with the units of other groups put in reference order; what moves within the group stays. */
function carried(
  tensor: PlanTensor,
  along: PlanAxis,
  table: TableTensor,
  inner: readonly PlanGroup[],
  earlier: ReadonlyMap<string, ArrayLike<number>>,
): Float64Array {
  let values = table.values;
  for (const axis of tensor.axes) {
    const stays = axis === along || inner.some(({ id }) => id === axis.group);
    const order = stays ? undefined : earlier.get(axis.group);
    if (order !== undefined) values = carryUnits(values, tensor.shape, axis.axis, axis.segments, order);
  }
  return values;
}

export interface UnitPart extends UnitRows {
  readonly side: 'in' | 'out' | 'invariant';
}

/**
 * What is known of each unit (units that hold others: by sums over what moves within them): one part of incoming values (weights and bias, which scale together) and one of
 * outgoing values. A part's cosine does not change when the unit is rescaled.
 */
export function groupParts(
  tensors: readonly PlanTensor[],
  group: PlanGroup,
  inner: readonly PlanGroup[],
  table: WeightTable,
  values: (tensor: PlanTensor, table: TableTensor, along: PlanAxis) => Float64Array,
  invariants: 'sorted' | 'as values' = 'sorted',
): UnitPart[] {
  const parts: UnitPart[] = [];
  const direct = tensors.filter((tensor) => tensor.use !== 'invariant' || invariants === 'as values');
  for (const side of ['in', 'out'] as const) {
    const pieces = direct.flatMap((tensor) => {
      const axes = tensor.axes.filter((axis) => axis.group === group.id && axis.side === side);
      const stored = table.tensors.get(tensor.name);
      if (axes.length === 0 || stored === undefined) return [];
      return axes.map((along) => {
        const pool = poolOf(tensor, along, inner);
        const own = values(tensor, stored, along);
        if (pool !== null) return pooledRows(own, tensor.shape, along, group.size, pool);
        return unitRows(own, tensor.shape, along.axis, along.segments, group.size);
      });
    });
    if (pieces.length > 0) parts.push({ side, ...joinRows(pieces, group.size) });
  }
  if (invariants === 'sorted') parts.push(...invariantParts(tensors, group, table));
  return parts;
}

function invariantParts(tensors: readonly PlanTensor[], group: PlanGroup, table: WeightTable): UnitPart[] {
  return tensors.flatMap((tensor) => {
    const stored = table.tensors.get(tensor.name);
    if (tensor.use !== 'invariant' || tensor.group !== group.id || stored === undefined) return [];
    return tensor.axes.map(({ axis, segments }): UnitPart => {
      const rows = unitRows(stored.values, tensor.shape, axis, segments, group.size);
      const slices = segments.reduce((sum, segment) => sum + segment.repeat, 0);
      return { side: 'invariant', ...sortedRows(rows, slices) };
    });
  });
}

function joinRows(pieces: readonly UnitRows[], rows: number): UnitRows {
  if (pieces.length === 1) return pieces[0]!;
  const width = pieces.reduce((sum, piece) => sum + piece.width, 0);
  const values = new Float64Array(rows * width);
  let offset = 0;
  for (const piece of pieces) {
    for (let row = 0; row < rows; row++) {
      values.set(piece.values.subarray(row * piece.width, (row + 1) * piece.width), row * width + offset);
    }
    offset += piece.width;
  }
  return { rows, width, values };
}

/** Rows divided by their norms; a row of zeros, or one with NaN, stays as it is and scores nothing. */
function unitNorm(part: UnitRows): { values: Float64Array; alive: Uint8Array } {
  const values = Float64Array.from(part.values);
  const alive = new Uint8Array(part.rows);
  for (let row = 0; row < part.rows; row++) {
    const start = row * part.width;
    let largest = 0;
    for (let k = 0; k < part.width; k++) largest = Math.max(largest, Math.abs(values[start + k]!));
    if (!(largest > 0 && largest < Number.POSITIVE_INFINITY)) continue;
    // Scaled by the largest first, so that squares neither vanish nor overflow.
    let sum = 0;
    for (let k = 0; k < part.width; k++) {
      const scaled = values[start + k]! / largest;
      sum += scaled * scaled;
    }
    const norm = Math.sqrt(sum);
    for (let k = 0; k < part.width; k++) values[start + k] = values[start + k]! / largest / norm;
    alive[row] = 1;
  }
  return { values, alive };
}

/**
 * Scores of every suspect unit against every reference unit: the mean of the parts' cosines weighted by their widths,
 * in −1 … 1; NaN where a unit has no part that is not zero.
 * @returns suspect × reference, row-major
 */
export function scores(suspect: readonly UnitRows[], reference: readonly UnitRows[], units: number): Float64Array {
  const total = new Float64Array(units * units);
  const weightOfRow = new Float64Array(units * units);
  for (let p = 0; p < suspect.length; p++) {
    const theirs = unitNorm(suspect[p]!);
    const ours = unitNorm(reference[p]!);
    const width = suspect[p]!.width;
    for (let i = 0; i < units; i++) {
      if (theirs.alive[i] === 0) continue;
      for (let j = 0; j < units; j++) {
        if (ours.alive[j] === 0) continue;
        total[i * units + j] =
          total[i * units + j]! + width * dot(theirs.values, i * width, ours.values, j * width, width);
        weightOfRow[i * units + j] = weightOfRow[i * units + j]! + width;
      }
    }
  }
  for (let at = 0; at < total.length; at++) total[at] = total[at]! / weightOfRow[at]!;
  return total;
}

function dot(a: Float64Array, atA: number, b: Float64Array, atB: number, width: number): number {
  let sum = 0;
  for (let k = 0; k < width; k++) sum += a[atA + k]! * b[atB + k]!;
  return sum;
}

/** Column of the strict maximum of each row; −1 where the best two lie within TIE, or nothing is a number. */
export function strictArgmax(matrix: Float64Array, units: number): Int32Array {
  const out = new Int32Array(units).fill(-1);
  for (let i = 0; i < units; i++) {
    let best = Number.NEGATIVE_INFINITY;
    let second = Number.NEGATIVE_INFINITY;
    let at = -1;
    for (let j = 0; j < units; j++) {
      const value = matrix[i * units + j]!;
      if (value > best) {
        second = best;
        best = value;
        at = j;
      } else if (value > second) {
        second = value;
      }
    }
    if (at >= 0 && best - second > TIE) out[i] = at;
  }
  return out;
}

/** Units of the reference up to scale, zero rows apart: duplicates count once. Directions are compared at 1e-6. */
function distinctUnits(parts: readonly UnitRows[], units: number): number {
  const seen = new Set<string>();
  const normed = parts.map((part) => ({ ...unitNorm(part), width: part.width }));
  for (let unit = 0; unit < units; unit++) {
    if (normed.every((part) => part.alive[unit] === 0)) continue;
    let low = 0x811c9dc5;
    let high = 0x9e3779b9;
    for (const { values, width } of normed) {
      for (let k = unit * width; k < (unit + 1) * width; k++) {
        const rounded = Math.round(values[k]! * 1e6);
        low = Math.imul(low ^ rounded, 0x01000193);
        high = Math.imul(high ^ (rounded + k - unit * width), 0x85ebca6b) ^ (high >>> 15);
      }
    }
    seen.add(`${low} ${high}`);
  }
  return seen.size;
}

/** X of docs/theory.md §2: suspect units that point at their own reference unit. Without σ the two stand in the same order. */
export function countHits(match: GroupMatch, sigma?: ArrayLike<number>): number {
  let hits = 0;
  for (let i = 0; i < match.f.length; i++) if (match.f[i] === (sigma === undefined ? i : sigma[i])) hits++;
  return hits;
}
