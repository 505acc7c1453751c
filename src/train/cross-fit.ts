/**
 * Held-out predictions of one candidate: it is fitted several times, each time without one fold of the training data,
 * with early stopping on that fold. From the pooled predictions come the choice among candidates and the threshold;
 * the test set has no part in either.
 */
import type { Examples, Loss } from '../compute/index.js';
import type { Candidate } from './candidates.js';
import type { Checkpoint } from './checkpoint.js';
import { type FitHooks, type FitResult, type FitSettings, fitNet, trainerFor } from './fit.js';
import { averagePrecision, bestThreshold, binaryQuality, classQuality, forecastQuality } from './metrics.js';
import type { Prepared } from './prepare.js';

export interface FitChoice {
  readonly seed: number;
  readonly epochs: number;
  readonly batch: number;
  readonly rate: number;
  readonly finalRate: number;
  readonly patience: number;
  readonly decay: number;
  readonly averaging: number;
  readonly classWeights: 'none' | 'root' | 'balanced';
  /** 1: one fold in five is held out once; the fit of the best epoch is kept. */
  readonly folds: number;
}

/** With one fold, this share of the training data is held out. */
const SINGLE_HOLDOUT = 5;

export interface CrossFit {
  readonly candidate: Candidate;
  /** Epochs after which held-out loss was least, mean over the fits. */
  readonly epochs: number;
  /** Higher is better: F1 at the best threshold, macro F1, or −RMSE. */
  readonly score: number;
  readonly metric: 'f1' | 'macro-f1' | 'rmse';
  readonly threshold: number | null;
  readonly fits: readonly FitResult[];
}

export interface FitContext {
  readonly data: Prepared;
  readonly choice: FitChoice;
  readonly checkpoint: Checkpoint;
  /** After every epoch of every fit: the note says candidate and loss. */
  readonly onEpoch: (note: string) => void;
}

export const lossOf = ({ card }: Prepared): Loss => (card.task === 'classify' ? 'cross-entropy' : 'mse');

/** Weight of each class: 1, or (n / (K·n_c)) to the power ½ or 1. */
export function classWeightsOf(data: Prepared, { classWeights }: FitChoice): readonly number[] {
  if (data.card.task !== 'classify' || classWeights === 'none') return data.card.classes.map(() => 1);
  const power = classWeights === 'root' ? 0.5 : 1;
  return data.card.classes.map((_, k) => {
    const count = data.targets.filter((label) => label === k).length;
    return (data.targets.length / (data.outputs * Math.max(1, count))) ** power;
  });
}

/** Some training examples as the trainer takes them. */
export function examplesAt(data: Prepared, choice: FitChoice, indices: Uint32Array): Examples {
  const width = data.input.reduce((product, n) => product * n, 1);
  const weights = classWeightsOf(data, choice);
  const out = {
    count: indices.length,
    inputs: new Float32Array(indices.length * width),
    targets: new Float32Array(indices.length * data.outputs),
    weights: new Float32Array(indices.length).fill(1),
  };
  for (const [at, index] of indices.entries()) {
    out.inputs.set(data.inputs.subarray(index * width, (index + 1) * width), at * width);
    const target = data.targets[index]!;
    if (data.card.task === 'classify') {
      out.targets[at * data.outputs + target] = 1;
      out.weights[at] = weights[target]!;
    } else out.targets[at] = (target - data.card.output!.mean) / data.card.output!.scale;
  }
  return out;
}

/** A fit that can be continued from the checkpoint, under a name of its own. */
export async function resumableFit(
  key: string,
  settings: FitSettings,
  examples: Examples,
  { checkpoint, onEpoch }: FitContext,
  hooks: FitHooks,
): Promise<FitResult> {
  const found = checkpoint.find(key);
  if (found !== null && 'done' in found) return found.done;
  const result = await fitNet(settings, examples, {
    ...hooks,
    ...(found === null ? {} : { from: found.at }),
    async onEpoch(progress) {
      const last = progress.history.at(-1)!;
      onEpoch(`loss ${(last.validation ?? last.training).toFixed(4)} (${key})`);
      await checkpoint.update(key, progress);
    },
  });
  await checkpoint.finish(key, result);
  return result;
}

export const settingsFor = (candidate: Candidate, { data, choice }: FitContext): FitSettings => ({
  ...choice,
  net: candidate.net,
  loss: lossOf(data),
});

export async function crossFit(candidate: Candidate, context: FitContext): Promise<CrossFit> {
  const { data, choice } = context;
  const settings = settingsFor(candidate, context);
  const trainer = await trainerFor(settings);
  try {
    const folds = choice.folds === 1 ? SINGLE_HOLDOUT : choice.folds;
    const foldOf = data.foldOf(folds);
    const held: number[] = [];
    const outputs: number[] = [];
    const fits: FitResult[] = [];
    for (let fold = 0; fold < choice.folds; fold++) {
      const all = Uint32Array.from(data.targets, (_, index) => index);
      const outside = all.filter((index) => foldOf[index] === fold);
      const inside = all.filter((index) => foldOf[index] !== fold);
      const validation = examplesAt(data, choice, outside);
      const fit = await resumableFit(
        `${candidate.name}, fold ${fold + 1}`,
        settings,
        examplesAt(data, choice, inside),
        context,
        {
          trainer,
          validate: async (parameters) =>
            heldOutError(data, await trainer.predict(parameters, validation.inputs, validation.count), validation),
        },
      );
      fits.push(fit);
      held.push(...outside);
      outputs.push(...(await trainer.predict(fit.parameters, validation.inputs, validation.count)));
    }
    const epochs = Math.max(1, Math.round(fits.reduce((sum, fit) => sum + fit.bestEpoch, 0) / fits.length));
    return { candidate, epochs, fits, ...scoreOf(data, held, outputs) };
  } finally {
    await trainer.close();
  }
}

/** Fit on all training data for the number of epochs that held-out data found best. */
export async function finalFit(chosen: CrossFit, context: FitContext): Promise<FitResult> {
  if (context.choice.folds === 1) return chosen.fits[0]!;
  const { data, choice } = context;
  const all = Uint32Array.from(data.targets, (_, index) => index);
  const settings = { ...settingsFor(chosen.candidate, context), stopAfter: chosen.epochs };
  return resumableFit(`${chosen.candidate.name}, all`, settings, examplesAt(data, choice, all), context, {});
}

/**
 * What early stopping watches. Two classes: 1 − average precision, since cross-entropy begins to rise with confidence
 * long before the ranking is best (AI4I: F1 0.69 when stopped by cross-entropy, 0.75 by this). Else the loss itself.
 */
function heldOutError(data: Prepared, outputs: Float32Array, examples: Examples): number {
  if (data.card.task !== 'classify' || data.outputs !== 2) return meanLoss(data, outputs, examples);
  const indices = Array.from({ length: examples.count }, (_, i) => i);
  return (
    1 -
    averagePrecision(
      indices.map((i) => outputs[2 * i + 1]! - outputs[2 * i]!),
      indices.map((i) => examples.targets[2 * i + 1] === 1),
    )
  );
}

/** The weighted loss that training minimises, on held-out examples. */
function meanLoss(data: Prepared, outputs: Float32Array, { count, targets, weights }: Examples): number {
  const width = data.outputs;
  let sum = 0;
  let total = 0;
  for (let i = 0; i < count; i++) {
    let one = 0;
    if (data.card.task === 'classify') {
      const logits = outputs.subarray(i * width, (i + 1) * width);
      const label = targets.subarray(i * width, (i + 1) * width).indexOf(1);
      one = logSumExp(logits) - logits[label]!;
    } else one = (outputs[i]! - targets[i]!) ** 2;
    sum += weights[i]! * one;
    total += weights[i]!;
  }
  return sum / total;
}

function logSumExp(values: Float32Array): number {
  const top = values.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  return top + Math.log(values.reduce((sum, value) => sum + Math.exp(value - top), 0));
}

function scoreOf(
  data: Prepared,
  held: readonly number[],
  outputs: readonly number[],
): Pick<CrossFit, 'score' | 'metric' | 'threshold'> {
  const { card, targets } = data;
  const truth = held.map((index) => targets[index]!);
  if (card.task === 'forecast') {
    const said = outputs.map((value) => value * card.output!.scale + card.output!.mean);
    return { score: -forecastQuality(said, truth).rmse, metric: 'rmse', threshold: null };
  }
  if (data.outputs === 2) {
    const scores = truth.map((_, i) => 1 / (1 + Math.exp(outputs[2 * i]! - outputs[2 * i + 1]!)));
    const positive = truth.map((label) => label === 1);
    const threshold = bestThreshold(scores, positive);
    return { score: binaryQuality(scores, positive, threshold).f1, metric: 'f1', threshold };
  }
  const said = truth.map((_, i) => argmax(outputs, i * data.outputs, data.outputs));
  return { score: classQuality(said, truth, data.outputs).macroF1, metric: 'macro-f1', threshold: null };
}

export function argmax(values: ArrayLike<number>, start: number, length: number): number {
  let best = 0;
  for (let k = 1; k < length; k++) if (values[start + k]! > values[start + best]!) best = k;
  return best;
}
