/** A trained model on a table: the column it was trained to tell, one answer per row or per machine. */
import Papa from 'papaparse';
import { inputError, memorySource } from '../base/index.js';
import { openModel } from '../formats/index.js';
import { type ModelCard, readCard } from './card.js';
import { rawRows } from './columns.js';
import { argmax } from './cross-fit.js';
import { outputsOf } from './quality.js';
import { columnNamed, type Table, textAt } from './table.js';
import { windowsOf } from './windows.js';

export interface Predictions {
  readonly header: readonly string[];
  /** One per row of the table, or per unit (or reading, with `every`) for a model of windows. */
  readonly rows: readonly (readonly (string | number | null)[])[];
  /** Row of the table that each answer is for: for windows the last reading. */
  readonly tableRows: Uint32Array;
  readonly card: ModelCard;
  /** Category texts that the training data did not have, by column: their rows are answered without that column. */
  readonly unknown: Readonly<Record<string, readonly string[]>>;
}

/** @throws `TRAIN_NOT_OURS`, `TABLE_NO_COLUMN` when an input is missing */
export async function predictTable(
  model: string | Uint8Array,
  table: Table,
  options: { readonly every?: boolean } = {},
): Promise<Predictions> {
  const card = await cardOfModel(model);
  return card.window === null ? predictRows(model, card, table) : predictWindows(model, card, table, options);
}

async function cardOfModel(model: string | Uint8Array): Promise<ModelCard> {
  const opened = await openModel(typeof model === 'string' ? model : memorySource(model));
  try {
    const where = typeof model === 'string' ? model : 'memory';
    const card = readCard(opened.metadata, where);
    if (card !== null) return card;
    throw inputError('TRAIN_NOT_OURS', 'this model does not say what its inputs are', {
      where,
      expected: 'an ONNX file from `muniment train`',
      todo: 'run other models with the framework that made them',
    });
  } finally {
    await opened.close();
  }
}

async function predictRows(model: string | Uint8Array, card: ModelCard, table: Table): Promise<Predictions> {
  const rows = Uint32Array.from({ length: table.rows }, (_, row) => row);
  const raw = rawRows(table, card.columns, rows);
  const outputs = await outputsOf(model, card, raw, [table.rows, card.columns.length]);
  return {
    header: ['row', ...answerHeader(card)],
    rows: Array.from(rows, (row) => [row + 1, ...answerOf(card, outputs, row)]),
    tableRows: rows,
    card,
    unknown: unknownOf(card, table),
  };
}

async function predictWindows(
  model: string | Uint8Array,
  card: ModelCard,
  table: Table,
  { every = false }: { readonly every?: boolean },
): Promise<Predictions> {
  const window = card.window!;
  const sensors = card.columns.map(({ name }) => name);
  const windows = windowsOf(table, sensors, window, every ? 'all' : 'last');
  const outputs = await outputsOf(model, card, windows.values, [windows.count, sensors.length, window.length]);
  const times = columnNamed(table, window.time).numbers;
  return {
    header: [window.unit, window.time, ...answerHeader(card)],
    rows: Array.from({ length: windows.count }, (_, i) => [
      windows.unitNames[windows.units[i]!]!,
      times[windows.rows[i]!]!,
      ...answerOf(card, outputs, i),
    ]),
    tableRows: windows.rows,
    card,
    unknown: {},
  };
}

const answerHeader = (card: ModelCard): readonly string[] =>
  card.task === 'forecast' ? [card.target] : [card.target, ...card.classes.map((name) => `p(${name})`)];

/** The class (by the threshold where there are two) and the probabilities; null where an input was not a number. */
function answerOf(card: ModelCard, outputs: Float32Array, index: number): (string | number | null)[] {
  const width = card.task === 'forecast' ? 1 : card.classes.length;
  const values = Array.from(outputs.subarray(index * width, (index + 1) * width));
  if (values.some(Number.isNaN)) return [null, ...(card.task === 'forecast' ? [] : values.map(() => null))];
  if (card.task === 'forecast') return values;
  const best = width === 2 && card.threshold !== null ? Number(values[1]! >= card.threshold) : argmax(values, 0, width);
  return [card.classes[best]!, ...values];
}

function unknownOf(card: ModelCard, table: Table): Predictions['unknown'] {
  const found: Record<string, readonly string[]> = {};
  for (const column of card.columns) {
    if (column.kind !== 'category') continue;
    const stored = columnNamed(table, column.name);
    const texts = new Set<string>();
    for (let row = 0; row < table.rows && texts.size < 10; row++) {
      const text = textAt(stored, row);
      if (text !== null && !column.categories.includes(text)) texts.add(text);
    }
    if (texts.size > 0) found[column.name] = [...texts];
  }
  return found;
}

export const predictionsCsv = ({ header, rows }: Predictions): string =>
  `${Papa.unparse({ fields: [...header], data: rows.map((row) => [...row]) }, { newline: '\n' })}\n`;

/** Some rows of a table as CSV: how a test set becomes a file of its own. */
export const tableCsv = (table: Table, rows: Uint32Array): string =>
  `${Papa.unparse(
    {
      fields: table.columns.map(({ name }) => name),
      data: Array.from(rows, (row) => table.columns.map((column) => textAt(column, row) ?? '')),
    },
    { newline: '\n' },
  )}\n`;
