/**
 * ZIP archives over a `ByteSource`: the central directory is read, entries are not. A stored entry is a stretch of the
 * archive itself; a deflated one is inflated as far as it is asked for. Source: PKWARE APPNOTE 6.3.10 §4.3.7.
 */
import { type ByteSource, checkRange } from '../base/index.js';
import { type InflateSlot, inflatedSource, inflateSlot } from './inflate.js';
import { LOCAL_BYTES, readZipDirectory, refuse, refuseOverlap, u16, u32, type ZipEntry } from './zip-directory.js';

export interface ZipArchive {
  readonly entries: ReadonlyMap<string, ZipEntry>;
  /**
   * An entry's content, the same source whenever it is asked for; its local header is read with its first bytes.
   * @throws `ZIP_ENTRY` no such entry, `ZIP_METHOD`; on reading `ZIP_LOCAL_HEADER`, `ZIP_OVERLAP`, and those of `inflate.ts`
   */
  open(name: string): ByteSource;
}

/** An entry stored as it is: its content is a stretch of the archive and can be changed in place. */
export interface StoredEntry {
  readonly archive: ByteSource;
  readonly entry: ZipEntry;
  /** Where its content begins in the archive. */
  start(): Promise<number>;
}

const stored = new WeakMap<ByteSource, StoredEntry>();

/** @param source as `ZipArchive.open` gave it; null for what is no entry or is compressed */
export const storedEntry = (source: ByteSource): StoredEntry | null => stored.get(source) ?? null;

const LOCAL = 0x04034b50;

/** @throws as `readZipDirectory` */
export async function openZip(source: ByteSource): Promise<ZipArchive> {
  const entries = await readZipDirectory(source);
  const slot = inflateSlot();
  const opened = new Map<string, ByteSource>();
  return {
    entries,
    open(name) {
      const known = opened.get(name) ?? entrySource(source, entries.get(name), name, slot);
      opened.set(name, known);
      return known;
    },
  };
}

function entrySource(archive: ByteSource, entry: ZipEntry | undefined, name: string, slot: InflateSlot): ByteSource {
  const { name: file } = archive;
  if (entry === undefined) {
    return refuse('ENTRY', 'the archive lacks a part', { expected: name, where: file, todo: 'fetch it again' });
  }
  if (entry.method !== 0 && entry.method !== 8) {
    refuse('METHOD', 'an entry is compressed by a method that is not read', {
      expected: 'stored (0) or deflate (8)',
      got: String(entry.method),
      where: `${file}, entry ${name}`,
      todo: 'pack the archive again without compression',
    });
  }
  let found: Promise<number> | null = null;
  const start = (): Promise<number> => {
    found ??= contentStart(archive, entry);
    return found;
  };
  const packed: ByteSource = {
    byteLength: entry.packed,
    name: `${file}, entry ${name}`,
    async slice(from, to) {
      checkRange(packed, from, to);
      const at = await start();
      return archive.slice(at + from, at + to);
    },
    async close() {},
  };
  if (entry.method !== 0) return inflatedSource(packed, entry, slot);
  stored.set(packed, { archive, entry, start });
  return packed;
}

/** Where the content begins: after the local header, whose extra field the directory does not tell. */
async function contentStart(archive: ByteSource, { name, at, method, packed, limit }: ZipEntry): Promise<number> {
  const title = Buffer.from(name);
  const where = `${archive.name} byte ${at}`;
  // Were there no room for both, the directory would have been refused.
  const head = await archive.slice(at, Math.min(limit, at + LOCAL_BYTES + title.length));
  const start = at + LOCAL_BYTES + title.length + u16(head, 28);
  const sameName = u16(head, 26) === title.length && title.equals(head.subarray(LOCAL_BYTES));
  // Readers that trust the local headers would see another archive.
  if (u32(head, 0) !== LOCAL || u16(head, 8) !== method || !sameName) {
    refuse('LOCAL_HEADER', 'an entry is described differently in the directory and at its place', {
      expected: `entry ${name}`,
      where,
    });
  }
  if (start + packed > limit) refuseOverlap(limit, `${archive.name}, entry ${name}`);
  return start;
}
