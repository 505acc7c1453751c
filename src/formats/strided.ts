/**
 * An array whose elements lie at strides in a stretch of bytes: a view, a transposed or Fortran-ordered array, one of
 * the other byte order. Packed little-endian arrays become plain stretches; of others only what is asked for is read.
 */
import { decodeElements, storedBytes } from './elements.js';
import type { DType } from './model.js';
import type { Storage, Stretch } from './stored-tensor.js';

export interface Layout {
  readonly dtype: Exclude<DType, 'STRING' | 'I4' | 'U4'>;
  readonly shape: readonly number[];
  /** Elements from one index of an axis to the next; not negative. */
  readonly strides: readonly number[];
  /** Elements before the first. */
  readonly offset: number;
  readonly bigEndian: boolean;
}

/** Strides of packed elements, the last axis (or, Fortran order, the first) running fastest. */
export function packedStrides(shape: readonly number[], fortran = false): readonly number[] {
  const strides = new Array<number>(shape.length);
  let step = 1;
  for (let i = 0; i < shape.length; i++) {
    const axis = fortran ? i : shape.length - 1 - i;
    strides[axis] = step;
    step *= shape[axis]!;
  }
  return strides;
}

const isPacked = (shape: readonly number[], strides: readonly number[]): boolean => {
  const packed = packedStrides(shape);
  return shape.every((size, axis) => size === 1 || strides[axis] === packed[axis]);
};

/** Elements that the layout reaches over, from the first to the last; 0 for an empty array, infinite for an absurd one. */
export const reachOf = (shape: readonly number[], strides: readonly number[]): number =>
  shape.includes(0) ? 0 : 1 + shape.reduce((sum, size, axis) => sum + (size - 1) * strides[axis]!, 0);

/** Bytes that are rather read in one piece than in several: a page, which a disk reads whole. */
const PIECE = 4096;
/** Above this share of needed bytes, one read of everything between is cheaper than several. */
const WASTE = 4;
/** Elements in one piece: decoded, 32 MiB. */
const MAX_PIECE = 2 ** 22;

/** @param stretch where the elements lie; the caller has checked that the layout's reach fits it */
export function stridedStorage(stretch: Stretch, layout: Layout): Storage {
  const { dtype, shape, strides, offset, bigEndian } = layout;
  const width = storedBytes(dtype, 1);
  const elements = shape.reduce((all, size) => all * size, 1);
  if (elements === 0 || (isPacked(shape, strides) && (!bigEndian || width === 1))) {
    const start = stretch.offset + (elements === 0 ? 0 : offset * width);
    return { kind: 'bytes', stretches: [{ source: stretch.source, offset: start, length: elements * width }] };
  }
  return {
    kind: 'values',
    async read(start, end) {
      const out = new Float64Array(end - start);
      for (const box of boxesOf(shape, start, end)) await readBox(stretch, layout, width, box, out);
      return out;
    },
  };
}

/** Indices `first` ≤ i < `first` + `size` of every axis; its elements go to `to` onwards, in row-major order. */
export interface Box {
  readonly first: readonly number[];
  readonly size: readonly number[];
  readonly to: number;
  /** Strides in the output. */
  readonly steps: readonly number[];
}

/** Row-major elements [start, end) as boxes: at most two per axis, and one. */
export function boxesOf(shape: readonly number[], start: number, end: number): readonly Box[] {
  const rows = packedStrides(shape);
  const boxes: Box[] = [];
  for (let at = start; at < end; ) {
    // The first axis along which whole slices begin here and fit.
    let axis = shape.length;
    while (axis > 0 && at % rows[axis - 1]! === 0 && at + rows[axis - 1]! <= end) axis--;
    const first = rows.map((row, i) => Math.floor(at / row) % shape[i]!);
    const size = shape.map((all, i) => (i < axis ? 1 : all));
    let taken = axis < shape.length ? rows[axis]! : 1;
    if (axis < shape.length) {
      const count = Math.min(shape[axis]! - first[axis]!, Math.floor((end - at) / rows[axis]!));
      size[axis] = count;
      taken = count * rows[axis]!;
    }
    boxes.push({ first, size, to: at - start, steps: rows });
    at += taken;
  }
  return boxes;
}

/** The elements of a box of the layout, to where they belong in `out`. */
export async function readBox(
  stretch: Stretch,
  layout: Layout,
  width: number,
  box: Box,
  out: Float64Array,
): Promise<void> {
  const { dtype, strides, offset, bigEndian } = layout;
  const count = box.size.reduce((all, size) => all * size, 1);
  const elements = reachOf(box.size, strides);
  const reach = elements * width;
  if (elements > 1 && (elements > MAX_PIECE || reach > Math.max(PIECE, WASTE * count * width))) {
    for (const half of halvesOf(box, strides)) await readBox(stretch, layout, width, half, out);
    return;
  }
  const first = box.first.reduce((sum, index, axis) => sum + index * strides[axis]!, offset);
  const at = stretch.offset + first * width;
  const bytes = await stretch.source.slice(at, at + reach);
  const values = decodeElements(dtype, bigEndian ? swapped(bytes, width) : bytes, elements);
  gather(values, box, strides, out);
}

/** Cut along the axis that reaches furthest. */
function halvesOf(box: Box, strides: readonly number[]): readonly Box[] {
  const spans = box.size.map((size, axis) => (size - 1) * strides[axis]!);
  let axis = 0;
  for (const i of spans.keys()) if (spans[i]! > spans[axis]!) axis = i;
  const half = box.size[axis]! >> 1;
  const part = (from: number, size: number): Box => ({
    first: box.first.map((index, i) => (i === axis ? index + from : index)),
    size: box.size.map((all, i) => (i === axis ? size : all)),
    to: box.to + from * box.steps[axis]!,
    steps: box.steps,
  });
  return [part(0, half), part(half, box.size[axis]! - half)];
}

function gather(values: Float64Array, box: Box, strides: readonly number[], out: Float64Array): void {
  const last = box.size.length - 1;
  const visit = (axis: number, from: number, to: number): void => {
    const size = box.size[axis] ?? 1;
    const stride = strides[axis] ?? 0;
    const step = box.steps[axis] ?? 0;
    for (let i = 0; i < size; i++) {
      if (axis >= last) out[to + i * step] = values[from + i * stride]!;
      else visit(axis + 1, from + i * stride, to + i * step);
    }
  };
  visit(0, 0, box.to);
}

/** The same elements in the other byte order. */
export function swapped(bytes: Uint8Array, width: number): Uint8Array {
  const out = Uint8Array.from(bytes);
  for (let at = 0; at < out.length; at += width) out.subarray(at, at + width).reverse();
  return out;
}
