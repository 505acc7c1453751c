/**
 * The graph of a Keras model in ONNX's terms, from its configuration: layers are called in order, nested models are walked
 * each time they are called. A layer without a rule keeps its class as an operator of the domain `keras`, and nothing is
 * claimed of it; nor is anything of a class of the author's, whatever its name. What only training needs is left out, and
 * so are masks.
 */
import type { Json } from '../base/index.js';
import {
  type Inbound,
  isRecord,
  type JsonRecord,
  type KerasConfig,
  type KerasLayer,
  type KerasWeights,
} from './keras-config.js';
import { ACTIVATION_LAYERS } from './keras-graph-activations.js';
import {
  addNode,
  type Dialect,
  type GraphBuild,
  impliedInts,
  type KerasValue,
  type LayerCall,
  type LayerRule,
  lastOutputs,
  newBuild,
  plainOf,
  plainValue,
  type Sizes,
  takenAs,
} from './keras-graph-build.js';
import { CONVOLUTION_LAYERS } from './keras-graph-convolution.js';
import { DENSE_LAYERS } from './keras-graph-dense.js';
import { IMAGE_LAYERS } from './keras-graph-images.js';
import { innerLayer, RECURRENT_LAYERS } from './keras-graph-recurrent.js';
import { SHAPE_LAYERS } from './keras-graph-shapes.js';
import type { DType, Graph, Tensor, ValueInfo } from './model.js';

export interface KerasGraph {
  readonly graph: Graph;
  /** Weights that the graph takes in another form than the one stored, under their names: they replace these. */
  readonly views: ReadonlyMap<string, Tensor>;
}

const RULES: Readonly<Record<string, LayerRule>> = {
  ...ACTIVATION_LAYERS,
  ...CONVOLUTION_LAYERS,
  ...DENSE_LAYERS,
  ...IMAGE_LAYERS,
  ...SHAPE_LAYERS,
  ...RECURRENT_LAYERS,
  TimeDistributed: (call) => timeDistributed(call),
};
const ruleOf = (className: string): LayerRule | null => (Object.hasOwn(RULES, className) ? RULES[className]! : null);

/**
 * @param where the file, for messages
 * @returns null where the configuration tells no layers, or its class is the author's
 * @throws `KERAS_TOO_MANY` where models in models multiply beyond what any real one holds
 */
export function graphOfKeras(
  config: KerasConfig,
  weights: KerasWeights,
  where: string,
  dialect: Dialect,
): KerasGraph | null {
  if (config.layers.length === 0 || !config.isKeras) return null;
  const tensors = [...weights.values()].flatMap((layer) => [...layer.values()]);
  const build = newBuild(
    where,
    dialect,
    tensors.map(({ name }) => name),
  );
  const layers = new Map(config.layers.map((layer) => [layer.name, layer]));
  const inputs = config.inputs.map(([layer]) => inputInfo(build.unique(layer), layers.get(layer)?.config ?? {}));
  const given = inputs.map(({ name, shape }) => plainValue(name, shape as Sizes | null));
  const whole = callOf(build, weights, '');
  const outputs = runModel(build, config, weights, '', given).map((value): ValueInfo => {
    return { name: plainOf(whole, value), dtype: null, shape: value.sizes };
  });
  return {
    graph: {
      name: config.name,
      inputs,
      outputs,
      valueInfo: [],
      nodes: build.nodes,
      initialisers: new Map([...build.used, ...build.implied]),
    },
    views: build.views,
  };
}

const TYPES: Readonly<Record<string, DType>> = {
  float64: 'F64',
  float32: 'F32',
  float16: 'F16',
  bfloat16: 'BF16',
  int64: 'I64',
  int32: 'I32',
  uint8: 'U8',
  bool: 'BOOL',
  string: 'STRING',
};

function inputInfo(name: string, config: JsonRecord): ValueInfo {
  const given = config.batch_shape ?? config.batch_input_shape;
  const isSize = (size: Json): boolean => size === null || (Number.isSafeInteger(size) && (size as number) >= 0);
  const isShape = Array.isArray(given) && given.length > 0 && given.every(isSize);
  const dtype = typeof config.dtype === 'string' && Object.hasOwn(TYPES, config.dtype) ? TYPES[config.dtype]! : null;
  return { name, dtype, shape: isShape ? (given as Sizes) : null };
}

function callOf(build: GraphBuild, weights: KerasWeights, path: string): LayerCall {
  const own = weights.get(path) ?? new Map<string, Tensor>();
  return {
    build,
    className: '',
    config: {},
    inputs: [],
    named: new Map(),
    path: path === '' ? 'model' : path,
    weights: own,
    model: null,
    outputs: 1,
  };
}

/** @param around the names of the models around, each with a slash */
function runModel(
  build: GraphBuild,
  model: KerasConfig,
  weights: KerasWeights,
  around: string,
  given: readonly KerasValue[],
): readonly KerasValue[] {
  const values = new Map<string, readonly KerasValue[]>();
  for (const [k, [layer, call]] of model.inputs.entries()) values.set(keyOf(layer, call), [given[k] ?? unknown(build)]);
  const find = (refs: readonly Inbound[]): readonly KerasValue[] =>
    refs.map(([layer, call, tensor]) => values.get(keyOf(layer, call))?.[tensor] ?? unknown(build));
  const counts = outputCounts(model);
  for (const { layer, call: index } of ordered(model)) {
    const key = keyOf(layer.name, index);
    if (values.has(key)) continue;
    const { inbound, named } = layer.calls[index]!;
    const path = `${around}${layer.name}`;
    const call: LayerCall = {
      ...callOf(build, weights, path),
      className: layer.className,
      config: layer.config,
      inputs: find(inbound),
      named: new Map([...named].map(([name, refs]) => [name, find(refs)])),
      model: layer.model,
      outputs: counts.get(key) ?? 1,
    };
    build.count(1 + inbound.length);
    const isKnown = layer.model !== null && layer.model.layers.length > 0 && layer.model.isKeras;
    if (isKnown) values.set(key, runModel(build, layer.model!, weights, `${path}/`, call.inputs));
    else values.set(key, layer.isKeras ? outputsOf(call) : opaque(call));
  }
  return find(model.outputs);
}

const keyOf = (layer: string, call: number): string => `${call}/${layer}`;

/** What nothing gives. */
const unknown = (build: GraphBuild): KerasValue => plainValue(build.unique('unknown'), null);

interface Step {
  readonly layer: KerasLayer;
  readonly call: number;
}

/** Calls behind those that give what they take. Loops keep their place, and miss an input. */
function ordered(model: KerasConfig): readonly Step[] {
  const layers = new Map(model.layers.map((layer) => [layer.name, layer]));
  const out: Step[] = [];
  const seen = new Set<string>();
  // Depth first, without recursion: a chain as long as the model would exhaust the stack.
  const path: { readonly step: Step; readonly refs: readonly Inbound[]; next: number }[] = [];
  const enter = (name: string, call: number): void => {
    const layer = layers.get(name);
    const given = layer?.calls[call];
    if (layer === undefined || given === undefined || seen.has(keyOf(name, call))) return;
    seen.add(keyOf(name, call));
    path.push({ step: { layer, call }, refs: [...given.inbound, ...[...given.named.values()].flat()], next: 0 });
  };
  for (const layer of model.layers) {
    for (const call of layer.calls.keys()) {
      enter(layer.name, call);
      while (path.length > 0) {
        const top = path.at(-1)!;
        const ref = top.refs[top.next++];
        if (ref !== undefined) enter(ref[0], ref[1]);
        else out.push(path.pop()!.step);
      }
    }
  }
  return out;
}

/** How many outputs of each call anything takes. More than any real layer has are not counted. */
const MAX_OUTPUTS = 1024;

function outputCounts(model: KerasConfig): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  const note = (refs: readonly Inbound[]): void => {
    for (const [layer, call, tensor] of refs) {
      const key = keyOf(layer, call);
      counts.set(key, Math.min(MAX_OUTPUTS, Math.max(counts.get(key) ?? 1, tensor + 1)));
    }
  };
  for (const { calls } of model.layers) {
    for (const { inbound, named } of calls) for (const refs of [inbound, ...named.values()]) note(refs);
  }
  note(model.outputs);
  return counts;
}

function outputsOf(call: LayerCall): readonly KerasValue[] {
  return ruleOf(call.className)?.(call) ?? opaque(call);
}

/** It takes what it is given and its weights; what it gives has no known sizes. */
function opaque(call: LayerCall): readonly KerasValue[] {
  const given = [...call.inputs, ...[...call.named.values()].flat()].map((value) => plainOf(call, value));
  const weights = [...call.weights.values()].map((tensor) => takenAs(call, tensor));
  addNode(call, call.className, [...given, ...weights], {}, call.outputs, 'keras');
  return lastOutputs(call).map((name) => plainValue(name, null));
}

/** Layers that act along the last axis alone, whatever stands before it. */
const ALONG_LAST = new Set(
  `Dense Activation ReLU LeakyReLU ELU ThresholdedReLU Embedding LayerNormalization Dropout GaussianNoise GaussianDropout
  AlphaDropout Rescaling`.split(/\s+/),
);

/** The inner layer for each position of the second axis: batch and positions are made one axis, and two again. */
function timeDistributed(call: LayerCall): readonly KerasValue[] | null {
  const inner = innerLayer(call.config, 'layer');
  const [x] = call.inputs;
  const rule = inner === null ? null : ruleOf(inner.className);
  if (inner === null || rule === null || x === undefined || Array.isArray(inner.config.layers)) return null;
  const within: LayerCall = { ...call, ...inner, config: isRecord(inner.config) ? inner.config : {} };
  if (ALONG_LAST.has(inner.className)) return rule(within);
  const [batch, steps, ...rest] = x.sizes ?? [];
  if (batch === undefined || typeof steps !== 'number' || rest.length === 0 || rest.some((size) => size === null)) {
    return null;
  }
  const together = addNode(call, 'Reshape', [
    plainOf(call, x),
    impliedInts(call, 'together', [-1, ...(rest as number[])]),
  ]);
  const found = rule({ ...within, inputs: [plainValue(together, [null, ...rest])], outputs: 1 });
  const sizes = found?.[0]?.sizes?.slice(1);
  if (!found || sizes === undefined || sizes.some((size) => size === null)) return null;
  const shape = impliedInts(call, 'apart', [-1, steps, ...(sizes as number[])]);
  const name = addNode(call, 'Reshape', [plainOf(call, found[0]!), shape]);
  return [plainValue(name, [batch, steps, ...sizes])];
}
