/**
 * A Keras graph while it is built: values with the sizes that Keras gives them, kept as Keras has them (channels last) and,
 * where an operator asked for it, channels first, so that a chain of convolutions stands in ONNX without transpositions.
 */
import { type JsonRecord, type KerasConfig, refuseKeras } from './keras-config.js';
import { MAX_GRAPH_ITEMS, MAX_NODES } from './limits.js';
import type { DType, GraphNode, Tensor } from './model.js';
import type { Attributes } from './onnx-terms.js';
import { storedTensor } from './stored-tensor.js';

/** The batch first; null: of whatever size. */
export type Sizes = readonly (number | null)[];

export interface KerasValue {
  /** As Keras has it, whatever names below stand; null: not even the rank is known. */
  readonly sizes: Sizes | null;
  /** Name of the value as Keras has it; null until asked for. */
  plain: string | null;
  /** Name of the same value with its last axis moved to the second place. */
  turned: string | null;
}

/** How a program that speaks Keras differs in the numbers it leaves unsaid. */
export interface Dialect {
  /** Slope of `hard_sigmoid`: 0.2, from Keras 3 on 1/6. */
  readonly hardSlope: number;
  /** Whether bilinear enlarging has pixels at halves. */
  readonly halfPixels: boolean;
}

export interface GraphBuild {
  readonly dialect: Dialect;
  readonly where: string;
  readonly nodes: GraphNode[];
  /** Made of settings. */
  readonly implied: Map<string, Tensor>;
  /** Weights that the graph takes in another form than the one stored, by their names. */
  readonly views: Map<string, Tensor>;
  /** Those that some node takes, in the form it takes. */
  readonly used: Map<string, Tensor>;
  /** A name that no tensor, node or value has yet. */
  unique(wanted: string): string;
  /** @throws `KERAS_TOO_MANY` where shared models multiply */
  count(items: number): void;
}

export function newBuild(where: string, dialect: Dialect, taken: Iterable<string>): GraphBuild {
  const names = new Set(taken);
  const counts = new Map<string, number>();
  let items = 0;
  const nodes: GraphNode[] = [];
  return {
    dialect,
    where,
    nodes,
    implied: new Map(),
    views: new Map(),
    used: new Map(),
    unique(wanted) {
      let name = wanted;
      for (let n = counts.get(wanted) ?? 1; names.has(name); n++) {
        name = `${wanted}.${n}`;
        counts.set(wanted, n + 1);
      }
      names.add(name);
      return name;
    },
    count(more) {
      items += more;
      if (nodes.length > MAX_NODES || items > MAX_GRAPH_ITEMS) {
        refuseKeras('TOO_MANY', 'the graph has more parts than any real one', {
          expected: `at most ${MAX_NODES} nodes and ${MAX_GRAPH_ITEMS} connections`,
          where,
        });
      }
    },
  };
}

/** One call of a layer. */
export interface LayerCall {
  readonly build: GraphBuild;
  readonly className: string;
  readonly config: JsonRecord;
  /** Tensors given by position. */
  readonly inputs: readonly KerasValue[];
  readonly named: ReadonlyMap<string, readonly KerasValue[]>;
  /** For names of nodes: the layer with the models around it. */
  readonly path: string;
  readonly weights: ReadonlyMap<string, Tensor>;
  /** Its layers, where it is a model. */
  readonly model: KerasConfig | null;
  /** How many outputs of it anything takes, at least one. */
  readonly outputs: number;
}

/** Null: nothing is claimed of the layer. */
export type LayerRule = (call: LayerCall) => readonly KerasValue[] | null;

export const plainValue = (name: string, sizes: Sizes | null): KerasValue => ({ sizes, plain: name, turned: null });
export const turnedValue = (name: string, sizes: Sizes | null): KerasValue => ({ sizes, plain: null, turned: name });

export const rankOf = ({ sizes }: KerasValue): number | null => sizes?.length ?? null;

/** What a layer is there for bears its name: groups are called after it. */
const MAIN = new Set(
  'Conv ConvTranspose Gemm MatMul BatchNormalization LayerNormalization LSTM GRU RNN Gather'.split(' '),
);

/** Adds a node, and gives the name of its (first) output. */
export function addNode(
  { build, path }: LayerCall,
  op: string,
  inputs: readonly string[],
  attributes: Attributes = {},
  outputs = 1,
  domain = '',
): string {
  build.count(1 + inputs.length + outputs);
  const name = build.unique(MAIN.has(op) || domain !== '' ? path : `${path}/${op}`);
  const names = Array.from({ length: outputs }, (_, k) => build.unique(`${name}:${k}`));
  build.nodes.push({ name, op, domain, inputs, outputs: names, attributes: new Map(Object.entries(attributes)) });
  return names[0]!;
}

/** All outputs of the node that was added last. */
export const lastOutputs = ({ build }: LayerCall): readonly string[] => build.nodes.at(-1)!.outputs;

export const channelsFirst = (rank: number): readonly number[] => [
  0,
  rank - 1,
  ...Array.from({ length: rank - 2 }, (_, k) => k + 1),
];
export const channelsLast = (rank: number): readonly number[] => [
  0,
  ...Array.from({ length: rank - 2 }, (_, k) => k + 2),
  1,
];

/** The value as Keras has it. */
export function plainOf(call: LayerCall, value: KerasValue): string {
  value.plain ??= addNode(call, 'Transpose', [value.turned!], { perm: channelsLast(value.sizes!.length) });
  return value.plain;
}

/** The value with its last axis in the second place. @param rank where the sizes do not tell it */
export function turnedOf(call: LayerCall, value: KerasValue, rank: number): string {
  if (rank < 3) return plainOf(call, value);
  value.turned ??= addNode(call, 'Transpose', [value.plain!], { perm: channelsFirst(rank) });
  return value.turned;
}

/** The name under which the graph takes a weight; null where the layer has none. */
export function weightOf(call: LayerCall, name: string): string | null {
  const tensor = call.weights.get(name);
  return tensor === undefined ? null : takenAs(call, tensor);
}

/** Notes that the graph takes a weight in this form. */
export function takenAs({ build }: LayerCall, tensor: Tensor): string {
  const before = build.used.get(tensor.name);
  if (before === undefined) build.used.set(tensor.name, tensor);
  return tensor.name;
}

/** A constant that the layer's settings imply. */
export function implied(
  { build, path }: LayerCall,
  what: string,
  dtype: DType,
  shape: readonly number[],
  values: ArrayLike<number>,
): string {
  build.count(1 + values.length);
  const name = build.unique(`${path}/${what}`);
  const all = Float64Array.from(values);
  const read = async (start: number, end: number): Promise<Float64Array> => all.slice(start, end);
  build.implied.set(name, { ...storedTensor('KERAS', name, dtype, shape, { kind: 'values', read }), implied: true });
  return name;
}

export const impliedInts = (call: LayerCall, what: string, values: readonly number[]): string =>
  implied(call, what, 'I64', [values.length], values);
export const impliedFloat = (call: LayerCall, what: string, value: number): string =>
  implied(call, what, 'F32', [], [value]);

/** Settings: numbers, and lists of them. */
export const numberIn = (config: JsonRecord, key: string): number | null => {
  const value = config[key];
  return typeof value === 'number' && Number.isFinite(value) ? value : null;
};
export const textIn = (config: JsonRecord, key: string): string | null => {
  const value = config[key];
  return typeof value === 'string' ? value : null;
};
export const flagIn = (config: JsonRecord, key: string, otherwise: boolean): boolean => {
  const value = config[key];
  return typeof value === 'boolean' ? value : otherwise;
};

/** A whole number for each of `length` axes: given as one for all, or as a list. @param otherwise where none is given */
export function sizesIn(
  config: JsonRecord,
  key: string,
  length: number,
  otherwise: number | null = null,
): readonly number[] | null {
  const value = config[key] ?? otherwise;
  const isSize = (one: unknown): one is number => Number.isInteger(one) && (one as number) >= 0;
  if (isSize(value)) return Array<number>(length).fill(value);
  return Array.isArray(value) && value.length === length && value.every(isSize) ? (value as readonly number[]) : null;
}

export const product = (sizes: Sizes): number | null =>
  sizes.reduce<number | null>((all, size) => (all === null || size === null ? null : all * size), 1);

/** Axes of Keras count from the batch, negative ones from behind. */
export const axisOf = (axis: number, rank: number): number | null => {
  const at = axis < 0 ? axis + rank : axis;
  return at >= 0 && at < rank ? at : null;
};
