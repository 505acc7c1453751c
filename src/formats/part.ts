/**
 * A part of a stored tensor as a tensor of its own: the query rows of a fused projection, one expert of many, rows in
 * another order. It reads only what it holds, and where the values lie as plain bytes it can be written too.
 */
import { inputError } from '../base/index.js';
import { storedBytes } from './elements.js';
import { MAX_PART_STRETCHES, MAX_PART_WINDOW } from './limits.js';
import type { Tensor } from './model.js';
import { isStoredTensor, type StoredTensor, type Stretch, storedTensor } from './stored-tensor.js';

export interface Part {
  readonly name: string;
  /** Place on the tensor's first axis, which is then left out; null: the part lies over all of it. */
  readonly index: number | null;
  /** Axis, of those that are left, along which the part is chosen. */
  readonly axis: number;
  /** Distinct places along that axis, in the part's own order. */
  readonly positions: ArrayLike<number>;
  /** As in `Tensor`. */
  readonly outputsFirst?: readonly number[];
}

interface Geometry {
  /** Elements before the first. */
  readonly base: number;
  readonly outer: number;
  /** Places along the axis in the whole tensor. */
  readonly length: number;
  readonly inner: number;
  readonly positions: ArrayLike<number>;
}

/** @throws `TENSOR_RANGE` on reading, and what reading the tensor throws */
export function partOfTensor(tensor: Tensor, { name, index, axis, positions, outputsFirst }: Part): Tensor {
  const whole = index === null ? tensor.shape : tensor.shape.slice(1);
  const product = (sizes: readonly number[]): number => sizes.reduce((all, size) => all * size, 1);
  const geometry: Geometry = {
    base: (index ?? 0) * product(whole),
    outer: product(whole.slice(0, axis)),
    length: whole[axis]!,
    inner: product(whole.slice(axis + 1)),
    positions,
  };
  const shape = whole.map((size, k) => (k === axis ? positions.length : size));
  const elements = product(shape);
  const part = {
    name,
    dtype: tensor.dtype,
    shape,
    elements,
    ...(outputsFirst === undefined ? {} : { outputsFirst }),
    ...(tensor.packed === undefined ? {} : { packed: tensor.packed }),
    read: async (start: number, end: number) => {
      if (
        !(Number.isSafeInteger(start) && Number.isSafeInteger(end) && 0 <= start && start <= end && end <= elements)
      ) {
        throw inputError('TENSOR_RANGE', 'a read leaves the tensor', {
          expected: `a range inside 0–${elements}`,
          got: `${start}–${end}`,
          where: `tensor ${name}`,
        });
      }
      const out = new Float64Array(end - start);
      await gather(tensor, geometry, start, end, out, 0);
      return out;
    },
    writable: false,
  };
  const written = writableStorage(tensor, geometry, part);
  return written === null ? part : { ...written, ...part, writable: true };
}

/** Elements [start, end) of the part into `out` from `at`: in one read where little between them is not wanted. */
async function gather(
  tensor: Tensor,
  geometry: Geometry,
  start: number,
  end: number,
  out: Float64Array,
  at: number,
): Promise<void> {
  if (start >= end) return;
  const [first, last] = extent(geometry, start, end);
  const span = last - first;
  const wanted = end - start;
  if (span === wanted || (span <= 4 * wanted && span <= MAX_PART_WINDOW)) {
    const window = await tensor.read(first, last);
    pick(geometry, window, first, start, end, out, at);
    return;
  }
  const middle = split(geometry, start, end);
  await gather(tensor, geometry, start, middle, out, at);
  await gather(tensor, geometry, middle, end, out, at + middle - start);
}

/** Least and last stored element (exclusive) of elements [start, end) of the part. */
function extent(geometry: Geometry, start: number, end: number): readonly [number, number] {
  let first = Number.POSITIVE_INFINITY;
  let last = 0;
  for (let element = start; element < end; ) {
    const [from, run] = runAt(geometry, element, end);
    first = Math.min(first, from);
    last = Math.max(last, from + run);
    element += run;
  }
  return [first, last];
}

function pick(
  geometry: Geometry,
  window: Float64Array,
  offset: number,
  start: number,
  end: number,
  out: Float64Array,
  at: number,
): void {
  for (let element = start; element < end; ) {
    const [from, run] = runAt(geometry, element, end);
    out.set(window.subarray(from - offset, from - offset + run), at + element - start);
    element += run;
  }
}

/** Stored element at which this element of the part lies, and how many lie in one row with it. */
function runAt({ base, length, inner, positions }: Geometry, element: number, end: number): readonly [number, number] {
  const place = Math.floor(element / inner);
  const within = element - place * inner;
  const row = Math.floor(place / positions.length);
  let p = place - row * positions.length;
  const from = base + (row * length + positions[p]!) * inner + within;
  let run = inner - within;
  while (element + run < end && p + 1 < positions.length && positions[p + 1] === positions[p]! + 1) {
    run += inner;
    p++;
  }
  return [from, Math.min(run, end - element)];
}

/** Between two rows where there are several, else between two places, else anywhere. */
function split({ inner, positions }: Geometry, start: number, end: number): number {
  for (const unit of [inner * positions.length, inner, 1]) {
    const middle = Math.round((start + end) / 2 / unit) * unit;
    if (middle > start && middle < end) return middle;
  }
  return end;
}

function writableStorage(tensor: Tensor, geometry: Geometry, part: Tensor): StoredTensor | null {
  if (!isStoredTensor(tensor) || tensor.storage.kind !== 'bytes' || !tensor.writable) return null;
  const size = storedBytes(tensor.dtype, 1);
  if (storedBytes(tensor.dtype, 2) !== 2 * size) return null;
  const { stretches } = tensor.storage;
  const [only] = stretches;
  if (stretches.length !== 1 || only === undefined) return null;
  const runs: Stretch[] = [];
  for (let element = 0; element < part.elements; ) {
    const [from, run] = runAt(geometry, element, part.elements);
    if (runs.length >= MAX_PART_STRETCHES) return null;
    runs.push({ ...only, offset: only.offset + from * size, length: run * size });
    element += run;
  }
  return storedTensor('TENSOR', part.name, part.dtype, part.shape, { kind: 'bytes', stretches: runs });
}
