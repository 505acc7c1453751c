/** w = P_σ(w0 + α·s·c / fold): the values of a release, tensor by tensor, from the original, the plan and the keys. */
import { carryUnits } from '../align/index.js';
import { inputError } from '../base/index.js';
import type { Segment } from '../structure/index.js';
import { codeMoves } from './codes.js';
import { groupOrder, markedRows, type OpenedKeys, rowChips } from './keys.js';
import { messageBits, rowBits } from './message.js';
import { batchRows, type MarkedTensor, type ReleasePlan, strengthOf } from './plan.js';

/** σ per group, of the batches that are open, in plan order. */
export function groupOrders(plan: ReleasePlan, keys: OpenedKeys): ReadonlyMap<string, Uint32Array> {
  const orders = new Map<string, Uint32Array>();
  for (const group of plan.groups) {
    const order = groupOrder(keys, group.batch, group.id, group.size);
    if (order !== null) orders.set(group.id, order);
  }
  return orders;
}

/**
 * Calls back with every marked row of the open batches and its chips, batch by batch, rows ascending.
 * @param use `chips` signed by the message, where the plan has one; `bits`: which of it each weight carries
 */
export function eachMarkedRow(
  plan: ReleasePlan,
  marked: MarkedTensor,
  keys: OpenedKeys,
  use: (row: number, chips: Float64Array, bits: Uint16Array | null) => void,
): void {
  const message = plan.message === undefined ? null : messageBits(plan.message);
  for (let batch = 0; batch < plan.batches; batch++) {
    const own = batchRows(marked.rows, batch, plan.batches);
    for (const row of markedRows(keys, batch, marked.tensor, own, marked.perBatch) ?? []) {
      const chips = rowChips(keys, batch, marked.tensor, row, marked.width)!;
      const bits = message === null ? null : rowBits(keys, batch, marked.tensor, row, marked.width, message.length);
      if (bits !== null) for (let k = 0; k < chips.length; k++) if (message![bits[k]!] === 0) chips[k] = -chips[k]!;
      use(row, chips, bits);
    }
  }
}

/** Population standard deviation, two passes in index order: the same on every machine. Infinite or NaN where a value is. */
export function deviation(values: Float64Array): number {
  let sum = 0;
  for (let k = 0; k < values.length; k++) sum += values[k]!;
  const mean = sum / values.length;
  let squares = 0;
  for (let k = 0; k < values.length; k++) squares += (values[k]! - mean) * (values[k]! - mean);
  return Math.sqrt(squares / values.length);
}

/** Rows times their fold factors, as a new array. */
export function folded(values: Float64Array, rows: number, fold: Float64Array | null): Float64Array {
  if (fold === null) return values;
  const width = values.length / rows;
  const out = new Float64Array(values.length);
  for (let row = 0; row < rows; row++) {
    for (let k = row * width; k < (row + 1) * width; k++) out[k] = values[k]! * fold[row]!;
  }
  return out;
}

/** Rows that the normalisation shrinks below this share of the largest carry no mark: divided back, it would swamp them. */
const DEAD_ROW = 1e-4;

/**
 * Values of one tensor in the release, canonical, before rounding to its storage type.
 * @param values of the original, canonical, not folded; left as they are
 * @param fold factors per row of a normalisation that follows, or null
 * @param steps distance between neighbouring codes, where the file holds codes: they move by whole ones (`codeMoves`)
 * @throws `MARK_POISONED` where a tensor that is to be marked holds NaN or an infinity
 */
export function releasedTensor(
  plan: ReleasePlan,
  keys: OpenedKeys,
  orders: ReadonlyMap<string, Uint32Array>,
  tensor: string,
  shape: readonly number[],
  values: Float64Array,
  fold: Float64Array | null,
  steps: Float64Array | null = null,
): Float64Array {
  let out: Float64Array = Float64Array.from(values);
  const marked = plan.marked.find((one) => one.tensor === tensor);
  if (marked !== undefined) {
    const spread = deviation(folded(values, marked.rows, fold));
    if (!Number.isFinite(spread)) {
      throw inputError('MARK_POISONED', 'a weight that is to be marked holds NaN or an infinity', {
        where: tensor,
        todo: 'repair the model before you release it',
      });
    }
    const size = strengthOf(plan, marked) * spread;
    const moves = codeMoves();
    const least = fold === null ? 0 : DEAD_ROW * fold.reduce((most, factor) => Math.max(most, Math.abs(factor)), 0);
    eachMarkedRow(plan, marked, keys, (row, chips) => {
      const factor = fold === null ? 1 : fold[row]!;
      if (!(Math.abs(factor) > least)) return;
      const start = row * marked.width;
      for (let k = 0; k < chips.length; k++) {
        const at = start + k;
        const change = steps === null ? (size * chips[k]!) / factor : moves(size / factor, steps[at]!, chips[k]!);
        out[at] = out[at]! + change;
      }
    });
  }
  for (const group of plan.groups) {
    const own = group.segments.filter((segment) => segment.tensor === tensor);
    for (const axis of new Set(own.map((segment) => segment.axis))) {
      out = permuteAxis(
        out,
        shape,
        axis,
        own.filter((segment) => segment.axis === axis),
        orders.get(group.id)!,
      );
    }
  }
  return out;
}

/** (P_σ w)_i = w_σ(i) along one axis. */
export function permuteAxis(
  values: Float64Array,
  shape: readonly number[],
  axis: number,
  segments: readonly Segment[],
  order: Uint32Array,
): Float64Array {
  const inverse = new Uint32Array(order.length);
  for (let i = 0; i < order.length; i++) inverse[order[i]!] = i;
  return carryUnits(values, shape, axis, segments, inverse);
}

/** Tensors that differ from the original in a release: marked, or with an axis that moves. */
export const touchedTensors = (plan: ReleasePlan): ReadonlySet<string> =>
  new Set([
    ...plan.marked.map((one) => one.tensor),
    ...plan.groups.flatMap((group) => group.segments.map((segment) => segment.tensor)),
  ]);
