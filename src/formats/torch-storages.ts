/** Tensors of an unpickled PyTorch file, over the places where their storages lie. */
import { type ByteSource, inputError, memorySource } from '../base/index.js';
import { BITS } from './elements.js';
import { type StoredTensor, type Stretch, storedTensor } from './stored-tensor.js';
import { stridedStorage } from './strided.js';
import type { NamedTensors } from './torch-names.js';
import type { StorageReference } from './torch-tensor.js';

/** Where the bytes of a storage lie. */
export type StoragePlaces = (storage: StorageReference, where: string) => Stretch;

export function storedTensors(
  file: string,
  named: NamedTensors['tensors'],
  places: StoragePlaces,
  bigEndian: boolean,
  writable: (place: Stretch) => boolean,
): readonly StoredTensor[] {
  const tensors: StoredTensor[] = [];
  const sources: { readonly key: string; readonly isWritable: boolean }[] = [];
  const viewed = new Set<string>();
  for (const [name, tensor] of named) {
    const where = `${file}, tensor ${name}`;
    const { dtype, shape, strides } = tensor;
    const inPickle = 'bytes' in tensor;
    const place = inPickle
      ? { source: memorySource(tensor.bytes, where), offset: 0, length: tensor.bytes.length }
      : places(tensor.storage, where);
    const order = inPickle ? tensor.bigEndian : bigEndian;
    const offset = inPickle ? 0 : tensor.offset;
    const stored = stridedStorage(place, { dtype, shape, strides, offset, bigEndian: order });
    const key = inPickle ? '' : tensor.storage.key;
    if (inPickle || stored.kind === 'values') viewed.add(key);
    sources.push({ key, isWritable: writable(place) });
    tensors.push(storedTensor('TORCH', name, dtype, shape, stored, where));
  }
  // Changing a tensor would change the views of its storage, or the tensor that it is tied to, unasked.
  const tied = overlapping(tensors);
  return tensors.map((tensor, i) => {
    const { key, isWritable } = sources[i]!;
    return { ...tensor, writable: isWritable && tensor.writable && !viewed.has(key) && !tied.has(tensor) };
  });
}

/** Tensors that share bytes with another. */
function overlapping(tensors: readonly StoredTensor[]): ReadonlySet<StoredTensor> {
  const found = new Set<StoredTensor>();
  const bySource = new Map<ByteSource, { tensor: StoredTensor; offset: number; end: number }[]>();
  for (const tensor of tensors) {
    if (tensor.storage.kind !== 'bytes') continue;
    for (const { source, offset, length } of tensor.storage.stretches) {
      const places = bySource.get(source) ?? [];
      if (length > 0) places.push({ tensor, offset, end: offset + length });
      bySource.set(source, places);
    }
  }
  for (const places of bySource.values()) {
    places.sort((a, b) => a.offset - b.offset);
    let furthest = places[0];
    for (const place of places.slice(1)) {
      if (place.offset < furthest!.end) found.add(place.tensor).add(furthest!.tensor);
      if (place.end > furthest!.end) furthest = place;
    }
  }
  return found;
}

export const bytesOf = ({ elements, dtype }: StorageReference): number => (elements * BITS[dtype]) / 8;

/** @throws `TORCH_TRUNCATED` */
export const refuseSize = (expected: number, got: number, where: string): never => {
  throw inputError('TORCH_TRUNCATED', 'a storage is not as long as the pickle says', {
    expected: `${expected} bytes`,
    got: `${got} bytes`,
    where,
    todo: 'the file is truncated or lies about its sizes; fetch it again',
  });
};
