/**
 * What Keras calls the variables of its own layers, and the parts that layers are made of. Source: `build` and
 * `save_own_variables` of keras/src/layers (Keras 3.0 to 3.15), whose order is that of the numbers in `vars`.
 */
import type { Json } from '../base/index.js';
import { isRecord, type JsonRecord } from './keras-config.js';

const KERNEL_BIAS = ['kernel', 'bias'];
const RECURRENT = ['kernel', 'recurrent_kernel', 'bias'];
const SEPARABLE = ['depthwise_kernel', 'pointwise_kernel', 'bias'];

/** Maps, since names of classes and groups come from the file: `constructor` is no property of theirs. */
const VARIABLES: ReadonlyMap<string, readonly string[]> = new Map(
  Object.entries({
    Dense: KERNEL_BIAS,
    EinsumDense: KERNEL_BIAS,
    Conv1D: KERNEL_BIAS,
    Conv2D: KERNEL_BIAS,
    Conv3D: KERNEL_BIAS,
    Conv1DTranspose: KERNEL_BIAS,
    Conv2DTranspose: KERNEL_BIAS,
    Conv3DTranspose: KERNEL_BIAS,
    DepthwiseConv1D: KERNEL_BIAS,
    DepthwiseConv2D: KERNEL_BIAS,
    SeparableConv1D: SEPARABLE,
    SeparableConv2D: SEPARABLE,
    SimpleRNNCell: RECURRENT,
    LSTMCell: RECURRENT,
    GRUCell: RECURRENT,
    ConvLSTMCell: RECURRENT,
    Embedding: ['embeddings'],
    PReLU: ['alpha'],
    RMSNormalization: ['scale'],
    BatchNormalization: ['gamma', 'beta', 'moving_mean', 'moving_variance'],
    LayerNormalization: ['gamma', 'beta'],
    GroupNormalization: ['gamma', 'beta'],
    Normalization: ['mean', 'variance', 'count'],
    SeedGenerator: ['seed_generator_state'],
  }),
);

/** Which setting must be false for a variable to be left out. */
const OPTIONAL: Readonly<Record<string, string>> = { bias: 'use_bias', gamma: 'scale', beta: 'center' };

/**
 * The names of `count` variables in their order; null where the class or the settings do not tell.
 * @param config the layer's settings; null where only its class is known
 */
export function variablesOf(className: string, config: JsonRecord | null, count: number): readonly string[] | null {
  const all = VARIABLES.get(className);
  if (all === undefined) return null;
  const names = all.filter((name) => {
    const setting = OPTIONAL[name];
    return setting === undefined || config?.[setting] !== false;
  });
  if (names.length === count) return names;
  // Without settings only a missing bias, which stands last, leaves no doubt.
  if (config === null && names.at(-1) === 'bias' && count === names.length - 1) return names.slice(0, -1);
  return null;
}

/** `Conv2DTranspose` → `conv2d_transpose`: how Keras 3 names groups. Source: keras/src/utils/naming.py. */
export const snakeCase = (name: string): string =>
  name
    .replace(/\W+/g, '')
    .replace(/(.)([A-Z][a-z]+)/g, '$1_$2')
    .replace(/([a-z])([A-Z])/g, '$1_$2')
    .toLowerCase();

const BY_GROUP = new Map([...VARIABLES.keys()].map((name) => [snakeCase(name), name]));
for (const name of ['LSTM', 'GRU', 'SimpleRNN', 'MultiHeadAttention', 'Bidirectional', 'TimeDistributed']) {
  BY_GROUP.set(snakeCase(name), name);
}
for (const name of ['Sequential', 'Functional']) BY_GROUP.set(snakeCase(name), name);

/** The class whose layers are stored in groups `dense`, `dense_1`, …; null where it is none of Keras' own. */
export const classOfGroup = (group: string): string | null => BY_GROUP.get(group.replace(/_\d+$/, '')) ?? null;

/** A part of a layer: what it is called in paths of variables, its class and its settings, as far as they are known. */
export interface LayerPart {
  readonly name: string | null;
  readonly className: string | null;
  readonly config: JsonRecord | null;
}

const CELLS: ReadonlyMap<string, string> = new Map([
  ['LSTM', 'LSTMCell'],
  ['GRU', 'GRUCell'],
  ['SimpleRNN', 'SimpleRNNCell'],
]);
const ATTENTION: ReadonlyMap<string, string> = new Map([
  ['query_dense', 'query'],
  ['key_dense', 'key'],
  ['value_dense', 'value'],
  ['output_dense', 'attention_output'],
]);

/** The part that a layer keeps under the attribute `key`. */
export function partOf(className: string | null, config: JsonRecord | null, key: string): LayerPart {
  const projection = ATTENTION.get(key);
  if (projection !== undefined) return { name: projection, className: 'EinsumDense', config };
  if (/seed_generator$/.test(key)) return { name: key, className: 'SeedGenerator', config: null };
  const cell = key === 'cell' ? CELLS.get(className ?? '') : undefined;
  if (cell !== undefined) return { name: snakeCase(cell), className: cell, config };
  const inner = serialised(config?.[key === 'forward_layer' ? 'layer' : key]);
  if (key === 'backward_layer' && inner.className === null) {
    const forward = serialised(config?.layer);
    return { ...forward, name: forward.name === null ? null : forward.name.replace(/^(forward_)?/, 'backward_') };
  }
  if (key === 'forward_layer' && inner.name !== null)
    return { ...inner, name: inner.name.replace(/^(forward_)?/, 'forward_') };
  return inner;
}

/** Parts kept in a list, in its order: the cells of a stack. */
export function partsOf(config: JsonRecord | null, key: string): readonly LayerPart[] {
  const list = config?.[key];
  return Array.isArray(list) ? (list as readonly Json[]).map(serialised) : [];
}

function serialised(json: Json | undefined): LayerPart {
  if (!isRecord(json) || typeof json.class_name !== 'string') return { name: null, className: null, config: null };
  const config = isRecord(json.config) ? json.config : {};
  const name = typeof config.name === 'string' ? config.name : null;
  return { name, className: json.class_name.replace(/^.*>/, ''), config };
}
