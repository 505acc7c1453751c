/**
 * Fractal heaps (§III.G): where the links and attributes of large new-style groups lie. An object's id says where it is
 * in the heap's own address space, which blocks of doubling size make up; large objects lie apart, small ones in the id.
 */
import { findRecord, openBtree2 } from './hdf5-btree2.js';
import { checkedBytes } from './hdf5-checksum.js';
import { Fields, type Hdf5File } from './hdf5-file.js';

export interface FractalHeap {
  readonly file: Hdf5File;
  readonly at: number;
  readonly offsetBytes: number;
  readonly lengthBytes: number;
  /** Blocks in a row, bytes of those of the first row, bytes of the largest that holds objects itself. */
  readonly width: number;
  readonly smallest: number;
  readonly largest: number;
  readonly root: number | null;
  /** 0 where the root holds objects itself. */
  readonly rows: number;
  readonly hugeTree: number | null;
}

/** Blocks double from row to row, so that 64 rows hold 2^64 bytes; real rows have four blocks. */
const MAX_ROWS = 64;
const MAX_WIDTH = 1024;

/** @throws `HDF5_FILTER` (a packed heap), `HDF5_MALFORMED`, `HDF5_CHECKSUM` */
export async function openFractalHeap(file: Hdf5File, at: number): Promise<FractalHeap> {
  const { offsetSize, lengthSize } = file;
  const bytes = await checkedBytes(file, at, 22 + 12 * lengthSize + 3 * offsetSize + 4);
  const head = new Fields(file, bytes, at);
  head.signature('FRHP', 'heap');
  head.version(0, 'a heap');
  head.skip(2);
  if (head.u16() > 0) head.fail('a heap of names is packed', { todo: 'copy the arrays into a new file' }, 'FILTER');
  head.skip(1);
  const mostManaged = head.u32();
  head.skip(lengthSize);
  const hugeTree = head.address();
  head.skip(lengthSize);
  head.address();
  // Spaces and numbers of objects: nothing depends on them.
  head.skip(8 * lengthSize);
  const width = head.u16();
  const smallest = head.length();
  const largest = head.length();
  const bits = head.u16();
  head.skip(2);
  const root = head.address();
  const rows = head.u16();
  const isPower = (size: number): boolean => size > 0 && size <= 2 ** 32 && Number.isInteger(Math.log2(size));
  if (
    width === 0 ||
    width > MAX_WIDTH ||
    rows > MAX_ROWS ||
    !isPower(smallest) ||
    !isPower(largest) ||
    largest < smallest ||
    bits === 0 ||
    bits > 64
  ) {
    head.fail('a heap has impossible sizes', { got: `${width} blocks of ${smallest} to ${largest} bytes` });
  }
  const bytesFor = (most: number): number => Math.floor(Math.log2(Math.max(1, most)) / 8) + 1;
  return {
    file,
    at,
    offsetBytes: Math.ceil(bits / 8),
    lengthBytes: Math.min(bytesFor(largest), bytesFor(mostManaged)),
    width,
    smallest,
    largest,
    root,
    rows,
    hugeTree,
  };
}

/** The object of an id. @throws `HDF5_MALFORMED`, `HDF5_TRUNCATED` */
export async function heapObject(heap: FractalHeap, id: Fields): Promise<Fields> {
  const { file } = heap;
  const head = id.u8();
  const kind = (head >> 4) & 3;
  if (head >> 6 !== 0 || kind === 3) return id.fail('there is no such kind of object in a heap');
  if (kind === 2) return tiny(heap, id, head);
  if (kind === 1) return huge(heap, id);
  const offset = id.unsigned(heap.offsetBytes);
  const length = id.unsigned(heap.lengthBytes);
  const block = await directBlock(heap, offset);
  if (offset + length > block.start + block.size) id.fail('an object leaves its block of a heap');
  file.keep(block.at, length);
  return file.fields(block.at + offset - block.start, length);
}

/** The id holds the object; ids of more than 17 bytes have a length of twelve bits. */
function tiny(heap: FractalHeap, id: Fields, head: number): Fields {
  const length = (head & 15) + 1;
  heap.file.keep(id.at, length);
  return id.part(length);
}

/** The id is a number, by which a B-tree finds the object. */
async function huge({ file, hugeTree }: FractalHeap, id: Fields): Promise<Fields> {
  if (hugeTree === null) return id.fail('a heap has no large objects');
  const number = id.unsigned(Math.min(id.remaining, file.lengthSize));
  const tree = await openBtree2(file, hugeTree);
  if (tree.type !== 1)
    id.fail('the large objects of a heap are packed', { got: `records of type ${tree.type}` }, 'FILTER');
  const record = await findRecord(tree, (fields) => {
    fields.skip(file.offsetSize + file.lengthSize);
    return fields.length() - number;
  });
  if (record === null) return id.fail('a heap lacks an object', { got: `object ${number}` });
  const at = record.place('an object');
  const length = record.length();
  file.keep(at, length);
  return file.fields(at, length);
}

interface Block {
  /** In the file, and in the heap's address space. */
  readonly at: number;
  readonly start: number;
  readonly size: number;
}

/** Blocks of rows 0 and 1 have the smallest size, those of each row after twice as much as the one before. */
const sizeInRow = (heap: FractalHeap, row: number): number => heap.smallest * 2 ** Math.max(0, row - 1);

async function directBlock(heap: FractalHeap, offset: number): Promise<Block> {
  const { file, width } = heap;
  if (heap.root === null) return file.fail('MALFORMED', 'a heap is empty, and an object lies in it', heap.at);
  let block: Block = { at: heap.root, start: 0, size: heap.smallest };
  let { rows } = heap;
  // Each step goes into a block that is smaller than the one before.
  while (rows > 0) {
    const bytes = await indirectBlock(heap, block, rows);
    let start = block.start;
    let row = 0;
    while (row < rows && offset >= start + width * sizeInRow(heap, row)) start += width * sizeInRow(heap, row++);
    if (row === rows) file.fail('MALFORMED', 'an object lies outside its heap', block.at, { got: `at ${offset}` });
    const size = sizeInRow(heap, row);
    const column = Math.floor((offset - start) / size);
    bytes.skip((row * width + column) * file.offsetSize);
    block = { at: bytes.place('a block of a heap'), start: start + column * size, size };
    rows = size > heap.largest ? rowsWithin(heap, size) : 0;
  }
  const head = await file.fields(block.at, 5 + file.offsetSize + heap.offsetBytes);
  head.signature('FHDB', 'block of a heap');
  checkBlock(head, heap, block);
  return block;
}

/** Rows of an indirect block that stands for `size` bytes. */
function rowsWithin(heap: FractalHeap, size: number): number {
  let rows = 0;
  for (let all = 0; all < size; rows++) all += heap.width * sizeInRow(heap, rows);
  return rows;
}

/** The addresses of its blocks. */
async function indirectBlock(heap: FractalHeap, block: Block, rows: number): Promise<Fields> {
  const { file } = heap;
  const length = 5 + file.offsetSize + heap.offsetBytes + rows * heap.width * file.offsetSize + 4;
  const fields = new Fields(file, await checkedBytes(file, block.at, length), block.at);
  fields.signature('FHIB', 'block of a heap');
  checkBlock(fields, heap, block);
  return fields;
}

function checkBlock(fields: Fields, heap: FractalHeap, { start }: Block): void {
  fields.version(0, 'a block of a heap');
  if (fields.place('a heap') !== heap.at) fields.fail('a block is of another heap');
  if (fields.unsigned(heap.offsetBytes) !== start) fields.fail('a block is at another place of its heap');
}
