/** The tree of a log, built anew from its raw files: entries, tiles, root, and older checkpoints. For `verifyLog` alone. */
import path from 'node:path';
import { equalBytes, sha256 } from '../base/index.js';
import { EMPTY_ROOT } from './merkle.js';
import { type Checkpoint, parseCheckpoint, parseVerifierKey, verifyNote } from './note.js';
import { codeOf, messageOf, type Report, readBounded } from './read-bounded.js';
import { decodeBundle, HASH, TILE, tilePath, tilesOf } from './tiles.js';

/** 256 entries of at most 65,535 bytes, each after two bytes of length (c2sp.org/tlog-tiles). */
const MAX_TILE = TILE * 65_537;

/** The first `width` records of a tile; a partial one may have given way to the full one. */
async function readTile(log: string, relative: string): Promise<Uint8Array | null> {
  const whole = relative.replace(/\.p\/\d+$/, '');
  return (
    (await readBounded(path.join(log, relative), MAX_TILE)) ??
    (whole === relative ? null : await readBounded(path.join(log, whole), MAX_TILE))
  );
}

/** Stops at the first bundle that cannot be read: a checkpoint may claim any size. */
export async function readEntries(log: string, size: number, report: Report): Promise<Uint8Array[]> {
  const entries: Uint8Array[] = [];
  for (let n = 0; n * TILE < size; n++) {
    const width = Math.min(TILE, size - n * TILE);
    const relative = tilePath('entries', n, width);
    try {
      const bytes = await readTile(log, relative);
      if (bytes === null) {
        report('LOG_FILE_MISSING', `log/${relative}`, `entries ${n * TILE} to ${size - 1} are missing`);
        break;
      }
      const bundle = decodeBundle(bytes).slice(0, width);
      if (bundle.length !== width || bundle.some((entry) => entry.length !== HASH)) {
        report('LOG_BUNDLE_INVALID', `log/${relative}`, `not ${width} entries of ${HASH} bytes`);
        break;
      }
      for (const entry of bundle) entries.push(entry);
    } catch (error) {
      report(codeOf(error, 'LOG_FILE_UNREADABLE'), `log/${relative}`, messageOf(error));
      break;
    }
  }
  return entries;
}

export type Levels = readonly (readonly Uint8Array[])[];

/** Compares each tile byte by byte with the tree built from the entries. */
export async function checkTiles(log: string, levels: Levels, size: number, report: Report): Promise<void> {
  for (const { level, n, width } of tilesOf(size)) {
    const relative = tilePath(level, n, width);
    const wanted = Buffer.concat((levels[level * 8] ?? []).slice(n * TILE, n * TILE + width));
    try {
      const found = await readTile(log, relative);
      if (found === null) report('LOG_FILE_MISSING', `log/${relative}`, 'a tile is missing');
      else if (
        (found.length !== wanted.length && found.length !== TILE * HASH) ||
        !equalBytes(found.subarray(0, wanted.length), wanted)
      )
        report('LOG_TILE_WRONG', `log/${relative}`, 'a tile does not hold the hashes of the entries below it');
    } catch (error) {
      report(codeOf(error, 'LOG_FILE_UNREADABLE'), `log/${relative}`, messageOf(error));
    }
  }
}

/** Root over the first n leaves: complete subtrees from the right edge inwards (RFC 6962 §2.1). */
export function rootOf(levels: Levels, n: number): Uint8Array {
  let root: Uint8Array | null = null;
  let covered = n;
  for (let level = 0; covered > 0; level++) {
    const width = 2 ** level;
    if (covered % (2 * width) === 0) continue;
    const subtree = levels[level]?.[covered / width - 1];
    if (subtree === undefined) return EMPTY_ROOT;
    root = root === null ? subtree : sha256(Uint8Array.of(1), subtree, root);
    covered -= width;
  }
  return root ?? EMPTY_ROOT;
}

/** Every level of complete subtrees. */
export function levelsOf(entries: readonly Uint8Array[]): Uint8Array[][] {
  const levels: Uint8Array[][] = [entries.map((entry) => sha256(Uint8Array.of(0), entry))];
  for (let below = levels[0]!; below.length > 1; below = levels.at(-1)!) {
    levels.push(
      Array.from({ length: Math.floor(below.length / 2) }, (_, i) =>
        sha256(Uint8Array.of(1), below[2 * i]!, below[2 * i + 1]!),
      ),
    );
  }
  return levels;
}

export function checkOlder(
  levels: Levels,
  size: number,
  now: Checkpoint | null,
  trust: { readonly logKeys?: readonly string[]; readonly checkpoints?: readonly string[] },
  report: Report,
): void {
  for (const [i, note] of (trust.checkpoints ?? []).entries()) {
    const where = `older checkpoint ${i + 1}`;
    try {
      const keys = (trust.logKeys ?? []).map(parseVerifierKey);
      const text = keys.length === 0 ? note.slice(0, note.lastIndexOf('\n\n') + 1) : verifyNote(note, keys, where);
      const older = parseCheckpoint(text, where);
      if (older.origin !== now?.origin) report('LOG_ORIGIN', where, `it is of another log: ${older.origin}`);
      else if (older.size > size)
        report('LOG_TRUNCATED', where, `the log had ${older.size} entries, ${size} can be read now`);
      else if (!equalBytes(rootOf(levels, older.size), older.root))
        report('LOG_FORK', where, 'the log is not an extension of this checkpoint: it was rewritten');
    } catch (error) {
      report(codeOf(error, 'CHECKPOINT_MALFORMED'), where, messageOf(error));
    }
  }
}
