/** The architecture of a model as a directed graph, free of names, so that two exports of one net have one digest. */
import { canonicalBytes, type Json, sha256Hex } from '../base/index.js';
import type { AttributeValue, Graph, GraphNode, Model, Tensor } from '../formats/index.js';

/** A statement is read by people and travels in bundles; a larger graph is stated by digest and counts. */
const MAX_STATED = 256 * 1024;

export interface Architecture {
  /** SHA-256 of the canonical JSON of the whole graph. */
  readonly sha256: string;
  readonly bytes: number;
  /** `graph` where the format carries one, else `names`: tensor names and shapes only. */
  readonly source: 'graph' | 'names';
  readonly nodes: number;
  readonly edges: number;
  readonly operations: Readonly<Record<string, number>>;
  /**
   * `{inputs, outputs, weights, nodes}`: a node is `{op, in, attributes?}`; `in` and `outputs` name what they take:
   * `i0` a graph input, `w3` a weight, `n5` the first output of node 5, `n5.1` its second, `^` before each for one level
   * outward of a subgraph, '' for an absent optional input. Shapes are there, storage types are not: a float16
   * conversion keeps its architecture. Null when it is too large to be stated.
   */
  readonly graph: Json | null;
}

export function architectureOf(model: Model): Architecture {
  const counts = { nodes: 0, edges: 0, operations: new Map<string, number>() };
  const whole: Json =
    model.graph === null
      ? { weights: [...model.tensors.values()].map(namedShape).sort((a, b) => (a.name < b.name ? -1 : 1)) }
      : describe(model.graph, new Map(), counts);
  const bytes = canonicalBytes(whole);
  return {
    sha256: sha256Hex(bytes),
    bytes: bytes.length,
    source: model.graph === null ? 'names' : 'graph',
    nodes: counts.nodes,
    edges: counts.edges,
    operations: Object.fromEntries([...counts.operations].sort(([a], [b]) => (a < b ? -1 : 1))),
    graph: bytes.length <= MAX_STATED ? whole : null,
  };
}

const namedShape = (tensor: Tensor) => ({ name: tensor.name, shape: [...tensor.shape] });

interface Counts {
  nodes: number;
  edges: number;
  readonly operations: Map<string, number>;
}

/** @param outer references of the enclosing scope, which a subgraph may use */
function describe(graph: Graph, outer: ReadonlyMap<string, string>, counts: Counts): Json {
  const names = new Map([...outer].map(([name, reference]) => [name, `^${reference}`]));
  const weights: Json[] = [];
  for (const [name, tensor] of graph.initialisers) {
    names.set(name, `w${weights.length}`);
    weights.push([...tensor.shape]);
  }
  const inputs = graph.inputs.filter((input) => !graph.initialisers.has(input.name));
  for (const [index, input] of inputs.entries()) names.set(input.name, `i${index}`);
  // Constant nodes are weights: their value stands among the initialisers under the name of their output.
  const nodes = graph.nodes.filter(
    (node) => !(node.op === 'Constant' && graph.initialisers.has(node.outputs[0] ?? '')),
  );
  for (const [index, node] of nodes.entries()) {
    for (const [at, output] of node.outputs.entries()) {
      if (output !== '') names.set(output, at === 0 ? `n${index}` : `n${index}.${at}`);
    }
  }
  const reference = (name: string): string => (name === '' ? '' : (names.get(name) ?? '?'));
  const described = nodes.map((node) => {
    const from = node.inputs.map(reference);
    const op = node.domain === '' ? node.op : `${node.domain}.${node.op}`;
    counts.nodes++;
    counts.edges += from.filter((one) => /^\^*n/.test(one)).length;
    counts.operations.set(op, (counts.operations.get(op) ?? 0) + 1);
    const attributes = attributesOf(node, names, counts);
    return { op, in: from, ...(attributes === null ? {} : { attributes }) };
  });
  return {
    inputs: inputs.map((input) => (input.shape === null ? null : [...input.shape])),
    outputs: graph.outputs.map((output) => reference(output.name)),
    weights,
    nodes: described,
  };
}

function attributesOf(node: GraphNode, names: ReadonlyMap<string, string>, counts: Counts): Json {
  const entries = [...node.attributes].map(([name, value]) => [name, attribute(value, names, counts)] as const);
  return entries.length === 0 ? null : Object.fromEntries(entries);
}

function attribute(value: AttributeValue, names: ReadonlyMap<string, string>, counts: Counts): Json {
  if (typeof value === 'bigint') return String(value);
  // JSON has no NaN and no infinity; a graph may hold them (padding values).
  if (typeof value === 'number') return Number.isFinite(value) ? value : String(value);
  if (typeof value === 'string') return value;
  if (isGraph(value)) return describe(value, names, counts);
  if (isTensor(value)) return { shape: [...value.shape] };
  return (value as readonly (number | string | Graph)[]).map((item) => attribute(item, names, counts));
}

const isGraph = (value: AttributeValue): value is Graph => typeof value === 'object' && 'nodes' in value;
const isTensor = (value: AttributeValue): value is Tensor => typeof value === 'object' && 'dtype' in value;
