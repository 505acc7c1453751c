/** The log's tree on disk: hashes read from tiles, and the tiles that an extension adds. */
import path from 'node:path';
import { concatBytes, evidenceError } from '../base/index.js';
import type { Disk } from './disk.js';
import { leafHash, nodeHash, type SubtreeHash } from './merkle.js';
import { decodeBundle, encodeBundle, HASH, TILE, tilePath } from './tiles.js';

const TILE_LEVELS = 8;

/** Reads tiles and entries of a tree of `size` leaves below `folder`, each file once. */
export function treeFiles(disk: Disk, folder: string, size: number) {
  const cache = new Map<string, Promise<Uint8Array>>();
  const file = (relative: string): Promise<Uint8Array> => {
    const held = cache.get(relative);
    if (held !== undefined) return held;
    const read = readTile(disk, folder, relative);
    // A whole level of a large log must not stay in memory.
    if (cache.size > 512) cache.clear();
    cache.set(relative, read);
    return read;
  };
  const widthOf = (count: number, n: number): number => Math.min(TILE, count - n * TILE);
  const hash: SubtreeHash = async (level, index) => {
    const tileLevel = Math.floor(level / TILE_LEVELS);
    const inside = level % TILE_LEVELS;
    const first = index * 2 ** inside;
    const n = Math.floor(first / TILE);
    const count = Math.floor(size / TILE ** tileLevel);
    const tile = await file(tilePath(tileLevel, n, widthOf(count, n)));
    const at = (first % TILE) * HASH;
    let row = Array.from({ length: 2 ** inside }, (_, i) => tile.subarray(at + i * HASH, at + (i + 1) * HASH));
    if (row.some((h) => h.length !== HASH)) {
      throw evidenceError('LOG_TILE_SHORT', 'a tile of the log is too short', {
        where: tilePath(tileLevel, n, widthOf(count, n)),
      });
    }
    while (row.length > 1)
      row = Array.from({ length: row.length / 2 }, (_, i) => nodeHash(row[2 * i]!, row[2 * i + 1]!));
    return row[0]!;
  };
  const bundle = async (n: number): Promise<Uint8Array[]> =>
    decodeBundle(await file(tilePath('entries', n, widthOf(size, n)))).slice(0, widthOf(size, n));
  return { hash, bundle, file };
}

/** A partial tile may give way to the full one while it is read (c2sp.org/tlog-tiles); what is read is then longer. */
async function readTile(disk: Disk, folder: string, relative: string): Promise<Uint8Array> {
  const bytes =
    (await disk.read(path.join(folder, relative))) ??
    (await disk.read(path.join(folder, relative.replace(/\.p\/\d+$/, ''))));
  if (bytes !== null) return bytes;
  throw evidenceError('LOG_FILE_MISSING', 'a file of the log is missing', {
    where: path.join(folder, relative),
    todo: 'restore the room from a copy; muniment log verify says what else is wrong',
  });
}

export interface NewTile {
  readonly path: string;
  readonly bytes: Uint8Array;
}

/**
 * The files that a tree of `size` leaves needs in addition when `entries` are appended, and the new hashes.
 * Only the last, incomplete tile of each level is read.
 */
export async function extension(
  disk: Disk,
  folder: string,
  size: number,
  entries: readonly Uint8Array[],
): Promise<NewTile[]> {
  const old = treeFiles(disk, folder, size);
  const files: NewTile[] = [];
  const heldEntries = size % TILE === 0 ? [] : (await old.bundle(Math.floor(size / TILE))).slice(0, size % TILE);
  files.push(
    ...cut(heldEntries, entries, size).map(({ n, items }) => ({
      path: tilePath('entries', n, items.length),
      bytes: encodeBundle(items),
    })),
  );
  let hashes: readonly Uint8Array[] = entries.map(leafHash);
  for (let level = 0, count = size; hashes.length > 0; level++) {
    const n = Math.floor(count / TILE);
    const held =
      count % TILE === 0 ? [] : split(await old.file(tilePath(level, n, count % TILE))).slice(0, count % TILE);
    const tiles = cut(held, hashes, count);
    files.push(
      ...tiles.map((tile) => ({ path: tilePath(level, tile.n, tile.items.length), bytes: concatBytes(...tile.items) })),
    );
    // Partial tiles are never hashed upwards (c2sp.org/tlog-tiles).
    hashes = tiles.filter((tile) => tile.items.length === TILE).map((tile) => tileRoot(tile.items));
    count = n;
  }
  return files;
}

const split = (tile: Uint8Array): Uint8Array[] =>
  Array.from({ length: tile.length / HASH }, (_, i) => tile.subarray(i * HASH, (i + 1) * HASH));

/** Cuts what was held in the last tile plus what is new into tiles. */
function cut(
  held: readonly Uint8Array[],
  added: readonly Uint8Array[],
  count: number,
): { n: number; items: Uint8Array[] }[] {
  const all = [...held, ...added];
  const first = Math.floor(count / TILE);
  return Array.from({ length: Math.ceil(all.length / TILE) }, (_, i) => ({
    n: first + i,
    items: all.slice(i * TILE, (i + 1) * TILE),
  }));
}

function tileRoot(hashes: readonly Uint8Array[]): Uint8Array {
  let row = [...hashes];
  while (row.length > 1) row = Array.from({ length: row.length / 2 }, (_, i) => nodeHash(row[2 * i]!, row[2 * i + 1]!));
  return row[0]!;
}
