/** Raw inputs → the features that the exported graph computes from them, so that training sees what the model will. */
import type { ModelCard } from './card.js';

/** Features per row of a table model. */
export function featureCount(card: Pick<ModelCard, 'columns' | 'derived'>): number {
  const numbers = card.columns.filter(({ kind }) => kind === 'number').length;
  const { logs, pairs } = card.derived;
  const codes = card.columns.reduce(
    (sum, column) => sum + (column.kind === 'category' ? column.categories.length : 0),
    0,
  );
  return numbers + logs.length + pairs.length + codes;
}

/**
 * @param raw [rows, columns], categories as codes, NaN where a number is missing
 * @returns [rows, featureCount]
 */
export function encodeRows(
  card: Pick<ModelCard, 'columns' | 'derived'>,
  raw: Float32Array,
  rows: number,
): Float32Array {
  const width = featureCount(card);
  const columns = card.columns.length;
  const out = new Float32Array(rows * width);
  const numbers = card.columns.flatMap((column, index) => (column.kind === 'number' ? [{ ...column, index }] : []));
  const { logs, pairs } = card.derived;
  for (let row = 0; row < rows; row++) {
    let at = row * width;
    const start = at;
    for (const { index, mean, scale } of numbers) {
      const value = raw[row * columns + index]!;
      out[at++] = Number.isNaN(value) ? 0 : (value - mean) / scale;
    }
    for (const { column, least, shift, mean, scale } of logs) {
      const value = raw[row * columns + numbers[column]!.index]!;
      out[at++] = Number.isNaN(value) ? 0 : (Math.log(Math.max(value, least) + shift) - mean) / scale;
    }
    for (const { a, b, sign, scale } of pairs) out[at++] = (out[start + a]! + sign * out[start + b]!) * scale;
    for (const [index, column] of card.columns.entries()) {
      if (column.kind !== 'category') continue;
      const code = raw[row * columns + index]!;
      for (let k = 0; k < column.categories.length; k++) out[at++] = code === k ? 1 : 0;
    }
  }
  return out;
}

/**
 * @param raw [windows, sensors, length] raw readings
 * @returns the same shape, standardised per sensor
 */
export function encodeWindows(card: Pick<ModelCard, 'columns'>, raw: Float32Array, length: number): Float32Array {
  const out = new Float32Array(raw.length);
  const sensors = card.columns.length;
  for (let i = 0; i < raw.length; i++) {
    const column = card.columns[Math.floor(i / length) % sensors]!;
    if (column.kind !== 'number') continue;
    out[i] = Number.isNaN(raw[i]!) ? 0 : (raw[i]! - column.mean) / column.scale;
  }
  return out;
}
