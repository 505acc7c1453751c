/**
 * Checksums of the entries of a ZIP archive whose content a changed copy has: in the directory, and in the local header
 * or in the data descriptor behind the content. Source: PKWARE APPNOTE 6.3.10 §4.3.7, §4.3.9, §4.3.12.
 */
import type { FileHandle } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import type { ByteSource } from '../base/index.js';
import type { StoredEntry } from './zip.js';
import { u32 } from './zip-directory.js';

const CHUNK_BYTES = 4 * 1024 * 1024;
const LOCAL_CRC = 14;
const CENTRAL_CRC = 16;
/** Bit 3 of the flags: checksum and sizes stand behind the content, and 0 in the local header. */
const DESCRIPTOR = 1 << 3;
const DESCRIPTOR_SIGNATURE = 0x08074b50;

/**
 * Writes the checksum of the content that the copy has now. An entry whose checksum did not fit its content before (torch
 * can write archives without) is left as it was: no reader asks for it.
 * @param handle the copy, open for reading and writing
 */
export async function renewChecksum(handle: FileHandle, { archive, entry, start }: StoredEntry): Promise<void> {
  const content = await start();
  const before = await checksum(entry.packed, (from, to) => archive.slice(content + from, content + to));
  if (before !== entry.crc32) return;
  const after = await checksum(entry.packed, async (from, to) => {
    const bytes = new Uint8Array(to - from);
    await handle.read(bytes, 0, bytes.length, content + from);
    return bytes;
  });
  const places = [entry.record + CENTRAL_CRC];
  if ((entry.flags & DESCRIPTOR) === 0) places.push(entry.at + LOCAL_CRC);
  else places.push(await descriptorCrc(archive, content + entry.packed));
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(after);
  for (const place of places) await handle.write(bytes, 0, 4, place);
}

/** The signature before it is optional. */
async function descriptorCrc(archive: ByteSource, at: number): Promise<number> {
  return u32(await archive.slice(at, at + 4), 0) === DESCRIPTOR_SIGNATURE ? at + 4 : at;
}

async function checksum(length: number, read: (from: number, to: number) => Promise<Uint8Array>): Promise<number> {
  let sum = 0;
  for (let from = 0; from < length; from += CHUNK_BYTES) {
    sum = crc32(await read(from, Math.min(length, from + CHUNK_BYTES)), sum);
  }
  return sum;
}
