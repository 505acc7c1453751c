/** Layout of a tlog-tiles log (c2sp.org/tlog-tiles): paths, widths and entry bundles. Pure. */
import { Cursor, concatBytes } from '../base/index.js';

/** Hashes in a full tile. */
export const TILE = 256;
export const HASH = 32;

/** N in groups of three digits, all but the last with an x before: 1234067 → x001/x234/067. */
export function tileNumber(n: number): string {
  const groups = [String(n % 1000).padStart(3, '0')];
  for (let rest = Math.floor(n / 1000); rest > 0; rest = Math.floor(rest / 1000)) {
    groups.unshift(`x${String(rest % 1000).padStart(3, '0')}`);
  }
  return groups.join('/');
}

/** @param width 1–256; 256 is a full tile */
export const tilePath = (level: number | 'entries', n: number, width: number): string =>
  `tile/${level}/${tileNumber(n)}${width === TILE ? '' : `.p/${width}`}`;

/** Every tile (level, n, width) of a tree of this size. */
export function tilesOf(size: number): { level: number; n: number; width: number }[] {
  const tiles: { level: number; n: number; width: number }[] = [];
  for (let level = 0, count = size; count > 0; level++, count = Math.floor(count / TILE)) {
    for (let n = 0; n * TILE < count; n++) tiles.push({ level, n, width: Math.min(TILE, count - n * TILE) });
  }
  return tiles;
}

/** Big-endian uint16 length before each entry. */
export const encodeBundle = (entries: readonly Uint8Array[]): Uint8Array =>
  concatBytes(...entries.flatMap((entry) => [Uint8Array.of(entry.length >> 8, entry.length & 255), entry]));

/** @throws `BUNDLE_TRUNCATED` */
export function decodeBundle(bytes: Uint8Array): Uint8Array[] {
  const cursor = new Cursor(bytes, 'BUNDLE');
  const entries: Uint8Array[] = [];
  while (cursor.remaining > 0) entries.push(cursor.bytes(cursor.u16be()));
  return entries;
}
