/** A dataset as a tensor: contiguous values stay where they lie, chunks are found and unpacked when they are asked for. */
import { memorySource } from '../base/index.js';
import { decodeElements } from './elements.js';
import { type ChunkPlace, chunkFinder, type FindChunk } from './hdf5-chunks.js';
import type { Fields, Hdf5File } from './hdf5-file.js';
import { checkFilters, unfiltered } from './hdf5-filters.js';
import { MESSAGE, type Message } from './hdf5-header.js';
import { type Filter, type Hdf5Layout, readFilters, readLayout } from './hdf5-layout.js';
import { type Hdf5Space, type Hdf5Type, type NumberType, readSpace, readType } from './hdf5-types.js';
import { MAX_HDF5_CHUNK, MAX_HDF5_CHUNKS_KEPT } from './limits.js';
import type { DType } from './model.js';
import { elementsOf, type Storage, type StoredTensor, storedTensor } from './stored-tensor.js';
import { type Box, boxesOf, packedStrides, readBox, stridedStorage, swapped } from './strided.js';

/** Unpacked chunks of all datasets of a file, the ones used last. */
export interface ChunkCache {
  readonly chunks: Map<number, Uint8Array>;
  bytes: number;
}

export interface Dataset {
  /** Of its header. */
  readonly at: number;
  readonly type: Hdf5Type;
  readonly shape: readonly number[];
  readonly elements: number;
  /** Bytes of the file that hold its elements as they are; null where they are chunked, in its header or not there. */
  readonly stretch: { readonly at: number; readonly length: number } | null;
  /** Chunks of its whole shape; 0 where it has none. */
  readonly chunks: number;
  /** @param as the type of its elements where the attributes tell it otherwise (bfloat16 as two opaque bytes) */
  tensor(name: string, as?: NumberType): StoredTensor;
}

const bodyOf = (messages: readonly Message[], type: number): Fields | null =>
  messages.find((message) => message.type === type)?.body ?? null;

/** What the header of a dataset tells. */
interface Told {
  readonly file: Hdf5File;
  readonly at: number;
  readonly type: Hdf5Type;
  readonly space: Hdf5Space;
  readonly shape: readonly number[];
  readonly elements: number;
  readonly layout: Hdf5Layout;
  readonly filters: readonly Filter[];
  /** Bytes of an element that was never written; null for zeros. */
  readonly fill: Uint8Array | null;
  readonly place: { readonly at: number; readonly length: number } | null;
}

/** @throws `HDF5_MALFORMED`, `HDF5_EXTERNAL`, `HDF5_LAYOUT`, `HDF5_FILTER`, `HDF5_SHAPE`, `HDF5_SIZE`, `HDF5_TRUNCATED`, … */
export function datasetOf(file: Hdf5File, at: number, messages: readonly Message[], cache: ChunkCache): Dataset {
  const told = readDataset(file, at, messages);
  const { type, shape, elements, layout, place } = told;
  if (layout.kind === 'chunked') checkGrid(told, layout);
  const perAxis = layout.kind === 'chunked' ? layout.chunk : [];
  return {
    at,
    type,
    shape,
    elements,
    stretch: layout.kind === 'contiguous' ? place : null,
    chunks: perAxis.reduce((all, size, axis) => all * Math.ceil(shape[axis]! / size), perAxis.length === 0 ? 0 : 1),
    tensor: (name, as) => tensorOf(told, cache, name, as),
  };
}

/** Apart from the tensor, which must not hold on to the pages that the messages lie in. */
function readDataset(file: Hdf5File, at: number, messages: readonly Message[]): Told {
  const part = (type: number, what: string): Fields =>
    bodyOf(messages, type) ?? file.fail('MALFORMED', `an array has no ${what}`, at);
  if (bodyOf(messages, MESSAGE.external) !== null) {
    file.fail('EXTERNAL', 'the values of an array lie in other files', at, {
      todo: 'copy the array into a new file with h5py',
    });
  }
  const space = readSpace(part(MESSAGE.dataspace, 'shape'));
  const type = readType(part(MESSAGE.datatype, 'type'));
  const layout = readLayout(part(MESSAGE.layout, 'layout'));
  const shape = space.isNull ? [0] : space.shape;
  const elements = elementsOf(shape, 'HDF5', `${file.source.name} byte ${at}`);
  const filterBody = bodyOf(messages, MESSAGE.filters);
  const filters = filterBody === null ? [] : readFilters(filterBody);
  checkFilters(file, filters, at);
  const place = placeOf(file, at, layout, elements * type.size);
  const fill = fillOf(messages);
  return { file, at, type, space, shape, elements, layout, filters, fill: fill && Uint8Array.from(fill), place };
}

function tensorOf(told: Told, cache: ChunkCache, name: string, as: NumberType | undefined): StoredTensor {
  const { file, at, type, space, shape, elements, layout, filters, fill, place } = told;
  const where = `${file.source.name} byte ${at}, ${name.slice(0, 200)}`;
  const { dtype, bigEndian } = numbersIn(type, as);
  const build = (stored: DType, storage: Storage): StoredTensor =>
    storedTensor('HDF5', name, stored, shape, storage, where);
  if (dtype === 'STRING') {
    return build('STRING', { kind: 'values', read: async (_, end) => decodeElements('STRING', new Uint8Array(), end) });
  }
  if (layout.kind === 'chunked') {
    const find = chunkFinder(file, layout.index, {
      shape,
      most: space.most,
      chunk: layout.chunk,
      chunkBytes: bytesOf(layout),
      filtered: filters.length > 0,
    });
    const chunked = { file, dtype, bigEndian, shape, layout, filters, find, fill, cache };
    return build(dtype, { kind: 'values', read: (start, end) => readChunks(chunked, start, end) });
  }
  if (place === null) return build(dtype, filled(elements, fill, type.size, dtype, bigEndian));
  const stretch = { source: file.source, offset: place.at, length: place.length };
  const storage = stridedStorage(stretch, { dtype, shape, strides: packedStrides(shape), offset: 0, bigEndian });
  const tensor = build(dtype, storage);
  // Values inside a header stand under its checksum.
  return layout.kind === 'compact' ? { ...tensor, writable: false } : tensor;
}

type Chunked = Extract<Hdf5Layout, { kind: 'chunked' }>;

const bytesOf = ({ chunk, elementBytes }: Chunked): number => chunk.reduce((all, size) => all * size, elementBytes);

function numbersIn(
  type: Hdf5Type,
  as: NumberType | undefined,
):
  | { readonly dtype: NumberType; readonly bigEndian: boolean }
  | { readonly dtype: 'STRING'; readonly bigEndian: false } {
  if (as !== undefined) return { dtype: as, bigEndian: type.kind === 'number' && type.bigEndian };
  return type.kind === 'number' ? type : { dtype: 'STRING', bigEndian: false };
}

function placeOf(
  file: Hdf5File,
  at: number,
  layout: Hdf5Layout,
  needed: number,
): { readonly at: number; readonly length: number } | null {
  if (layout.kind === 'chunked' || layout.at === null || needed === 0) return null;
  const length = layout.length ?? needed;
  if (length !== needed) {
    file.fail('SIZE', 'an array has more or fewer bytes than its type and shape need', at, {
      expected: `${needed} bytes`,
      got: `${length} bytes`,
    });
  }
  if (layout.at + length > file.source.byteLength) {
    file.fail('TRUNCATED', 'an array lies beyond the end of the file', at, {
      expected: `${length} bytes at byte ${layout.at}`,
      got: `a file of ${file.source.byteLength} bytes`,
      todo: 'the file is truncated or damaged; fetch it again',
    });
  }
  return { at: layout.at, length };
}

function checkGrid({ file, at, space, type, shape }: Told, layout: Chunked): void {
  const { chunk, elementBytes, index } = layout;
  if (chunk.length !== space.shape.length || elementBytes !== type.size) {
    file.fail('MALFORMED', 'the chunks of an array are of another shape or type', at, {
      expected: `${space.shape.length} axes of ${type.size} bytes`,
      got: `${chunk.length} axes of ${elementBytes} bytes`,
    });
  }
  if (index.kind === 'single' && chunk.some((size, axis) => size < shape[axis]!)) {
    file.fail('MALFORMED', 'the one chunk of an array does not cover it', at, { got: `[${chunk.join(', ')}]` });
  }
  if (bytesOf(layout) > MAX_HDF5_CHUNK) {
    file.fail('TOO_LARGE', 'the chunks of an array are larger than memory is planned for', at, {
      expected: `at most ${MAX_HDF5_CHUNK} bytes`,
      got: `${bytesOf(layout)} bytes`,
      todo: 'write the file again with smaller chunks or none: h5repack -l CONTI',
    });
  }
}

/** The bytes of an element that was never written; null for zeros. */
function fillOf(messages: readonly Message[]): Uint8Array | null {
  const old = bodyOf(messages, MESSAGE.oldFill)?.again();
  const fields = bodyOf(messages, MESSAGE.fill)?.again();
  if (fields === undefined) return old === undefined ? null : old.bytes(old.u32());
  const version = fields.version(3, 'a value that stands for nothing', 1);
  if (version === 3) {
    const flags = fields.u8();
    return (flags & 0x20) === 0 ? null : fields.bytes(fields.u32());
  }
  fields.skip(2);
  const defined = fields.u8();
  return defined === 1 && fields.remaining >= 4 ? fields.bytes(fields.u32()) : null;
}

/** @throws `HDF5_MALFORMED` where the fill value has another type */
function fillValue(fill: Uint8Array | null, size: number, dtype: NumberType, bigEndian: boolean): number {
  if (fill === null || fill.length !== size) return 0;
  return decodeElements(dtype, bigEndian ? swapped(fill, size) : Uint8Array.from(fill), 1)[0]!;
}

function filled(
  elements: number,
  fill: Uint8Array | null,
  size: number,
  dtype: NumberType,
  bigEndian: boolean,
): Storage {
  if (elements === 0) return { kind: 'values', read: async () => new Float64Array(0) };
  const value = fillValue(fill, size, dtype, bigEndian);
  return { kind: 'values', read: async (start, end) => new Float64Array(end - start).fill(value) };
}

interface ChunkedArray {
  readonly file: Hdf5File;
  readonly dtype: NumberType;
  readonly bigEndian: boolean;
  readonly shape: readonly number[];
  readonly layout: Chunked;
  readonly filters: readonly Filter[];
  readonly find: FindChunk;
  readonly fill: Uint8Array | null;
  readonly cache: ChunkCache;
}

async function readChunks(array: ChunkedArray, start: number, end: number): Promise<Float64Array> {
  const { dtype, bigEndian, fill, layout } = array;
  const out = new Float64Array(end - start);
  const empty = fillValue(fill, layout.elementBytes, dtype, bigEndian);
  if (empty !== 0) out.fill(empty);
  // Nothing was ever written: no chunk has to be looked for.
  if (layout.index.at === null) return out;
  for (const box of boxesOf(array.shape, start, end)) await readBoxOfChunks(array, box, out);
  return out;
}

/** Every chunk that the box touches, in row-major order. */
async function readBoxOfChunks(array: ChunkedArray, box: Box, out: Float64Array): Promise<void> {
  const { chunk } = array.layout;
  const from = box.first.map((first, axis) => Math.floor(first / chunk[axis]!));
  const to = box.first.map((first, axis) => Math.floor((first + box.size[axis]! - 1) / chunk[axis]!));
  const at = [...from];
  for (let axis = at.length; axis >= 0; ) {
    const place = await array.find(at);
    if (place !== null) await readPart(array, place, at, box, out);
    for (axis = at.length - 1; axis >= 0 && at[axis] === to[axis]; axis--) at[axis] = from[axis]!;
    if (axis >= 0) at[axis]!++;
  }
}

/** What the box and the chunk at `at` have in common. */
async function readPart(
  array: ChunkedArray,
  place: ChunkPlace,
  at: readonly number[],
  box: Box,
  out: Float64Array,
): Promise<void> {
  const { chunk, elementBytes } = array.layout;
  const origin = at.map((coordinate, axis) => coordinate * chunk[axis]!);
  const first = origin.map((start, axis) => Math.max(start, box.first[axis]!));
  const end = origin.map((start, axis) => Math.min(start + chunk[axis]!, box.first[axis]! + box.size[axis]!));
  const part: Box = {
    first: first.map((index, axis) => index - origin[axis]!),
    size: end.map((stop, axis) => stop - first[axis]!),
    to: first.reduce((sum, index, axis) => sum + (index - box.first[axis]!) * box.steps[axis]!, box.to),
    steps: box.steps,
  };
  const { dtype, bigEndian } = array;
  const layout = { dtype, shape: chunk, strides: packedStrides(chunk), offset: 0, bigEndian };
  await readBox(await contentOf(array, place, origin), layout, elementBytes, part, out);
}

async function contentOf(
  { file, filters, layout, shape, cache }: ChunkedArray,
  place: ChunkPlace,
  origin: readonly number[],
): Promise<{ readonly source: Hdf5File['source']; readonly offset: number; readonly length: number }> {
  const length = bytesOf(layout);
  const isEdge = origin.some((start, axis) => start + layout.chunk[axis]! > shape[axis]!);
  const isPlain = filters.length === 0 || (layout.plainEdges && isEdge);
  const stored = isPlain ? length : place.length;
  if (place.at + stored > file.source.byteLength) {
    file.fail('TRUNCATED', 'a chunk lies beyond the end of the file', place.at, { expected: `${stored} bytes` });
  }
  if (isPlain) return { source: file.source, offset: place.at, length };
  let bytes = cache.chunks.get(place.at);
  if (bytes === undefined || bytes.length !== length) {
    // Deflate may make a chunk a little larger, never much.
    if (stored > 2 * length + 1024) {
      file.fail('SIZE', 'a chunk is stored in more bytes than it holds', place.at, { got: `${stored} bytes` });
    }
    const packed = await file.source.slice(place.at, place.at + stored);
    bytes = unfiltered(file, filters, packed, place.mask, length, place.at);
    keep(cache, place.at, bytes);
  }
  return { source: memorySource(bytes, file.source.name), offset: 0, length };
}

function keep(cache: ChunkCache, at: number, bytes: Uint8Array): void {
  const before = cache.chunks.get(at);
  if (before !== undefined) cache.bytes -= before.length;
  cache.chunks.delete(at);
  cache.chunks.set(at, bytes);
  cache.bytes += bytes.length;
  for (const [oldest, held] of cache.chunks) {
    if (cache.bytes <= MAX_HDF5_CHUNKS_KEPT) break;
    cache.chunks.delete(oldest);
    cache.bytes -= held.length;
  }
}
