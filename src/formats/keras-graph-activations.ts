/**
 * Activations, fused into a layer or layers of their own. Sources: keras/src/activations/activations.py and
 * keras/src/layers/activations (Keras 2 and 3), tfjs-layers/src/activations.ts.
 */
import type { Json } from '../base/index.js';
import { isRecord, type JsonRecord } from './keras-config.js';
import {
  addNode,
  channelsFirst,
  impliedFloat,
  type KerasValue,
  type LayerCall,
  type LayerRule,
  numberIn,
  plainOf,
  plainValue,
  rankOf,
  turnedOf,
  turnedValue,
  weightOf,
} from './keras-graph-build.js';
import type { Attributes } from './onnx-terms.js';

/** Act on each number by itself, on whichever form of the value there is. */
function each(value: KerasValue, act: (x: string) => string): KerasValue {
  if (value.turned !== null) return turnedValue(act(value.turned), value.sizes);
  return plainValue(act(value.plain!), value.sizes);
}

const one =
  (op: string, attributes: (call: LayerCall) => Attributes = () => ({})) =>
  (call: LayerCall, value: KerasValue): KerasValue =>
    each(value, (x) => addNode(call, op, [x], attributes(call)));

const softmaxAt =
  (op: string) =>
  (call: LayerCall, value: KerasValue): KerasValue =>
    plainValue(addNode(call, op, [plainOf(call, value)], { axis: -1 }), value.sizes);

type Act = (call: LayerCall, value: KerasValue) => KerasValue;

const swish: Act = (call, value) => each(value, (x) => addNode(call, 'Mul', [x, addNode(call, 'Sigmoid', [x])]));

const ACTIVATIONS: Readonly<Record<string, Act>> = {
  relu: one('Relu'),
  relu6: one('Clip', () => ({ min: 0, max: 6 })),
  // The function's own default, other than that of the layer.
  leaky_relu: one('LeakyRelu', () => ({ alpha: 0.2 })),
  elu: one('Elu'),
  selu: one('Selu'),
  sigmoid: one('Sigmoid'),
  hard_sigmoid: one('HardSigmoid', ({ build }) => ({ alpha: build.dialect.hardSlope })),
  tanh: one('Tanh'),
  softplus: one('Softplus'),
  softsign: one('Softsign'),
  exponential: one('Exp'),
  mish: one('Mish'),
  gelu: one('Gelu'),
  gelu_new: one('Gelu', () => ({ approximate: 'tanh' })),
  hard_silu: one('HardSwish'),
  hard_swish: one('HardSwish'),
  swish,
  silu: swish,
  softmax: softmaxAt('Softmax'),
  log_softmax: softmaxAt('LogSoftmax'),
};

/** What a setting names: a function, a registered one, a layer. */
function named(setting: Json | undefined): { readonly name: string; readonly config: JsonRecord | null } {
  if (typeof setting === 'string') return { name: setting, config: null };
  if (!isRecord(setting)) return { name: 'Activation', config: null };
  const { class_name: kind, config } = setting;
  if (kind === 'function' && typeof config === 'string') return { name: config, config: null };
  return { name: typeof kind === 'string' ? kind : 'Activation', config: isRecord(config) ? config : null };
}

/** The value behind the activation that a setting names; behind an operator of domain `keras` where it is not known. */
export function activated(call: LayerCall, value: KerasValue, setting: Json | undefined): KerasValue {
  if (setting === null || setting === undefined || setting === 'linear') return value;
  const { name, config } = named(setting);
  if (name === 'linear') return value;
  const act = Object.hasOwn(ACTIVATIONS, name) ? ACTIVATIONS[name] : undefined;
  if (act !== undefined) return act(call, value);
  const rule = Object.hasOwn(ACTIVATION_LAYERS, name) ? ACTIVATION_LAYERS[name] : undefined;
  const found = config === null ? null : rule?.({ ...call, className: name, config, inputs: [value], weights: NONE });
  if (found) return found[0]!;
  return plainValue(addNode(call, name, [plainOf(call, value)], {}, 1, 'keras'), value.sizes);
}
const NONE = new Map<string, never>();

const layer =
  (act: (call: LayerCall, value: KerasValue) => KerasValue | null): LayerRule =>
  (call) => {
    const [x] = call.inputs;
    const found = x === undefined ? null : act(call, x);
    return found && [found];
  };

const relu = layer((call, value) => {
  const { config } = call;
  const [most, threshold] = [numberIn(config, 'max_value'), numberIn(config, 'threshold') ?? 0];
  const slope = numberIn(config, 'negative_slope') ?? 0;
  if (threshold !== 0 && (most !== null || slope !== 0)) return null;
  if (threshold !== 0) return one('ThresholdedRelu', () => ({ alpha: threshold }))(call, value);
  if (slope !== 0 && most !== null) return null;
  if (slope !== 0) return one('LeakyRelu', () => ({ alpha: slope }))(call, value);
  return most === null ? one('Relu')(call, value) : one('Clip', () => ({ min: 0, max: most }))(call, value);
});

/** Slopes have the sizes of the input but the batch, 1 along shared axes. */
const prelu = layer((call, value) => {
  const rank = rankOf(value);
  const slopes = weightOf(call, 'alpha');
  if (slopes === null || rank === null || call.weights.get('alpha')!.shape.length !== rank - 1) return null;
  if (value.turned === null) {
    return plainValue(addNode(call, 'PRelu', [plainOf(call, value), slopes]), value.sizes);
  }
  const perm = channelsFirst(rank)
    .slice(1)
    .map((axis) => axis - 1);
  const turned = addNode(call, 'Transpose', [slopes], { perm });
  return turnedValue(addNode(call, 'PRelu', [turnedOf(call, value, rank), turned]), value.sizes);
});

const softmax = layer((call, value) => {
  const axis = call.config.axis ?? -1;
  if (typeof axis !== 'number' || !Number.isInteger(axis)) return null;
  return plainValue(addNode(call, 'Softmax', [plainOf(call, value)], { axis }), value.sizes);
});

/** Layers that are an activation. */
export const ACTIVATION_LAYERS: Readonly<Record<string, LayerRule>> = {
  Activation: layer((call, value) => activated(call, value, call.config.activation)),
  ReLU: relu,
  LeakyReLU: layer((call, value) => {
    const alpha = numberIn(call.config, 'negative_slope') ?? numberIn(call.config, 'alpha') ?? 0.3;
    return one('LeakyRelu', () => ({ alpha }))(call, value);
  }),
  ELU: layer((call, value) => one('Elu', () => ({ alpha: numberIn(call.config, 'alpha') ?? 1 }))(call, value)),
  ThresholdedReLU: layer((call, value) =>
    one('ThresholdedRelu', () => ({ alpha: numberIn(call.config, 'theta') ?? 1 }))(call, value),
  ),
  PReLU: prelu,
  Softmax: softmax,
  Rescaling: layer((call, value) => {
    const [scale, offset] = [numberIn(call.config, 'scale'), numberIn(call.config, 'offset') ?? 0];
    if (scale === null) return null;
    return each(value, (x) => {
      const scaled = addNode(call, 'Mul', [x, impliedFloat(call, 'scale', scale)]);
      return offset === 0 ? scaled : addNode(call, 'Add', [scaled, impliedFloat(call, 'offset', offset)]);
    });
  }),
};
