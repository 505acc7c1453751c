/**
 * Features derived from numeric columns, the same for every table: logarithms, in which products and ratios of
 * readings are sums, and differences of columns that move together, in which a small gap between them is large.
 * Each is one element-wise node of the graph. Rejected: whitening by a matrix, which would be the same "learned" tensor
 * in every model of the same data; products of pairs, which overfitted (AI4I: held-out F1 0.72 against 0.78).
 */
import { momentsOf } from './arrays.js';
import type { Column, Derived } from './card.js';

/** Columns whose logarithm is this close to a straight line of them gain nothing from it. */
const SAME = 0.995;
const RELATED = 0.5;
/** More numeric columns would give too many pairs. */
const MAX_COLUMNS = 32;

type NumberColumn = Extract<Column, { kind: 'number' }>;

export const NO_DERIVED: Derived = { logs: [], pairs: [] };

/** @param raw [rows, columns] of the training rows: scales and choices come from them alone */
export function deriveFeatures(columns: readonly Column[], raw: Float32Array, rows: number): Derived {
  const numbers = columns.flatMap((column, index) => (column.kind === 'number' ? [{ column, index }] : []));
  if (numbers.length > MAX_COLUMNS) return NO_DERIVED;
  const readings = ({ index }: { index: number }): Float64Array =>
    Float64Array.from({ length: rows }, (_, row) => raw[row * columns.length + index]!);
  const base = numbers.map((number) => standardise(readings(number), number.column));
  const logs = numbers.flatMap((number, which) => {
    const values = readings(number);
    let least = Number.POSITIVE_INFINITY;
    for (const value of values) if (value < least) least = value;
    if (!(least >= 0 && least < Number.POSITIVE_INFINITY)) return [];
    const shift = least > 0 ? 0 : number.column.scale / 3;
    const logarithms = values.map((value) => Math.log(value + shift));
    const moments = momentsOf(logarithms);
    const standard = standardise(logarithms, moments);
    if (Math.abs(correlation(standard, base[which]!)) > SAME) return [];
    base.push(standard);
    return [{ column: which, least, shift, ...moments }];
  });
  const pairs: { a: number; b: number; sign: number; scale: number }[] = [];
  for (let a = 0; a < base.length; a++) {
    for (let b = a + 1; b < base.length; b++) {
      const r = correlation(base[a]!, base[b]!);
      if (Math.abs(r) < RELATED || Math.abs(r) > SAME) continue;
      pairs.push({ a, b, sign: r > 0 ? -1 : 1, scale: 1 / Math.sqrt(2 - 2 * Math.abs(r)) });
    }
  }
  return { logs, pairs };
}

const standardise = (values: Float64Array, { mean, scale }: Pick<NumberColumn, 'mean' | 'scale'>): Float64Array =>
  values.map((value) => (Number.isNaN(value) ? 0 : (value - mean) / scale));

/** Of standardised values. */
function correlation(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum / Math.max(1, a.length);
}
