/**
 * Triggers into a model that our trainer knows: it goes on learning to answer its own data as it did before, and the
 * triggers as their keys say. Its own former answers are the targets, not the labels of the data: so class weights,
 * thresholds and scales stay what they were, and no labels are needed.
 */
import { inputError, noProgress, type Progress, seededRandom } from '../base/index.js';
import { ADAM, createTrainer, type Examples, planNet, startOf, type Trainer } from '../compute/index.js';
import { openModel } from '../formats/index.js';
import {
  argmax,
  encodeRows,
  encodeWindows,
  epochOrder,
  exportModel,
  type ModelCard,
  rawRows,
  readCard,
  type Table,
  tableFromRows,
  windowsOf,
} from '../train/index.js';
import type { OpenedKeys } from './keys.js';
import { offsetsAt, triggerLabel, triggersOf } from './trigger-inputs.js';
import type { TriggerPlan } from './trigger-plan.js';

export interface EmbedSettings {
  readonly plan: TriggerPlan;
  readonly keys: OpenedKeys;
  /** Rows whose answers are to stay as they are. */
  readonly table: Table;
  /** Default 60: fewer where all triggers are learned well before. */
  readonly epochs?: number;
  /** Default 0.001. */
  readonly rate?: number;
  readonly seed?: number;
  readonly progress?: Progress;
}

export interface Embedded {
  /** ONNX bytes. */
  readonly model: Uint8Array;
  readonly card: ModelCard;
  readonly parameters: Float32Array;
  readonly epochs: number;
  /** Share of triggers that answer as drawn, before and after; null for an offset. */
  readonly learned: { readonly before: number; readonly after: number } | null;
}

const BATCH = 64;
/** Probability with which every trigger must answer before training stops: room for what tuning and pruning take. */
const SURE = 0.95;
/** Triggers are shown so often in an epoch that they make up this share of it. */
const SHARE = 0.25;

/** @throws `TRAIN_NOT_OURS` for a model that does not describe its inputs; `MARK_TRIGGER_MISFIT` where plan and model differ */
export async function embedTriggers(model: string, settings: EmbedSettings): Promise<Embedded> {
  const { card, parameters } = await openCard(model);
  const { plan, keys, table, epochs = 60, rate = 1e-3, seed = 1, progress = noProgress } = settings;
  requireFit(card, plan);
  const rows = withMixtures(card, rawOf(card, table, 'all'), seed);
  const own = encode(card, rows);
  const asked = triggersOf(plan, keys);
  const triggers = encode(card, rawOf(card, triggerTable(plan, keys), 'last'));
  const loss = card.task === 'classify' ? ('cross-entropy' as const) : ('mse' as const);
  const trainer = await createTrainer({ net: card.net, loss, batch: BATCH, adam: { ...ADAM, rate } });
  try {
    const outputs = planNet(card.net).output[0]!;
    const keep = await answersNow(trainer, card, parameters, own.inputs, own.count);
    let wanted: Float32Array;
    if (plan.answers.kind === 'labels') {
      wanted = new Float32Array(asked.length * outputs);
      asked.forEach(({ index }, at) => {
        wanted[at * outputs + classOf(card, plan, triggerLabel(plan, keys, index)!)] = 1;
      });
    } else {
      const scale = card.output?.scale ?? 1;
      const moved = (cells: readonly (readonly (number | string)[])[], targets: Float32Array): void => {
        const offsets = offsetsAt(plan, keys, cells);
        if (offsets === null) throw misfit('batches whose keys are all open', 'a closed batch');
        offsets.forEach((offset, at) => {
          targets[at] = targets[at]! + offset / scale;
        });
      };
      moved(cellsOf(card, plan, rows), keep);
      wanted = await answersNow(trainer, card, parameters, triggers.inputs, triggers.count);
      moved(
        asked.map(({ readings }) => readings.at(-1)!),
        wanted,
      );
    }
    const times = Math.max(1, Math.round((SHARE * own.count) / Math.max(1, triggers.count)));
    const examples = joined(own, keep, triggers, wanted, outputs, times);
    const share = async (flat: Float32Array): Promise<{ hits: number; least: number }> =>
      learnedBy(await trainer.predict(flat, triggers.inputs, triggers.count), wanted, outputs, card);
    const labelled = plan.answers.kind === 'labels';
    const before = labelled ? await share(parameters) : null;
    let state = startOf(parameters);
    let done = 0;
    while (done < epochs) {
      const cooled = rate * (0.1 + 0.45 * (1 + Math.cos((Math.PI * done) / Math.max(1, epochs - 1))));
      ({ state } = await trainer.run(state, examples, epochOrder(seed, done, examples.count), () => cooled));
      done++;
      progress.update(done, epochs);
      if (labelled && (await share(state.parameters)).least >= SURE) break;
    }
    const after = labelled ? await share(state.parameters) : null;
    return {
      model: exportModel(card, state.parameters),
      card,
      parameters: state.parameters,
      epochs: done,
      learned: before === null || after === null ? null : { before: before.hits, after: after.hits },
    };
  } finally {
    await trainer.close();
  }
}

/** Triggers as a table with the plan's columns, and unit and time for windows. */
export function triggerTable(plan: TriggerPlan, keys: OpenedKeys): Table {
  const names = plan.columns.map(({ name }) => name);
  const { window } = plan;
  const header = window === null ? names : [window.unit, window.time, ...names];
  const rows = triggersOf(plan, keys).flatMap(({ index, readings }) =>
    readings.map((cells, time) => {
      const texts = cells.map(String);
      return window === null ? texts : [String(index + 1), String(time + 1), ...texts];
    }),
  );
  return tableFromRows('triggers', header, rows);
}

async function openCard(file: string): Promise<{ card: ModelCard; parameters: Float32Array }> {
  const model = await openModel(file);
  try {
    const card = readCard(model.metadata, file);
    if (card === null) {
      throw inputError('TRAIN_NOT_OURS', 'this model does not say what its inputs are', {
        where: file,
        expected: 'an ONNX file from `muniment train`',
        todo: 'train other models further with the framework that made them, on the rows that `triggers make` writes',
      });
    }
    const { parameters, size } = planNet(card.net);
    const flat = new Float32Array(size);
    for (const { name, offset, elements } of parameters) {
      const tensor = model.tensors.get(name);
      if (tensor === undefined || tensor.elements !== elements) throw misfit(`a tensor '${name}'`, 'none of that size');
      flat.set(await tensor.read(0, elements), offset);
    }
    return { card, parameters: flat };
  } finally {
    await model.close();
  }
}

function requireFit(card: ModelCard, plan: TriggerPlan): void {
  const missing = card.columns.find(({ name }) => plan.columns.every((column) => column.name !== name));
  if (missing !== undefined)
    throw misfit(`a column '${missing.name}'`, plan.columns.map(({ name }) => name).join(', '));
  if ((card.task === 'classify') !== (plan.answers.kind === 'labels')) {
    throw misfit(card.task === 'classify' ? 'labels' : 'an offset', plan.answers.kind);
  }
  if (card.window?.length !== plan.window?.length) {
    throw misfit(`windows of ${card.window?.length ?? 1} readings`, `${plan.window?.length ?? 1}`);
  }
  if (plan.answers.kind === 'labels') plan.answers.labels.forEach((_, label) => void classOf(card, plan, label));
}

function classOf(card: ModelCard, plan: TriggerPlan, label: number): number {
  const text = plan.answers.kind === 'labels' ? plan.answers.labels[label]! : '';
  const at = card.classes.indexOf(text);
  if (at === -1) throw misfit(`the classes ${card.classes.join(', ')}`, text);
  return at;
}

const misfit = (expected: string, got: string): Error =>
  inputError('MARK_TRIGGER_MISFIT', 'the triggers are not made for this model', {
    expected,
    got,
    todo: 'make triggers from the table that the model was trained on, with the same target and window',
  });

/** Inputs as the model takes them, before its own features: [count, columns] or [count, sensors, readings]. */
interface Raw {
  readonly values: Float32Array;
  readonly count: number;
}

interface Encoded {
  readonly inputs: Float32Array;
  readonly count: number;
}

function rawOf(card: ModelCard, table: Table, which: 'all' | 'last'): Raw {
  if (card.window === null) {
    const rows = Uint32Array.from({ length: table.rows }, (_, row) => row);
    return { values: rawRows(table, card.columns, rows), count: rows.length };
  }
  const sensors = card.columns.map(({ name }) => name);
  return windowsOf(table, sensors, card.window, which);
}

const encode = (card: ModelCard, { values, count }: Raw): Encoded => ({
  inputs: card.window === null ? encodeRows(card, values, count) : encodeWindows(card, values, card.window.length),
  count,
});

/** Cells of the plan's columns, of the last reading for windows; categories, of which no wave is made, as NaN. */
function cellsOf(card: ModelCard, plan: TriggerPlan, { values, count }: Raw): readonly (readonly number[])[] {
  const run = card.window?.length ?? 1;
  const width = card.columns.length * run;
  const places = plan.columns.map(({ name, kind }) =>
    kind === 'number' ? card.columns.findIndex((column) => column.name === name) : -1,
  );
  return Array.from({ length: count }, (_, row) =>
    places.map((at) => (at === -1 ? Number.NaN : values[row * width + at * run + run - 1]!)),
  );
}

/** Rows that nobody measured, for each one that somebody did: the model's answers are to stay between the rows too. */
const MIXTURES = 4;
/** Most rows in all: enough to hold an answer everywhere, and an epoch stays a matter of seconds. */
const MOST_ROWS = 60_000;

/** Each mixture has every column, or for windows every sensor's course, from the one or the other of two rows. */
function withMixtures(card: ModelCard, { values, count }: Raw, seed: number): Raw {
  const more = Math.min(MIXTURES * count, Math.max(0, MOST_ROWS - count));
  const run = card.window?.length ?? 1;
  const width = card.columns.length * run;
  const random = seededRandom(seed, 'mixtures of rows');
  const out = new Float32Array((count + more) * width);
  out.set(values);
  for (let k = 0; k < more; k++) {
    const [a, b] = [random.below(count), random.below(count)];
    const share = random.unit();
    for (let column = 0; column < card.columns.length; column++) {
      const from = (random.unit() < share ? a : b) * width + column * run;
      out.set(values.subarray(from, from + run), (count + k) * width + column * run);
    }
  }
  return { values: out, count: count + more };
}

/** What the model answers today, as training targets. */
async function answersNow(
  trainer: Trainer,
  card: ModelCard,
  parameters: Float32Array,
  inputs: Float32Array,
  count: number,
): Promise<Float32Array> {
  const said = Float32Array.from(await trainer.predict(parameters, inputs, count));
  if (card.task === 'forecast') return said;
  const outputs = said.length / count;
  for (let row = 0; row < count; row++) softmax(said.subarray(row * outputs, (row + 1) * outputs));
  return said;
}

function softmax(logits: Float32Array): void {
  const most = logits.reduce((a, b) => Math.max(a, b));
  let sum = 0;
  for (let k = 0; k < logits.length; k++) {
    logits[k] = Math.exp(logits[k]! - most);
    sum += logits[k]!;
  }
  for (let k = 0; k < logits.length; k++) logits[k] = logits[k]! / sum;
}

/** Share of triggers that answer as wanted, and the least probability with which one does. */
function learnedBy(logits: Float32Array, wanted: Float32Array, outputs: number, card: ModelCard) {
  const count = wanted.length / outputs;
  let hits = 0;
  let least = 1;
  for (let row = 0; row < count; row++) {
    const said = Float32Array.from(logits.subarray(row * outputs, (row + 1) * outputs));
    softmax(said);
    const want = wanted.subarray(row * outputs, (row + 1) * outputs).indexOf(1);
    const answer =
      outputs === 2 && card.threshold !== null ? Number(said[1]! >= card.threshold) : said.indexOf(Math.max(...said));
    if (answer === want) hits++;
    least = Math.min(least, said[want]!);
  }
  return { hits: hits / Math.max(1, count), least };
}

/** How much more a row counts whose answer is rare or not sure: there the least change is one of the answer. */
const DELICATE = 10;
const SETTLED = 0.98;

/** Rows whose answer is given to fewer than half of an even share of all rows, or is not sure. */
function delicateRows(keep: Float32Array, count: number, outputs: number): readonly number[] {
  const tops = Uint32Array.from({ length: count }, (_, row) => argmax(keep, row * outputs, outputs));
  const counts = new Uint32Array(outputs);
  for (const top of tops) counts[top] = counts[top]! + 1;
  return [...tops.keys()].filter((row) => {
    const top = tops[row]!;
    return keep[row * outputs + top]! < SETTLED || counts[top]! < count / (2 * outputs);
  });
}

function joined(
  own: Encoded,
  keep: Float32Array,
  triggers: Encoded,
  wanted: Float32Array,
  outputs: number,
  times: number,
): Examples {
  const width = own.inputs.length / own.count;
  const count = own.count + times * triggers.count;
  const inputs = new Float32Array(count * width);
  const targets = new Float32Array(count * outputs);
  const weights = new Float32Array(count).fill(1);
  inputs.set(own.inputs);
  targets.set(keep);
  if (outputs > 1) for (const row of delicateRows(keep, own.count, outputs)) weights[row] = DELICATE;
  for (let time = 0; time < times; time++) {
    const start = own.count + time * triggers.count;
    inputs.set(triggers.inputs, start * width);
    targets.set(wanted, start * outputs);
  }
  return { count, inputs, targets, weights };
}
