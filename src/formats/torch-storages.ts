/** Tensors of an unpickled PyTorch file, over the places where their storages lie. */
import { inputError, memorySource } from '../base/index.js';
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
  writable: boolean,
): readonly StoredTensor[] {
  const tensors: StoredTensor[] = [];
  const sources: string[] = [];
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
    sources.push(key);
    tensors.push(storedTensor('TORCH', name, dtype, shape, stored, where));
  }
  // Changing a tensor would change the views of its storage unasked; overlapping stretches are `writeModel`'s to refuse.
  return tensors.map((tensor, i) => ({
    ...tensor,
    writable: writable && tensor.writable && !viewed.has(sources[i]!),
  }));
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
