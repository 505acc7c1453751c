/** Thresholds of ONNX's tree operators: floats of an attribute (`nodes_values`), or a tensor in one. Lengths stay. */
import type { ByteSource } from '../base/index.js';
import { encodeElements } from './elements.js';
import { type FoundTrees, isTrees } from './onnx-trees.js';
import { type Field, WireReader } from './protobuf.js';
import { type Edit, isStoredTensor } from './stored-tensor.js';
import type { ThresholdEdits } from './trees.js';
import { type ChangedThresholds, changedThresholds, refuseWriting } from './write-trees.js';

/** @param order of the node among the tree operators of the model */
export function onnxEdits(source: ByteSource, found: FoundTrees, order: number): ThresholdEdits {
  return async (thresholds) => {
    const changed = changedThresholds(found, thresholds);
    if (changed.size === 0) return [];
    return found.thresholds === null
      ? [await editList(source, found, order, changed)]
      : editTensor(source, found.thresholds, changed);
  };
}

/** All trees are added at once, so their one list has the numbers of all nodes. */
const listed = (changed: ChangedThresholds): ReadonlyMap<number, number> => changed.get(0) ?? new Map();

async function editTensor(
  source: ByteSource,
  tensor: NonNullable<FoundTrees['thresholds']>,
  changed: ChangedThresholds,
): Promise<readonly Edit[]> {
  if (!isStoredTensor(tensor) || tensor.storage.kind !== 'bytes') return refuseWriting(source.name, tensor.dtype);
  const values = await tensor.read(0, tensor.elements);
  for (const [index, value] of listed(changed)) values[index] = value;
  const bytes = encodeElements(tensor.dtype, values);
  let from = 0;
  return tensor.storage.stretches.map((stretch) => {
    from += stretch.length;
    return { ...stretch, bytes: bytes.subarray(from - stretch.length, from) };
  });
}

async function editList(source: ByteSource, found: FoundTrees, order: number, changed: ChangedThresholds) {
  const reader = new WireReader(source);
  let seen = 0;
  for await (const node of treeNodes(reader, { start: 0, end: source.byteLength }, MODEL_GRAPH)) {
    if (seen++ === order) return editFloats(source, await floatsOf(reader, node, 'nodes_values'), changed);
  }
  return refuseWriting(source.name, `no node of ${found.ensemble.name}`);
}

/** The floats lie one behind the other, packed or each with its tag: what is between the first and the last is taken over. */
async function editFloats(source: ByteSource, fields: readonly Field[], changed: ChangedThresholds): Promise<Edit> {
  const [first, last] = [fields[0], fields.at(-1)];
  if (first === undefined || last === undefined) return refuseWriting(source.name, 'no thresholds');
  const bytes = Uint8Array.from(await source.slice(first.start, last.end));
  const view = new DataView(bytes.buffer);
  const places = fields.flatMap(({ start, end }) =>
    Array.from({ length: (end - start) / 4 }, (_, k) => start - first.start + 4 * k),
  );
  for (const [index, value] of listed(changed)) {
    view.setFloat32(places[index] ?? refuseWriting(source.name, `${places.length} thresholds`), value, true);
  }
  return { source, offset: first.start, length: bytes.length, bytes };
}

interface Range {
  readonly start: number;
  readonly end: number;
}

/** Numbers of fields in onnx.proto3. */
const MODEL_GRAPH = 7;
const GRAPH_NODE = 1;
const NODE_OP = 4;
const NODE_ATTRIBUTE = 5;
const NODE_DOMAIN = 7;
const ATTRIBUTE_NAME = 1;
const ATTRIBUTE_FLOATS = 7;
const ATTRIBUTE_GRAPHS: readonly number[] = [6, 11];

/** In the order of `treesOfGraph`: the nodes of a graph, then those of the graphs in their attributes. */
async function* treeNodes(reader: WireReader, parent: Range, graphs: number): AsyncGenerator<Range> {
  for (const graph of await messages(reader, parent, [graphs])) {
    const nodes = await messages(reader, graph, [GRAPH_NODE]);
    for (const node of nodes) {
      const [op, domain] = [await textOf(reader, node, NODE_OP), await textOf(reader, node, NODE_DOMAIN)];
      if (isTrees({ op, domain })) yield node;
    }
    for (const node of nodes) {
      for (const attribute of await messages(reader, node, [NODE_ATTRIBUTE])) {
        for (const number of ATTRIBUTE_GRAPHS) yield* treeNodes(reader, attribute, number);
      }
    }
  }
}

async function messages(reader: WireReader, { start, end }: Range, numbers: readonly number[]): Promise<Field[]> {
  const found: Field[] = [];
  for await (const field of reader.fields(start, end)) if (numbers.includes(field.number)) found.push(field);
  return found;
}

async function textOf(reader: WireReader, message: Range, number: number): Promise<string> {
  const last = (await messages(reader, message, [number])).at(-1);
  return last === undefined ? '' : reader.text(last);
}

async function floatsOf(reader: WireReader, node: Range, name: string): Promise<readonly Field[]> {
  let found: readonly Field[] = [];
  for (const attribute of await messages(reader, node, [NODE_ATTRIBUTE])) {
    if ((await textOf(reader, attribute, ATTRIBUTE_NAME)) !== name) continue;
    found = await messages(reader, attribute, [ATTRIBUTE_FLOATS]);
  }
  return found;
}
