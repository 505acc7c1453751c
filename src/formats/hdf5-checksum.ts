/** The two checksums of HDF5: of its structure (Jenkins' lookup3) and of chunks (Fletcher). */
import type { Hdf5File } from './hdf5-file.js';

/** Parts found to be as they were written: at most 16 MiB, so that an index of chunks is not summed for each of them. */
const MAX_CHECKED = 256;
const MAX_CHECKED_BYTES = 64 * 1024;

const rot = (x: number, k: number): number => (x << k) | (x >>> (32 - k));

/** `hashlittle` of Bob Jenkins' lookup3.c (May 2006, public domain) with the initial value 0. */
export function lookup3(bytes: Uint8Array): number {
  const { length } = bytes;
  let a = (0xdeadbeef + length) | 0;
  let b = a;
  let c = a;
  let at = 0;
  const word = (k: number): number =>
    (bytes[at + k] ?? 0) |
    ((bytes[at + k + 1] ?? 0) << 8) |
    ((bytes[at + k + 2] ?? 0) << 16) |
    ((bytes[at + k + 3] ?? 0) << 24);
  for (; length - at > 12; at += 12) {
    a = (a + word(0)) | 0;
    b = (b + word(4)) | 0;
    c = (c + word(8)) | 0;
    a = ((a - c) ^ rot(c, 4)) | 0;
    c = (c + b) | 0;
    b = ((b - a) ^ rot(a, 6)) | 0;
    a = (a + c) | 0;
    c = ((c - b) ^ rot(b, 8)) | 0;
    b = (b + a) | 0;
    a = ((a - c) ^ rot(c, 16)) | 0;
    c = (c + b) | 0;
    b = ((b - a) ^ rot(a, 19)) | 0;
    a = (a + c) | 0;
    c = ((c - b) ^ rot(b, 4)) | 0;
    b = (b + a) | 0;
  }
  if (at === length) return c >>> 0;
  a = (a + word(0)) | 0;
  b = (b + word(4)) | 0;
  c = (c + word(8)) | 0;
  c = ((c ^ b) - rot(b, 14)) | 0;
  a = ((a ^ c) - rot(c, 11)) | 0;
  b = ((b ^ a) - rot(a, 25)) | 0;
  c = ((c ^ b) - rot(b, 16)) | 0;
  a = ((a ^ c) - rot(c, 4)) | 0;
  b = ((b ^ a) - rot(a, 14)) | 0;
  c = ((c ^ b) - rot(b, 24)) | 0;
  return c >>> 0;
}

/** A part of structure, whose last four bytes are the checksum of all before. @throws `HDF5_CHECKSUM` */
export async function checkedBytes(file: Hdf5File, at: number, length: number): Promise<Uint8Array> {
  if (length < 4) file.fail('MALFORMED', 'a part is shorter than its checksum', at);
  const known = file.checked.get(at);
  if (known !== undefined && known.length === length - 4) return known;
  const bytes = await file.bytes(at, length);
  const stored = new DataView(bytes.buffer, bytes.byteOffset + length - 4, 4).getUint32(0, true);
  const sum = lookup3(bytes.subarray(0, length - 4));
  if (sum !== stored) {
    file.fail('CHECKSUM', 'a part of the file is not what was written: its checksum differs', at, {
      expected: stored.toString(16),
      got: sum.toString(16),
      todo: 'fetch the file again',
    });
  }
  const content = bytes.subarray(0, length - 4);
  if (file.checked.size >= MAX_CHECKED) file.checked.clear();
  if (length <= MAX_CHECKED_BYTES) file.checked.set(at, content);
  return content;
}

/** `H5_checksum_fletcher32`: sums of 16-bit words, high byte first, modulo 2^16 − 1. */
export function fletcher32(bytes: Uint8Array): number {
  let first = 0;
  let second = 0;
  const words = bytes.length >> 1;
  for (let at = 0; at < words; ) {
    // So many words keep both sums below 2^32.
    const stop = Math.min(words, at + 360);
    for (; at < stop; at++) {
      first += (bytes[2 * at]! << 8) | bytes[2 * at + 1]!;
      second += first;
    }
    first = (first & 0xffff) + (first >>> 16);
    second = (second & 0xffff) + (second >>> 16);
  }
  if (bytes.length % 2 === 1) {
    first += bytes[bytes.length - 1]! << 8;
    second += first;
  }
  first = (first & 0xffff) + (first >>> 16);
  second = (second & 0xffff) + (second >>> 16);
  return ((second << 16) | first) >>> 0;
}
