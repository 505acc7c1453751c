/** A tensor whose values lie as packed bytes in one or more stretches of files, or were given in the file's structure itself. */
import { type ByteSource, inputError } from '../base/index.js';
import { decodeElements, storedBytes } from './elements.js';
import { MAX_RANK, MAX_READ_ELEMENTS } from './limits.js';
import type { DType, Tensor } from './model.js';

/** Consecutive stored bytes: [offset, offset + length) of a source. */
export interface Stretch {
  readonly source: ByteSource;
  readonly offset: number;
  readonly length: number;
}

export type Storage =
  | { readonly kind: 'bytes'; readonly stretches: readonly Stretch[] }
  | {
      readonly kind: 'values';
      read(start: number, end: number): Promise<Float64Array>;
      /** How changed values are written, where the file holds them as text, or among others: absent where they are not. */
      edits?(values: Float64Array): Promise<readonly Edit[]>;
    };

/** Bytes of a file that others take the place of, as many or not. */
export interface Edit extends Stretch {
  readonly bytes: Uint8Array;
}

export interface StoredTensor extends Tensor {
  readonly storage: Storage;
}

export const isStoredTensor = (tensor: Tensor): tensor is StoredTensor => 'storage' in tensor;

/** True where two tensors are the same bytes of the same file in the same type and shape: one weight under two names. */
export function sharesBytes(a: Tensor, b: Tensor): boolean {
  if (!isStoredTensor(a) || !isStoredTensor(b) || a.storage.kind !== 'bytes' || b.storage.kind !== 'bytes')
    return false;
  const others = b.storage.stretches;
  return (
    a.elements > 0 &&
    a.dtype === b.dtype &&
    a.shape.join() === b.shape.join() &&
    a.storage.stretches.length === others.length &&
    a.storage.stretches.every(
      ({ source, offset, length }, k) =>
        source === others[k]!.source && offset === others[k]!.offset && length === others[k]!.length,
    )
  );
}

/** Product of a shape. @throws `<area>_SHAPE` for negative, fractional or astronomic sizes */
export function elementsOf(shape: readonly number[], area: string, where: string): number {
  const elements = shape.reduce((all, size) => all * size, 1);
  if (
    shape.length > MAX_RANK ||
    shape.some((size) => !Number.isSafeInteger(size) || size < 0) ||
    !Number.isSafeInteger(elements)
  ) {
    throw inputError(`${area}_SHAPE`, 'a tensor has an impossible shape', {
      expected: `at most ${MAX_RANK} sizes ≥ 0 whose product is below 2^53`,
      got: `[${shape.slice(0, 12).join(', ')}]`,
      where,
    });
  }
  return elements;
}

/** @throws `<area>_SIZE` when the stored bytes are not exactly what type and shape need */
export function storedTensor(
  area: string,
  name: string,
  dtype: DType,
  shape: readonly number[],
  storage: Storage,
  where = `tensor ${name}`,
): StoredTensor {
  const elements = elementsOf(shape, area, where);
  if (storage.kind === 'bytes') {
    const present = storage.stretches.reduce((sum, stretch) => sum + stretch.length, 0);
    if (dtype !== 'STRING' && present !== storedBytes(dtype, elements)) {
      throw inputError(`${area}_SIZE`, 'a tensor has more or fewer bytes than its type and shape need', {
        expected: `${storedBytes(dtype, elements)} bytes for ${dtype} [${shape.join(', ')}]`,
        got: `${present} bytes`,
        where,
        todo: 'the file is damaged or its header is false; export it again',
      });
    }
  }
  return {
    name,
    dtype,
    shape,
    elements,
    storage,
    writable: storage.kind === 'bytes' ? dtype !== 'STRING' : storage.edits !== undefined,
    read: (start, end) => readElements(name, dtype, elements, storage, start, end),
  };
}

async function readElements(
  name: string,
  dtype: DType,
  elements: number,
  storage: Storage,
  start: number,
  end: number,
): Promise<Float64Array> {
  if (!(Number.isSafeInteger(start) && Number.isSafeInteger(end) && 0 <= start && start <= end && end <= elements)) {
    throw inputError('TENSOR_RANGE', 'a read leaves the tensor', {
      expected: `a range inside 0–${elements}`,
      got: `${start}–${end}`,
      where: `tensor ${name}`,
    });
  }
  if (end - start > MAX_READ_ELEMENTS) {
    throw inputError('TENSOR_READ_TOO_LARGE', 'more values asked for at once than memory is planned for', {
      expected: `at most ${MAX_READ_ELEMENTS} values`,
      got: String(end - start),
      where: `tensor ${name}`,
      todo: 'read the tensor in parts, or let the test sample it',
    });
  }
  if (storage.kind === 'values') return storage.read(start, end);
  const nibbles = dtype === 'I4' || dtype === 'U4';
  const skip = nibbles ? start % 2 : 0;
  const first = storedBytes(dtype, start - skip);
  const bytes = await readStretches(storage.stretches, first, storedBytes(dtype, end));
  return decodeElements(dtype, bytes, end - start, skip);
}

/** Bytes [start, end) of the joined stretches. */
async function readStretches(stretches: readonly Stretch[], start: number, end: number): Promise<Uint8Array> {
  const [only] = stretches;
  if (stretches.length === 1 && only !== undefined) return only.source.slice(only.offset + start, only.offset + end);
  const out = new Uint8Array(end - start);
  let base = 0;
  for (const { source, offset, length } of stretches) {
    const from = Math.max(start, base);
    const to = Math.min(end, base + length);
    if (from < to) {
      const bytes = await source.slice(offset + from - base, offset + to - base);
      out.set(bytes, from - start);
    }
    base += length;
  }
  return out;
}
