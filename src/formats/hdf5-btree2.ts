/** B-trees of version 2 (§III.A.2): records in order, in nodes each with its checksum. */
import { checkedBytes } from './hdf5-checksum.js';
import { Fields, type Hdf5File } from './hdf5-file.js';

export interface Btree2 {
  readonly file: Hdf5File;
  readonly type: number;
  readonly recordSize: number;
  readonly nodeSize: number;
  readonly depth: number;
  readonly root: { readonly at: number | null; readonly records: number };
  /** By height above the leaves: bytes of a child's number of records below it. */
  readonly totals: readonly number[];
  /** Bytes of a child's number of records. */
  readonly countSize: number;
}

/** Signature, version, type and checksum of a node. */
const PREFIX = 10;
/** A node has a child or more, so that a real tree of 2^53 records is no deeper. */
const MAX_DEPTH = 53;

const bytesFor = (limit: number): number => Math.floor(Math.log2(Math.max(1, limit)) / 8) + 1;

/** @throws `HDF5_MALFORMED`, `HDF5_CHECKSUM` */
export async function openBtree2(file: Hdf5File, at: number): Promise<Btree2> {
  const length = 4 + 12 + file.offsetSize + 2 + file.lengthSize + 4;
  const head = new Fields(file, await checkedBytes(file, at, length), at);
  head.signature('BTHD', 'B-tree');
  head.version(0, 'a B-tree');
  const type = head.u8();
  const nodeSize = head.u32();
  const recordSize = head.u16();
  const depth = head.u16();
  head.skip(2);
  const root = { at: head.address(), records: head.u16() };
  if (recordSize === 0 || nodeSize < PREFIX + recordSize || depth > MAX_DEPTH) {
    head.fail('a B-tree has impossible sizes', { got: `nodes of ${nodeSize} bytes, ${depth} deep` });
  }
  const leaf = Math.floor((nodeSize - PREFIX) / recordSize);
  const countSize = bytesFor(leaf);
  const totals = [0];
  let below = leaf;
  for (let height = 1; height <= depth; height++) {
    const pointer = file.offsetSize + countSize + totals[height - 1]!;
    const records = Math.floor((nodeSize - PREFIX - pointer) / (recordSize + pointer));
    if (records < 1) head.fail('a B-tree has impossible sizes', { got: `nodes of ${nodeSize} bytes, ${depth} deep` });
    below = (records + 1) * below + records;
    totals.push(bytesFor(below));
  }
  return { file, type, recordSize, nodeSize, depth, root, totals, countSize };
}

interface Child {
  readonly at: number;
  readonly records: number;
}

interface Node {
  readonly count: number;
  record(index: number): Fields;
  /** One more than there are records. */
  child(index: number): Child;
}

async function readNode(tree: Btree2, { at, records: count }: Child, height: number): Promise<Node> {
  const { file, recordSize } = tree;
  const pointer = file.offsetSize + tree.countSize + (height > 0 ? tree.totals[height - 1]! : 0);
  const length = PREFIX + count * recordSize + (height > 0 ? (count + 1) * pointer : 0);
  if (length > tree.nodeSize) {
    file.fail('MALFORMED', 'a node of a B-tree has more than fits', at, { got: `${count} records` });
  }
  const node = new Fields(file, await checkedBytes(file, at, length), at);
  node.signature(height > 0 ? 'BTIN' : 'BTLF', 'node of a B-tree');
  node.version(0, 'a node of a B-tree');
  if (node.u8() !== tree.type) node.fail('a node is of another B-tree');
  const skipped = (bytes: number): Fields => {
    const fields = node.again();
    fields.skip(6 + bytes);
    return fields;
  };
  return {
    count,
    record: (index) => skipped(index * recordSize).part(recordSize),
    child(index) {
      const fields = skipped(count * recordSize + index * pointer);
      return { at: fields.place('a node'), records: fields.unsigned(tree.countSize) };
    },
  };
}

/** All records, in order. A node may be reached once. @throws `HDF5_LOOP`, `HDF5_TOO_MANY`, those of `openBtree2` */
export async function recordsOf(tree: Btree2): Promise<readonly Fields[]> {
  const found: Fields[] = [];
  const visit = async (place: Child, height: number): Promise<void> => {
    tree.file.reach(place.at, 'a node of a B-tree');
    tree.file.count(place.at, place.records);
    const node = await readNode(tree, place, height);
    for (let i = 0; i <= node.count; i++) {
      if (height > 0) await visit(node.child(i), height - 1);
      if (i < node.count) found.push(node.record(i));
    }
  };
  const { at, records } = tree.root;
  if (at !== null) await visit({ at, records }, tree.depth);
  return found;
}

/**
 * The record that `compare` finds equal (0); it is asked where a record stands: below (< 0) or above (> 0) the wanted.
 * Each step goes one level down, so that a loop has an end.
 */
export async function findRecord(tree: Btree2, compare: (record: Fields) => number): Promise<Fields | null> {
  const { at, records } = tree.root;
  if (at === null) return null;
  let next: Child = { at, records };
  for (let height = tree.depth; ; height--) {
    const node = await readNode(tree, next, height);
    let [low, high] = [0, node.count];
    while (low < high) {
      const middle = (low + high) >> 1;
      const order = compare(node.record(middle));
      if (order === 0) return node.record(middle);
      if (order < 0) low = middle + 1;
      else high = middle;
    }
    if (height === 0) return null;
    next = node.child(low);
  }
}
