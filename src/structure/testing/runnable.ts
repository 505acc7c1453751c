/**
 * A model of another format as ONNX bytes that onnxruntime runs: its graph, which speaks ONNX's terms in the manner of early
 * versions (axes, pads and limits as attributes), in opset 20, where these are inputs.
 */
import {
  type AttributeSpec,
  type AttributeValue,
  buildOnnx,
  type GraphNode,
  type Model,
  type NodeSpec,
  type TensorSpec,
  type ValueInfo,
  type ValueSpec,
} from '../../formats/index.js';

/** Attributes that are inputs by now, in the order of these: integers, or numbers of the value's type. */
const INPUTS: Readonly<Record<string, readonly (readonly [name: string, kind: 'ints' | 'float'])[]>> = {
  Clip: [
    ['min', 'float'],
    ['max', 'float'],
  ],
  Squeeze: [['axes', 'ints']],
  Unsqueeze: [['axes', 'ints']],
  Split: [['split', 'ints']],
  Pad: [['pads', 'ints']],
  ReduceMean: [['axes', 'ints']],
  Slice: [
    ['starts', 'ints'],
    ['ends', 'ints'],
    ['axes', 'ints'],
  ],
};

const FLOATS = new Set(['alpha', 'beta', 'epsilon', 'activation_alpha', 'activation_beta']);

function attributeSpec(name: string, value: AttributeValue): AttributeSpec {
  if (typeof value === 'string') return { string: value };
  if (typeof value === 'number') return FLOATS.has(name) ? { float: value } : { int: value };
  const list = value as readonly (number | string)[];
  if (typeof list[0] === 'string') return { strings: list as readonly string[] };
  return FLOATS.has(name) ? { floats: list as readonly number[] } : { ints: list as readonly number[] };
}

/**
 * @param changes new values of tensors, as stored
 * @throws Error for an operator of another domain
 */
export async function runnable(
  model: Model,
  changes: ReadonlyMap<string, Float64Array> = new Map(),
): Promise<Uint8Array> {
  const graph = model.graph!;
  const tensors: TensorSpec[] = [];
  for (const [name, { dtype, shape, elements, read }] of graph.initialisers) {
    tensors.push({ name, dtype, shape, values: changes.get(name) ?? (await read(0, elements)) });
  }
  const nodes = graph.nodes.map((node) => nodeSpec(node, tensors));
  const initialisers = tensors;
  return buildOnnx({
    opset: 20,
    graph: {
      name: 'net',
      inputs: graph.inputs.map(valueSpec),
      outputs: graph.outputs.map(valueSpec),
      nodes,
      initialisers,
    },
  });
}

const valueSpec = ({ name, dtype, shape }: ValueInfo): ValueSpec => ({
  name,
  dtype: dtype ?? 'F32',
  shape: (shape ?? []).map((size, k) => size ?? `${name}/${k}`),
});

function nodeSpec({ name, op, domain, inputs, outputs, attributes }: GraphNode, tensors: TensorSpec[]): NodeSpec {
  if (domain !== '') throw new Error(`${domain}.${op} does not run`);
  const moved = INPUTS[op]?.filter(([attribute]) => attributes.has(attribute)) ?? [];
  const given = moved.map(([attribute, kind]) => {
    const value = attributes.get(attribute);
    const input = `${name}/${attribute}`;
    tensors.push(
      kind === 'float'
        ? { name: input, dtype: 'F32', shape: [], values: [value as number] }
        : { name: input, dtype: 'I64', shape: [(value as number[]).length], values: value as number[] },
    );
    return input;
  });
  const rest = [...attributes].filter(([attribute]) => !moved.some(([one]) => one === attribute));
  return {
    op,
    name,
    inputs: [...inputs, ...given],
    outputs,
    attributes: Object.fromEntries(rest.map(([attribute, value]) => [attribute, attributeSpec(attribute, value)])),
  };
}
