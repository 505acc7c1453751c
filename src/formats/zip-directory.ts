/**
 * The central directory of a ZIP archive, read from the archive's end; entries that lie where others do, unpack to too
 * much or have names that climb are refused here. Source: PKWARE APPNOTE 6.3.10 §4.3 (records), §4.5.3 (zip64).
 */
import { type ByteSource, Cursor, type ErrorFacts, fromUtf8, inputError } from '../base/index.js';
import { MAX_DEFLATE_RATIO, MAX_INFLATED_UNQUESTIONED, MAX_ZIP_DIRECTORY, MAX_ZIP_ENTRIES } from './limits.js';

export interface ZipEntry {
  readonly name: string;
  /** Bytes of the content. */
  readonly size: number;
  /** Bytes in the archive. */
  readonly packed: number;
  readonly method: number;
  readonly crc32: number;
  readonly flags: number;
  /** Where its record in the directory lies. */
  readonly record: number;
  /** Where its local header lies. */
  readonly at: number;
  /** Where the next entry, or the directory, begins: nothing of this entry may lie beyond. */
  readonly limit: number;
}

const END = 0x06054b50;
const END64 = 0x06064b50;
const LOCATOR64 = 0x07064b50;
const CENTRAL = 0x02014b50;
const END_BYTES = 22;
const LOCATOR64_BYTES = 20;
const END64_BYTES = 56;
/** A local header without its name. */
export const LOCAL_BYTES = 30;
const SATURATED = 0xffffffff;
const ENCRYPTED = 0x2041;

export const u16 = (bytes: Uint8Array, at: number): number => bytes[at]! | (bytes[at + 1]! << 8);
export const u32 = (bytes: Uint8Array, at: number): number =>
  new DataView(bytes.buffer, bytes.byteOffset + at).getUint32(0, true);

export const refuse = (code: string, message: string, facts: ErrorFacts): never => {
  throw inputError(`ZIP_${code}`, message, facts);
};

/**
 * @throws `ZIP_TRUNCATED` (no end record: cut short), `ZIP_DIRECTORY`, `ZIP_TOO_MANY`, `ZIP_NAME` (a name that would
 * escape a folder), `ZIP_DUPLICATE`, `ZIP_ENCRYPTED`, `ZIP_OVERLAP`, `ZIP_SIZE`, `ZIP_BOMB`
 */
export async function readZipDirectory(source: ByteSource): Promise<ReadonlyMap<string, ZipEntry>> {
  const place = await findDirectory(source);
  if (place.length > MAX_ZIP_DIRECTORY || place.count > MAX_ZIP_ENTRIES) {
    refuse('TOO_MANY', 'the archive lists more than any real model', {
      expected: `at most ${MAX_ZIP_ENTRIES} entries in ${MAX_ZIP_DIRECTORY} bytes`,
      got: `${place.count} entries in ${place.length} bytes`,
      where: source.name,
    });
  }
  const bytes = await source.slice(place.start, place.start + place.length);
  return readDirectory(bytes, place, source.name);
}

interface Directory {
  readonly start: number;
  readonly length: number;
  readonly count: number;
}

/** The end record lies last, before a comment of at most 64 KiB whose length it gives; most archives have none. */
async function findDirectory(source: ByteSource): Promise<Directory> {
  const near = await directoryWithin(source, 0xff);
  return (
    near ??
    (await directoryWithin(source, 0xffff)) ??
    refuse('TRUNCATED', 'the archive has no end record', {
      where: source.name,
      todo: 'the file is cut short; fetch it again',
    })
  );
}

/** @returns null where no end record has a comment of at most this length */
async function directoryWithin(source: ByteSource, comment: number): Promise<Directory | null> {
  const span = Math.min(source.byteLength, END_BYTES + comment + LOCATOR64_BYTES);
  const base = source.byteLength - span;
  const tail = await source.slice(base, source.byteLength);
  for (let at = tail.length - END_BYTES; at >= 0; at--) {
    if (u32(tail, at) !== END || at + END_BYTES + u16(tail, at + 20) !== tail.length) continue;
    const end = { start: u32(tail, at + 16), length: u32(tail, at + 12), count: u16(tail, at + 10) };
    const disks = u16(tail, at + 4) === 0 && u16(tail, at + 6) === 0 && u16(tail, at + 8) === end.count;
    const locator = at - LOCATOR64_BYTES;
    const wide = locator >= 0 && u32(tail, locator) === LOCATOR64;
    const { directory, stop } = wide
      ? await readEnd64(source, tail.subarray(locator, at), base + locator, end)
      : { directory: end, stop: base + at };
    if (!disks || directory.start + directory.length !== stop) {
      refuse('DIRECTORY', 'the end record does not fit the archive', {
        expected: `one volume whose directory ends at byte ${stop}`,
        got: `bytes ${directory.start}–${directory.start + directory.length}`,
        where: `${source.name} byte ${base + at}`,
        todo: 'the archive is damaged, split or has bytes put before it; fetch it again',
      });
    }
    return directory;
  }
  return null;
}

async function readEnd64(source: ByteSource, locator: Uint8Array, locatorAt: number, end: Directory) {
  const head = new Cursor(locator, 'ZIP', locatorAt);
  head.skip(8);
  const at = head.safeU64();
  const where = `${source.name} byte ${at}`;
  if (at + END64_BYTES !== locatorAt) {
    refuse('DIRECTORY', 'the zip64 end record is not where the locator says', {
      expected: `byte ${locatorAt - END64_BYTES}`,
      got: `byte ${at}`,
      where: `${source.name} byte ${locatorAt}`,
    });
  }
  const cursor = new Cursor(await source.slice(at, locatorAt), 'ZIP', at);
  if (cursor.u32() !== END64) refuse('DIRECTORY', 'there is no zip64 end record', { where });
  cursor.skip(20);
  const inVolume = cursor.safeU64();
  const directory = { count: cursor.safeU64(), length: cursor.safeU64(), start: cursor.safeU64() };
  const agrees = (narrow: number, wide: number, top: number): boolean => narrow === top || narrow === wide;
  if (
    inVolume !== directory.count ||
    !agrees(end.count, directory.count, 0xffff) ||
    !agrees(end.length, directory.length, SATURATED) ||
    !agrees(end.start, directory.start, SATURATED)
  ) {
    // Two directories in one archive: readers would see different contents.
    refuse('DIRECTORY', 'the two end records contradict each other', { where });
  }
  return { directory, stop: at };
}

function readDirectory(bytes: Uint8Array, place: Directory, file: string): ReadonlyMap<string, ZipEntry> {
  const cursor = new Cursor(bytes, 'ZIP', place.start);
  const listed: Omit<ZipEntry, 'limit'>[] = [];
  for (let i = 0; i < place.count; i++) listed.push(readEntry(cursor, place, file));
  if (cursor.remaining > 0) {
    refuse('DIRECTORY', 'the directory is longer than its entries', { where: `${file} byte ${cursor.offset}` });
  }
  const entries = new Map<string, ZipEntry>();
  listed.sort((a, b) => a.at - b.at);
  for (const [i, entry] of listed.entries()) {
    const where = `${file}, entry ${entry.name}`;
    const limit = listed[i + 1]?.at ?? place.start;
    if (entry.at + LOCAL_BYTES + entry.packed > limit) refuseOverlap(limit, where);
    if (entries.has(entry.name)) refuse('DUPLICATE', 'two entries have the same name', { got: entry.name, where });
    entries.set(entry.name, { ...entry, limit });
  }
  refuseBomb(listed, file);
  return entries;
}

function readEntry(cursor: Cursor, place: Directory, file: string): Omit<ZipEntry, 'limit'> {
  const record = cursor.offset;
  const where = `${file} byte ${record}`;
  if (cursor.u32() !== CENTRAL) refuse('DIRECTORY', 'the directory holds something that is no entry', { where });
  cursor.skip(4);
  const flags = u16(cursor.bytes(2), 0);
  const method = u16(cursor.bytes(2), 0);
  cursor.skip(4);
  const crc32 = cursor.u32();
  const narrow = { packed: cursor.u32(), size: cursor.u32() };
  const sizes = cursor.bytes(6);
  const lengths = { name: u16(sizes, 0), extra: u16(sizes, 2), comment: u16(sizes, 4) };
  cursor.skip(8);
  const offset = cursor.u32();
  const name = fromUtf8(cursor.bytes(lengths.name), where);
  const wide = new Cursor(zip64Field(cursor.bytes(lengths.extra)), 'ZIP', cursor.offset);
  cursor.skip(lengths.comment);
  const size = narrow.size === SATURATED ? wide.safeU64() : narrow.size;
  const packed = narrow.packed === SATURATED ? wide.safeU64() : narrow.packed;
  const at = offset === SATURATED ? wide.safeU64() : offset;
  checkName(name, where);
  if ((flags & ENCRYPTED) !== 0) {
    refuse('ENCRYPTED', 'an entry is encrypted', { got: name, where, todo: 'unpack the archive with its password' });
  }
  if (at + LOCAL_BYTES > place.start) refuseOverlap(place.start, `${file}, entry ${name}`);
  if (method === 0 && packed !== size) {
    refuse('SIZE', 'a stored entry has two sizes', { expected: `${size} bytes`, got: `${packed} bytes`, where });
  }
  return { name, size, packed, method, crc32, flags, record, at };
}

function zip64Field(extra: Uint8Array): Uint8Array {
  for (let at = 0; at + 4 <= extra.length; at += 4 + u16(extra, at + 2)) {
    if (u16(extra, at) === 1) return extra.subarray(at + 4, at + 4 + u16(extra, at + 2));
  }
  return new Uint8Array(0);
}

/** Nothing is unpacked to disk here, but a name that climbs out of a folder has no honest use. */
function checkName(name: string, where: string): void {
  const parts = name.replace(/\/$/, '').split('/');
  const climbs = parts.some((part) => part === '' || part === '.' || part === '..');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is refused
  if (climbs || /[\\\x00-\x1f]|^[A-Za-z]:/.test(name)) {
    refuse('NAME', 'an entry has a name that would leave the folder that it is unpacked in', {
      expected: 'a relative path without “..”',
      got: JSON.stringify(name.slice(0, 200)),
      where,
      todo: 'do not unpack this archive: it was made to write over other files',
    });
  }
}

export const refuseOverlap = (limit: number, where: string): never =>
  refuse('OVERLAP', 'an entry reaches into what follows it', { expected: `an end at byte ${limit} or before`, where });

function refuseBomb(entries: readonly Omit<ZipEntry, 'limit'>[], file: string): void {
  const total = { name: 'all entries', size: 0, packed: 0 };
  const questioned = ({ name, size, packed }: typeof total): void => {
    if (size <= MAX_INFLATED_UNQUESTIONED || size <= packed * MAX_DEFLATE_RATIO) return;
    refuse('BOMB', 'the archive unpacks to far more than any model does', {
      expected: `at most ${MAX_DEFLATE_RATIO} bytes from each byte`,
      got: `${size} bytes from ${packed}`,
      where: `${file}, ${name}`,
      todo: 'do not unpack this archive: it was made to exhaust memory; where you trust its origin, save it uncompressed',
    });
  };
  for (const { name, size, packed, method } of entries) {
    if (method === 0) continue;
    questioned({ name, size, packed });
    total.size += size;
    total.packed += packed;
  }
  questioned(total);
}
