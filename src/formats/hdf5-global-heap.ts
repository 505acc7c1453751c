/** Texts of any length lie in global heaps: collections of numbered objects (§III.E). */
import type { Hdf5File } from './hdf5-file.js';

interface Collection {
  readonly objects: ReadonlyMap<number, { readonly at: number; readonly length: number }>;
}

/** Collections walked through before. */
export type GlobalHeaps = Map<number, Collection>;

/** Bytes of object `index` of the collection at `at`. @throws `HDF5_MALFORMED` */
export async function globalHeapObject(
  file: Hdf5File,
  heaps: GlobalHeaps,
  at: number,
  index: number,
): Promise<Uint8Array> {
  let collection = heaps.get(at);
  if (collection === undefined) {
    collection = await walkCollection(file, at);
    heaps.set(at, collection);
  }
  const found = collection.objects.get(index);
  if (found === undefined) return file.fail('MALFORMED', 'a heap lacks a text', at, { got: `object ${index}` });
  file.keep(found.at, found.length);
  return file.bytes(found.at, found.length);
}

async function walkCollection(file: Hdf5File, at: number): Promise<Collection> {
  const { lengthSize } = file;
  file.reach(at, 'a heap');
  const head = await file.fields(at, 8 + lengthSize);
  head.signature('GCOL', 'heap');
  head.version(1, 'a heap', 1);
  head.skip(3);
  const end = at + head.length();
  if (end > file.source.byteLength) {
    head.fail('a heap is longer than the file', { got: `an end at byte ${end}` }, 'TRUNCATED');
  }
  const objects = new Map<number, { readonly at: number; readonly length: number }>();
  // What is left below the size of an object's head is unused.
  for (let next = at + 8 + lengthSize; next + 8 + lengthSize <= end; ) {
    file.count(next);
    const entry = await file.fields(next, 8 + lengthSize);
    const index = entry.u16();
    entry.skip(6);
    const length = entry.length();
    const start = next + 8 + lengthSize;
    // Object 0 is the free space behind the last.
    if (index === 0) break;
    if (start + length > end) entry.fail('an object leaves its heap', { got: `${length} bytes` });
    if (objects.has(index)) entry.fail('two objects of a heap have one number', { got: `object ${index}` });
    objects.set(index, { at: start, length });
    next = start + Math.ceil(length / 8) * 8;
  }
  return { objects };
}
