/**
 * Sparse tensors of TFLite (schema.fbs, `SparsityParameters`): axes in an order of traversal, some cut into blocks; each
 * level is dense or lists, for every position above it, the indices that are stored. What is not stored is 0.
 */
import { type ByteSource, inputError } from '../base/index.js';
import { decodeElements, storedBytes } from './elements.js';
import type { Table } from './flatbuffers.js';
import { MAX_EXPANDED, MAX_RANK } from './limits.js';
import type { DType } from './model.js';
import type { Storage, Stretch } from './stored-tensor.js';

const SPARSITY = { order: 0, blocks: 1, levels: 2 } as const;
const LEVEL = { format: 0, size: 1, segmentsType: 2, segments: 3, indicesType: 4, indices: 5 } as const;
const CSR = 1;
/** `SparseIndexVector`: bytes per number of its members. */
const WIDTHS: Readonly<Record<number, number>> = { 1: 4, 2: 2, 3: 1 };

interface Numbers {
  readonly at: number;
  readonly length: number;
  readonly width: number;
}

interface Level {
  readonly size: number;
  /** How far one step along this level goes in the dense tensor, in elements. */
  readonly stride: number;
  /** Null where every index is stored. */
  readonly listed: { readonly segments: Numbers; readonly indices: Numbers } | null;
}

/** The tensor that was expanded last, so that reading one in parts expands it once; one for each file. */
export interface Expanded {
  last: { readonly of: Storage; readonly values: Float64Array } | null;
}

/**
 * Where the values of a sparse tensor come from. Sizes are checked at once, lists when they are read.
 * @param sparsity the tensor's `SparsityParameters`
 * @param stretch the stored values
 * @throws `TFLITE_SPARSITY` where the description contradicts itself, `TFLITE_SPARSE_TOO_LARGE`
 */
export async function sparseStorage(
  sparsity: Table,
  dtype: DType,
  shape: readonly number[],
  stretch: Stretch,
  expanded: Expanded,
  where: string,
): Promise<Storage> {
  const refuse = (message: string, got: string): never => {
    throw inputError('TFLITE_SPARSITY', message, { got, where, todo: 'the file is damaged; fetch or export it again' });
  };
  const elements = shape.reduce((all, size) => all * size, 1);
  if (!(elements <= MAX_EXPANDED)) {
    throw inputError('TFLITE_SPARSE_TOO_LARGE', 'a sparse tensor claims more elements than any real one', {
      expected: `at most ${MAX_EXPANDED}`,
      got: `[${shape.join(', ')}]`,
      where,
      todo: 'convert the model without Optimize.EXPERIMENTAL_SPARSITY',
    });
  }
  const levels = await readLevels(sparsity, shape, refuse);
  const storage: Storage = {
    kind: 'values',
    async read(start, end) {
      if (expanded.last?.of !== storage) {
        expanded.last = { of: storage, values: await expand(sparsity, levels, dtype, elements, stretch, refuse) };
      }
      return expanded.last.values.slice(start, end);
    },
  };
  return storage;
}

type Refuse = (message: string, got: string) => never;

async function readLevels(sparsity: Table, shape: readonly number[], refuse: Refuse): Promise<readonly Level[]> {
  const order = await sparsity.integers(SPARSITY.order, 2 * MAX_RANK);
  const blocks = await sparsity.integers(SPARSITY.blocks, MAX_RANK);
  const rank = shape.length;
  const isOrder = [...order].sort((a, b) => a - b).every((axis, k) => axis === k);
  if (!isOrder || order.length !== rank + blocks.length) refuse('an order of traversal is none', order.join(', '));
  if (blocks.some((axis) => !(axis >= 0 && axis < rank)) || new Set(blocks).size !== blocks.length) {
    refuse('blocks lie along axes that the tensor does not have', blocks.join(', '));
  }
  const tables: Table[] = [];
  for await (const table of sparsity.tables(SPARSITY.levels)) {
    tables.push(table);
    if (tables.length > order.length) break;
  }
  if (tables.length !== order.length) refuse('levels and axes differ in number', `${tables.length} of ${order.length}`);
  const stated = await Promise.all(tables.map((table) => table.i32(LEVEL.size)));
  // Blocks are always dense, so their sizes are stated.
  const blockSize = (axis: number): number => {
    const block = blocks.indexOf(axis);
    return block < 0 ? 1 : stated[order.indexOf(rank + block)]!;
  };
  const step = (axis: number): number => shape.slice(axis + 1).reduce((all, size) => all * size, 1);
  const levels: Level[] = [];
  for (const [k, axis] of order.entries()) {
    const isBlock = axis >= rank;
    const own = isBlock ? blocks[axis - rank]! : axis;
    const size = isBlock ? blockSize(own) : shape[own]! / blockSize(own);
    const listed = (await tables[k]!.u8(LEVEL.format)) === CSR ? await lists(tables[k]!, refuse) : null;
    const fits = Number.isInteger(size) && size > 0 && (listed !== null ? !isBlock : stated[k] === size);
    if (!fits) refuse('a level has not the size of its axis', `${stated[k]} for axis ${own} of [${shape.join(', ')}]`);
    levels.push({ size, stride: isBlock ? step(own) : step(own) * blockSize(own), listed });
  }
  return levels;
}

async function lists(table: Table, refuse: Refuse): Promise<Level['listed']> {
  const numbers = async (typeField: number, field: number): Promise<Numbers> => {
    const union = await table.union(typeField, field);
    const width = WIDTHS[union?.type ?? 0];
    if (union === null || width === undefined) return refuse('a level lists no indices', `member ${union?.type ?? 0}`);
    return { ...((await union.table.vector(0, width)) ?? { at: 0, length: 0 }), width };
  };
  return {
    segments: await numbers(LEVEL.segmentsType, LEVEL.segments),
    indices: await numbers(LEVEL.indicesType, LEVEL.indices),
  };
}

async function expand(
  sparsity: Table,
  levels: readonly Level[],
  dtype: DType,
  elements: number,
  stretch: Stretch,
  refuse: Refuse,
): Promise<Float64Array> {
  let places = Uint32Array.of(0);
  for (const { size, stride, listed } of levels) {
    if (places.length * (listed === null ? size : 1) > elements) refuse('more is stored than fits', String(elements));
    places = listed === null ? everywhere(places, size, stride) : await selected(listed, places, size, stride);
  }
  const bytes = storedBytes(dtype, places.length);
  if (bytes !== stretch.length) refuse('stored values and their places differ', `${stretch.length} bytes of ${bytes}`);
  const stored = await stretch.source.slice(stretch.offset, stretch.offset + stretch.length);
  const values = decodeElements(dtype, stored, places.length, 0);
  const dense = new Float64Array(elements);
  places.forEach((place, k) => {
    dense[place] = values[k]!;
  });
  return dense;

  async function selected(
    { segments, indices }: NonNullable<Level['listed']>,
    above: Uint32Array,
    size: number,
    stride: number,
  ): Promise<Uint32Array<ArrayBuffer>> {
    const ends = await readNumbers(sparsity.file.source, segments);
    const listed = await readNumbers(sparsity.file.source, indices);
    if (ends.length !== above.length + 1 || ends[0] !== 0 || ends.at(-1) !== listed.length || listed.length > elements)
      refuse('segments do not divide their indices', `${ends.length} segments of ${listed.length} indices`);
    const out = new Uint32Array(listed.length);
    for (let p = 0; p < above.length; p++) {
      let before = -1;
      if (ends[p]! > ends[p + 1]!) refuse('segments do not divide their indices', `${ends[p]} before ${ends[p + 1]}`);
      for (let k = ends[p]!; k < ends[p + 1]!; k++) {
        const index = listed[k]!;
        if (index <= before || index >= size) refuse('indices do not ascend within their axis', `${index} of ${size}`);
        before = index;
        out[k] = above[p]! + index * stride;
      }
    }
    return out;
  }
}

function everywhere(above: Uint32Array, size: number, stride: number): Uint32Array<ArrayBuffer> {
  const out = new Uint32Array(above.length * size);
  above.forEach((place, p) => {
    for (let i = 0; i < size; i++) out[p * size + i] = place + i * stride;
  });
  return out;
}

/** int32, uint16 or uint8; a negative number becomes one that no axis has. */
async function readNumbers(source: ByteSource, { at, length, width }: Numbers): Promise<Uint32Array> {
  const bytes = Buffer.from(await source.slice(at, at + length * width));
  return Uint32Array.from({ length }, (_, k) =>
    width === 4 ? bytes.readUInt32LE(k * 4) : width === 2 ? bytes.readUInt16LE(k * 2) : bytes[k]!,
  );
}
