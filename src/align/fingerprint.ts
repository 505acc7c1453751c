/**
 * What a tensor's values are whatever their order: its quantiles. A pairing of tensors chosen by them sees nothing of
 * the order of the units, so under the null the permutation is as uniform after the choice as before it
 * (docs/theory.md §2: the rule may be any that does not see σ).
 */
import type { LoadableTensor } from './table.js';

/** Evenly spaced ranks, the least and the greatest value among them. */
const RANKS = 33;
/** Larger tensors are paired by what lies beside them: reading them whole would cost what sampling saves. */
const MAX_ELEMENTS = 2 ** 18;
/** Elements that the fingerprints of one model may read, smallest tensors first. */
const MAX_TOTAL = 2 ** 24;
/** Fewer values than this are alike too easily. */
const MIN_ELEMENTS = 4;

export type Fingerprint = Float64Array;

/**
 * Fingerprints of the tensors that are small enough to be read whole, by name. Tensors with NaN have none.
 * @param tensors those that may be paired
 */
export async function fingerprints(
  tensors: ReadonlyMap<string, LoadableTensor>,
): Promise<ReadonlyMap<string, Fingerprint>> {
  const sizes = [...tensors]
    .map(([name, tensor]) => ({ name, tensor, elements: tensor.shape.reduce((all, size) => all * size, 1) }))
    .filter(({ elements }) => elements >= MIN_ELEMENTS && elements <= MAX_ELEMENTS)
    .sort((a, b) => a.elements - b.elements);
  const found = new Map<string, Fingerprint>();
  let read = 0;
  for (const { name, tensor, elements } of sizes) {
    read += elements;
    if (read > MAX_TOTAL) break;
    const sorted = (await tensor.read()).slice().sort();
    if (!sorted.some(Number.isNaN)) found.set(name, quantiles(sorted));
  }
  return found;
}

const quantiles = (sorted: Float64Array): Fingerprint =>
  Float64Array.from({ length: RANKS }, (_, k) => sorted[Math.round((k * (sorted.length - 1)) / (RANKS - 1))]!);

/** 0 for equal values in any order, 1 at most; NaN where infinities meet. */
export function distance(a: Fingerprint, b: Fingerprint): number {
  let apart = 0;
  let size = 0;
  for (let k = 0; k < RANKS; k++) {
    apart += Math.abs(a[k]! - b[k]!);
    size += Math.abs(a[k]!) + Math.abs(b[k]!);
  }
  return size === 0 ? 0 : apart / size;
}
