/**
 * `verifyLog`: an independent check of a room's log. It shares no code with the writer beyond hashes, signatures and the
 * wire forms: it reads the raw files, builds the whole tree anew, level by level, and compares every byte.
 */
import { createPublicKey } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { equalBytes, fromUtf8, MunimentError, sha256, sha256Hex, toHex } from '../base/index.js';
import { isTemporary } from './disk.js';
import { decodeEnvelope, keyIdOf, verifyEnvelope } from './dsse.js';
import { EMPTY_ROOT } from './merkle.js';
import { type Checkpoint, parseCheckpoint, parseVerifierKey, verifyNote } from './note.js';
import { checkPredicate } from './schemas.js';
import { decodeOpenings, openFields, readPayload } from './statement.js';
import { decodeBundle, HASH, TILE, tilePath, tilesOf } from './tiles.js';

export interface LogTrust {
  /** PEM public keys that may sign statements. Without them, the keys that lie beside the log are used, and `selfAsserted` says so. */
  readonly statementKeys?: readonly string[];
  /** Verifier keys (`name+id+key`) of the log. */
  readonly logKeys?: readonly string[];
  /** Signed checkpoints seen before, verbatim: the log must still contain each of them. */
  readonly checkpoints?: readonly string[];
}

export interface LogProblem {
  readonly code: string;
  readonly where: string;
  readonly message: string;
}

export interface LogReport {
  readonly ok: boolean;
  readonly origin: string | null;
  readonly size: number;
  /** Hex. */
  readonly root: string;
  /** True where keys came from the room itself: consistency is checked, identity is not. */
  readonly selfAsserted: boolean;
  readonly problems: readonly LogProblem[];
  /** Fields whose openings are absent, by statement: withheld or erased, not an error. */
  readonly withheld: readonly { readonly statement: string; readonly fields: number }[];
  /** Files that belong to no checkpoint: what an interrupted append leaves behind. */
  readonly harmless: readonly string[];
}

type Report = (code: string, where: string, message: string) => void;

/** @param dir the room's folder, holding `log/` and `statements/` */
export async function verifyLog(dir: string, trust: LogTrust = {}): Promise<LogReport> {
  const problems: LogProblem[] = [];
  const report: Report = (code, where, message) => problems.push({ code, where, message });
  const withheld: { statement: string; fields: number }[] = [];
  const log = path.join(dir, 'log');
  const files = await allFiles(dir);
  const checkpoint = await readSignedCheckpoint(dir, files, trust, report);
  const size = checkpoint?.size ?? 0;
  const entries = await readEntries(log, size, report);
  const root = await checkTiles(log, entries, size, report);
  if (checkpoint !== null && !equalBytes(root, checkpoint.root)) {
    report(
      'LOG_ROOT_MISMATCH',
      'log/checkpoint',
      `the entries hash to ${toHex(root)}, the checkpoint says ${toHex(checkpoint.root)}`,
    );
  }
  checkOlder(entries, checkpoint, trust, report);
  const keys = await statementKeys(dir, files, trust, report);
  for (const [index, entry] of entries.entries()) await checkStatement(dir, index, entry, keys, report, withheld);
  const expected = expectedFiles(entries, size);
  const stray = [...files].filter((file) => !expected.has(file));
  return {
    ok: problems.length === 0,
    origin: checkpoint?.origin ?? null,
    size,
    root: toHex(root),
    selfAsserted: trust.statementKeys === undefined || trust.logKeys === undefined,
    problems,
    withheld,
    harmless: stray.filter(
      (file) => isTemporary(file) || file.startsWith('log/tile/') || file.startsWith('statements/'),
    ),
  };
}

/** Relative paths of everything under log/ and statements/. */
async function allFiles(dir: string): Promise<ReadonlySet<string>> {
  const found = new Set<string>();
  const walk = async (relative: string): Promise<void> => {
    const entries = await readdir(path.join(dir, relative), { withFileTypes: true }).catch(() => []);
    for (const entry of entries) {
      const name = `${relative}/${entry.name}`;
      if (entry.isDirectory()) await walk(name);
      else found.add(name);
    }
  };
  await walk('log');
  await walk('statements');
  return found;
}

async function readSignedCheckpoint(
  dir: string,
  files: ReadonlySet<string>,
  trust: LogTrust,
  report: Report,
): Promise<Checkpoint | null> {
  if (!files.has('log/checkpoint')) {
    if ([...files].some((file) => file.startsWith('log/tile/')))
      report('LOG_CHECKPOINT_MISSING', 'log/checkpoint', 'there are tiles but no checkpoint');
    return null;
  }
  try {
    const own = trust.logKeys ?? [fromUtf8(await readFile(path.join(dir, 'log', 'log.vkey')))];
    const note = fromUtf8(await readFile(path.join(dir, 'log', 'checkpoint')), 'log/checkpoint');
    return parseCheckpoint(verifyNote(note, own.map(parseVerifierKey), 'log/checkpoint'), 'log/checkpoint');
  } catch (error) {
    report(
      error instanceof MunimentError ? error.code : 'LOG_CHECKPOINT_UNREADABLE',
      'log/checkpoint',
      messageOf(error),
    );
    return null;
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

async function readEntries(log: string, size: number, report: Report): Promise<Uint8Array[]> {
  const entries: Uint8Array[] = [];
  for (let n = 0; n * TILE < size; n++) {
    const width = Math.min(TILE, size - n * TILE);
    const relative = tilePath('entries', n, width);
    try {
      const bundle = decodeBundle(Uint8Array.from(await readFile(path.join(log, relative))));
      if (bundle.length !== width || bundle.some((entry) => entry.length !== HASH)) {
        report(
          'LOG_BUNDLE_INVALID',
          `log/${relative}`,
          `expected ${width} entries of ${HASH} bytes, found ${bundle.length}`,
        );
      }
      for (const entry of bundle.slice(0, width)) entries.push(entry);
    } catch (error) {
      report('LOG_FILE_MISSING', `log/${relative}`, messageOf(error));
    }
  }
  return entries;
}

/** Rebuilds every level from the entries and compares each tile byte by byte; returns the root. */
async function checkTiles(
  log: string,
  entries: readonly Uint8Array[],
  size: number,
  report: Report,
): Promise<Uint8Array> {
  const levels = levelsOf(entries);
  for (const { level, n, width } of tilesOf(size)) {
    const relative = tilePath(level, n, width);
    const wanted = Buffer.concat((levels[level * 8] ?? []).slice(n * TILE, n * TILE + width));
    const found = await readFile(path.join(log, relative)).catch(() => null);
    if (found === null) report('LOG_FILE_MISSING', `log/${relative}`, 'a tile is missing');
    else if (!found.equals(wanted))
      report('LOG_TILE_WRONG', `log/${relative}`, 'a tile does not hold the hashes of the entries below it');
  }
  return rootOf(levels, entries.length);
}

/** Root over the first n leaves: complete subtrees from the right edge inwards (RFC 6962 §2.1). */
function rootOf(levels: readonly (readonly Uint8Array[])[], n: number): Uint8Array {
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

function checkOlder(entries: readonly Uint8Array[], now: Checkpoint | null, trust: LogTrust, report: Report): void {
  for (const [i, note] of (trust.checkpoints ?? []).entries()) {
    const where = `older checkpoint ${i + 1}`;
    try {
      const keys = (trust.logKeys ?? []).map(parseVerifierKey);
      const text = keys.length === 0 ? note.slice(0, note.lastIndexOf('\n\n') + 1) : verifyNote(note, keys, where);
      const older = parseCheckpoint(text, where);
      if (older.origin !== now?.origin) report('LOG_ORIGIN', where, `it is of another log: ${older.origin}`);
      else if (older.size > entries.length)
        report('LOG_TRUNCATED', where, `the log had ${older.size} entries, now ${entries.length}`);
      else {
        const levels = levelsOf(entries.slice(0, older.size));
        if (!equalBytes(rootOf(levels, older.size), older.root))
          report('LOG_FORK', where, 'the log is not an extension of this checkpoint: it was rewritten');
      }
    } catch (error) {
      report(error instanceof MunimentError ? error.code : 'CHECKPOINT_MALFORMED', where, messageOf(error));
    }
  }
}

function levelsOf(entries: readonly Uint8Array[]): Uint8Array[][] {
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

async function statementKeys(
  dir: string,
  files: ReadonlySet<string>,
  trust: LogTrust,
  report: Report,
): Promise<ReadonlyMap<string, string>> {
  const keys = new Map<string, string>();
  const add = (pem: string, where: string): void => {
    try {
      keys.set(keyIdOf(createPublicKey(pem)), pem);
    } catch {
      report('KEY_UNREADABLE', where, 'not a PEM public key');
    }
  };
  if (trust.statementKeys !== undefined) for (const pem of trust.statementKeys) add(pem, 'trusted keys');
  else
    for (const file of files)
      if (/^log\/keys\/[0-9a-f]{64}\.pem$/.test(file)) add(await readFile(path.join(dir, file), 'utf8'), file);
  return keys;
}

async function checkStatement(
  dir: string,
  index: number,
  entry: Uint8Array,
  keys: ReadonlyMap<string, string>,
  report: Report,
  withheld: { statement: string; fields: number }[],
): Promise<void> {
  const name = toHex(entry);
  const where = `entry ${index}, statements/${name}`;
  try {
    const bytes = await readFile(path.join(dir, 'statements', name)).catch(() => null);
    if (bytes === null) return report('STATEMENT_MISSING', where, 'the statement is missing');
    if (sha256Hex(bytes) !== name) return report('STATEMENT_CHANGED', where, 'the statement is not what was logged');
    const envelope = decodeEnvelope(bytes, where);
    const key = keys.get(envelope.keyId);
    if (key === undefined)
      report('STATEMENT_UNKNOWN_SIGNER', where, `signed by ${envelope.keyId || 'no key'}, which is not known`);
    else if (!verifyEnvelope(envelope, key)) report('STATEMENT_SIGNATURE', where, 'the signature is wrong');
    const payload = readPayload(envelope.payload, where);
    const openings = await readFile(path.join(dir, 'statements', `${name}.open.json`)).catch(() => null);
    const opened = openFields(payload, openings === null ? {} : decodeOpenings(openings, where), where);
    checkPredicate(payload.kind, opened.predicate, opened.withheld.length === 0);
    if (opened.withheld.length > 0) withheld.push({ statement: name, fields: opened.withheld.length });
  } catch (error) {
    report(error instanceof MunimentError ? error.code : 'STATEMENT_UNREADABLE', where, messageOf(error));
  }
}

function expectedFiles(entries: readonly Uint8Array[], size: number): ReadonlySet<string> {
  const expected = new Set(['log/checkpoint', 'log/log.vkey']);
  for (const { level, n, width } of tilesOf(size)) {
    expected.add(`log/${tilePath(level, n, width)}`);
    if (level === 0) expected.add(`log/${tilePath('entries', n, width)}`);
  }
  for (const entry of entries) {
    expected.add(`statements/${toHex(entry)}`);
    expected.add(`statements/${toHex(entry)}.open.json`);
  }
  return expected;
}
