/** The graph of an OpenVINO IR in ONNX's terms: operators by `openvino-operators.ts`, bodies as graphs in their node. */
import type { AttributeValue, Graph, GraphNode, Tensor, ValueInfo } from './model.js';
import { nodeSink } from './onnx-terms.js';
import { type Constants, dtypeOf } from './openvino-constants.js';
import type { Layer, Network, Source } from './openvino-ir.js';
import { operationOf } from './openvino-operation.js';
import { translate } from './openvino-operators.js';
import { type Plan, planOf } from './openvino-plan.js';
import { scalesOf } from './openvino-quantised.js';
import { tensorsIn } from './openvino-tensors.js';
import type { StoredTensor } from './stored-tensor.js';
import type { Names } from './tflite-tensors.js';

/** What all networks of a file have in common. */
export interface File {
  readonly constants: Constants;
  /** Of the constants, unique in the model. */
  readonly titles: ReadonlyMap<Layer, string>;
  readonly names: Names;
  /** All of them, those of bodies where their layer stands. */
  readonly tensors: StoredTensor[];
}

/** How a branch of an If stands in its caller, as ONNX has it. */
interface Branch {
  /** Id of a Parameter → the value outside. */
  readonly captured: ReadonlyMap<number, string>;
  /** Ids of the Results, in the order of the caller's outputs. */
  readonly results: readonly number[];
}

/** One network while it is translated. */
export interface Scope {
  readonly file: File;
  readonly plan: Plan;
  readonly nodes: GraphNode[];
  readonly initialisers: Map<string, Tensor>;
  readonly nameOf: (source: Source) => string;
}

export async function graphOfIr(network: Network, file: File, branch?: Branch): Promise<Graph> {
  const plan = planOf(network, file.constants);
  const initialisers = new Map<string, Tensor>();
  const named = new Map<Layer, readonly string[]>();
  for (const { layer, tensor } of tensorsIn(network, plan, file.titles)) {
    named.set(layer, [tensor.name]);
    initialisers.set(tensor.name, tensor);
    file.tensors.push(tensor);
  }
  for (const layer of network.layers) if (!named.has(layer)) named.set(layer, valueNames(layer, file.names));
  const nameOf = ({ layer, output }: Source): string => named.get(layer)?.[output] ?? '';
  const scope: Scope = { file, plan, nodes: [], initialisers, nameOf };
  for (const layer of network.layers) {
    const [output = ''] = named.get(layer) ?? [];
    const from = layer.type === 'Parameter' ? branch?.captured.get(layer.id) : undefined;
    if (from !== undefined) scope.nodes.push(nodeOf('Identity', '', layer.name, [from], [output]));
    else if (!initialisers.has(output) && !plan.absorbed.has(layer)) await addNodes(layer, scope);
  }
  const results = network.layers.filter(({ type, from }) => type === 'Result' && from.length === 1);
  const byId = new Map(results.map((result) => [result.id, result]));
  const given = branch === undefined ? results : branch.results.map((id) => byId.get(id)!);
  return {
    name: network.name,
    inputs: network.layers
      .filter(({ type, id }) => type === 'Parameter' && !branch?.captured.has(id))
      .map((layer) => inputInfo(layer, nameOf({ layer, output: 0 }))),
    outputs: given.map(({ from, inputs }) => ({ name: nameOf(from[0]!), dtype: null, shape: inputs[0]!.shape })),
    valueInfo: [],
    nodes: scope.nodes,
    initialisers,
  };
}

/** As the model was called where it comes from, else as its layer is. */
const valueNames = ({ name, outputs }: Layer, names: Names): readonly string[] =>
  outputs.map((port, k) => names.unique(port.names[0] || (outputs.length === 1 ? name : `${name}:${k}`)));

function nodeOf(
  op: string,
  domain: string,
  name: string,
  inputs: readonly string[],
  outputs: readonly string[],
  attributes: ReadonlyMap<string, AttributeValue> = new Map(),
): GraphNode {
  return { name, op, domain, inputs, outputs, attributes };
}

const SILENT: ReadonlySet<string> = new Set(['Parameter', 'Const', 'Result']);

async function addNodes(layer: Layer, scope: Scope): Promise<void> {
  if (SILENT.has(layer.type) || (await addDequantised(layer, scope))) return;
  const own: GraphNode[] = [];
  const operation = operationOf(layer, scope, (outputs) => nodeSink(own, layer.name, outputs));
  const { inputs, outputs, scale, bias } = operation;
  if (await translate(operation)) {
    scope.nodes.push(...own);
    return;
  }
  const branches = layer.type === 'If' ? await branchesOf(layer, scope) : null;
  if (branches !== null) {
    scope.nodes.push(nodeOf('If', '', layer.name, inputs.slice(0, 1), outputs, branches));
    return;
  }
  const bodies = new Map<string, AttributeValue>();
  for (const [name, body] of layer.bodies) bodies.set(name, await graphOfIr(body, scope.file));
  const beside = [scale, bias].filter((value) => value !== undefined);
  scope.nodes.push(nodeOf(operation.layer.type, 'openvino', layer.name, [...inputs, ...beside], outputs, bodies));
}

/** Integers behind DequantizeLinear. @returns false where the layer makes no values of them */
async function addDequantised(layer: Layer, { file, plan, nodes, initialisers, nameOf }: Scope): Promise<boolean> {
  const nameOfConstant = (constant: { readonly layer: Layer }): string => nameOf({ layer: constant.layer, output: 0 });
  const output = nameOf({ layer, output: 0 });
  const dequantize = (inputs: readonly string[], axis: number | null): true => {
    const attributes = new Map(axis === null ? [] : [['axis', axis] as const]);
    nodes.push(nodeOf('DequantizeLinear', '', layer.name, inputs, [output], attributes));
    return true;
  };
  const codes = plan.quantised.get(layer);
  if (codes !== undefined && codes.axis !== 'groups') {
    const parameters = [codes.scale, ...(codes.zero === null ? [] : [codes.zero])];
    return dequantize([codes.codes, ...parameters].map(nameOfConstant), codes.axis);
  }
  const ranges = plan.ranges.get(layer);
  if (ranges === undefined) return false;
  const title = nameOfConstant(ranges.codes);
  const names = { scale: file.names.unique(`${title}_scale`), zero: file.names.unique(`${title}_zero_point`) };
  const made = await scalesOf(ranges, names);
  if (made === null) return false;
  for (const tensor of made) {
    initialisers.set(tensor.name, tensor);
    file.tensors.push(tensor);
  }
  return dequantize([title, names.scale, names.zero], ranges.axis);
}

const BRANCHES = [
  // In the order in which torch writes them.
  ['else_branch', 'else_body'],
  ['then_branch', 'then_body'],
] as const;

/** The branches of an If take from outside what they are given; null where they do not fit their layer. */
async function branchesOf(layer: Layer, { file, nameOf }: Scope): Promise<ReadonlyMap<string, AttributeValue> | null> {
  const inputs = new Map(layer.inputs.map(({ id }, k) => [id, nameOf(layer.from[k]!)]));
  const found: (Branch & { readonly body: Network; readonly attribute: string })[] = [];
  for (const [attribute, name] of BRANCHES) {
    const [body, map] = [layer.bodies.get(name), layer.maps.get(name)];
    if (body === undefined || map === undefined) return null;
    const given = new Set(
      body.layers.filter(({ type, from }) => type === 'Result' && from.length === 1).map(({ id }) => id),
    );
    const results = layer.outputs.flatMap(({ id }) => map.outputs.get(id) ?? []).filter((id) => given.has(id));
    if (results.length !== layer.outputs.length) return null;
    const captured = new Map(
      [...map.inputs].flatMap(([port, id]) => (inputs.has(port) ? [[id, inputs.get(port)!]] : [])),
    );
    found.push({ attribute, body, captured, results });
  }
  const branches = new Map<string, AttributeValue>();
  for (const { attribute, body, ...branch } of found) branches.set(attribute, await graphOfIr(body, file, branch));
  return branches;
}

function inputInfo({ data, outputs }: Layer, name: string): ValueInfo {
  const sizes = data.shape?.trim();
  const isKnown = sizes !== undefined && !sizes.includes('...') && sizes !== '';
  const shape = isKnown
    ? sizes.split(',').map((size) => (/^\d{1,15}$/.test(size.trim()) ? Number(size) : null))
    : (outputs[0]?.shape ?? null);
  return { name, dtype: dtypeOf(data.element_type), shape: sizes === '' ? [] : shape };
}
