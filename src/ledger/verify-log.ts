/**
 * `verifyLog`: an independent check of a room's log. It shares no code with the writer beyond hashes, signatures and the
 * wire forms: it reads the raw files, builds the whole tree anew, level by level, and compares every byte.
 */
import { createPublicKey, type KeyObject } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { equalBytes, evidenceError, fromUtf8, sha256Hex, toHex } from '../base/index.js';
import { inParallel, isTemporary } from './disk.js';
import { decodeEnvelope, keyIdOf, verifyEnvelope } from './dsse.js';
import { type Checkpoint, parseCheckpoint, parseVerifierKey, verifyNote } from './note.js';
import { codeOf, messageOf, type Report, readBounded } from './read-bounded.js';
import { checkPredicate } from './schemas.js';
import { decodeOpenings, MAX_STATEMENT, openFields, readPayload } from './statement.js';
import { tilePath, tilesOf } from './tiles.js';
import { checkOlder, checkTiles, levelsOf, readEntries, rootOf } from './verify-tree.js';

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
  /** Other files that no ledger writes there: no evidence against the log, and no part of it. */
  readonly unexpected: readonly string[];
}

/** Statements read at once: four of the largest still fit the memory. */
const AT_ONCE = 4;
/** A checkpoint or key is a few lines; 64 cosignatures of the largest kind fill a quarter of this. */
const MAX_NOTE = 1024 * 1024;

/** @param dir the room's folder, holding `log/` and `statements/` */
export async function verifyLog(dir: string, trust: LogTrust = {}): Promise<LogReport> {
  const problems: LogProblem[] = [];
  const report: Report = (code, where, message) => problems.push({ code, where, message });
  const log = path.join(dir, 'log');
  const files = await allFiles(dir);
  const checkpoint = await readSignedCheckpoint(dir, files, trust, report);
  const size = checkpoint?.size ?? 0;
  const entries = await readEntries(log, size, report);
  const levels = levelsOf(entries);
  const root = rootOf(levels, entries.length);
  if (entries.length === size) await checkTiles(log, levels, size, report);
  if (checkpoint !== null && !equalBytes(root, checkpoint.root)) {
    report(
      'LOG_ROOT_MISMATCH',
      'log/checkpoint',
      `the entries hash to ${toHex(root)}, the checkpoint says ${toHex(checkpoint.root)}`,
    );
  }
  checkOlder(levels, entries.length, checkpoint, trust, report);
  checkRepeats(entries, report);
  const keys = await statementKeys(dir, files, trust, report);
  const hidden = new Map<number, number>();
  await inParallel(
    [...entries.entries()],
    async ([index, entry]) => {
      const fields = await checkStatement(dir, index, entry, keys, report);
      if (fields > 0) hidden.set(index, fields);
    },
    AT_ONCE,
  );
  const expected = expectedFiles(entries);
  const stray = [...files].filter((file) => !expected.has(file) && !isKeyFile(file));
  return {
    ok: problems.length === 0,
    origin: checkpoint?.origin ?? null,
    size,
    root: toHex(root),
    selfAsserted: trust.statementKeys === undefined || trust.logKeys === undefined,
    problems,
    withheld: [...hidden].sort(([a], [b]) => a - b).map(([i, fields]) => ({ statement: toHex(entries[i]!), fields })),
    harmless: stray.filter(isLeftOver),
    unexpected: stray.filter((file) => !isLeftOver(file)),
  };
}

const isKeyFile = (file: string): boolean => /^log\/keys\/[0-9a-f]{64}\.pem$/.test(file);
/** Tiles and statements past the checkpoint, filled partial tiles, and temporaries. */
const isLeftOver = (file: string): boolean =>
  isTemporary(file) ||
  /^log\/tile\/(entries|[0-7])(\/x\d{3})*\/\d{3}(\.p\/([1-9]|[1-9]\d|1\d\d|2[0-4]\d|25[0-5]))?$/.test(file) ||
  /^statements\/[0-9a-f]{64}(\.open\.json)?$/.test(file);

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
  const read = async (name: string): Promise<string> => {
    const bytes = await readBounded(path.join(dir, 'log', name), MAX_NOTE);
    if (bytes === null) throw evidenceError('LOG_FILE_MISSING', `log/${name} is missing`, { where: `log/${name}` });
    return fromUtf8(bytes, `log/${name}`);
  };
  try {
    const own = trust.logKeys ?? [await read('log.vkey')];
    const text = verifyNote(await read('checkpoint'), own.map(parseVerifierKey), 'log/checkpoint');
    return parseCheckpoint(text, 'log/checkpoint');
  } catch (error) {
    report(codeOf(error, 'LOG_CHECKPOINT_UNREADABLE'), 'log/checkpoint', messageOf(error));
    return null;
  }
}

/** A statement that is logged twice would be counted twice. */
function checkRepeats(entries: readonly Uint8Array[], report: Report): void {
  const seen = new Map<string, number>();
  for (const [index, entry] of entries.entries()) {
    const name = toHex(entry);
    const first = seen.get(name);
    if (first === undefined) seen.set(name, index);
    else report('STATEMENT_REPEATED', `entry ${index}, statements/${name}`, `it is entry ${first} again`);
  }
}

async function statementKeys(
  dir: string,
  files: ReadonlySet<string>,
  trust: LogTrust,
  report: Report,
): Promise<ReadonlyMap<string, KeyObject>> {
  const keys = new Map<string, KeyObject>();
  const add = (pem: string, where: string): string | null => {
    try {
      const key = createPublicKey(pem);
      keys.set(keyIdOf(key), key);
      return keyIdOf(key);
    } catch {
      report('KEY_UNREADABLE', where, 'not a PEM public key');
      return null;
    }
  };
  if (trust.statementKeys !== undefined) {
    for (const pem of trust.statementKeys) add(pem, 'trusted keys');
    return keys;
  }
  for (const file of [...files].filter(isKeyFile)) {
    const bytes = await readBounded(path.join(dir, file), MAX_NOTE).catch(() => null);
    const id = add(bytes === null ? '' : new TextDecoder().decode(bytes), file);
    if (id !== null && !file.endsWith(`/${id}.pem`)) report('KEY_MISNAMED', file, `it is the key ${id}`);
  }
  return keys;
}

/** Checks one statement; the number of its fields that are not opened. */
async function checkStatement(
  dir: string,
  index: number,
  entry: Uint8Array,
  keys: ReadonlyMap<string, KeyObject>,
  report: Report,
): Promise<number> {
  const name = toHex(entry);
  const where = `entry ${index}, statements/${name}`;
  try {
    const bytes = await readBounded(path.join(dir, 'statements', name), MAX_STATEMENT);
    if (bytes === null) {
      report('STATEMENT_MISSING', where, 'the statement is missing');
      return 0;
    }
    if (sha256Hex(bytes) !== name) {
      report('STATEMENT_CHANGED', where, 'the statement is not what was logged');
      return 0;
    }
    const envelope = decodeEnvelope(bytes, where);
    const key = keys.get(envelope.keyId);
    if (key === undefined)
      report('STATEMENT_UNKNOWN_SIGNER', where, `signed by ${envelope.keyId || 'no key'}, which is not known`);
    else if (!verifyEnvelope(envelope, key)) report('STATEMENT_SIGNATURE', where, 'the signature is wrong');
    const payload = readPayload(envelope.payload, where);
    const openings = await readBounded(path.join(dir, 'statements', `${name}.open.json`), MAX_STATEMENT);
    const opened = openFields(payload, openings === null ? {} : decodeOpenings(openings, where), where);
    checkPredicate(payload.kind, opened.predicate, opened.withheld.length === 0);
    return opened.withheld.length;
  } catch (error) {
    report(codeOf(error, 'STATEMENT_UNREADABLE'), where, messageOf(error));
    return 0;
  }
}

function expectedFiles(entries: readonly Uint8Array[]): ReadonlySet<string> {
  const expected = new Set(['log/checkpoint', 'log/log.vkey']);
  for (const { level, n, width } of tilesOf(entries.length)) {
    expected.add(`log/${tilePath(level, n, width)}`);
    if (level === 0) expected.add(`log/${tilePath('entries', n, width)}`);
  }
  for (const entry of entries) {
    expected.add(`statements/${toHex(entry)}`);
    expected.add(`statements/${toHex(entry)}.open.json`);
  }
  return expected;
}
