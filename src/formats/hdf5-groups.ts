/** The links of a group: as symbol tables (§III.B, III.C, III.D), in its header, or in a heap (§IV.A.2.c, .g). */
import { openBtree2, recordsOf } from './hdf5-btree2.js';
import type { Fields, Hdf5File } from './hdf5-file.js';
import { heapObject, openFractalHeap } from './hdf5-fractal-heap.js';
import { MESSAGE, type Message } from './hdf5-header.js';

/** Names in a group, and where the headers of their objects lie. */
export type Links = ReadonlyMap<string, number>;

/** @throws `HDF5_LINK` (soft, external and other links), `HDF5_NAME`, `HDF5_LOOP`, `HDF5_MALFORMED`, `HDF5_TOO_MANY` */
export async function linksOf(file: Hdf5File, messages: readonly Message[]): Promise<Links> {
  const links = new Map<string, number>();
  const add = (name: string, at: number, fields: Fields): void => {
    file.keep(fields.at, name.length);
    // Names are the parts of paths.
    if (name === '' || name === '.' || name === '..' || name.includes('/') || name.includes('\0')) {
      const got = JSON.stringify(name.slice(0, 200));
      fields.fail('an object has a name that is no part of a path', { got }, 'NAME');
    }
    if (links.has(name)) fields.fail('two objects of a group have the same name', { got: name.slice(0, 200) }, 'NAME');
    links.set(name, at);
  };
  for (const { type, body } of messages) {
    if (type === MESSAGE.symbolTable) await symbolTable(file, body, add);
    if (type === MESSAGE.link) readLink(body, add);
    if (type === MESSAGE.linkInfo) await denseLinks(file, body, add);
  }
  return links;
}

type Add = (name: string, at: number, fields: Fields) => void;

const SYMBOL_BYTES = 24;
const SOFT = 2;

async function symbolTable(file: Hdf5File, body: Fields, add: Add): Promise<void> {
  const treeAt = body.place('an index of names');
  const heapAt = body.place('a heap of names');
  const names = await localHeap(file, heapAt);
  const leaf = async (at: number): Promise<void> => {
    file.reach(at, 'a list of names');
    const head = await file.fields(at, 8);
    head.signature('SNOD', 'list of names');
    head.version(1, 'a list of names', 1);
    head.skip(1);
    const count = head.u16();
    file.count(at, count);
    const width = 2 * file.offsetSize + SYMBOL_BYTES;
    const entries = await file.fields(at + 8, count * width);
    for (let i = 0; i < count; i++) {
      const entry = entries.part(width);
      const name = names(entry.unsigned(file.offsetSize));
      const object = entry.address();
      if (entry.u32() === SOFT || object === null) refuseLink(entry, name, 'soft');
      else add(name, object, entry);
    }
  };
  const visit = async (at: number, level: number | null): Promise<void> => {
    file.reach(at, 'an index of names');
    const node = await readNode(file, at, 0, level);
    file.count(at, node.used);
    for (let i = 0; i < node.used; i++) {
      node.rest.length();
      const child = node.rest.place('names');
      if (node.level === 0) await leaf(child);
      else await visit(child, node.level - 1);
    }
  };
  await visit(treeAt, null);
}

/**
 * A node of a B-tree of version 1 (§III.A.1): `rest` are its keys and children in turn.
 * @param level that its parent gives it; null for a root
 */
export async function readNode(
  file: Hdf5File,
  at: number,
  kind: number,
  level: number | null,
  keyBytes = file.lengthSize,
): Promise<{ readonly level: number; readonly used: number; readonly rest: Fields }> {
  const head = await file.fields(at, 8 + 2 * file.offsetSize);
  head.signature('TREE', 'node of a B-tree');
  if (head.u8() !== kind) head.fail('a node is of another kind of B-tree');
  const own = head.u8();
  if (level !== null && own !== level) head.fail('a node is at another level of its B-tree', { got: `level ${own}` });
  const used = head.u16();
  const rest = await file.fields(at + 8 + 2 * file.offsetSize, used * (keyBytes + file.offsetSize) + keyBytes);
  return { level: own, used, rest };
}

async function localHeap(file: Hdf5File, at: number): Promise<(offset: number) => string> {
  file.reach(at, 'a heap of names');
  const head = await file.fields(at, 8 + 2 * file.lengthSize + file.offsetSize);
  head.signature('HEAP', 'heap of names');
  head.version(0, 'a heap of names');
  head.skip(3);
  const length = head.length();
  head.length();
  const start = head.place('names');
  if (start < head.at && start + length > at) {
    file.fail('LOOP', 'a heap of names lies in its own header', at, { got: `${length} bytes at byte ${start}` });
  }
  file.keep(start, length);
  const data = await file.fields(start, length);
  return (offset) => {
    const names = data.again();
    names.skip(offset);
    return names.textToZero();
  };
}

const HARD = 0;
const KINDS: Readonly<Record<number, string>> = { 1: 'soft', 64: 'external' };

function readLink(body: Fields, add: Add): void {
  body.version(1, 'a link', 1);
  const flags = body.u8();
  const kind = (flags & 8) !== 0 ? body.u8() : HARD;
  if ((flags & 4) !== 0) body.skip(8);
  if ((flags & 16) !== 0) body.skip(1);
  const name = body.text(body.unsigned(2 ** (flags & 3)));
  if (kind !== HARD) refuseLink(body, name, KINDS[kind] ?? 'user-defined');
  add(name, body.place('an object'), body);
}

async function denseLinks(file: Hdf5File, info: Fields, add: Add): Promise<void> {
  info.version(0, 'a list of links');
  if ((info.u8() & 1) !== 0) info.skip(8);
  const heapAt = info.address();
  const treeAt = info.address();
  if (heapAt === null || treeAt === null) return;
  const heap = await openFractalHeap(file, heapAt);
  const tree = await openBtree2(file, treeAt);
  if (tree.type !== 5) info.fail('links are found by a B-tree of another kind', { got: `type ${tree.type}` });
  for (const record of await recordsOf(tree)) {
    record.skip(4);
    readLink(await heapObject(heap, record), add);
  }
}

function refuseLink(fields: Fields, name: string, kind: string): never {
  return fields.fail(
    `a name is a ${kind} link, not an object of this file`,
    {
      got: name.slice(0, 200),
      todo: 'links can name other files: save the model again, or copy its arrays into a new file with h5py',
    },
    'LINK',
  );
}
