/**
 * Which stored axis of a TensorFlow.js weight is its outputs: told by the layers' classes (Keras: in × out, HWIO) or by
 * the operators that take the weight (TensorFlow's `MatMul`, `Conv2D`, …).
 */
import type { Json } from '../base/index.js';

type JsonRecord = { readonly [name: string]: Json };
const isRecord = (value: Json | undefined): value is JsonRecord =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const listOf = (value: Json | undefined): readonly Json[] => (Array.isArray(value) ? (value as readonly Json[]) : []);

type Layout = readonly number[];
interface Named {
  readonly name: string;
  readonly shape: readonly number[];
}
export type LayoutsOf = (tensor: Named) => Layout | undefined;

/** Spatial axes first, then in, then out, by rank. */
const SPATIAL_IN_OUT: Readonly<Record<number, Layout>> = {
  2: [1, 0],
  3: [2, 1, 0],
  4: [3, 2, 0, 1],
  5: [4, 3, 0, 1, 2],
};
/** Spatial axes first, then the axis that stands first: out of a transposed convolution, channels of a depthwise one. */
const SPATIAL_OUT_IN: Readonly<Record<number, Layout>> = {
  3: [1, 2, 0],
  4: [2, 3, 0, 1],
  5: [3, 4, 0, 1, 2],
};

/**
 * @param topology `modelTopology` of a model.json: Keras' configuration or a GraphDef; none: the only ways in which
 *   TensorFlow.js's own `conv2d`, `depthwiseConv2d` and `matMul` take a weight
 */
export function layoutsOf(topology: Json | undefined): LayoutsOf {
  if (!isRecord(topology)) return byName;
  if (Array.isArray(topology.node)) return fromGraph(topology);
  return fromLayers(topology);
}

const byName: LayoutsOf = ({ name, shape }) => {
  if (!/(weights?|kernel|filters?)$/.test(name)) return undefined;
  if (shape.length === 2) return SPATIAL_IN_OUT[2];
  return shape.length === 4 ? (/depthwise/.test(name) ? SPATIAL_OUT_IN : SPATIAL_IN_OUT)[4] : undefined;
};

function fromLayers(topology: JsonRecord): LayoutsOf {
  const classes = new Map<string, string>();
  const visit = (value: Json | undefined): void => {
    if (Array.isArray(value)) for (const item of value as readonly Json[]) visit(item);
    else if (isRecord(value)) {
      const { class_name: kind, config } = value;
      if (typeof kind === 'string' && isRecord(config) && typeof config.name === 'string')
        classes.set(config.name, kind);
      for (const item of Object.values(value)) visit(item);
    }
  };
  visit(topology);
  if (classes.size === 0) return () => undefined;
  return ({ name, shape }) => {
    const [variable, ...layers] = name.replace(/:0$/, '').split('/').reverse();
    const kinds = layers.flatMap((layer) => classes.get(layer) ?? []);
    return layoutOfVariable(kinds, layers[0] ?? '', variable!, shape.length);
  };
}

/**
 * How Keras lays out a layer's variable.
 * @param kinds classes of the layer and of those around it, the innermost first
 * @param part what the variable belongs to: `query` in an attention layer, else the layer
 */
export function layoutOfVariable(
  [kind = '', ...around]: readonly string[],
  part: string,
  variable: string,
  rank: number,
): Layout | undefined {
  if (variable === 'depthwise_kernel') return SPATIAL_OUT_IN[rank];
  if (variable !== 'kernel' && variable !== 'pointwise_kernel' && variable !== 'recurrent_kernel') return undefined;
  // in × heads × units, and heads × units × out; of other einsums the equation alone tells.
  if (/Attention$/.test(kind) || (kind === 'EinsumDense' && /Attention$/.test(around[0] ?? ''))) {
    return rank === 3 ? (part === 'attention_output' ? [2, 0, 1] : [1, 2, 0]) : undefined;
  }
  if (kind === 'EinsumDense') return undefined;
  // The one layer whose `kernel` is depthwise in some versions.
  if (/Transpose$|^DepthwiseConv/.test(kind)) return SPATIAL_OUT_IN[rank];
  return SPATIAL_IN_OUT[rank];
}

const OPERATORS: Readonly<Record<string, (rank: number, attributes: JsonRecord) => Layout | undefined>> = {
  MatMul: matrix,
  _FusedMatMul: matrix,
  Conv2D: (rank) => (rank === 4 ? SPATIAL_IN_OUT[4] : undefined),
  _FusedConv2D: (rank) => (rank === 4 ? SPATIAL_IN_OUT[4] : undefined),
  Conv3D: (rank) => (rank === 5 ? SPATIAL_IN_OUT[5] : undefined),
  DepthwiseConv2dNative: (rank) => (rank === 4 ? SPATIAL_OUT_IN[4] : undefined),
  FusedDepthwiseConv2dNative: (rank) => (rank === 4 ? SPATIAL_OUT_IN[4] : undefined),
  Conv2DBackpropInput: (rank) => (rank === 4 ? SPATIAL_OUT_IN[4] : undefined),
};

function matrix(rank: number, { transpose_b: transposed }: JsonRecord): Layout | undefined {
  if (rank !== 2) return undefined;
  return isRecord(transposed) && transposed.b === true ? [0, 1] : [1, 0];
}

/** Names of values carry an output's number, those of mere order a caret. */
const nodeOf = (input: Json | undefined): string => (typeof input === 'string' ? input.replace(/:\d+$/, '') : '');

function fromGraph(topology: JsonRecord): LayoutsOf {
  const nodes = [
    ...listOf(topology.node),
    ...listOf(isRecord(topology.library) ? topology.library.function : undefined).flatMap((body) =>
      isRecord(body) ? listOf(body.nodeDef) : [],
    ),
  ].filter(isRecord);
  const passedOn = new Map<string, string>();
  for (const { name, op, input } of nodes) {
    if (op === 'Identity' && typeof name === 'string') passedOn.set(name, nodeOf(listOf(input)[0]));
  }
  const uses = new Map<string, JsonRecord[]>();
  for (const node of nodes) {
    if (typeof node.op !== 'string' || !Object.hasOwn(OPERATORS, node.op)) continue;
    let weight = nodeOf(listOf(node.input)[1]);
    // A chain longer than the nodes is a loop.
    for (let i = 0; i < nodes.length && passedOn.has(weight); i++) weight = passedOn.get(weight)!;
    uses.set(weight, [...(uses.get(weight) ?? []), node]);
  }
  return ({ name, shape }) => {
    const layouts = (uses.get(name) ?? []).map(({ op, attr }) =>
      OPERATORS[op as string]!(shape.length, isRecord(attr) ? attr : {}),
    );
    const [first] = layouts;
    // A weight used in two ways has no one axis of outputs.
    return layouts.every((layout) => layout?.join() === first?.join()) ? first : undefined;
  };
}
