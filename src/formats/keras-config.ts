/**
 * The configuration of a Keras model (`model_config` of an .h5, `config.json` of a .keras) as a plain list of layers with
 * what each call of a layer takes. Sequential and Functional models as Keras 1, 2 and 3 spell them; models of a class of
 * the author's own tell no layers. Source: `models/functional.py` and `models/sequential.py` of Keras 3,
 * `engine/functional.py` of Keras 2. Nothing in a configuration is executed.
 */
import { type ErrorFacts, inputError, type Json } from '../base/index.js';
import { MAX_GRAPH_DEPTH, MAX_GRAPH_ITEMS, MAX_NODES } from './limits.js';
import type { Tensor } from './model.js';

export type JsonRecord = { readonly [name: string]: Json };
export const isRecord = (value: Json | undefined): value is JsonRecord =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const isList = (value: Json | undefined): value is readonly Json[] => Array.isArray(value);

/** Output `tensor` of the call `call` (from 0) of a layer of the same model. */
export type Inbound = readonly [layer: string, call: number, tensor: number];

export interface KerasCall {
  /** Tensors given by position, lists of them flattened, in order. */
  readonly inbound: readonly Inbound[];
  /** Tensors given by name (`value`, `initial_state`, `mask`), flattened. */
  readonly named: ReadonlyMap<string, readonly Inbound[]>;
  /** All arguments as written: constants beside tensors are here alone. */
  readonly args: readonly Json[];
  readonly kwargs: JsonRecord;
}

export interface KerasLayer {
  /** Unique in its model. */
  readonly name: string;
  /** `Dense`, `Conv2D`, `Functional`, …; without the package of custom ones. */
  readonly className: string;
  /** False for a class of the author's, whatever it is called: what it computes stands in its code. */
  readonly isKeras: boolean;
  /** Its own settings: `units`, `activation`, `data_format`, …; of wrappers also `layer`, of recurrent ones `cell`. */
  readonly config: JsonRecord;
  /** One for each time it is called; layers are shared by calling them again. */
  readonly calls: readonly KerasCall[];
  /** Its layers, where it is itself a model. */
  readonly model: KerasConfig | null;
}

export interface KerasConfig {
  /** `subclassed`: a class of the author's, whose layers only its code tells. */
  readonly kind: 'Sequential' | 'Functional' | 'subclassed';
  readonly className: string;
  readonly isKeras: boolean;
  readonly name: string;
  /** As listed; a Sequential without an input layer gets one, as Keras itself makes it. */
  readonly layers: readonly KerasLayer[];
  readonly inputs: readonly Inbound[];
  readonly outputs: readonly Inbound[];
}

/**
 * Weights by layer: `name`, or `outer/name` for a layer of a nested model; below it by the shortest end of the weight's
 * path that only one weight of the layer has: `kernel`, `recurrent_kernel`, `gamma`, `query/kernel`; of Bidirectional
 * `forward/kernel` and `backward/kernel`.
 */
export type KerasWeights = ReadonlyMap<string, ReadonlyMap<string, Tensor>>;

export const refuseKeras = (code: string, message: string, facts: ErrorFacts): never => {
  throw inputError(`KERAS_${code}`, message, facts);
};

/** What one configuration may hold, nested models together. */
interface Budget {
  layers: number;
  refs: number;
  readonly where: string;
}

/**
 * @param json parsed configuration: `{class_name, config}`
 * @throws `KERAS_CONFIG`, `KERAS_TOO_MANY`, `KERAS_TOO_DEEP`
 */
export const readKerasConfig = (json: Json, where: string): KerasConfig =>
  readModel(json, 0, { layers: 0, refs: 0, where });

const nameOf = (value: Json | undefined): string | null => (typeof value === 'string' ? value : null);
/** `Package>Class` of registered custom classes. */
const classOf = (json: JsonRecord): string => (nameOf(json.class_name) ?? '').replace(/^.*>/, '');

const MODULES = /^(keras|tf_keras|tensorflow)(\.|$)/;
const MODELS = new Set(['Model', 'Functional', 'Sequential']);

/** Whether a class is Keras' own: Keras 3 tells the module (null for registered ones), all write `Package>Class`. */
export function isKerasClass(json: JsonRecord): boolean {
  const { class_name: name, registered_name: registered, module } = json;
  if ([name, registered].some((one) => typeof one === 'string' && one.includes('>'))) return false;
  return module === undefined || (typeof module === 'string' && MODULES.test(module));
}

const isModel = (className: string, config: Json | undefined): boolean =>
  isList(config) || (isRecord(config) && isList(config.layers) && config.layers.every(isLayer) && className !== '');
const isLayer = (json: Json): boolean => isRecord(json) && typeof json.class_name === 'string';

function readModel(json: Json, depth: number, budget: Budget): KerasConfig {
  const { where } = budget;
  if (depth > MAX_GRAPH_DEPTH) {
    return refuseKeras('TOO_DEEP', 'models are nested deeper than any real one', {
      expected: `at most ${MAX_GRAPH_DEPTH} levels`,
      where,
    });
  }
  if (!isRecord(json) || typeof json.class_name !== 'string' || !('config' in json)) {
    return refuseKeras('CONFIG', 'the configuration is not that of a Keras model', {
      expected: '{"class_name": text, "config": {…}}',
      got: (JSON.stringify(json) ?? 'nothing').slice(0, 100),
      where,
    });
  }
  const className = classOf(json);
  const { config } = json;
  // Keras 1 and early 2 wrote a Sequential's layers in place of its settings.
  const settings: JsonRecord = isList(config) ? { layers: config } : isRecord(config) ? config : {};
  const name = nameOf(settings.name) ?? nameOf(json.name) ?? className.toLowerCase();
  if (!isModel(className, config)) {
    return { kind: 'subclassed', className, isKeras: false, name, layers: [], inputs: [], outputs: [] };
  }
  const listed = (settings.layers as readonly JsonRecord[]).map((layer) => readLayer(layer, depth, budget));
  // A class of the author's may list layers, and call them as it likes.
  const facts = { className, isKeras: isKerasClass(json) && MODELS.has(className), name };
  const found: KerasConfig =
    'output_layers' in settings
      ? { kind: 'Functional', ...facts, ...connected(listed, settings, budget) }
      : { kind: 'Sequential', ...facts, ...chained(listed) };
  checkReferences(found, where);
  return found;
}

type Connected = Pick<KerasConfig, 'layers' | 'inputs' | 'outputs'>;

function readLayer(json: JsonRecord, depth: number, budget: Budget): KerasLayer {
  if (++budget.layers > MAX_NODES) {
    refuseKeras('TOO_MANY', 'more layers than any real model has', {
      expected: `at most ${MAX_NODES}`,
      where: budget.where,
    });
  }
  const className = classOf(json);
  const config = isRecord(json.config) ? json.config : {};
  const name = nameOf(json.name) ?? nameOf(config.name);
  if (name === null) {
    return refuseKeras('CONFIG', 'a layer has no name', {
      got: JSON.stringify(json).slice(0, 100),
      where: budget.where,
    });
  }
  const nodes = json.inbound_nodes;
  if (nodes !== undefined && !isList(nodes)) {
    refuseKeras('CONFIG', 'the calls of a layer are no list', {
      where: `${budget.where}, layer ${name.slice(0, 200)}`,
    });
  }
  return {
    name,
    className,
    isKeras: isKerasClass(json),
    config,
    calls: (isList(nodes) ? nodes : []).map((node) => readCall(node, budget)),
    model: isModel(className, json.config) ? readModel(json, depth + 1, budget) : null,
  };
}

/** Keras 3: `{args, kwargs}`; before: `[[layer, node, tensor, kwargs], …]`. */
function readCall(node: Json, budget: Budget): KerasCall {
  const isNew = isRecord(node) && isList(node.args);
  const args: readonly Json[] = isNew ? (node.args as readonly Json[]) : isList(node) ? node : [node];
  const given: Json | undefined = isNew ? node.kwargs : lastOptions(args);
  const kwargs = isRecord(given) ? given : {};
  const named = Object.entries(kwargs).flatMap(([key, value]) => {
    const found = inboundIn(value, budget, isNew);
    return found.length === 0 ? [] : [[key, found] as const];
  });
  return { inbound: inboundIn(args, budget, isNew), named: new Map(named), args, kwargs };
}

/** Keras 2 writes the named arguments of a call behind its first tensor. */
function lastOptions(args: readonly Json[]): Json | undefined {
  const [first] = args;
  return isList(first) && typeof first[0] === 'string' ? first[3] : undefined;
}

/**
 * Every tensor that a value names, in order. `["_CONSTANT_VALUE", -1, …]` is none.
 * @param isNew tensors are marked as such, and a list of a text and numbers is a constant
 */
function inboundIn(value: Json | undefined, budget: Budget, isNew = false): readonly Inbound[] {
  const found: Inbound[] = [];
  const visit = (part: Json | undefined, isTensor: boolean): void => {
    if (++budget.refs > MAX_GRAPH_ITEMS) {
      refuseKeras('TOO_MANY', 'more connections than any real model has', { where: budget.where });
    }
    if (isRecord(part)) {
      const isMarked = part.class_name === '__keras_tensor__' && isRecord(part.config);
      if (isMarked) visit((part.config as JsonRecord).keras_history, true);
      else for (const inner of Object.values(part)) visit(inner, isTensor);
      return;
    }
    if (!isList(part)) return;
    const [layer, call, tensor] = part;
    if (!isTensor || typeof layer !== 'string' || typeof call !== 'number') {
      for (const inner of part) visit(inner, isTensor);
    } else if (call >= 0 && typeof tensor === 'number') found.push([layer, call, tensor]);
  };
  visit(value, !isNew);
  return found;
}

/** Each layer takes what the one before gives. */
function chained(listed: readonly KerasLayer[]): Connected {
  const [first] = listed;
  if (first === undefined) return { layers: [], inputs: [], outputs: [] };
  const { batch_input_shape: shape, batch_shape: newer, dtype = null } = first.config;
  const name = `${first.name}_input`;
  const config: JsonRecord = { name, batch_shape: newer ?? shape ?? null, dtype };
  const input: KerasLayer = { name, className: 'InputLayer', isKeras: true, config, calls: [], model: null };
  const all = first.className === 'InputLayer' ? listed : [input, ...listed];
  const layers = all.map((layer, i) => {
    const before = all[i - 1];
    return {
      ...layer,
      calls: [before === undefined ? NO_CALL : { ...NO_CALL, inbound: [[before.name, 0, 0]] as const }],
    };
  });
  return { layers, inputs: [[all[0]!.name, 0, 0]], outputs: [[all.at(-1)!.name, 0, 0]] };
}

const NO_CALL: KerasCall = { inbound: [], named: new Map(), args: [], kwargs: {} };

/** Input layers are called once, though they take nothing; Keras 2 counts the calls of nested models from 1. */
function connected(listed: readonly KerasLayer[], settings: JsonRecord, budget: Budget): Connected {
  const outputs = inboundIn(settings.output_layers, budget);
  const from1 = countedFromOne(listed, outputs);
  const shifted = (refs: readonly Inbound[]): readonly Inbound[] =>
    refs.map(([layer, call, tensor]) => [layer, from1.has(layer) ? call - 1 : call, tensor]);
  const layers = listed.map((layer) => ({
    ...layer,
    calls: (layer.calls.length === 0 ? [NO_CALL] : layer.calls).map((call) => ({
      ...call,
      inbound: shifted(call.inbound),
      named: new Map([...call.named].map(([key, refs]) => [key, shifted(refs)])),
    })),
  }));
  return { layers, inputs: inboundIn(settings.input_layers, budget), outputs: shifted(outputs) };
}

/** Nested models of which a call is named that has the number of their calls: the making of the model counts as one. */
function countedFromOne(layers: readonly KerasLayer[], outputs: readonly Inbound[]): ReadonlySet<string> {
  const nested = new Map(layers.filter(({ model }) => model !== null).map(({ name, calls }) => [name, calls.length]));
  const taken = layers.flatMap(({ calls }) => calls.flatMap(({ inbound, named }) => [inbound, ...named.values()]));
  return new Set(
    [...taken, outputs].flatMap((refs) =>
      refs.flatMap(([layer, call]) => (call > 0 && nested.get(layer) === call ? [layer] : [])),
    ),
  );
}

function checkReferences({ name, layers, inputs, outputs }: KerasConfig, where: string): void {
  const counts = new Map<string, number>();
  for (const layer of layers) {
    if (counts.has(layer.name)) {
      refuseKeras('CONFIG', 'two layers have the same name', { got: layer.name.slice(0, 200), where });
    }
    counts.set(layer.name, layer.calls.length);
  }
  const check = (refs: readonly Inbound[], by: string): void => {
    for (const [layer, call, tensor] of refs) {
      const count = counts.get(layer) ?? 0;
      if (Number.isInteger(call) && call >= 0 && call < count && Number.isInteger(tensor) && tensor >= 0) continue;
      refuseKeras('CONFIG', 'a layer takes what no layer gives', {
        expected: count === 0 ? 'a layer of the same model' : `one of ${count} calls`,
        got: JSON.stringify([layer.slice(0, 200), call, tensor]),
        where: `${where}, ${by.slice(0, 200)}`,
      });
    }
  };
  for (const layer of layers) {
    for (const { inbound, named } of layer.calls) {
      for (const refs of [inbound, ...named.values()]) check(refs, `layer ${layer.name}`);
    }
  }
  check([...inputs, ...outputs], `model ${name}`);
}
