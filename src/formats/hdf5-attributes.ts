/** Attributes of groups and datasets (§IV.A.2.m, .v): kept as they are stored, and decoded when asked for. */
import { fromUtf8 } from '../base/index.js';
import { decodeElements } from './elements.js';
import { openBtree2, recordsOf } from './hdf5-btree2.js';
import { Fields, type Hdf5File } from './hdf5-file.js';
import { heapObject, openFractalHeap } from './hdf5-fractal-heap.js';
import { type GlobalHeaps, globalHeapObject } from './hdf5-global-heap.js';
import { MESSAGE, type Message } from './hdf5-header.js';
import { type Hdf5Type, readSpace, readType } from './hdf5-types.js';
import { MAX_TENSORS } from './limits.js';
import { elementsOf } from './stored-tensor.js';
import { swapped } from './strided.js';

export interface Attribute {
  readonly name: string;
  readonly type: Hdf5Type;
  readonly elements: number;
  readonly data: Fields;
}

export type Attributes = ReadonlyMap<string, Attribute>;

/** @throws `HDF5_MALFORMED`, `HDF5_VERSION`, `HDF5_SHARED`, `HDF5_SHAPE`, `HDF5_TOO_MANY` */
export async function attributesOf(file: Hdf5File, messages: readonly Message[]): Promise<Attributes> {
  const found = new Map<string, Attribute>();
  const add = (fields: Fields): void => {
    const attribute = readAttribute(fields);
    if (found.has(attribute.name))
      fields.fail('two attributes have the same name', { got: attribute.name.slice(0, 200) });
    found.set(attribute.name, attribute);
  };
  for (const { type, body } of messages) {
    if (type === MESSAGE.attribute) add(body);
    if (type === MESSAGE.attributeInfo) for (const fields of await denseAttributes(file, body)) add(fields);
  }
  return found;
}

/** Many or large attributes lie in a heap, found by a B-tree of their names. */
async function denseAttributes(file: Hdf5File, info: Fields): Promise<readonly Fields[]> {
  info.version(0, 'a list of attributes');
  if ((info.u8() & 1) !== 0) info.skip(2);
  const heapAt = info.address();
  const treeAt = info.address();
  if (heapAt === null || treeAt === null) return [];
  const heap = await openFractalHeap(file, heapAt);
  const tree = await openBtree2(file, treeAt);
  if (tree.type !== 8) info.fail('attributes are found by a B-tree of another kind', { got: `type ${tree.type}` });
  const found: Fields[] = [];
  for (const record of await recordsOf(tree)) {
    const id = record.part(8);
    if ((record.u8() & 2) !== 0) record.fail('an attribute is kept outside its object', {}, 'SHARED');
    found.push(await heapObject(heap, id));
  }
  return found;
}

function readAttribute(fields: Fields): Attribute {
  const start = fields.remaining;
  const version = fields.version(3, 'an attribute', 1);
  const shared = fields.u8();
  if (version > 1 && (shared & 3) !== 0) {
    fields.fail('the type of an attribute is kept elsewhere', { todo: 'copy the arrays into a new file' }, 'SHARED');
  }
  const nameBytes = fields.u16();
  const typeBytes = fields.u16();
  const spaceBytes = fields.u16();
  if (version === 3) fields.skip(1);
  // Version 1 fills each part up to eight bytes.
  const part = (bytes: number): Fields => {
    const inner = fields.part(bytes);
    if (version === 1) fields.skip(Math.min(fields.remaining, (8 - (bytes % 8)) % 8));
    return inner;
  };
  const name = part(nameBytes).textToZero();
  const type = readType(part(typeBytes));
  const space = readSpace(part(spaceBytes));
  fields.file.keep(fields.at, start);
  const where = `${fields.file.source.name} byte ${fields.at}, attribute ${name.slice(0, 200)}`;
  const elements = space.isNull ? 0 : elementsOf(space.shape, 'HDF5', where);
  if (elements * type.size > fields.remaining) fields.fail('an attribute is longer than what holds it');
  // A copy, which does not hold on to the page that it lies in.
  const data = new Fields(fields.file, Uint8Array.from(fields.bytes(elements * type.size)), fields.at);
  return { name, type, elements, data };
}

/** The texts of an attribute; null where it is none of texts. @throws `UTF8_INVALID`, `HDF5_MALFORMED`, `HDF5_TOO_MANY` */
export async function textsOf(
  file: Hdf5File,
  heaps: GlobalHeaps,
  { type, elements, data }: Attribute,
): Promise<readonly string[] | null> {
  const fields = data.again();
  if (elements > MAX_TENSORS) {
    fields.fail('a list of texts is longer than any real one', { expected: `at most ${MAX_TENSORS}` }, 'TOO_MANY');
  }
  const texts: string[] = [];
  if (type.kind === 'text') {
    for (let i = 0; i < elements; i++) texts.push(unpadded(fields.bytes(type.size), type.padding, fields));
    return texts;
  }
  if (type.kind !== 'heap-text') return null;
  if (type.size !== 8 + file.offsetSize) fields.fail('a text has an impossible size', { got: `${type.size} bytes` });
  for (let i = 0; i < elements; i++) {
    const length = fields.u32();
    const at = fields.address();
    const index = fields.u32();
    if (length === 0 || at === null || at === 0) {
      texts.push('');
      continue;
    }
    const bytes = await globalHeapObject(file, heaps, at, index);
    if (length > bytes.length) fields.fail('a text is longer than its place in a heap', { got: `${length} bytes` });
    texts.push(unpadded(bytes.subarray(0, length), 'zero-ended', fields));
  }
  return texts;
}

/** The numbers of an attribute; null where it is none of numbers. */
export function numbersOf({ type, elements, data }: Attribute): Float64Array | null {
  if (type.kind !== 'number') return null;
  const bytes = data.again().bytes(elements * type.size);
  return decodeElements(type.dtype, type.bigEndian ? swapped(bytes, type.size) : Uint8Array.from(bytes), elements);
}

function unpadded(bytes: Uint8Array, padding: 'zero-ended' | 'zeros' | 'spaces', fields: Fields): string {
  let end = bytes.length;
  if (padding === 'zero-ended') {
    const zero = bytes.indexOf(0);
    if (zero >= 0) end = zero;
  } else {
    const filler = padding === 'zeros' ? 0 : 0x20;
    while (end > 0 && bytes[end - 1] === filler) end--;
  }
  return fromUtf8(bytes.subarray(0, end), `${fields.file.source.name} byte ${fields.at}`);
}
