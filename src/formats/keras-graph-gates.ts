/**
 * Weights of recurrent layers as ONNX has them. Keras keeps a matrix inputs × gates·units, an LSTM's gates as i, f, c, o, and
 * one bias; ONNX has gates in rows as i, o, f, c and a bias for the input beside one for the state. The view below puts
 * whole blocks in ONNX's order and leaves the axes as stored, so that reading stays a read of rows.
 */
import { memorySource } from '../base/index.js';
import { storedBytes } from './elements.js';
import type { Tensor } from './model.js';
import { isStoredTensor, type Storage, type StoredTensor, type Stretch, storedTensor } from './stored-tensor.js';

/** Blocks of a row in the order of the view: so many columns from `start`, or so many zeros. */
export type Block = { readonly start: number; readonly size: number } | { readonly zeros: number };

/** Stretches of one view: 300,000 rows of an LSTM. Beyond, a view is not written. */
const MAX_STRETCHES = 2 ** 20;
/** Elements read at once. */
const PIECE = 2 ** 22;

const widthOf = (blocks: readonly Block[]): number =>
  blocks.reduce((sum, block) => sum + ('zeros' in block ? block.zeros : block.size), 0);

/**
 * @param rows of `width` stored elements each
 * @param shape of the view, as many elements as the rows' blocks
 */
export function viewOfBlocks(
  tensor: Tensor,
  rows: number,
  width: number,
  blocks: readonly Block[],
  shape: readonly number[],
): StoredTensor {
  const wide = widthOf(blocks);
  const step = Math.max(1, Math.floor(PIECE / Math.max(width, wide)));
  const read = async (start: number, end: number): Promise<Float64Array> => {
    const out = new Float64Array(end - start);
    for (let at = start; at < end; ) {
      const row = Math.floor(at / wide);
      const count = at % wide === 0 ? Math.min(step, Math.floor((end - at) / wide)) : 0;
      if (count > 0) {
        const values = await tensor.read(row * width, (row + count) * width);
        arrangeRows(values, count, width, blocks, out.subarray(at - start));
        at += count * wide;
      } else {
        const stop = Math.min(end, (row + 1) * wide);
        await readInRow(tensor, row * width, blocks, at - row * wide, out.subarray(at - start, stop - start));
        at = stop;
      }
    }
    return out;
  };
  const view = storedTensor('KERAS', tensor.name, tensor.dtype, shape, { kind: 'values', read });
  const storage = storageOf(tensor, rows, width, blocks);
  return {
    ...view,
    ...(tensor.packed === undefined ? {} : { packed: tensor.packed }),
    ...(storage === null ? {} : { storage, writable: tensor.writable }),
  };
}

function arrangeRows(
  values: Float64Array,
  count: number,
  width: number,
  blocks: readonly Block[],
  out: Float64Array,
): void {
  let to = 0;
  for (let row = 0; row < count; row++) {
    for (const block of blocks) {
      if ('zeros' in block) to += block.zeros;
      else {
        const from = row * width + block.start;
        out.set(values.subarray(from, from + block.size), to);
        to += block.size;
      }
    }
  }
}

/** Part of one row, from a position of the view on. @param first stored element of the row */
async function readInRow(
  tensor: Tensor,
  first: number,
  blocks: readonly Block[],
  position: number,
  out: Float64Array,
): Promise<void> {
  let base = 0;
  for (const block of blocks) {
    const size = 'zeros' in block ? block.zeros : block.size;
    const [from, to] = [Math.max(position, base), Math.min(position + out.length, base + size)];
    if (from < to && 'start' in block) {
      const start = first + block.start + from - base;
      out.set(await tensor.read(start, start + to - from), from - position);
    }
    base += size;
  }
}

/** Where the view's elements lie, for writing; null where they cannot be written in place. */
function storageOf(tensor: Tensor, rows: number, width: number, blocks: readonly Block[]): Storage | null {
  if (!isStoredTensor(tensor) || tensor.storage.kind !== 'bytes' || !tensor.writable) return null;
  if (rows * blocks.length > MAX_STRETCHES) return null;
  const { stretches: given } = tensor.storage;
  const { dtype } = tensor;
  let found: readonly Stretch[] | null = null;
  return {
    kind: 'bytes',
    get stretches(): readonly Stretch[] {
      found ??= Array.from({ length: rows }, (_, row) =>
        blocks.flatMap((block) => {
          if ('zeros' in block) return zeros(storedBytes(dtype, block.zeros));
          const start = storedBytes(dtype, row * width + block.start);
          return partOf(given, start, start + storedBytes(dtype, block.size));
        }),
      ).flat();
      return found;
    },
  };
}

const zeros = (length: number): readonly Stretch[] => [
  { source: memorySource(new Uint8Array(length), 'zeros'), offset: 0, length },
];

/** Bytes [start, end) of joined stretches. */
function partOf(stretches: readonly Stretch[], start: number, end: number): readonly Stretch[] {
  let base = 0;
  return stretches.flatMap(({ source, offset, length }) => {
    const [from, to] = [Math.max(start, base), Math.min(end, base + length)];
    const part = { source, offset: offset + from - base, length: to - from };
    base += length;
    return part.length > 0 ? [part] : [];
  });
}

/** Blocks of `units` columns in this order, neighbours in one piece. */
export function gateBlocks(gates: readonly number[], units: number): readonly Block[] {
  const blocks: { start: number; size: number }[] = [];
  for (const gate of gates) {
    const before = blocks.at(-1);
    if (before !== undefined && before.start + before.size === gate * units) before.size += units;
    else blocks.push({ start: gate * units, size: units });
  }
  return blocks;
}
