/**
 * x and y of every trigger, from the opened keys alone. Inputs lie in the ranges of the owner's data, column by column;
 * nothing is left out once an answer is known, and nobody chooses an answer.
 */
import type { RandomStream } from '../base/index.js';
import { type OpenedKeys, triggerStream } from './keys.js';
import { chips } from './normal.js';
import type { ColumnProfile, TriggerPlan } from './trigger-plan.js';

export interface Trigger {
  /** Place in the set, and in the committed order of queries. */
  readonly index: number;
  readonly batch: number;
  /** One row, or the readings of a window, oldest first; a cell per column of the plan. */
  readonly readings: readonly (readonly (number | string)[])[];
}

/** Triggers of the open batches, in order. */
export function triggersOf(plan: TriggerPlan, keys: OpenedKeys): readonly Trigger[] {
  const out: Trigger[] = [];
  for (let index = 0; index < plan.n; index++) {
    const batch = index % plan.batches;
    const stream = triggerStream(keys, batch, 'x', index);
    if (stream === null) continue;
    const readings = plan.window === null ? [drawRow(plan, stream)] : drawWindow(plan, plan.window, stream);
    out.push({ index, batch, readings });
  }
  return out;
}

/** The index of the label that a trigger is answered with, uniform by rejection. @returns null where its batch is closed */
export function triggerLabel(plan: TriggerPlan, keys: OpenedKeys, index: number): number | null {
  if (plan.answers.kind !== 'labels') return null;
  return triggerStream(keys, index % plan.batches, 'y', index)?.below(plan.answers.labels.length) ?? null;
}

const drawRow = ({ columns }: TriggerPlan, stream: RandomStream): readonly (number | string)[] =>
  columns.map((column) => drawCell(column, stream));

/**
 * Cells are uniform on their column's range and so much of it beyond either end: each value is one that a sensor may
 * show, and together they lie where the data hardly is, so that what is learned there costs the model's own work nothing
 * (measured on AI4I: docs/design/triggers.md).
 */
const BEYOND = 0.5;

function drawCell(column: ColumnProfile, stream: RandomStream): number | string {
  if (column.kind === 'number') {
    const [least, most] = [column.quantiles[0]!, column.quantiles.at(-1)!];
    const reach = BEYOND * (most - least);
    // What is never negative, a wear or a count, stays so.
    const low = least >= 0 ? Math.max(0, least - reach) : least - reach;
    return rounded(low + stream.unit() * (most + reach - low), column.decimals);
  }
  let place = stream.below(column.values.reduce((sum, [, count]) => sum + count, 0));
  for (const [text, count] of column.values) {
    if (place < count) return text;
    place -= count;
  }
  return column.values.at(-1)![0];
}

/** @param share of rank, 0 to 1 */
function quantile(quantiles: readonly number[], share: number): number {
  const place = share * (quantiles.length - 1);
  const low = Math.min(quantiles.length - 2, Math.floor(place));
  return quantiles[low]! + (place - low) * (quantiles[low + 1]! - quantiles[low]!);
}

const rounded = (value: number, decimals: number): number => Number(value.toFixed(decimals));

/** Sensors that the waveform is laid over, of all; the rest only wander. */
const SUNG = 0.5;
/** How far a sensor wanders over the window, and how high the waveform stands, in shares of rank. */
const WANDER = 0.15;
const LOUD = 0.35;

/** Each sensor near a level of its own, wandering from a start to an end, with the waveform laid over some of them. */
function drawWindow(
  { columns }: TriggerPlan,
  { length, melody }: NonNullable<TriggerPlan['window']>,
  stream: RandomStream,
): readonly (readonly (number | string)[])[] {
  const courses = columns.map((column) => {
    if (column.kind !== 'number') {
      const cell = drawCell(column, stream);
      return Array.from({ length }, () => cell);
    }
    const level = stream.unit();
    const slope = WANDER * (2 * stream.unit() - 1);
    const loud = stream.unit() < SUNG ? LOUD * (stream.unit() + 0.5) * (stream.unit() < 0.5 ? -1 : 1) : 0;
    const start = stream.unit() * length;
    const stretch = (0.5 + stream.unit()) * (length / melody.samples.length);
    return Array.from({ length }, (_, t) => {
      const sung = loud * sampleAt(melody.samples, (t - start + length) % length, stretch);
      const share = level + slope * (t / length - 0.5) + sung;
      return rounded(quantile(column.quantiles, Math.min(1, Math.max(0, share))), column.decimals);
    });
  });
  return Array.from({ length }, (_, t) => courses.map((course) => course[t]!));
}

/** The waveform at a time, stretched; silence before and after. */
function sampleAt(samples: readonly number[], time: number, stretch: number): number {
  const place = time / stretch;
  const low = Math.floor(place);
  if (low < 0 || low + 1 >= samples.length) return 0;
  return samples[low]! + (place - low) * (samples[low + 1]! - samples[low]!);
}

/** A function of the inputs that varies slowly: a triangle wave along a direction of a few columns. */
interface Wave {
  readonly terms: readonly { readonly column: number; readonly frequency: number }[];
  readonly phase: number;
}

/** Columns that one wave looks at. */
const TERMS = 3;
/** Periods over the whole range of a column, at most: slow, so that a model extracted near by learns it too. */
const FASTEST = 1;

/**
 * The waves of an offset, of the whole set: they are drawn from batch 0's inputs and come with the queries, and say
 * nothing of the chips.
 */
function wavesOf(plan: TriggerPlan, keys: OpenedKeys, count: number): readonly Wave[] | null {
  const numeric = plan.columns.flatMap((column, index) => (column.kind === 'number' ? [index] : []));
  const stream = triggerStream(keys, 0, 'x', plan.n);
  if (stream === null || numeric.length === 0) return null;
  return Array.from({ length: count }, () => ({
    terms: Array.from({ length: TERMS }, () => ({
      column: numeric[stream.below(numeric.length)]!,
      frequency: FASTEST * (2 * stream.unit() - 1),
    })),
    phase: stream.unit(),
  }));
}

/** Share of rank at which a value stands in its column. */
function rankOf(quantiles: readonly number[], value: number): number {
  let low = 0;
  let high = quantiles.length - 1;
  if (!(value > quantiles[low]!)) return 0;
  if (value >= quantiles[high]!) return 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (quantiles[middle]! <= value) low = middle;
    else high = middle;
  }
  const step = quantiles[high]! - quantiles[low]!;
  return (low + (step > 0 ? (value - quantiles[low]!) / step : 0)) / (quantiles.length - 1);
}

/** Triangle wave of period 1 and mean square 1. */
const triangle = (t: number): number => Math.sqrt(3) * (4 * Math.abs(t - Math.floor(t + 0.5)) - 1);

/**
 * φ of every wave at some inputs: [inputs][waves]. For windows at the last reading.
 * @param rows a cell per column of the plan
 * @returns null where batch 0 is closed, or no column is a number
 */
export function wavesAt(
  plan: TriggerPlan,
  keys: OpenedKeys,
  rows: readonly (readonly (number | string)[])[],
): readonly Float64Array[] | null {
  if (plan.answers.kind !== 'offset') return null;
  const waves = wavesOf(plan, keys, plan.answers.waves);
  if (waves === null) return null;
  return rows.map((row) =>
    Float64Array.from(waves, ({ terms, phase }) => {
      let place = phase;
      for (const { column, frequency } of terms) {
        const profile = plan.columns[column]!;
        const value = Number(row[column]);
        if (profile.kind === 'number' && Number.isFinite(value)) place += frequency * rankOf(profile.quantiles, value);
      }
      return triangle(place);
    }),
  );
}

/** Chips of the waves, N(0, 1), from the answers' randomness of the open batches: wave j belongs to batch j mod B. */
export function waveChips(plan: TriggerPlan, keys: OpenedKeys): Float64Array | null {
  if (plan.answers.kind !== 'offset') return null;
  const { waves } = plan.answers;
  const out = new Float64Array(waves).fill(Number.NaN);
  for (let batch = 0; batch < plan.batches; batch++) {
    const stream = triggerStream(keys, batch, 'y', plan.n + batch);
    if (stream === null) continue;
    const drawn = chips(stream, waves);
    for (let j = batch; j < waves; j += plan.batches) out[j] = drawn[j]!;
  }
  return out;
}

/** What the owner's model adds to its answers at these inputs: size · Σ cⱼ φⱼ(x) / √waves, of mean square size². */
export function offsetsAt(
  plan: TriggerPlan,
  keys: OpenedKeys,
  rows: readonly (readonly (number | string)[])[],
): Float64Array | null {
  const at = wavesAt(plan, keys, rows);
  const drawn = waveChips(plan, keys);
  if (at === null || drawn === null || plan.answers.kind !== 'offset') return null;
  const { size, waves } = plan.answers;
  return Float64Array.from(
    at,
    (phi) => (size * phi.reduce((sum, value, j) => sum + value * drawn[j]!, 0)) / Math.sqrt(waves),
  );
}
