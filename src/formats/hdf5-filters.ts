/** The filters that chunks go through: deflate (RFC 1950), shuffle and Fletcher's checksum. */
import { inflateSync } from 'node:zlib';
import { fletcher32 } from './hdf5-checksum.js';
import type { Hdf5File } from './hdf5-file.js';
import type { Filter } from './hdf5-layout.js';

const DEFLATE = 1;
const SHUFFLE = 2;
const FLETCHER32 = 3;

const NAMES: Readonly<Record<number, string>> = {
  4: 'szip',
  5: 'n-bit',
  6: 'scale-offset',
  32000: 'LZF',
  32001: 'Blosc',
  32004: 'LZ4',
  32008: 'bitshuffle',
  32015: 'Zstandard',
};

/** @throws `HDF5_FILTER` for one that is not read */
export function checkFilters(file: Hdf5File, filters: readonly Filter[], at: number): void {
  for (const { id, name } of filters) {
    if (id === DEFLATE || id === SHUFFLE || id === FLETCHER32) continue;
    file.fail('FILTER', 'an array is packed by a filter that is not read', at, {
      expected: 'deflate (gzip), shuffle, Fletcher32',
      got: `${NAMES[id] ?? (name || 'unknown')} (${id})`,
      todo: 'write the file again without it: h5repack -f NONE, or h5py with compression="gzip"',
    });
  }
}

/**
 * A chunk as it was before it was written.
 * @param mask bits of the filters that this chunk did not go through
 * @param length its bytes
 * @throws `HDF5_INFLATE`, `HDF5_CHECKSUM`, `HDF5_SIZE`
 */
export function unfiltered(
  file: Hdf5File,
  filters: readonly Filter[],
  stored: Uint8Array,
  mask: number,
  length: number,
  at: number,
): Uint8Array {
  let bytes = stored;
  for (let i = filters.length - 1; i >= 0; i--) {
    const { id, values } = filters[i]!;
    if (((mask >>> i) & 1) === 1) continue;
    if (id === DEFLATE) bytes = unpacked(file, bytes, length + 4 * filters.length, at);
    if (id === SHUFFLE) bytes = unshuffled(bytes, values[0] ?? 1);
    if (id === FLETCHER32) bytes = withoutChecksum(file, bytes, at);
  }
  if (bytes.length !== length) {
    file.fail('SIZE', 'a chunk unpacks to more or less than it holds', at, {
      expected: `${length} bytes`,
      got: `${bytes.length} bytes`,
    });
  }
  return bytes;
}

function unpacked(file: Hdf5File, bytes: Uint8Array, most: number, at: number): Uint8Array {
  try {
    return inflateSync(bytes, { maxOutputLength: most });
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? '';
    if (code === 'ERR_BUFFER_TOO_LARGE') {
      return file.fail('SIZE', 'a chunk unpacks to more than it holds', at, { expected: `at most ${most} bytes` });
    }
    if (!/^Z_/.test(code)) throw cause;
    return file.fail('INFLATE', 'a chunk cannot be unpacked', at, { todo: 'fetch the file again', cause });
  }
}

/** Byte 0 of every element, then byte 1, …; what does not fill an element stays at the end. */
function unshuffled(bytes: Uint8Array, size: number): Uint8Array {
  const count = size === 0 ? 0 : Math.floor(bytes.length / size);
  if (size < 2 || count < 2) return bytes;
  const out = Uint8Array.from(bytes);
  for (let byte = 0; byte < size; byte++) {
    for (let i = 0; i < count; i++) out[i * size + byte] = bytes[byte * count + i]!;
  }
  return out;
}

function withoutChecksum(file: Hdf5File, bytes: Uint8Array, at: number): Uint8Array {
  if (bytes.length < 4) return file.fail('SIZE', 'a chunk is shorter than its checksum', at);
  const content = bytes.subarray(0, bytes.length - 4);
  const stored = new DataView(bytes.buffer, bytes.byteOffset + content.length, 4).getUint32(0, true);
  const sum = fletcher32(content);
  // HDF5 1.6.2 and before wrote the bytes of each half the other way round.
  const reversed = (((sum & 0x00ff00ff) << 8) | ((sum >>> 8) & 0x00ff00ff)) >>> 0;
  if (stored !== sum && stored !== reversed) {
    file.fail('CHECKSUM', 'a chunk is not what was written: its checksum differs', at, {
      expected: stored.toString(16),
      got: sum.toString(16),
      todo: 'fetch the file again',
    });
  }
  return content;
}
