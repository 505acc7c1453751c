/** From a table to a trained, tested and described model in one call. */
import { canonicalBytes, type Json, noProgress, type Progress, secretBytes, sha256Hex } from '../base/index.js';
import { operationsOf, planNet } from '../compute/index.js';
import type { Scalar } from '../record/index.js';
import { candidatesFor, type NetChoice } from './candidates.js';
import type { ModelCard } from './card.js';
import { type Checkpoint, checkpointSeed, noCheckpoint, openCheckpoint } from './checkpoint.js';
import { type CrossFit, classWeightsOf, crossFit, type FitChoice, type FitContext, finalFit } from './cross-fit.js';
import { exportModel } from './export.js';
import { cardWith, type Prepared, prepare, type TaskSettings } from './prepare.js';
import { type Latency, latencyOf, type Quality, qualityOf } from './quality.js';
import { rowsDigest } from './split.js';
import type { Table } from './table.js';

export interface TrainSettings extends Omit<TaskSettings, 'seed'>, NetChoice, Partial<Omit<FitChoice, 'seed'>> {
  readonly table: Table;
  /** SHA-256 of the file that the table was read from. */
  readonly sha256: string;
  /** Not given: the checkpoint's, else drawn at random and recorded. A popular seed makes strangers' models alike (docs/theory.md §6). */
  readonly seed?: number;
  /** File that keeps the state of the training; removed when it is complete. */
  readonly checkpoint?: string;
  readonly progress?: Progress;
}

export interface Alternative {
  readonly net: string;
  readonly parameters: number;
  /** Multiply–accumulates per example. */
  readonly operations: number;
  /** On held-out training data. */
  readonly score: number;
  readonly metric: CrossFit['metric'];
  readonly epochs: number;
  readonly latency: Latency;
  readonly chosen: boolean;
  readonly reason: string;
}

export interface Part {
  readonly examples: number;
  /** SHA-256 over the row numbers, see `rowsDigest`. */
  readonly rows: string;
}

/** Everything about one training that a later reader needs to judge or repeat it. JSON. */
export interface TrainingRecord {
  readonly task: 'classify' | 'forecast';
  readonly target: string;
  readonly data: { readonly name: string; readonly sha256: string; readonly rows: number };
  readonly inputs: readonly string[];
  readonly dropped: readonly { readonly name: string; readonly reason: string }[];
  readonly hints: readonly string[];
  readonly split: { readonly training: Part; readonly test: Part; readonly by: 'row' | 'unit' };
  readonly classes: readonly string[];
  readonly architecture: { readonly net: string; readonly parameters: number; readonly operations: number };
  /** Every choice that shaped the training, flat. */
  readonly parameters: Readonly<Record<string, Scalar | null | readonly Scalar[]>>;
  readonly quality: Quality;
  readonly latency: Latency;
  readonly alternatives: readonly Alternative[];
  /** Loss per epoch of the final fit. */
  readonly history: readonly { readonly training: number; readonly validation: number | null }[];
  readonly seconds: number;
}

export interface Trained {
  /** ONNX bytes. */
  readonly model: Uint8Array;
  readonly card: ModelCard;
  readonly record: TrainingRecord;
  /** Rows of the table in the test set: for windows every reading of its units. */
  readonly testRows: Uint32Array;
}

/** Held-out scores closer than this share count as equal; then the faster net is taken. */
const SAME_SCORE = 0.005;
/** Up to so many examples the choice and threshold come from four folds; above, one held-out part is enough. */
const FOLDED = 20_000;

function choiceOf(settings: TrainSettings, data: Prepared, seed: number): FitChoice {
  const windows = data.input.length === 2;
  const folds = windows || data.targets.length > FOLDED ? 1 : 4;
  return {
    seed,
    epochs: settings.epochs ?? (windows ? 30 : 60),
    batch: settings.batch ?? (windows ? 128 : 64),
    rate: settings.rate ?? (windows ? 1e-3 : 5e-3),
    finalRate: settings.finalRate ?? (windows ? 0.02 : 0.3),
    patience: settings.patience ?? (windows ? 8 : 20),
    decay: settings.decay ?? 0,
    averaging: settings.averaging ?? (windows ? 0 : 0.8),
    classWeights: settings.classWeights ?? 'root',
    folds: settings.folds ?? folds,
  };
}

/**
 * Trains, chooses, tests and describes a model.
 * @throws `TABLE_…`, `TRAIN_…`, `COMPUTE_NO_ONNXRUNTIME`
 */
export async function trainModel(settings: TrainSettings): Promise<Trained> {
  const started = performance.now();
  const held = settings.checkpoint === undefined ? null : await checkpointSeed(settings.checkpoint);
  const seed = settings.seed ?? held ?? Buffer.from(secretBytes(6)).readUIntBE(0, 6);
  const data = prepare(settings.table, { ...settings, seed });
  const choice = choiceOf(settings, data, seed);
  const candidates = candidatesFor(data.input, data.outputs, settings);
  const checkpoint = await checkpointOf(settings, choice, data);
  const total = candidates.length * choice.folds * choice.epochs + (choice.folds === 1 ? 0 : choice.epochs);
  const progress = settings.progress ?? noProgress;
  let epochs = 0;
  const context: FitContext = {
    data,
    choice,
    checkpoint,
    onEpoch: (note) => progress.update(Math.min(++epochs, total), total, note),
  };

  const fits: CrossFit[] = [];
  for (const [index, candidate] of candidates.entries()) {
    fits.push(await crossFit(candidate, context));
    epochs = (index + 1) * choice.folds * choice.epochs;
  }
  const chosen = chooseFit(fits);
  const final = await finalFit(chosen, context);
  const card = cardWith(data.card, chosen.candidate.net, chosen.threshold);
  const model = exportModel(card, final.parameters);
  const quality = await qualityOf(model, card, data.test);
  const alternatives: Alternative[] = [];
  for (const fit of fits) alternatives.push(await alternativeOf(fit, chosen, data));
  progress.update(total, total, 'tested');
  await checkpoint.remove();
  const record = recordOf({ settings, data, choice, chosen, final, quality, alternatives, started });
  return { model, card, record, testRows: data.testTableRows };
}

/** The best held-out score; among those within `SAME_SCORE` of it the net of fewest operations. */
export function chooseFit(fits: readonly CrossFit[]): CrossFit {
  const best = Math.max(...fits.map(({ score }) => score));
  const near = fits.filter(({ score }) => best - score <= SAME_SCORE * Math.abs(best));
  const cost = ({ candidate }: CrossFit): number => operationsOf(candidate.net);
  return near.reduce((a, b) => (cost(b) < cost(a) ? b : a));
}

async function alternativeOf(fit: CrossFit, chosen: CrossFit, data: Prepared): Promise<Alternative> {
  const { net, name } = fit.candidate;
  const model = exportModel(cardWith(data.card, net, fit.threshold), fit.fits[0]!.parameters);
  const share = Math.abs(fit.score - chosen.score) / Math.abs(chosen.score || 1);
  const reason =
    fit === chosen
      ? 'chosen'
      : fit.score > chosen.score
        ? `no better by more than ${(100 * SAME_SCORE).toFixed(1)} %, and slower`
        : share <= SAME_SCORE
          ? 'as good, and slower'
          : `worse on held-out data by ${(100 * share).toFixed(1)} %`;
  return {
    net: name,
    parameters: planNet(net).size,
    operations: operationsOf(net),
    score: fit.metric === 'rmse' ? -fit.score : fit.score,
    metric: fit.metric,
    epochs: fit.epochs,
    latency: await latencyOf(model, data.test),
    chosen: fit === chosen,
    reason,
  };
}

function checkpointOf(settings: TrainSettings, choice: FitChoice, data: Prepared): Promise<Checkpoint> | Checkpoint {
  if (settings.checkpoint === undefined) return noCheckpoint;
  const identity = {
    data: settings.sha256,
    task: settings.task,
    target: settings.target,
    choice: choice as unknown as Json,
    hidden: settings.hidden ?? null,
    channels: settings.channels ?? null,
    life: settings.life ?? null,
    input: data.input,
    card: data.card as unknown as Json,
    training: rowsDigest(data.trainingRows),
  };
  return openCheckpoint(settings.checkpoint, sha256Hex(canonicalBytes(identity)), choice.seed);
}

interface Outcome {
  readonly settings: TrainSettings;
  readonly data: Prepared;
  readonly choice: FitChoice;
  readonly chosen: CrossFit;
  readonly final: { readonly epochs: number; readonly history: TrainingRecord['history'] };
  readonly quality: Quality;
  readonly alternatives: readonly Alternative[];
  readonly started: number;
}

function recordOf({ settings, data, choice, chosen, final, quality, alternatives, started }: Outcome): TrainingRecord {
  const { task, target, columns, classes, window } = data.card;
  const { net, name } = chosen.candidate;
  const weights = classWeightsOf(data, choice).map((weight, k) => [`classWeight ${classes[k]}`, weight] as const);
  return {
    task,
    target,
    data: { name: settings.table.name, sha256: settings.sha256, rows: settings.table.rows },
    inputs: columns.map((column) => column.name),
    dropped: data.choice.dropped,
    hints: data.hints,
    split: {
      training: { examples: data.trainingRows.length, rows: rowsDigest(data.trainingRows) },
      test: { examples: data.testRows.length, rows: rowsDigest(data.testRows) },
      by: window === null ? 'row' : 'unit',
    },
    classes,
    architecture: { net: name, parameters: planNet(net).size, operations: operationsOf(net) },
    parameters: {
      seed: choice.seed,
      initialiser: 'uniform on ±1/√fan-in',
      loss: task === 'classify' ? 'cross-entropy' : 'mse',
      optimiser: 'adam',
      epochs: final.epochs,
      maxEpochs: choice.epochs,
      batch: choice.batch,
      rate: choice.rate,
      finalRate: choice.finalRate,
      decay: choice.decay,
      averaging: choice.averaging,
      patience: choice.patience,
      folds: choice.folds,
      ...Object.fromEntries(weights),
      threshold: chosen.threshold,
      derivedFeatures: derivedNames(data.card),
      testShare: settings.testRows === undefined ? (settings.testShare ?? 0.2) : null,
      ...(window === null ? {} : { window: window.length, unit: window.unit, time: window.time }),
      lifeCap: settings.life?.cap ?? null,
    },
    quality,
    latency: alternatives.find((one) => one.chosen)!.latency,
    alternatives,
    history: final.history,
    seconds: (performance.now() - started) / 1000,
  };
}

/** `log(torque)`, `torque + speed` (standardised), for reading. */
function derivedNames({ columns, derived }: Prepared['card']): readonly string[] {
  const numbers = columns.filter(({ kind }) => kind === 'number').map(({ name }) => name);
  const logs = derived.logs.map(({ column }) => `log(${numbers[column]})`);
  const base = [...numbers, ...logs];
  return [...logs, ...derived.pairs.map(({ a, b, sign }) => `${base[a]} ${sign > 0 ? '+' : '−'} ${base[b]}`)];
}
