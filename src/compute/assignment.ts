/**
 * Rectangular linear assignment by shortest augmenting paths with dual potentials (Jonker & Volgenant,
 * Computing 38, 1987; rectangular form as in Crouse, IEEE TAES 52, 2016), in plain float64.
 */
import { inputError } from '../base/index.js';

export interface Assignment {
  /** For each row the column it takes; every row has one, for rows ≤ columns. */
  readonly assignment: Int32Array;
  /** Dual potentials: u[i] + v[j] ≤ cost[i][j], equal on the pairs taken; v ≤ 0, and 0 on columns that none takes. */
  readonly u: Float64Array;
  readonly v: Float64Array;
  readonly cost: number;
}

/**
 * The assignment of least total cost.
 * @param cost rows × columns, row-major, finite
 * @param rows ≤ columns
 * @throws `ASSIGNMENT_SHAPE`, `ASSIGNMENT_NOT_FINITE`
 */
export function assign(cost: Float64Array, rows: number, columns: number): Assignment {
  checkProblem(cost, rows, columns);
  const u = new Float64Array(rows);
  const v = new Float64Array(columns);
  const rowOf = new Int32Array(columns).fill(-1);
  const columnOf = new Int32Array(rows).fill(-1);
  const distance = new Float64Array(columns);
  const from = new Int32Array(columns);
  const settled = new Uint8Array(columns);
  const visited: number[] = [];
  for (let start = 0; start < rows; start++) {
    distance.fill(Number.POSITIVE_INFINITY);
    settled.fill(0);
    visited.length = 0;
    let row = start;
    let reached = 0;
    let sink = -1;
    while (sink < 0) {
      const base = row * columns;
      const reduced = reached - u[row]!;
      let nearest = Number.POSITIVE_INFINITY;
      let next = -1;
      for (let j = 0; j < columns; j++) {
        if (settled[j] === 1) continue;
        const through = reduced + cost[base + j]! - v[j]!;
        if (through < distance[j]!) {
          distance[j] = through;
          from[j] = row;
        }
        const d = distance[j]!;
        // At equal distance a free column ends the search at once.
        if (d < nearest || (d === nearest && rowOf[j]! < 0)) {
          nearest = d;
          next = j;
        }
      }
      reached = nearest;
      settled[next] = 1;
      visited.push(next);
      if (rowOf[next]! < 0) sink = next;
      else row = rowOf[next]!;
    }
    u[start] = u[start]! + reached;
    for (const j of visited) {
      if (j === sink) continue;
      const shift = reached - distance[j]!;
      v[j] = v[j]! - shift;
      u[rowOf[j]!] = u[rowOf[j]!]! + shift;
    }
    for (let j = sink; ; ) {
      const i = from[j]!;
      rowOf[j] = i;
      const before = columnOf[i]!;
      columnOf[i] = j;
      if (i === start) break;
      j = before;
    }
  }
  let total = 0;
  for (let i = 0; i < rows; i++) total += cost[i * columns + columnOf[i]!]!;
  return { assignment: columnOf, u, v, cost: total };
}

function checkProblem(cost: Float64Array, rows: number, columns: number): void {
  if (!(rows <= columns) || cost.length !== rows * columns) {
    throw inputError('ASSIGNMENT_SHAPE', 'an assignment needs rows × columns costs with rows ≤ columns', {
      got: `${cost.length} costs for ${rows} × ${columns}`,
    });
  }
  for (const value of cost) {
    if (!Number.isFinite(value)) throw inputError('ASSIGNMENT_NOT_FINITE', 'an assignment cost is not finite');
  }
}

/**
 * Whether an assignment handed over by someone else is optimal: the duals are feasible and complementary slackness
 * holds, so no assignment costs less by more than `tolerance` per row (docs/theory.md §12). O(rows · columns).
 */
export function isOptimal(
  cost: Float64Array,
  rows: number,
  columns: number,
  claim: Pick<Assignment, 'assignment' | 'u' | 'v'>,
  tolerance = 1e-9,
): boolean {
  const { assignment, u, v } = claim;
  if (assignment.length !== rows || u.length !== rows || v.length !== columns) return false;
  const taken = new Uint8Array(columns);
  for (const j of assignment) {
    if (!(Number.isInteger(j) && j >= 0 && j < columns) || taken[j] === 1) return false;
    taken[j] = 1;
  }
  for (let j = 0; j < columns; j++) {
    if (!(v[j]! <= tolerance) || (taken[j] === 0 && !(v[j]! >= -tolerance))) return false;
  }
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) {
      const slack = cost[i * columns + j]! - u[i]! - v[j]!;
      if (!(slack >= -tolerance) || (assignment[i] === j && !(slack <= tolerance))) return false;
    }
  }
  return true;
}
