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

interface Node {
  readonly records: readonly Fields[];
  readonly children: readonly { readonly at: number; readonly records: number }[];
}

async function readNode(tree: Btree2, at: number, count: number, height: number): Promise<Node> {
  const { file, recordSize } = tree;
  const pointer = file.offsetSize + tree.countSize + (height > 0 ? tree.totals[height - 1]! : 0);
  const length = PREFIX + count * recordSize + (height > 0 ? (count + 1) * pointer : 0);
  if (length > tree.nodeSize)
    file.fail('MALFORMED', 'a node of a B-tree has more than fits', at, { got: `${count} records` });
  const node = new Fields(file, await checkedBytes(file, at, length), at);
  node.signature(height > 0 ? 'BTIN' : 'BTLF', 'node of a B-tree');
  node.version(0, 'a node of a B-tree');
  if (node.u8() !== tree.type) node.fail('a node is of another B-tree');
  const records = Array.from({ length: count }, () => node.part(recordSize));
  const children = [];
  for (let i = 0; height > 0 && i <= count; i++) {
    children.push({ at: node.place('a node'), records: node.unsigned(tree.countSize) });
    node.skip(tree.totals[height - 1]!);
  }
  return { records, children };
}

/** All records, in order. A node may be reached once. @throws `HDF5_LOOP`, `HDF5_TOO_MANY`, those of `openBtree2` */
export async function recordsOf(tree: Btree2): Promise<readonly Fields[]> {
  const found: Fields[] = [];
  const visit = async (at: number, count: number, height: number): Promise<void> => {
    tree.file.reach(at, 'a node of a B-tree');
    tree.file.count(at, count);
    const { records, children } = await readNode(tree, at, count, height);
    for (let i = 0; i <= records.length; i++) {
      const child = children[i];
      if (child !== undefined) await visit(child.at, child.records, height - 1);
      const record = records[i];
      if (record !== undefined) found.push(record);
    }
  };
  if (tree.root.at !== null) await visit(tree.root.at, tree.root.records, tree.depth);
  return found;
}

/**
 * The record that `compare` finds equal (0); it is asked where a record stands: below (< 0) or above (> 0) the wanted.
 * Each step goes one level down, so that a loop has an end.
 */
export async function findRecord(tree: Btree2, compare: (record: Fields) => number): Promise<Fields | null> {
  let next: { readonly at: number; readonly records: number } | null =
    tree.root.at === null ? null : { at: tree.root.at, records: tree.root.records };
  for (let height = tree.depth; next !== null && height >= 0; height--) {
    const { records, children }: Node = await readNode(tree, next.at, next.records, height);
    let [low, high] = [0, records.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      const record = records[middle]!;
      const order = compare(record.again());
      if (order === 0) return record.again();
      if (order < 0) low = middle + 1;
      else high = middle;
    }
    next = children[low] ?? null;
  }
  return null;
}
