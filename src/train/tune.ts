/** Continues the training of a model made here on other data: what an owner does for a new site, and a thief to hide. */
import { type ByteSource, inputError, memorySource } from '../base/index.js';
import { type NetSpec, planNet, type Trainer } from '../compute/index.js';
import { type Model, openModel } from '../formats/index.js';
import { examplesOf, type LabelledArrays } from './arrays.js';
import { type ModelCard, readCard } from './card.js';
import { exportModel } from './export.js';
import { fitNet } from './fit.js';

export interface TuneSettings {
  readonly epochs: number;
  /** The trainer's own default is 0.003. */
  readonly rate: number;
  readonly seed: number;
  readonly batch?: number;
  /** Weights that are exactly 0 (pruned) stay 0. */
  readonly keepZeros?: boolean;
  readonly trainer?: Trainer;
}

export interface ReadNet {
  readonly card: ModelCard;
  /** Flat, in the layout of `planNet(card.net)`. */
  readonly parameters: Float32Array;
}

/**
 * Card and parameters of a model trained here. Widths follow the tensors, so that copies with units cut out read too.
 * @throws `TRAIN_NOT_OURS` for a model without a card, `TRAIN_CARD_INVALID` when tensors and card disagree
 */
export async function readNet(from: Uint8Array | string | ByteSource): Promise<ReadNet> {
  const model = await openModel(from instanceof Uint8Array ? memorySource(from) : from);
  try {
    return await netOf(model);
  } finally {
    await model.close();
  }
}

async function netOf(model: Model): Promise<ReadNet> {
  const where = model.sources[0]?.name ?? 'memory';
  const card = readCard(model.metadata, where);
  if (card === null) {
    throw inputError('TRAIN_NOT_OURS', 'this model was not trained by Muniment', {
      where,
      expected: 'an ONNX file from `muniment train`',
      todo: 'train other models with the framework that made them',
    });
  }
  const shapeOf = (name: string): readonly number[] => {
    const tensor = model.tensors.get(name);
    if (tensor === undefined) {
      throw inputError('TRAIN_CARD_INVALID', 'a tensor that the model describes is missing', { where, expected: name });
    }
    return tensor.shape;
  };
  let dense = 0;
  let convolutions = 0;
  const net: NetSpec = {
    input: card.net.input,
    layers: card.net.layers.map((layer) => {
      if (layer.kind === 'dense') return { ...layer, units: shapeOf(`fc${++dense}.weight`)[0]! };
      if (layer.kind === 'conv') return { ...layer, channels: shapeOf(`conv${++convolutions}.weight`)[0]! };
      return layer;
    }),
  };
  const plan = planNet(net);
  const parameters = new Float32Array(plan.size);
  for (const { name, shape, offset, elements } of plan.parameters) {
    const found = shapeOf(name);
    if (found.join() !== shape.join()) {
      throw inputError('TRAIN_CARD_INVALID', 'a tensor does not have the shape that the model describes', {
        where: `${where}: ${name}`,
        expected: `[${shape.join(', ')}]`,
        got: `[${found.join(', ')}]`,
      });
    }
    parameters.set(await model.tensors.get(name)!.read(0, elements), offset);
  }
  return { card: { ...card, net }, parameters };
}

/**
 * @param data raw inputs as the model takes them
 * @returns ONNX bytes of the tuned model, same card
 */
export async function fineTune(
  model: Uint8Array | string | ByteSource,
  data: LabelledArrays,
  settings: TuneSettings,
): Promise<Uint8Array> {
  const { card, parameters } = await readNet(model);
  const { keepZeros = false, trainer, ...rest } = settings;
  const loss = card.task === 'classify' ? 'cross-entropy' : 'mse';
  const hooks = {
    start: parameters,
    ...(keepZeros ? { mask: parameters } : {}),
    ...(trainer === undefined ? {} : { trainer }),
  };
  const fit = await fitNet({ batch: 64, ...rest, net: card.net, loss }, examplesOf(card, data), hooks);
  return exportModel(card, fit.parameters);
}
