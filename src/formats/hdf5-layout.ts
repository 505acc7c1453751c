/** Where the elements of a dataset lie (§IV.A.2.i) and through which filters they went (§IV.A.2.l). */
import type { Fields } from './hdf5-file.js';
import { MAX_RANK } from './limits.js';

export type ChunkIndex =
  /** A B-tree of version 1, or none where no chunk was written. */
  | { readonly kind: 'btree1'; readonly at: number | null }
  | { readonly kind: 'single'; readonly at: number | null; readonly stored: number | null; readonly mask: number }
  /** One chunk after the other. */
  | { readonly kind: 'implicit'; readonly at: number | null }
  | { readonly kind: 'fixed-array'; readonly at: number | null }
  | { readonly kind: 'extensible-array'; readonly at: number | null }
  | { readonly kind: 'btree2'; readonly at: number | null };

export type Hdf5Layout =
  | { readonly kind: 'compact'; readonly at: number; readonly length: number }
  /** `length` is null where the file does not tell it. */
  | { readonly kind: 'contiguous'; readonly at: number | null; readonly length: number | null }
  | {
      readonly kind: 'chunked';
      readonly chunk: readonly number[];
      readonly elementBytes: number;
      readonly index: ChunkIndex;
      /** Chunks that reach over the array's end are stored as they are. */
      readonly plainEdges: boolean;
    };

/** @throws `HDF5_VERSION`, `HDF5_LAYOUT` (virtual datasets), `HDF5_MALFORMED` */
export function readLayout(fields: Fields): Hdf5Layout {
  const version = fields.version(5, 'a layout', 1);
  if (version < 3) return oldLayout(fields);
  const kind = fields.u8();
  if (kind === 0) {
    const length = fields.u16();
    return { kind: 'compact', at: fields.at, length: checkedInside(fields, length) };
  }
  if (kind === 1) return { kind: 'contiguous', at: fields.address(), length: fields.length() };
  if (kind === 3) {
    return fields.fail(
      'an array is made of pieces of other files (a virtual dataset)',
      { todo: 'copy the array into a new file with h5py' },
      'LAYOUT',
    );
  }
  if (kind !== 2) return fields.fail('there is no such layout', { got: `layout ${kind}` });
  if (version > 3) return newChunks(fields);
  const rank = rankIn(fields);
  const at = fields.address();
  const sizes = Array.from({ length: rank }, () => fields.u32());
  return chunked(fields, sizes, { kind: 'btree1', at });
}

function oldLayout(fields: Fields): Hdf5Layout {
  const rank = fields.u8();
  const kind = fields.u8();
  fields.skip(5);
  if (rank > MAX_RANK + 1) fields.fail('a layout has too many axes', { got: `${rank}` });
  const at = kind === 0 ? null : fields.address();
  const sizes = Array.from({ length: rank }, () => fields.u32());
  if (kind === 1) return { kind: 'contiguous', at, length: null };
  if (kind === 2) return chunked(fields, sizes, { kind: 'btree1', at });
  if (kind !== 0) return fields.fail('there is no such layout', { got: `layout ${kind}` });
  const length = fields.u32();
  return { kind: 'compact', at: fields.at, length: checkedInside(fields, length) };
}

function checkedInside(fields: Fields, length: number): number {
  fields.skip(length);
  return length;
}

function rankIn(fields: Fields): number {
  const rank = fields.u8();
  // The size of an element stands behind the axes.
  if (rank < 2 || rank > MAX_RANK + 1) fields.fail('chunks have an impossible number of axes', { got: `${rank}` });
  return rank;
}

function chunked(fields: Fields, sizes: readonly number[], index: ChunkIndex, plainEdges = false): Hdf5Layout {
  if (sizes.length < 2 || sizes.includes(0)) fields.fail('chunks have no elements', { got: `[${sizes.join(', ')}]` });
  return { kind: 'chunked', chunk: sizes.slice(0, -1), elementBytes: sizes.at(-1)!, index, plainEdges };
}

const PLAIN_EDGES = 1;
const FILTERED_SINGLE = 2;

function newChunks(fields: Fields): Hdf5Layout {
  const flags = fields.u8();
  const rank = rankIn(fields);
  const width = fields.u8();
  if (width < 1 || width > 8) fields.fail('sizes of chunks have an impossible width', { got: `${width} bytes` });
  const sizes = Array.from({ length: rank }, () => fields.unsigned(width));
  return chunked(fields, sizes, newIndex(fields, flags), (flags & PLAIN_EDGES) !== 0);
}

function newIndex(fields: Fields, flags: number): ChunkIndex {
  const kind = fields.u8();
  switch (kind) {
    case 1: {
      if ((flags & FILTERED_SINGLE) === 0) return { kind: 'single', at: fields.address(), stored: null, mask: 0 };
      const stored = fields.length();
      const mask = fields.u32();
      return { kind: 'single', at: fields.address(), stored, mask };
    }
    case 2:
      return { kind: 'implicit', at: fields.address() };
    case 3:
      // Settings of the index stand in its own header again.
      fields.skip(1);
      return { kind: 'fixed-array', at: fields.address() };
    case 4:
      fields.skip(5);
      return { kind: 'extensible-array', at: fields.address() };
    case 5:
      fields.skip(6);
      return { kind: 'btree2', at: fields.address() };
    default:
      return fields.fail('chunks are found in an unknown way', { got: `index ${kind}` });
  }
}

export interface Filter {
  readonly id: number;
  readonly name: string;
  readonly values: readonly number[];
}

/** More than 32 cannot be masked out one by one. */
const MAX_FILTERS = 32;

/** In the order in which they were applied on writing. @throws `HDF5_VERSION`, `HDF5_MALFORMED` */
export function readFilters(fields: Fields): readonly Filter[] {
  const version = fields.version(2, 'a list of filters', 1);
  const count = fields.u8();
  if (count > MAX_FILTERS) fields.fail('an array went through too many filters', { got: `${count}` });
  if (version === 1) fields.skip(6);
  return Array.from({ length: count }, () => {
    const id = fields.u16();
    const nameBytes = version === 1 || id >= 256 ? fields.u16() : 0;
    fields.skip(2);
    const numbers = fields.u16();
    const name = Buffer.from(fields.bytes(version === 1 ? Math.ceil(nameBytes / 8) * 8 : nameBytes));
    const values = Array.from({ length: numbers }, () => fields.u32());
    if (version === 1 && numbers % 2 === 1) fields.skip(4);
    return { id, name: name.toString('latin1').replace(/\0.*$/s, ''), values };
  });
}
