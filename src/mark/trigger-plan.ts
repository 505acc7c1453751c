/**
 * The plan of a set of triggers: inputs that the owner's keys will draw, in the ranges of his own data, and the answers
 * that they will be given. Committed before either is drawn (docs/theory.md §1, §9).
 */
import { canonicalBytes, inputError, type Json, sha256Hex } from '../base/index.js';
import { chooseColumns, columnNamed, type Table, textAt } from '../train/index.js';

/** Values of one column at equal steps of rank, and the digits that its own values have. */
export type ColumnProfile =
  | { readonly name: string; readonly kind: 'number'; readonly quantiles: readonly number[]; readonly decimals: number }
  | { readonly name: string; readonly kind: 'category'; readonly values: readonly (readonly [string, number])[] };

/** A short waveform of the owner's, laid over the sensors of a window; samples from −1 to 1. */
export interface Melody {
  readonly samples: readonly number[];
  /** SHA-256 of the file that it was read from; null: the one that comes with this version. */
  readonly sha256: string | null;
}

export interface TriggerPlan {
  readonly version: 1;
  /** Queries, dealt to the batches in turn. */
  readonly n: number;
  readonly batches: number;
  /** `labels`: each query is answered with one of them, drawn alike. `offset`: each value is moved by a smooth function. */
  readonly answers:
    | { readonly kind: 'labels'; readonly labels: readonly string[] }
    | { readonly kind: 'offset'; readonly size: number; readonly waves: number };
  readonly columns: readonly ColumnProfile[];
  readonly target: string;
  /** Null: single rows. */
  readonly window: {
    readonly unit: string;
    readonly time: string;
    readonly length: number;
    readonly melody: Melody;
  } | null;
  readonly data: { readonly sha256: string; readonly rows: number };
}

export const MAX_TRIGGERS = 10_000;
export const DEFAULT_TRIGGERS = 120;
export const MAX_LABELS = 1_000;
const QUANTILES = 33;
/** Digits behind the point beyond which a column counts as continuous. */
const MAX_DECIMALS = 6;
/** Functions that an offset is made of: as many chips speak, and log10 p can fall to about −30. */
export const WAVES = 128;
/** A ramp up, down and up again: what is laid over windows where the owner has no waveform of his own. */
const PLAIN_MELODY: Melody = { samples: [0, 0.6, 1, 0.6, 0, -0.6, -1, -0.6, 0, 0.8, 0, -0.8, 0], sha256: null };

export interface TriggerRequest {
  readonly table: Table;
  readonly sha256: string;
  readonly target: string;
  readonly n?: number;
  readonly batches?: number;
  /** Columns that are no inputs of the model. */
  readonly ignore?: readonly string[];
  readonly window?: { readonly unit: string; readonly time: string; readonly length: number } | null;
  readonly melody?: Melody | null;
  /** In the target's unit: makes an offset of a number. Labels are drawn where it is not given. */
  readonly offset?: number | null;
}

/** @throws `MARK_TRIGGER_COUNT`, `MARK_TRIGGER_LABELS`, `MARK_TRIGGER_OFFSET`, `TABLE_NO_COLUMN`, `TRAIN_NO_INPUTS` */
export function planTriggers(request: TriggerRequest): TriggerPlan {
  const { table, target, ignore = [], window = null, melody, offset = null } = request;
  const { n = DEFAULT_TRIGGERS, batches = 2 } = request;
  if (!(Number.isInteger(n) && n >= batches && n <= MAX_TRIGGERS)) {
    throw inputError('MARK_TRIGGER_COUNT', 'the number of triggers is out of range', {
      expected: `${batches} to ${MAX_TRIGGERS}`,
      got: String(n),
    });
  }
  const apart = [target, ...(window === null ? [] : [window.unit, window.time])];
  for (const name of apart) columnNamed(table, name);
  // As `train` chooses them: a model has no use for identifiers and constants.
  const { inputs } = chooseColumns(table, apart, ignore);
  const columns = inputs.map(({ name, kind }) => profileOf(table, name, kind));
  return {
    version: 1,
    n,
    batches,
    answers: offset === null ? { kind: 'labels', labels: labelsOf(table, target) } : offsetOf(offset),
    columns,
    target,
    window: window === null ? null : { ...window, melody: melody ?? PLAIN_MELODY },
    data: { sha256: request.sha256, rows: table.rows },
  };
}

export const triggerPlanDigest = (plan: TriggerPlan): string => sha256Hex(canonicalBytes(plan as unknown as Json));

function offsetOf(size: number): TriggerPlan['answers'] {
  if (size > 0 && Number.isFinite(size)) return { kind: 'offset', size, waves: WAVES };
  throw inputError('MARK_TRIGGER_OFFSET', 'the size of the offset is out of range', {
    expected: 'a number above 0, in the unit of the target',
    got: String(size),
  });
}

/** In the order of their texts, so that nobody chooses which number is which label. */
function labelsOf(table: Table, target: string): readonly string[] {
  const column = columnNamed(table, target);
  const labels = new Set<string>();
  for (let row = 0; row < table.rows && labels.size <= MAX_LABELS; row++) {
    const text = textAt(column, row);
    if (text !== null) labels.add(text);
  }
  if (labels.size < 2 || labels.size > MAX_LABELS) {
    throw inputError('MARK_TRIGGER_LABELS', 'the answers of this column are no classes', {
      expected: `2 to ${MAX_LABELS} different answers in '${target}'`,
      got: labels.size > MAX_LABELS ? `more than ${MAX_LABELS}` : String(labels.size),
      todo: 'for a model that answers with a number give --offset SIZE, in the unit of the target',
    });
  }
  return [...labels].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
}

function profileOf(table: Table, name: string, kind: 'number' | 'category'): ColumnProfile {
  const column = columnNamed(table, name);
  if (kind === 'number') {
    const numbers = column.numbers.filter((value) => !Number.isNaN(value)).sort();
    const at = (share: number): number => numbers[Math.round(share * (numbers.length - 1))]!;
    return {
      name,
      kind,
      quantiles: Array.from({ length: QUANTILES }, (_, k) => at(k / (QUANTILES - 1))),
      decimals: decimalsOf(numbers),
    };
  }
  const counts = new Map<string, number>();
  for (let row = 0; row < table.rows; row++) {
    const text = textAt(column, row);
    if (text !== null) counts.set(text, (counts.get(text) ?? 0) + 1);
  }
  return { name, kind, values: [...counts].sort(([a], [b]) => (a < b ? -1 : 1)) };
}

/** Of the first thousand values: triggers must not stand out by their digits. */
function decimalsOf(numbers: Float64Array): number {
  let most = 0;
  for (const value of numbers.subarray(0, 1_000)) {
    while (most < MAX_DECIMALS && Number(value.toFixed(most)) !== value) most++;
  }
  return most;
}
