/** A table in memory, column by column: numbers as float64, other texts as codes into a bounded dictionary. */
import { inputError } from '../base/index.js';

/** 8 million cells at 12 bytes, with room to grow while reading, stay under 200 MB, whatever the file says. */
export const MAX_CELLS = 8_000_000;
/** Wider tables are not plant data; the header alone must not exhaust memory. */
export const MAX_COLUMNS = 4_096;
/** Different texts kept per column; a column with more is an identifier or prose, and no input of a model. */
export const MAX_TEXTS = 10_000;
/** Longer names are data, or a file without line ends. */
export const MAX_NAME_LENGTH = 500;
/** Longer cells are refused: a misplaced quote swallows the rest of a file. */
export const MAX_CELL_LENGTH = 100_000;

export interface TableColumn {
  readonly name: string;
  /** NaN where the cell is missing or not a number. */
  readonly numbers: Float64Array;
  /** 0 for a number, −1 for a missing cell, −2 for a text beyond `MAX_TEXTS`, else 1 + index into `texts`. */
  readonly codes: Int32Array;
  readonly texts: readonly string[];
}

export interface Table {
  /** File name or label, for messages and records. */
  readonly name: string;
  readonly rows: number;
  readonly columns: readonly TableColumn[];
}

const NUMBER = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;
const MISSING = new Set(['', 'na', 'n/a', 'nan', 'null', 'none', '?', 'inf', '-inf', '+inf', 'infinity', '-infinity']);
/** Larger magnitudes overflow float32, the model's input type, and count as missing. */
const MAX_FLOAT32 = 3.4028234663852886e38;

export interface TableWriter {
  /** One cell per column; the row is checked before any cell is stored. */
  push(cells: readonly (string | number | null)[], where: string): void;
  finish(): Table;
}

/** @throws `TABLE_HEADER`, `TABLE_ROW`, `TABLE_TOO_LARGE`, `TABLE_EMPTY` */
export function tableWriter(name: string, header: readonly string[]): TableWriter {
  const names = header.map((text) => text.trim());
  const long = names.find((text) => text.length > MAX_NAME_LENGTH);
  if (names.length === 0 || names.length > MAX_COLUMNS || long !== undefined) {
    throw inputError('TABLE_HEADER', 'this is not a table with named columns', {
      expected: `1 to ${MAX_COLUMNS} columns with names of at most ${MAX_NAME_LENGTH} characters`,
      got: long === undefined ? `${names.length} columns` : `${long.slice(0, 40)}…`,
      where: name,
    });
  }
  const twice = names.find((text, index) => names.indexOf(text) !== index);
  if (twice !== undefined || names.includes('')) {
    throw inputError('TABLE_HEADER', 'every column needs a name of its own in the first line', {
      got: twice === undefined ? 'a column without a name' : `'${twice}' twice`,
      where: `${name}, line 1`,
      todo: 'add or correct the header line',
    });
  }
  const writers = names.map(columnWriter);
  let rows = 0;
  return {
    push(cells, where) {
      if (cells.length !== names.length) {
        throw inputError('TABLE_ROW', 'a row has another number of cells than the header', {
          expected: `${names.length} cells`,
          got: `${cells.length}`,
          where,
        });
      }
      if ((rows + 1) * names.length > MAX_CELLS) {
        throw inputError('TABLE_TOO_LARGE', 'this table is too large for training in memory', {
          expected: `at most ${MAX_CELLS} cells`,
          where,
          todo: 'train on a sample of the rows, or on fewer columns',
        });
      }
      for (const [index, cell] of cells.entries()) writers[index]!.push(cell, where);
      rows += 1;
    },
    finish() {
      if (rows === 0) throw inputError('TABLE_EMPTY', 'the table has a header and no rows', { where: name });
      return { name, rows, columns: writers.map((writer, index) => writer.finish(names[index]!, rows)) };
    },
  };
}

function columnWriter() {
  let numbers = new Float64Array(256);
  let codes = new Int32Array(256);
  let count = 0;
  const texts: string[] = [];
  const index = new Map<string, number>();
  const codeOf = (text: string): number => {
    const known = index.get(text);
    if (known !== undefined) return known;
    if (texts.length >= MAX_TEXTS) return -2;
    texts.push(text);
    index.set(text, texts.length);
    return texts.length;
  };
  return {
    push(cell: string | number | null, where: string) {
      if (count === numbers.length) {
        const longer = new Float64Array(2 * count);
        longer.set(numbers);
        numbers = longer;
        const more = new Int32Array(2 * count);
        more.set(codes);
        codes = more;
      }
      let value = Number.NaN;
      let code = 0;
      if (typeof cell === 'number') value = cell;
      else if (cell !== null) {
        if (cell.length > MAX_CELL_LENGTH) {
          throw inputError('TABLE_ROW', 'a cell is too long', {
            expected: `at most ${MAX_CELL_LENGTH} characters`,
            got: `${cell.length}`,
            where,
            todo: 'look for a quote that is never closed',
          });
        }
        const text = cell.trim();
        if (NUMBER.test(text)) value = Number(text);
        else if (!MISSING.has(text.toLowerCase())) code = codeOf(text);
      }
      if (code === 0 && !(Math.abs(value) <= MAX_FLOAT32)) {
        value = Number.NaN;
        code = -1;
      }
      numbers[count] = value;
      codes[count] = code;
      count += 1;
    },
    finish: (name: string, rows: number): TableColumn => ({
      name,
      numbers: numbers.slice(0, rows),
      codes: codes.slice(0, rows),
      texts,
    }),
  };
}

/** @throws `TABLE_NO_COLUMN` listing the columns there are */
export function columnNamed(table: Table, name: string): TableColumn {
  const column = table.columns.find((one) => one.name === name);
  if (column === undefined) {
    throw inputError('TABLE_NO_COLUMN', `the table has no column '${name}'`, {
      expected: table.columns
        .slice(0, 20)
        .map((one) => one.name)
        .join(', '),
      got: name,
      where: table.name,
    });
  }
  return column;
}

/** A cell as text: how class labels are named. Null when missing. */
export function textAt(column: TableColumn, row: number): string | null {
  const code = column.codes[row]!;
  if (code > 0) return column.texts[code - 1]!;
  return code === 0 ? String(column.numbers[row]) : null;
}

/** A table from rows in memory, as `plant` gives them. */
export function tableFromRows(
  name: string,
  header: readonly string[],
  rows: Iterable<readonly (string | number | null)[]>,
): Table {
  const writer = tableWriter(name, header);
  let line = 1;
  for (const row of rows) writer.push(row, `${name}, row ${line++}`);
  return writer.finish();
}
