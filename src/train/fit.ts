/** The training loop: epochs in seeded order, early stopping on held-out data, checkpoints that continue identically. */
import { inputError, randomPermutation, seededRandom } from '../base/index.js';
import {
  ADAM,
  createTrainer,
  type Examples,
  initialise,
  type Loss,
  type NetSpec,
  startOf,
  type Trainer,
  type TrainingState,
} from '../compute/index.js';

export interface FitSettings {
  readonly net: NetSpec;
  readonly loss: Loss;
  /** Fixes initialisation and order of examples. */
  readonly seed: number;
  readonly epochs: number;
  readonly batch: number;
  readonly rate: number;
  readonly decay?: number;
  /** The rate falls to this share of itself along a half cosine over the epochs; 1 keeps it. Default 1. */
  readonly finalRate?: number;
  /** Ends after so many epochs, with the rates of a training of `epochs`. */
  readonly stopAfter?: number;
  /**
   * Share of the average that an epoch keeps: the result is the moving average of the parameters at the ends of epochs,
   * which lies flatter than any of them (Izmailov et al. 2018). 0 (default) takes the last parameters themselves.
   */
  readonly averaging?: number;
  /** Epochs without improvement on validation data after which training stops. Only with `validation`. */
  readonly patience?: number;
}

/** Everything to continue a training: between two epochs. */
export interface FitProgress {
  readonly epoch: number;
  readonly state: TrainingState;
  /** Weighted sum of the parameters so far, not yet divided by 1 − averaging^epoch; null without averaging. */
  readonly average: Float32Array | null;
  readonly best: { readonly epoch: number; readonly loss: number; readonly parameters: Float32Array } | null;
  /** Mean training loss and validation loss per epoch done. */
  readonly history: readonly { readonly training: number; readonly validation: number | null }[];
}

export interface FitHooks {
  /** Validation loss of these parameters, lower is better. */
  readonly validate?: (parameters: Float32Array, trainer: Trainer) => Promise<number>;
  /** Called after every epoch. */
  readonly onEpoch?: (progress: FitProgress) => Promise<void> | void;
  /** Continue from here instead of from the initialisation. */
  readonly from?: FitProgress;
  /** Start from these parameters instead of the seed's initialisation. */
  readonly start?: Float32Array;
  /** Parameters that are 0 here are set back to 0 after every epoch (a pruned net stays pruned). */
  readonly mask?: Float32Array;
  /** A trainer of the same net, loss, batch and decay, to save building the graphs anew. */
  readonly trainer?: Trainer;
}

export interface FitResult {
  /** Of the best epoch by validation, else of the last. */
  readonly parameters: Float32Array;
  readonly epochs: number;
  readonly bestEpoch: number;
  readonly stoppedEarly: boolean;
  readonly history: FitProgress['history'];
}

/** A trainer for these settings; `fitNet` makes its own when given none. */
export const trainerFor = ({ net, loss, batch, rate, decay = 0 }: FitSettings): Promise<Trainer> =>
  createTrainer({ net, loss, batch, adam: { ...ADAM, rate, decay } });

/**
 * Order of the examples in one epoch: from seed and epoch alone, so that a resumed training repeats it.
 * The stream is apart from the initialiser's.
 */
export const epochOrder = (seed: number, epoch: number, count: number): Uint32Array =>
  randomPermutation(count, seededRandom(seed, `order of epoch ${epoch}`));

function rateAt({ rate, finalRate = 1, epochs }: FitSettings, epoch: number): number {
  const turn = epochs <= 1 ? 0 : epoch / (epochs - 1);
  return rate * (finalRate + ((1 - finalRate) * (1 + Math.cos(Math.PI * turn))) / 2);
}

export async function fitNet(settings: FitSettings, examples: Examples, hooks: FitHooks = {}): Promise<FitResult> {
  const trainer = hooks.trainer ?? (await trainerFor(settings));
  try {
    return await fitWith(trainer, settings, examples, hooks);
  } finally {
    if (hooks.trainer === undefined) await trainer.close();
  }
}

async function fitWith(
  trainer: Trainer,
  settings: FitSettings,
  examples: Examples,
  hooks: FitHooks,
): Promise<FitResult> {
  const { seed, epochs, stopAfter = epochs, patience = Number.POSITIVE_INFINITY, averaging = 0 } = settings;
  let progress: FitProgress = hooks.from ?? {
    epoch: 0,
    state: startOf(hooks.start ?? initialise(settings.net, seed)),
    average: null,
    best: null,
    history: [],
  };
  const done = (): boolean =>
    progress.epoch >= stopAfter || (progress.best !== null && progress.epoch - progress.best.epoch >= patience);
  while (!done()) {
    const rate = rateAt(settings, progress.epoch);
    const order = epochOrder(seed, progress.epoch, examples.count);
    const { state, losses } = await trainer.run(progress.state, examples, order, () => rate);
    if (hooks.mask !== undefined) keepZeros(state.parameters, hooks.mask);
    const training = losses.reduce((sum, loss) => sum + loss, 0) / losses.length;
    const epoch = progress.epoch + 1;
    const average = averaging === 0 ? null : moved(progress.average, state.parameters, averaging);
    const now = resultOf(state, average, averaging, epoch);
    const validation = hooks.validate === undefined ? null : await hooks.validate(now, trainer);
    if (!Number.isFinite(training) || (validation !== null && !Number.isFinite(validation)))
      throw diverged(epoch, rate);
    const better = validation !== null && validation < (progress.best?.loss ?? Number.POSITIVE_INFINITY);
    progress = {
      epoch,
      state,
      average,
      best: better ? { epoch, loss: validation, parameters: now } : progress.best,
      history: [...progress.history, { training, validation }],
    };
    await hooks.onEpoch?.(progress);
  }
  return {
    parameters: progress.best?.parameters ?? resultOf(progress.state, progress.average, averaging, progress.epoch),
    epochs: progress.epoch,
    bestEpoch: progress.best?.epoch ?? progress.epoch,
    stoppedEarly: progress.epoch < stopAfter,
    history: progress.history,
  };
}

function moved(average: Float32Array | null, parameters: Float32Array, keep: number): Float32Array {
  return parameters.map((value, i) => keep * (average?.[i] ?? 0) + (1 - keep) * value);
}

function resultOf(state: TrainingState, average: Float32Array | null, keep: number, epoch: number): Float32Array {
  if (average === null) return state.parameters;
  const share = 1 - keep ** epoch;
  return average.map((value) => value / share);
}

function keepZeros(parameters: Float32Array, mask: Float32Array): void {
  for (let i = 0; i < parameters.length; i++) if (mask[i] === 0) parameters[i] = 0;
}

const diverged = (epoch: number, rate: number) =>
  inputError('TRAIN_DIVERGED', 'the loss is no longer a finite number', {
    where: `epoch ${epoch}`,
    got: `learning rate ${rate}`,
    todo: 'train with a smaller learning rate, and look for extreme values in the data',
  });
