/** Training on arrays in memory, without files or records: tests, benches and the demo's thief and competitor. */
import { type Examples, type NetSpec, planNet, type Trainer } from '../compute/index.js';
import type { Column, ModelCard } from './card.js';
import { encodeRows, encodeWindows } from './encode.js';
import { exportModel } from './export.js';
import { type FitResult, type FitSettings, fitNet, trainerFor } from './fit.js';

/** Raw inputs [n, …net.input of the raw columns] with one target each: a class index, or a value. */
export interface LabelledArrays {
  readonly inputs: Float32Array;
  readonly targets: ArrayLike<number>;
}

export interface ArrayTraining {
  /** Over the features as given: [features] for rows, [sensors, length] for windows. Its outputs say how many classes. */
  readonly net: NetSpec;
  readonly task: 'classify' | 'forecast';
  readonly seed: number;
  /** Default 20. */
  readonly epochs?: number;
  /** Default 64. */
  readonly batch?: number;
  /** Default 0.003. */
  readonly rate?: number;
  /** From `arrayTrainer` with the same net, task and batch: shared by many seeds it saves building the graphs. */
  readonly trainer?: Trainer;
}

export interface TrainedModel {
  /** ONNX bytes. */
  readonly model: Uint8Array;
  readonly card: ModelCard;
  readonly parameters: Float32Array;
  readonly fit: FitResult;
}

function settingsOf({ net, task, seed, epochs = 20, batch = 64, rate = 3e-3 }: ArrayTraining): FitSettings {
  return { net, loss: task === 'classify' ? 'cross-entropy' : 'mse', seed, epochs, batch, rate };
}

export const arrayTrainer = (training: Omit<ArrayTraining, 'seed'>): Promise<Trainer> =>
  trainerFor(settingsOf({ ...training, seed: 0 }));

/** Mean and standard deviation (1 where it is 0) of one column over the examples, NaN left out. */
export function momentsOf(values: Iterable<number>): { mean: number; scale: number } {
  let n = 0;
  let mean = 0;
  let squares = 0;
  for (const value of values) {
    if (Number.isNaN(value)) continue;
    n += 1;
    const delta = value - mean;
    mean += delta / n;
    squares += delta * (value - mean);
  }
  const scale = n === 0 ? 0 : Math.sqrt(squares / n);
  return { mean, scale: scale > 1e-12 * Math.max(1, Math.abs(mean)) ? scale : 1 };
}

function* columnOf(inputs: Float32Array, columns: number, length: number, column: number): Generator<number> {
  for (let i = column * length; i < inputs.length; i += columns * length) {
    for (let j = 0; j < length; j++) yield inputs[i + j]!;
  }
}

function cardOf({ net, task }: ArrayTraining, { inputs, targets }: LabelledArrays): ModelCard {
  const [columns, length = 1] = net.input as readonly [number, number?];
  const outputs = planNet(net).output[0]!;
  return {
    version: 1,
    task,
    target: 'target',
    net,
    columns: Array.from({ length: columns }, (_, index): Column => {
      const moments = momentsOf(columnOf(inputs, columns, length, index));
      return { name: `x${index + 1}`, kind: 'number', ...moments };
    }),
    derived: { logs: [], pairs: [] },
    missing: false,
    classes: task === 'classify' ? Array.from({ length: outputs }, (_, k) => String(k)) : [],
    threshold: task === 'classify' && outputs === 2 ? 0.5 : null,
    output: task === 'forecast' ? momentsOf(Array.from(targets)) : null,
    window: net.input.length === 2 ? { unit: 'unit', time: 'time', length } : null,
  };
}

/** Features and targets as the training graph takes them, all of weight 1. */
export function examplesOf(card: ModelCard, { inputs, targets }: LabelledArrays): Examples {
  const count = targets.length;
  const outputs = planNet(card.net).output[0]!;
  const encoded =
    card.window === null ? encodeRows(card, inputs, count) : encodeWindows(card, inputs, card.window.length);
  const wanted = new Float32Array(count * outputs);
  for (let i = 0; i < count; i++) {
    if (card.task === 'classify') wanted[i * outputs + targets[i]!] = 1;
    else wanted[i] = (targets[i]! - (card.output?.mean ?? 0)) / (card.output?.scale ?? 1);
  }
  return { count, inputs: encoded, targets: wanted, weights: new Float32Array(count).fill(1) };
}

/** Trains for a fixed number of epochs. The result depends on data, settings and seed alone (on one machine). */
export async function trainOnArrays(training: ArrayTraining, data: LabelledArrays): Promise<TrainedModel> {
  const card = cardOf(training, data);
  const hooks = training.trainer === undefined ? {} : { trainer: training.trainer };
  const fit = await fitNet(settingsOf(training), examplesOf(card, data), hooks);
  return { model: exportModel(card, fit.parameters), card, parameters: fit.parameters, fit };
}
