/** A table and what is wanted of it → examples to train on and test with. */
import { inputError } from '../base/index.js';
import type { NetSpec } from '../compute/index.js';
import { momentsOf } from './arrays.js';
import type { Column, ModelCard } from './card.js';
import { byText, type ColumnChoice, chooseColumns, fitColumns, leakHints, rawRows } from './columns.js';
import { deriveFeatures, NO_DERIVED } from './derive.js';
import { encodeRows, encodeWindows, featureCount } from './encode.js';
import { stratifiedFolds, stratifiedSplit } from './split.js';
import { columnNamed, type Table, textAt } from './table.js';
import { remainingLife, runsOf, type WindowSettings, type Windows, windowsOf } from './windows.js';

/** More classes than this are identifiers. */
const MAX_CLASSES = 100;

export interface TaskSettings {
  readonly task: 'classify' | 'forecast';
  readonly target: string;
  /** Columns that must not be inputs. */
  readonly ignore?: readonly string[];
  /** Logarithms and differences as further features of rows, see `deriveFeatures`. Default true. */
  readonly derive?: boolean;
  readonly window?: WindowSettings;
  /** The target is the time left until the unit's last reading, at most `cap`; it is no column of the table. */
  readonly life?: { readonly cap: number | null };
  readonly seed: number;
  /** Share of the rows (or units) held out for the test. Default 0.2. */
  readonly testShare?: number;
  /** Table rows (or, for windows, the rows of whole units) held out, instead of a share. */
  readonly testRows?: Uint32Array;
}

/** Examples are rows of the table, or windows by the row that ends them. */
export interface Prepared {
  /** The net's input shape and everything of the card but the net and the threshold. */
  readonly card: Omit<ModelCard, 'net' | 'threshold'>;
  readonly input: readonly number[];
  readonly outputs: number;
  /** Encoded inputs of all training examples. */
  readonly inputs: Float32Array;
  /** Class index, or the value in units of the target. */
  readonly targets: Float64Array;
  /** What keeps related examples together in folds: a unit for windows, the class for rows. */
  readonly foldOf: (folds: number) => Uint8Array;
  readonly trainingRows: Uint32Array;
  readonly testRows: Uint32Array;
  /** Rows of the table behind the test examples: for windows every reading of the units. */
  readonly testTableRows: Uint32Array;
  /** Raw inputs and targets of the test examples: the exported model is tested, not the net in training. */
  readonly test: { readonly inputs: Float32Array; readonly targets: Float64Array; readonly shape: readonly number[] };
  readonly choice: ColumnChoice;
  readonly hints: readonly string[];
}

interface Labels {
  /** Per row of the table; NaN where the target is missing. */
  readonly values: Float64Array;
  readonly classes: readonly string[];
}

/** @throws `TRAIN_TARGET` and what tables, columns and windows refuse */
export function prepare(table: Table, settings: TaskSettings): Prepared {
  const { task, target, window, life } = settings;
  const labels = labelsOf(table, settings);
  const exclude = [
    ...(life === undefined ? [target] : []),
    ...(window === undefined ? [] : [window.unit, window.time]),
  ];
  const choice = chooseColumns(table, exclude, settings.ignore);
  if (window !== undefined) return prepareWindows(table, settings, window, labels, choice);

  const known = Uint32Array.from({ length: table.rows }, (_, row) => row).filter(
    (row) => !Number.isNaN(labels.values[row]!),
  );
  const strata = Array.from(known, (row) => (task === 'classify' ? labels.values[row]! : 0));
  const parts = splitRows(known, strata, settings);
  const columns = fitColumns(table, choice, parts.training);
  const raw = rawRows(table, columns, parts.training);
  const derived = settings.derive === false ? NO_DERIVED : deriveFeatures(columns, raw, parts.training.length);
  const card = { ...cardOf(settings, labels, columns, choice.missing, parts.training), derived };
  return {
    card,
    input: [featureCount(card)],
    outputs: task === 'classify' ? labels.classes.length : 1,
    inputs: encodeRows(card, raw, parts.training.length),
    targets: pick(labels.values, parts.training),
    foldOf: (folds) =>
      stratifiedFolds(
        Array.from(parts.training, (row) => (task === 'classify' ? labels.values[row]! : 0)),
        folds,
        settings.seed,
      ),
    trainingRows: parts.training,
    testRows: parts.test,
    testTableRows: parts.test,
    test: {
      inputs: rawRows(table, columns, parts.test),
      targets: pick(labels.values, parts.test),
      shape: [parts.test.length, columns.length],
    },
    choice,
    hints:
      task === 'classify'
        ? leakHints(
            table,
            choice,
            Int32Array.from(labels.values, (v) => (v >= 0 ? v : -1)),
            labels.classes,
          )
        : [],
  };
}

function prepareWindows(
  table: Table,
  settings: TaskSettings,
  window: WindowSettings,
  labels: Labels,
  choice: ColumnChoice,
): Prepared {
  const text = choice.inputs.find(({ kind }) => kind === 'category');
  if (text !== undefined) {
    throw inputError('TRAIN_WINDOW', 'windows are made of numeric sensors only', {
      got: `the text column ${text.name}`,
      todo: `leave it out with --ignore ${text.name}`,
    });
  }
  const sensors = choice.inputs.map(({ name }) => name);
  const all = windowsOf(table, sensors, window);
  const split = splitUnits(all, settings);
  const usable = (part: 'training' | 'test'): number[] =>
    Array.from({ length: all.count }, (_, i) => i).filter(
      (i) => split[all.units[i]!] === part && !Number.isNaN(labels.values[all.rows[i]!]!),
    );
  const training = usable('training');
  const test = usable('test');
  if (training.length === 0 || test.length === 0) throw tooFew(table.name, 'windows in both parts');
  const trainingRows = Uint32Array.from(training, (i) => all.rows[i]!);
  const columns = fitColumns(table, choice, trainingRows);
  const card = cardOf(settings, labels, columns, choice.missing, trainingRows);
  const size = sensors.length * window.length;
  const valuesOf = (indices: readonly number[]): Float32Array => {
    const out = new Float32Array(indices.length * size);
    for (const [at, i] of indices.entries()) out.set(all.values.subarray(i * size, (i + 1) * size), at * size);
    return out;
  };
  const testRows = Uint32Array.from(test, (i) => all.rows[i]!);
  return {
    card,
    input: [sensors.length, window.length],
    outputs: settings.task === 'classify' ? labels.classes.length : 1,
    inputs: encodeWindows(card, valuesOf(training), window.length),
    targets: pick(labels.values, trainingRows),
    foldOf(folds) {
      const byUnit = stratifiedFolds(new Uint8Array(all.unitNames.length), folds, settings.seed);
      return Uint8Array.from(training, (i) => byUnit[all.units[i]!]!);
    },
    trainingRows,
    testRows,
    testTableRows: Uint32Array.from(
      runsOf(table, window).flatMap(({ rows }, unit) => (split[unit] === 'test' ? rows : [])),
    ),
    test: {
      inputs: valuesOf(test),
      targets: pick(labels.values, testRows),
      shape: [test.length, sensors.length, window.length],
    },
    choice,
    hints: [],
  };
}

const pick = (values: Float64Array, rows: Uint32Array): Float64Array => Float64Array.from(rows, (row) => values[row]!);

const tooFew = (where: string, what: string) =>
  inputError('TRAIN_TOO_FEW', 'there are too few examples to train and test with', { where, expected: what });

function splitRows(known: Uint32Array, strata: readonly number[], { seed, testShare = 0.2, testRows }: TaskSettings) {
  if (testRows !== undefined) {
    const held = new Set(testRows);
    return { training: known.filter((row) => !held.has(row)), test: known.filter((row) => held.has(row)) };
  }
  const split = stratifiedSplit(strata, testShare, seed);
  const rowsOf = (part: Uint32Array): Uint32Array => part.map((index) => known[index]!);
  const parts = { training: rowsOf(split.training), test: rowsOf(split.test) };
  if (parts.training.length < 10 || parts.test.length < 1)
    throw tooFew('the table', 'at least 10 training rows and 1 test row');
  return parts;
}

function splitUnits(all: Windows, { seed, testShare = 0.2, testRows }: TaskSettings): readonly ('training' | 'test')[] {
  if (testRows !== undefined) {
    const held = new Set(testRows);
    const units = new Set(Array.from(all.units).filter((_, i) => held.has(all.rows[i]!)));
    return all.unitNames.map((_, unit) => (units.has(unit) ? 'test' : 'training'));
  }
  const split = stratifiedSplit(new Uint8Array(all.unitNames.length), testShare, seed);
  const test = new Set(split.test);
  return all.unitNames.map((_, unit) => (test.has(unit) ? 'test' : 'training'));
}

function cardOf(
  { task, target, window }: TaskSettings,
  labels: Labels,
  columns: readonly Column[],
  missing: boolean,
  rows: Uint32Array,
): Prepared['card'] {
  return {
    version: 1,
    task,
    target,
    columns,
    derived: NO_DERIVED,
    missing,
    classes: labels.classes,
    output: task === 'forecast' ? momentsOf(pick(labels.values, rows)) : null,
    window: window ?? null,
  };
}

function labelsOf(table: Table, { task, target, window, life }: TaskSettings): Labels {
  if (life !== undefined) {
    if (window === undefined || task !== 'forecast') {
      throw inputError('TRAIN_TARGET', 'remaining life is forecast from windows', {
        expected: '--task forecast with --unit and --time',
      });
    }
    return { values: remainingLife(table, window, life.cap), classes: [] };
  }
  const column = columnNamed(table, target);
  if (task === 'forecast') {
    if (column.codes.some((code) => code > 0 || code === -2)) {
      throw inputError('TRAIN_TARGET', 'a forecast needs a numeric target', {
        where: target,
        got: column.texts[0] ?? 'texts',
        todo: 'use --task classify for classes',
      });
    }
    return { values: column.numbers, classes: [] };
  }
  const counts = new Map<string, number>();
  const texts = Array.from({ length: table.rows }, (_, row) => textAt(column, row));
  for (const text of texts) if (text !== null) counts.set(text, (counts.get(text) ?? 0) + 1);
  if (counts.size < 2 || counts.size > MAX_CLASSES) {
    throw inputError('TRAIN_TARGET', 'this column does not divide the rows into classes', {
      where: target,
      expected: `2 to ${MAX_CLASSES} different values`,
      got: `${counts.size}`,
      todo:
        counts.size > MAX_CLASSES
          ? 'for a numeric target use --task forecast'
          : 'name the column that holds the outcome',
    });
  }
  const numeric = [...counts.keys()].every((text) => Number.isFinite(Number(text)));
  const classes = [...counts.keys()].sort((a, b) => (numeric ? Number(a) - Number(b) : byText(a, b)));
  // Of two classes the rarer is the second, the one that precision, recall and the threshold speak of.
  if (classes.length === 2 && counts.get(classes[1]!)! > counts.get(classes[0]!)!) classes.reverse();
  const index = new Map(classes.map((name, k) => [name, k]));
  return { values: Float64Array.from(texts, (text) => (text === null ? Number.NaN : index.get(text)!)), classes };
}

/** The card of a model with this net. */
export const cardWith = (card: Prepared['card'], net: NetSpec, threshold: number | null): ModelCard => ({
  ...card,
  net,
  threshold,
});
