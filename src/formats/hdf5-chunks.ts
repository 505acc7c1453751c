/** Where the chunk of given coordinates lies: B-trees of both versions, and arrays of addresses (§VII). */
import type { ElementOf } from './hdf5-array-part.js';
import { type Btree2, findRecord, openBtree2 } from './hdf5-btree2.js';
import { extensibleArray } from './hdf5-extensible-array.js';
import type { Fields, Hdf5File } from './hdf5-file.js';
import { fixedArray } from './hdf5-fixed-array.js';
import { readNode } from './hdf5-groups.js';
import type { ChunkIndex } from './hdf5-layout.js';

export interface ChunkPlace {
  readonly at: number;
  /** Bytes in the file. */
  readonly length: number;
  readonly mask: number;
}

export interface ChunkGrid {
  readonly shape: readonly number[];
  readonly most: readonly (number | null)[];
  readonly chunk: readonly number[];
  /** Of a whole chunk before any filter. */
  readonly chunkBytes: number;
  readonly filtered: boolean;
}

/** @param at coordinates in chunks. @returns null where the chunk was never written */
export type FindChunk = (at: readonly number[]) => Promise<ChunkPlace | null>;

/** @throws on finding: `HDF5_MALFORMED`, `HDF5_CHECKSUM`, `HDF5_TRUNCATED` */
export function chunkFinder(file: Hdf5File, index: ChunkIndex, grid: ChunkGrid): FindChunk {
  const { at } = index;
  if (at === null) return async () => null;
  switch (index.kind) {
    case 'btree1':
      return (coordinates) => inBtree1(file, at, grid, coordinates);
    case 'single':
      return async () => ({ at, length: index.stored ?? grid.chunkBytes, mask: index.mask });
    case 'implicit':
      return async (coordinates) => ({
        at: at + numberOf(grid, coordinates) * grid.chunkBytes,
        length: grid.chunkBytes,
        mask: 0,
      });
    case 'fixed-array':
      return byNumber(grid, fixedArray(file, at), (coordinates) => numberOf(grid, coordinates));
    case 'extensible-array':
      return byNumber(grid, extensibleArray(file, at), (coordinates) => unlimitedFirst(grid, coordinates));
    case 'btree2': {
      let tree: Promise<Btree2> | null = null;
      return async (coordinates) => {
        tree ??= openBtree2(file, at);
        return inBtree2(await tree, grid, coordinates);
      };
    }
  }
}

const byNumber =
  (grid: ChunkGrid, elementOf: ElementOf, number: (coordinates: readonly number[]) => number): FindChunk =>
  async (coordinates) => {
    const element = await elementOf(number(coordinates));
    return element === null ? null : placeIn(element, grid);
  };

/** An address, and of filtered chunks bytes and mask. */
function placeIn(element: Fields, grid: ChunkGrid): ChunkPlace | null {
  const at = element.address();
  if (at === null) return null;
  if (!grid.filtered) return { at, length: grid.chunkBytes, mask: 0 };
  if (element.remaining < 5) element.fail('an index of chunks lacks their sizes');
  return { at, length: element.unsigned(element.remaining - 4), mask: element.u32() };
}

const chunksAlong = (grid: ChunkGrid, axis: number): number =>
  Math.ceil((grid.most[axis] ?? grid.shape[axis]!) / grid.chunk[axis]!);

/** Chunks are numbered in row-major order of the largest shape that the array may grow to. */
function numberOf(grid: ChunkGrid, at: readonly number[]): number {
  return at.reduce((number, coordinate, axis) => number * chunksAlong(grid, axis) + coordinate, 0);
}

/** As `numberOf`, with the axis first along which the array grows without end. */
function unlimitedFirst(grid: ChunkGrid, at: readonly number[]): number {
  const endless = Math.max(0, grid.most.indexOf(null));
  const rest = at.reduce(
    (number, coordinate, axis) => (axis === endless ? number : number * chunksAlong(grid, axis) + coordinate),
    0,
  );
  const row = grid.chunk.reduce((all, _, axis) => (axis === endless ? all : all * chunksAlong(grid, axis)), 1);
  return at[endless]! * row + rest;
}

/** Keys are a chunk's bytes, its mask and the place of its first element; a level has smaller keys to the left. */
async function inBtree1(
  file: Hdf5File,
  root: number,
  grid: ChunkGrid,
  coordinates: readonly number[],
): Promise<ChunkPlace | null> {
  const wanted = coordinates.map((at, axis) => at * grid.chunk[axis]!);
  const keyBytes = 8 + 8 * (wanted.length + 1);
  const step = keyBytes + file.offsetSize;
  let at = root;
  // Each node must be one level below its parent, so that a loop has an end.
  for (let level: number | null = null; ; ) {
    const node = await readNode(file, at, 1, level, keyBytes);
    let [low, high] = [0, node.used];
    while (low < high) {
      const middle = (low + high) >> 1;
      const key = node.rest.again();
      key.skip(middle * step + 8);
      if (compare(key, wanted) <= 0) low = middle + 1;
      else high = middle;
    }
    if (low === 0) return null;
    const entry = node.rest.again();
    entry.skip((low - 1) * step);
    const length = entry.u32();
    const mask = entry.u32();
    const isEqual = compare(entry, wanted) === 0;
    entry.skip(8);
    at = entry.place('a chunk');
    if (node.level === 0) return isEqual ? { at, length, mask } : null;
    level = node.level - 1;
  }
}

/** The place in the next fields against the wanted one. */
function compare(fields: Fields, wanted: readonly number[]): number {
  let order = 0;
  for (const want of wanted) {
    const value = fields.unsigned(8);
    if (order === 0) order = value - want;
  }
  return order;
}

const PLAIN_CHUNKS = 10;
const FILTERED_CHUNKS = 11;

async function inBtree2(tree: Btree2, grid: ChunkGrid, coordinates: readonly number[]): Promise<ChunkPlace | null> {
  const { file, recordSize } = tree;
  const kind = grid.filtered ? FILTERED_CHUNKS : PLAIN_CHUNKS;
  const head = recordSize - 8 * coordinates.length;
  if (tree.type !== kind || head < file.offsetSize) {
    file.fail('MALFORMED', 'chunks are found by a B-tree of another kind', tree.root.at ?? 0, {
      got: `type ${tree.type}`,
    });
  }
  const record = await findRecord(tree, (fields) => {
    fields.skip(head);
    return compare(fields, coordinates);
  });
  return record === null ? null : placeIn(record.part(head), grid);
}
