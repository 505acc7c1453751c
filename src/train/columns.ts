/** Which columns of a table become inputs, as what, and which are left out and why. */
import { inputError } from '../base/index.js';
import { momentsOf } from './arrays.js';
import type { Column } from './card.js';
import { columnNamed, type Table, type TableColumn, textAt } from './table.js';

/** A text column with more different values is an identifier, not a category. */
const MAX_CATEGORIES = 32;
/** A column with a greater share of missing cells says too little. */
const MAX_MISSING = 0.5;
/** Rows that must share a value before it can look like a leak of the target. */
const LEAK_ROWS = 20;

export interface ColumnChoice {
  readonly inputs: readonly { readonly name: string; readonly kind: 'number' | 'category' }[];
  readonly dropped: readonly { readonly name: string; readonly reason: string }[];
  /** Some input cells are missing. */
  readonly missing: boolean;
}

/** @param exclude columns that are no inputs for a reason of the task (target, unit, time) @throws `TRAIN_NO_INPUTS` */
export function chooseColumns(table: Table, exclude: readonly string[], ignore: readonly string[] = []): ColumnChoice {
  for (const name of ignore) columnNamed(table, name);
  const inputs: { name: string; kind: 'number' | 'category' }[] = [];
  const dropped: { name: string; reason: string }[] = [];
  let missing = false;
  for (const column of table.columns) {
    if (exclude.includes(column.name)) continue;
    const kind = ignore.includes(column.name) ? 'ignored as asked' : kindOf(column, table.rows);
    if (kind !== 'number' && kind !== 'category') {
      dropped.push({ name: column.name, reason: kind });
      continue;
    }
    inputs.push({ name: column.name, kind });
    missing ||= column.codes.includes(-1);
  }
  if (inputs.length === 0) {
    throw inputError('TRAIN_NO_INPUTS', 'no column of this table can serve as an input', {
      where: table.name,
      got: dropped.map(({ name, reason }) => `${name}: ${reason}`).join('; '),
    });
  }
  return { inputs, dropped, missing };
}

/** `number`, `category`, or the reason against it. */
function kindOf(column: TableColumn, rows: number): string {
  let missing = 0;
  let texts = 0;
  for (const code of column.codes) {
    if (code === -1) missing += 1;
    else if (code !== 0) texts += 1;
  }
  if (missing > MAX_MISSING * rows) return `${missing} of ${rows} cells are missing`;
  if (texts > 0) {
    const distinct = new Set<string | null>();
    for (let row = 0; row < rows && distinct.size <= MAX_CATEGORIES; row++) {
      const text = textAt(column, row);
      if (text !== null) distinct.add(text);
    }
    if (distinct.size > MAX_CATEGORIES) return `an identifier or prose: more than ${MAX_CATEGORIES} different texts`;
    return distinct.size < 2 ? 'the same in every row' : 'category';
  }
  if (isCounter(column.numbers)) return 'an identifier: it counts the rows';
  const first = column.numbers.find((value) => !Number.isNaN(value));
  if (column.numbers.every((value) => Number.isNaN(value) || value === first)) return 'the same in every row';
  return 'number';
}

/** Steps of exactly one from row to row: a row number, which says nothing of the next machine. */
function isCounter(numbers: Float64Array): boolean {
  if (numbers.length < 10) return false;
  for (let i = 1; i < numbers.length; i++) if (numbers[i]! - numbers[i - 1]! !== 1) return false;
  return true;
}

/** Fixes scales and categories from the training rows alone, so that nothing of the test set enters the model. */
export function fitColumns(table: Table, choice: ColumnChoice, rows: Uint32Array): readonly Column[] {
  return choice.inputs.map(({ name, kind }): Column => {
    const column = columnNamed(table, name);
    if (kind === 'number') {
      return { name, kind, ...momentsOf(Array.from(rows, (row) => column.numbers[row]!)) };
    }
    const seen = new Set<string>();
    for (const row of rows) {
      const text = textAt(column, row);
      if (text !== null) seen.add(text);
    }
    return { name, kind, categories: [...seen].sort(byText) };
  });
}

export const byText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/**
 * Raw inputs [rows, columns] as the model takes them: numbers (NaN missing), categories as their index, −1 unknown.
 * @throws `TABLE_NO_COLUMN`
 */
export function rawRows(table: Table, columns: readonly Column[], rows: Uint32Array): Float32Array {
  const out = new Float32Array(rows.length * columns.length);
  for (const [at, column] of columns.entries()) {
    const stored = columnNamed(table, column.name);
    const codes = column.kind === 'category' ? new Map(column.categories.map((text, code) => [text, code])) : null;
    for (let i = 0; i < rows.length; i++) {
      const row = rows[i]!;
      out[i * columns.length + at] =
        codes === null ? stored.numbers[row]! : (codes.get(textAt(stored, row) ?? '') ?? -1);
    }
  }
  return out;
}

/**
 * Inputs with a value that fixes the class in every row that has it, against the base rate: often a column that is
 * filled in only once the outcome is known. A hint for people; nothing is dropped by it.
 */
export function leakHints(
  table: Table,
  choice: ColumnChoice,
  labels: Int32Array,
  classes: readonly string[],
): string[] {
  const total = labels.filter((label) => label >= 0).length;
  const base = classes.map((_, k) => labels.filter((label) => label === k).length / total);
  return choice.inputs.flatMap(({ name }) => {
    const column = columnNamed(table, name);
    const counts = new Map<string, number[]>();
    for (let row = 0; row < table.rows; row++) {
      const text = textAt(column, row);
      const label = labels[row]!;
      if (text === null || label < 0) continue;
      let seen = counts.get(text);
      if (seen === undefined) {
        if (counts.size > MAX_CATEGORIES) return [];
        seen = classes.map(() => 0);
        counts.set(text, seen);
      }
      seen[label] = seen[label]! + 1;
    }
    for (const [text, seen] of counts) {
      const sum = seen.reduce((a, b) => a + b, 0);
      const k = seen.findIndex((count) => count >= 0.98 * sum);
      if (sum >= LEAK_ROWS && k >= 0 && base[k]! < 0.5) {
        return [
          `${name} = ${text} always comes with ${classes[k]}: if it is known only after the fact, leave it out with --ignore`,
        ];
      }
    }
    return [];
  });
}
