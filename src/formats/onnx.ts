/** ONNX ModelProto (onnx.proto3, IR versions 3–13) → Model: graph, subgraphs, initialisers, lazily. */
import { Cursor, fromUtf8, inputError } from '../base/index.js';
import { MAX_GRAPH_DEPTH, MAX_LIST_NUMBERS, MAX_NODES, MAX_TENSORS } from './limits.js';
import type { AttributeValue, Graph, GraphNode, Model, Tensor, ValueInfo } from './model.js';
import { readPair, readTensor } from './onnx-tensor.js';
import { treesOfGraph } from './onnx-trees.js';
import { readValueInfo } from './onnx-value-info.js';
import { type ModelFiles, modelOf } from './opened.js';
import { type Field, WireReader } from './protobuf.js';
import { type StoredTensor, storedTensor } from './stored-tensor.js';
import { tensorsOfTrees } from './trees.js';
import { onnxEdits } from './write-trees-onnx.js';

interface Walk {
  readonly reader: WireReader;
  readonly files: ModelFiles;
  readonly tensors: StoredTensor[];
  nodes: number;
  /** Numbers in attribute lists. */
  numbers: number;
}

/** Opens ONNX bytes, or returns null where they are plainly something else (no graph field). */
export async function openOnnx(files: ModelFiles): Promise<Model | null> {
  const reader = new WireReader(files.main);
  const walk: Walk = { reader, files, tensors: [], nodes: 0, numbers: 0 };
  let graphField: Field | null = null;
  let opset: number | null = null;
  let imports = 0;
  let irVersion: bigint | null = null;
  const metadata = new Map<string, string>();
  for await (const field of reader.fields(0, files.main.byteLength)) {
    if (field.number === 1 && field.wire === 0) irVersion = field.value;
    if (field.number === 7 && field.wire === 2) {
      // Protocol-buffer readers merge repeated messages, so others would see another graph than we do.
      if (graphField !== null) reader.fail('the model has two graphs', field.at);
      graphField = field;
    }
    if (field.number === 8 && field.wire === 2) {
      imports++;
      opset = (await readOpset(reader, field)) ?? opset;
    }
    if (field.number === 14 && field.wire === 2) {
      reader.count(field.at);
      const [key, value] = await readPair(reader, field);
      metadata.set(key, value);
    }
    if (field.number === 25) {
      throw inputError('ONNX_FUNCTIONS', 'the model defines functions of its own, which are not read', {
        where: `${files.main.name} byte ${field.at}`,
        todo: 'inline them first: onnx.inliner.inline_local_functions',
      });
    }
  }
  if (graphField === null) return null;
  if (irVersion === null) reader.fail('the model states no IR version', 0);
  if (imports === 0) reader.fail('the model states no operator set', files.main.byteLength);
  const graph = await readGraph(walk, graphField, '', 0);
  const found = await treesOfGraph(graph);
  const trees = found.map(({ ensemble }) => ensemble);
  const tensors = [
    ...walk.tensors,
    ...found.flatMap((one, order) => tensorsOfTrees(one.ensemble, onnxEdits(files.main, one, order))),
  ];
  return modelOf(files, { format: 'onnx', tensors, graph, opset, metadata, trees });
}

async function readOpset(reader: WireReader, message: Field): Promise<number | null> {
  let domain = '';
  let version: number | null = null;
  for await (const field of reader.fields(message.start, message.end)) {
    if (field.number === 1) domain = await reader.text(field);
    if (field.number === 2) version = Number(field.value);
  }
  return domain === '' || domain === 'ai.onnx' ? version : null;
}

async function readGraph(walk: Walk, message: Field, path: string, depth: number): Promise<Graph> {
  const { reader } = walk;
  if (depth > MAX_GRAPH_DEPTH) reader.fail(`graphs nest deeper than ${MAX_GRAPH_DEPTH}`, message.at);
  let name = '';
  const nodeFields: Field[] = [];
  const inputs: ValueInfo[] = [];
  const outputs: ValueInfo[] = [];
  const valueInfo: ValueInfo[] = [];
  const initialisers = new Map<string, Tensor>();
  for await (const field of reader.fields(message.start, message.end)) {
    reader.count(field.at);
    if (field.number === 1) nodeFields.push(field);
    else if (field.number === 2) name = await reader.text(field);
    else if (field.number === 5) {
      const { tensor, ownName } = await readTensor(reader, field, walk.files, path);
      keep(walk, tensor, field.at);
      initialisers.set(ownName, tensor);
    } else if (field.number === 11) inputs.push(await readValueInfo(reader, field));
    else if (field.number === 12) outputs.push(await readValueInfo(reader, field));
    else if (field.number === 13) valueInfo.push(await readValueInfo(reader, field));
    else if (field.number === 15) refuseSparse(reader, field);
  }
  const nodes: GraphNode[] = [];
  const places = new Set<string>();
  for (const [index, field] of nodeFields.entries()) {
    if (++walk.nodes > MAX_NODES) reader.fail(`the model has more than ${MAX_NODES} nodes`, field.at);
    const node = await readNode(walk, field, path, index, depth, places);
    nodes.push(node);
    const value = node.op === 'Constant' ? constantValue(node, path) : null;
    if (value !== null) {
      keep(walk, value, field.at);
      initialisers.set(node.outputs[0]!, value);
    }
  }
  const given = inputs.filter((input) => !initialisers.has(input.name));
  return { name, inputs: given, outputs, valueInfo, nodes, initialisers };
}

function keep(walk: Walk, tensor: StoredTensor, at: number): void {
  walk.tensors.push(tensor);
  if (walk.tensors.length > MAX_TENSORS) walk.reader.fail(`the model has more than ${MAX_TENSORS} tensors`, at);
}

/** @param places where earlier nodes of the graph keep their subgraphs' tensors; a later node of the same name gets its index added */
async function readNode(
  walk: Walk,
  message: Field,
  path: string,
  index: number,
  depth: number,
  places: Set<string>,
): Promise<GraphNode> {
  const { reader } = walk;
  let name = '';
  let op = '';
  let domain = '';
  const inputs: string[] = [];
  const outputs: string[] = [];
  const attributeFields: Field[] = [];
  for await (const field of reader.fields(message.start, message.end)) {
    reader.count(field.at);
    if (field.number === 1) inputs.push(await reader.text(field));
    else if (field.number === 2) outputs.push(await reader.text(field));
    else if (field.number === 3) name = await reader.text(field);
    else if (field.number === 4) op = await reader.text(field);
    else if (field.number === 5) attributeFields.push(field);
    else if (field.number === 7) domain = await reader.text(field);
  }
  const named = `${path}${name === '' ? `${op}_${index}` : name}`;
  const place = places.has(named) ? `${named}#${index}` : named;
  places.add(place);
  const attributes = new Map<string, AttributeValue>();
  for (const field of attributeFields) {
    const [key, value] = await readAttribute(
      walk,
      field,
      place,
      op === 'Constant' ? (outputs[0] ?? '') : '',
      path,
      depth,
    );
    if (value !== null) attributes.set(key, value);
  }
  return { name, op, domain: domain === 'ai.onnx' ? '' : domain, inputs, outputs, attributes };
}

async function readAttribute(
  walk: Walk,
  message: Field,
  place: string,
  constantOutput: string,
  path: string,
  depth: number,
): Promise<readonly [string, AttributeValue | null]> {
  const { reader } = walk;
  const fields: Field[] = [];
  let name = '';
  for await (const field of reader.fields(message.start, message.end)) {
    reader.count(field.at);
    if (field.number === 1) name = await reader.text(field);
    else fields.push(field);
  }
  let value: AttributeValue | null = null;
  const floats: number[] = [];
  const ints: number[] = [];
  const strings: string[] = [];
  const graphs: Graph[] = [];
  let type = 0;
  for (const field of fields) {
    if (field.number === 2) value = (await floatsOf(reader, field))[0] ?? null;
    else if (field.number === 3) value = Number(BigInt.asIntN(64, field.value));
    else if (field.number === 4) value = await latin(reader, field);
    else if (field.number === 5) {
      const isValue = constantOutput !== '' && name === 'value';
      const { tensor } = await readTensor(
        reader,
        field,
        walk.files,
        isValue ? path : `${place}/`,
        isValue ? constantOutput : name,
      );
      value = isValue ? { ...tensor, name: path + constantOutput } : tensor;
    } else if (field.number === 6) value = await readGraph(walk, field, `${place}/${name}/`, depth + 1);
    else if (field.number === 7)
      for (const item of await floatsOf(reader, field)) floats.push(listed(walk, item, field));
    else if (field.number === 8)
      await reader.eachNumber(field, (item) => ints.push(listed(walk, Number(BigInt.asIntN(64, item)), field)));
    else if (field.number === 9) strings.push(await latin(reader, field));
    else if (field.number === 11)
      graphs.push(await readGraph(walk, field, `${place}/${name}[${graphs.length}]/`, depth + 1));
    else if (field.number === 20) type = Number(field.value);
    else if (field.number === 22 || field.number === 23) refuseSparse(reader, field);
  }
  // AttributeProto.type: 6 FLOATS, 7 INTS, 8 STRINGS, 10 GRAPHS; a list may be empty, so the type decides.
  if (type === 6 || floats.length > 0) value = floats;
  else if (type === 7 || ints.length > 0) value = ints;
  else if (type === 8 || strings.length > 0) value = strings;
  else if (type === 10 || graphs.length > 0) value = graphs;
  // proto3 leaves out zeros: INT 0, FLOAT 0 and an empty STRING arrive without a value.
  else if (value === null && (type === 1 || type === 2)) value = 0;
  else if (value === null && type === 3) value = '';
  return [name, value];
}

function refuseSparse(reader: WireReader, field: Field): never {
  throw inputError('ONNX_SPARSE', 'the model stores a sparse tensor, which is not read', {
    where: `${reader.source.name} byte ${field.at}`,
    todo: 'export it dense',
  });
}

function listed(walk: Walk, value: number, field: Field): number {
  if (++walk.numbers > MAX_LIST_NUMBERS)
    walk.reader.fail(`attribute lists hold more than ${MAX_LIST_NUMBERS} numbers`, field.at);
  return value;
}

/** String attributes are bytes that are nearly always text; where they are not, each byte becomes one character. */
async function latin(reader: WireReader, field: Field): Promise<string> {
  const bytes = await reader.textBytes(field);
  try {
    return fromUtf8(bytes);
  } catch {
    return Buffer.from(bytes).toString('latin1');
  }
}

async function floatsOf(reader: WireReader, field: Field): Promise<number[]> {
  if (field.wire === 0 || field.end - field.start > 4 * MAX_LIST_NUMBERS)
    reader.fail('a float has the wrong wire type', field.at);
  const cursor = new Cursor(await reader.source.slice(field.start, field.end), 'ONNX', field.start);
  const values: number[] = [];
  while (cursor.remaining > 0) values.push(cursor.f32());
  return values;
}

/** The value of a Constant node in any of its forms (ONNX Constant-13), or null for strings and sparse values. */
function constantValue(node: GraphNode, path: string): StoredTensor | null {
  const output = node.outputs[0];
  if (output === undefined || output === '') return null;
  for (const [key, value] of node.attributes) {
    if (key === 'value' && typeof value === 'object' && 'storage' in value) return value as StoredTensor;
    const given = (dtype: 'F32' | 'I64', shape: readonly number[], values: readonly number[]): StoredTensor =>
      storedTensor('ONNX', path + output, dtype, shape, {
        kind: 'values',
        read: async (start, end) => Float64Array.from(values.slice(start, end)),
      });
    if (key === 'value_float' && typeof value === 'number') return given('F32', [], [value]);
    if (key === 'value_int' && typeof value === 'number') return given('I64', [], [value]);
    if (key === 'value_floats' && Array.isArray(value)) return given('F32', [value.length], value as number[]);
    if (key === 'value_ints' && Array.isArray(value)) return given('I64', [value.length], value as number[]);
  }
  return null;
}
