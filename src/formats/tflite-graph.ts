/** The graph of a TFLite model in ONNX's terms: operators by `tflite-operators.ts`, integer weights behind DequantizeLinear. */
import type { Table } from './flatbuffers.js';
import type { AttributeValue, Graph, GraphNode, Tensor, ValueInfo } from './model.js';
import { nodeSink } from './onnx-terms.js';
import { MAX_INPUTS, OPERATOR } from './tflite-layout.js';
import { type Operation, TRANSLATIONS } from './tflite-operators.js';
import type { Entry, Names } from './tflite-tensors.js';

export interface Subgraph {
  readonly table: Table;
  readonly title: string;
  readonly prefix: string;
  readonly entries: readonly Entry[];
}

const SUBGRAPH = { inputs: 1, outputs: 2, operators: 3 } as const;
/** Operators that run other graphs, and the options that number these: IF, WHILE, CALL_ONCE. */
const IF = 118;
const CALLS: Readonly<Record<number, readonly number[]>> = { [IF]: [0, 1], 119: [0, 1], 129: [0] };
/** @param captured what a branch takes from outside, where it stands in its caller as ONNX has it */
type Nested = (index: number, captured?: readonly string[]) => Promise<Graph | null>;
/** Constants that shapes, axes and orders are given as. */
const MAX_INTS = 64;

/** @returns null for a file without graphs */
export async function graphOf(
  subgraphs: readonly Subgraph[],
  codes: readonly number[],
  names: Names,
): Promise<Graph | null> {
  // Each graph stands at its first caller alone: graphs that call each other would have no end.
  const placed = new Set<Subgraph>();
  const translate: Nested = async (index, captured) => {
    const subgraph = subgraphs[index];
    if (subgraph === undefined || placed.has(subgraph)) return null;
    placed.add(subgraph);
    return translated(subgraph, codes, names, translate, captured);
  };
  return translate(0);
}

async function translated(
  { table, title, entries, prefix }: Subgraph,
  codes: readonly number[],
  names: Names,
  nested: Nested,
  captured: readonly string[] | undefined,
): Promise<Graph> {
  const values = valueNames(entries, names);
  const initialisers = new Map<string, Tensor>();
  const nodes: GraphNode[] = [];
  for (const [index, { constant, scales }] of entries.entries()) {
    if (constant === null) continue;
    initialisers.set(constant.name, constant);
    if (scales === null) continue;
    const parameters = scales.zero === null ? [scales.scale] : [scales.scale, scales.zero];
    for (const parameter of parameters) initialisers.set(parameter.name, parameter);
    values[index] = names.unique(`${constant.name}/dequantised`);
    nodes.push({
      name: values[index]!,
      op: 'DequantizeLinear',
      domain: '',
      inputs: [constant.name, ...parameters.map(({ name }) => name)],
      outputs: [values[index]!],
      attributes: new Map(scales.axis === null ? [] : [['axis', scales.axis]]),
    });
  }
  const named = (index: number): string => {
    if (index === -1) return '';
    const name = values[index];
    return (
      name ??
      table.file.fail('an operator takes a tensor that its graph does not have', table.at, { got: String(index) })
    );
  };
  const takes = await table.integers(SUBGRAPH.inputs, MAX_INPUTS);
  for (const [k, from] of (captured ?? []).entries()) {
    const to = takes[k] === undefined ? '' : named(takes[k]);
    if (to !== '') nodes.push(identity(from, to));
  }
  let number = 0;
  for await (const operator of table.tables(SUBGRAPH.operators)) {
    await add(operator, codes, entries, named, `${prefix}op${number++}`, nodes, nested);
  }
  const info = (index: number): ValueInfo => ({
    name: named(index),
    dtype: entries[index]?.dtype ?? null,
    shape: entries[index]?.shape ?? null,
  });
  return {
    name: title,
    inputs: captured === undefined ? takes.map(info) : [],
    outputs: (await table.integers(SUBGRAPH.outputs, MAX_INPUTS)).map(info),
    valueInfo: [],
    nodes,
    initialisers,
  };
}

const identity = (from: string, to: string): GraphNode => ({
  name: to,
  op: 'Identity',
  domain: '',
  inputs: [from],
  outputs: [to],
  attributes: new Map(),
});

/** Of constants their own names; of what is computed names that no constant has, and none twice. */
function valueNames(entries: readonly Entry[], names: Names): string[] {
  const taken = new Set<string>();
  return entries.map(({ name, constant }, index) => {
    if (constant !== null) return name;
    let free = name;
    while (taken.has(free) || names.has(free)) free += `@${index}`;
    taken.add(free);
    return free;
  });
}

async function add(
  operator: Table,
  codes: readonly number[],
  entries: readonly Entry[],
  named: (index: number) => string,
  name: string,
  nodes: GraphNode[],
  nested: Nested,
): Promise<void> {
  const code = codes[await operator.u32(OPERATOR.code)] ?? -1;
  const given = await operator.integers(OPERATOR.inputs, MAX_INPUTS);
  const inputs = given.map(named);
  const outputs = (await operator.integers(OPERATOR.outputs, MAX_INPUTS)).map(named);
  const options = (await operator.union(OPERATOR.optionsType, OPERATOR.options))?.table;
  const own: GraphNode[] = [];
  const operation: Operation = {
    ...nodeSink(own, name, outputs),
    inputs,
    shape: (input) => entries[given[input] ?? -1]?.shape ?? [],
    ints: async (input) => {
      const constant = entries[given[input] ?? -1]?.constant;
      if (!constant || constant.elements > MAX_INTS || !/^I(32|64)$/.test(constant.dtype)) return null;
      return [...(await constant.read(0, constant.elements))];
    },
    byte: async (field) => options?.u8(field) ?? 0,
    integer: async (field) => options?.i32(field) ?? 0,
    integers: async (field) => options?.integers(field, MAX_INTS) ?? [],
  };
  const isWhole = inputs.length > 0 && inputs[0] !== '' && outputs.length > 0;
  if (isWhole && (await TRANSLATIONS[code]?.(operation))) {
    nodes.push(...own);
    return;
  }
  const captured = code === IF ? inputs.slice(1) : undefined;
  const graphs: Graph[] = [];
  for (const field of CALLS[code] ?? []) {
    const graph = await nested((await options?.i32(field)) ?? 0, captured);
    if (graph !== null) graphs.push(graph);
  }
  const [first, second] = graphs;
  if (code === IF && first && second) {
    const branches = new Map([
      ['then_branch', first],
      ['else_branch', second],
    ]);
    nodes.push({ name, op: 'If', domain: '', inputs: inputs.slice(0, 1), outputs, attributes: branches });
    return;
  }
  const attributes = new Map(graphs.map((graph, k): [string, AttributeValue] => [`graph${k}`, graph]));
  nodes.push({ name, op: String(code), domain: 'tflite', inputs, outputs, attributes });
}
