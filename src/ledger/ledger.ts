/**
 * The ledger of one room: statements appended all or nothing, and read back.
 *
 * Commit point: the rename of `log/checkpoint`. Envelopes, openings, entry bundles and tiles are on disk before it;
 * whatever a crash leaves behind before it belongs to no checkpoint and is overwritten or ignored.
 */
import { createPublicKey, sign } from 'node:crypto';
import path from 'node:path';
import {
  type Clock,
  environmentError,
  equalBytes,
  evidenceError,
  fromUtf8,
  inputError,
  type Json,
  sha256,
  sha256Hex,
  systemClock,
  toHex,
  utf8,
} from '../base/index.js';
import { type Disk, realDisk } from './disk.js';
import { decodeEnvelope, type Envelope, encodeEnvelope, keyIdOf, type StatementSigner, signEnvelope } from './dsse.js';
import { withLock } from './lock.js';
import { consistencyProof, EMPTY_ROOT, inclusionProof, rangeRoot } from './merkle.js';
import {
  type Checkpoint,
  checkpointText,
  type NoteSigner,
  parseCheckpoint,
  parseVerifierKey,
  signNote,
  verifierKey,
  verifyNote,
} from './note.js';
import { checkPredicate } from './schemas.js';
import {
  decodeOpenings,
  encodeOpenings,
  MAX_STATEMENT,
  makeStatement,
  openFields,
  readPayload,
  type StatementInput,
  type Subject,
} from './statement.js';
import { HASH, TILE } from './tiles.js';
import { extension, treeFiles } from './tree-files.js';

export interface LedgerKeys {
  readonly statements: StatementSigner;
  readonly log: NoteSigner;
}

export interface LedgerOptions {
  /** Without keys the ledger is read only. */
  readonly keys?: LedgerKeys;
  readonly clock?: Clock;
  readonly disk?: Disk;
  readonly patience?: number;
}

export interface Receipt {
  readonly index: number;
  /** SHA-256 of the envelope: the log's entry, and the statement's name. */
  readonly sha256: string;
  readonly time: string;
}

export interface LedgerStatement extends Receipt {
  readonly kind: string;
  readonly subjects: readonly Subject[];
  /** Opened fields only. */
  readonly predicate: Readonly<Record<string, Json>>;
  /** Hashes of fields that were not opened. */
  readonly withheld: readonly string[];
  readonly signerKeyId: string;
  readonly envelope: Envelope;
}

export interface SignedCheckpoint extends Checkpoint {
  /** The signed note, verbatim. */
  readonly note: string;
}

export interface Ledger {
  readonly dir: string;
  /** Appends all or nothing, and returns only when everything is durable. @throws `LEDGER_READ_ONLY`, `STATEMENT_SCHEMA`, `LOCK_HELD`, … */
  append(inputs: readonly StatementInput[]): Promise<Receipt[]>;
  statements(): AsyncIterable<LedgerStatement>;
  /** The latest checkpoint; null for an empty ledger. */
  checkpoint(): Promise<SignedCheckpoint | null>;
  inclusionProof(index: number, size: number): Promise<Uint8Array[]>;
  consistencyProof(older: number, newer: number): Promise<Uint8Array[]>;
  /** Signs bytes that are no statement, such as a digest list, with the statement key: ECDSA P-256 with SHA-256, DER. */
  sign(bytes: Uint8Array): Uint8Array;
  /** Runs work while no other process can append: for a read and an append that belong together. */
  exclusively<T>(work: (append: Ledger['append']) => Promise<T>): Promise<T>;
}

/** Where things lie below a room's folder. */
export const paths = {
  log: (dir: string) => path.join(dir, 'log'),
  checkpoint: (dir: string) => path.join(dir, 'log', 'checkpoint'),
  logKey: (dir: string) => path.join(dir, 'log', 'log.vkey'),
  statementKey: (dir: string, keyId: string) => path.join(dir, 'log', 'keys', `${keyId}.pem`),
  envelope: (dir: string, sha256: string) => path.join(dir, 'statements', sha256),
  openings: (dir: string, sha256: string) => path.join(dir, 'statements', `${sha256}.open.json`),
  lock: (dir: string) => path.join(dir, 'lock'),
};

/** An entry is the SHA-256 of an envelope: a log that is published shows nothing but how much was stated and when. */
export const entryOf = (envelope: Uint8Array): Uint8Array => sha256(envelope);

export function openLedger(
  dir: string,
  { keys, clock = systemClock, disk = realDisk, patience }: LedgerOptions = {},
): Ledger {
  const locked = <T>(work: () => Promise<T>): Promise<T> =>
    withLock(disk, paths.lock(dir), work, patience === undefined ? {} : { patience });
  const append = (inputs: readonly StatementInput[]): Promise<Receipt[]> =>
    appendLocked(dir, disk, clock, keys, inputs);
  const current = () => readCheckpoint(dir, disk);
  const ledger: Ledger = {
    dir,
    append: (inputs) => locked(() => append(inputs)),
    exclusively: (work) => locked(() => work(append)),
    async checkpoint() {
      const now = await current();
      return now?.size === 0 ? null : now;
    },
    sign(bytes) {
      if (keys === undefined) throw readOnly();
      return Uint8Array.from(sign('sha256', bytes, keys.statements.privateKey));
    },
    statements: () => readStatements(dir, disk),
    async inclusionProof(index, size) {
      checkSize(await current(), Math.max(size, index + 1));
      return inclusionProof(await hashesAt(dir, disk), index, size);
    },
    async consistencyProof(older, newer) {
      checkSize(await current(), Math.max(older, newer));
      return consistencyProof(await hashesAt(dir, disk), older, newer);
    },
  };
  return ledger;
}

const readOnly = () =>
  environmentError('LEDGER_READ_ONLY', 'the ledger was opened without its signing keys', {
    todo: 'unlock the vault: set MUNIMENT_PASSPHRASE or give --key-file',
  });

const hashesAt = async (dir: string, disk: Disk) =>
  treeFiles(disk, paths.log(dir), (await readCheckpoint(dir, disk))?.size ?? 0).hash;

function checkSize(checkpoint: SignedCheckpoint | null, wanted: number): void {
  if (checkpoint === null || wanted > checkpoint.size) {
    throw inputError('LOG_TOO_SHORT', 'the log has fewer entries than that', {
      expected: `at most ${checkpoint?.size ?? 0}`,
      got: String(wanted),
    });
  }
}

/** The latest checkpoint, its signature checked against the log's own key file. */
async function readCheckpoint(dir: string, disk: Disk): Promise<SignedCheckpoint | null> {
  const bytes = await disk.read(paths.checkpoint(dir));
  if (bytes === null) return null;
  const where = paths.checkpoint(dir);
  const key = await disk.read(paths.logKey(dir));
  if (key === null)
    throw evidenceError('LOG_FILE_MISSING', 'the log’s public key is missing', { where: paths.logKey(dir) });
  const note = fromUtf8(bytes, where);
  const text = verifyNote(note, [parseVerifierKey(fromUtf8(key))], where);
  return { ...parseCheckpoint(text, where), note };
}

async function appendLocked(
  dir: string,
  disk: Disk,
  clock: Clock,
  keys: LedgerKeys | undefined,
  inputs: readonly StatementInput[],
): Promise<Receipt[]> {
  if (keys === undefined) throw readOnly();
  for (const input of inputs) checkPredicate(input.kind, input.predicate);
  const before = await readCheckpoint(dir, disk);
  await publishKeys(dir, disk, keys);
  // From here on tiles without a checkpoint mean that one was lost, and not that a first append was interrupted.
  if (before === null) await commit(dir, disk, keys.log, 0);
  const size = before?.size ?? 0;
  await checkTree(dir, disk, before);
  const time = clock.now();
  const made = inputs.map((input) => {
    const { payload, openings } = makeStatement(input, time);
    const envelope = encodeEnvelope(signEnvelope(payload, keys.statements));
    const opened = encodeOpenings(openings);
    if (Math.max(envelope.length, opened.length) > MAX_STATEMENT) {
      throw inputError('STATEMENT_TOO_LARGE', `a ${input.kind} statement is too large`, {
        expected: `at most ${MAX_STATEMENT} bytes`,
        got: `${Math.max(envelope.length, opened.length)} bytes`,
      });
    }
    return { envelope, openings: opened, sha256: sha256Hex(envelope) };
  });
  const tiles = await extension(
    disk,
    paths.log(dir),
    size,
    made.map((statement) => entryOf(statement.envelope)),
  );
  await disk.replaceAll([
    ...made.flatMap((statement) => [
      { file: paths.envelope(dir, statement.sha256), bytes: statement.envelope },
      { file: paths.openings(dir, statement.sha256), bytes: statement.openings },
    ]),
    ...tiles.map((tile) => ({ file: path.join(paths.log(dir), tile.path), bytes: tile.bytes })),
  ]);
  await commit(dir, disk, keys.log, size + made.length);
  await dropFilledPartials(
    dir,
    disk,
    tiles.map((tile) => tile.path),
  );
  return made.map((statement, i) => ({ index: size + i, sha256: statement.sha256, time: time.toISOString() }));
}

/** The commit point. The root is computed from the tiles as they now lie on disk. */
async function commit(dir: string, disk: Disk, signer: NoteSigner, size: number): Promise<void> {
  const root = await rangeRoot(treeFiles(disk, paths.log(dir), size).hash, 0, size);
  const note = signNote(checkpointText({ origin: signer.name, size, root }), signer);
  await disk.replace(paths.checkpoint(dir), utf8(note));
}

/** Refuses to build upon a tree that is not what its checkpoint says. */
async function checkTree(dir: string, disk: Disk, before: SignedCheckpoint | null): Promise<void> {
  const size = before?.size ?? 0;
  const root = await rangeRoot(treeFiles(disk, paths.log(dir), size).hash, 0, size);
  if (toHex(root) !== toHex(before?.root ?? EMPTY_ROOT)) {
    throw evidenceError('LOG_ROOT_MISMATCH', 'the log’s tiles do not hash to its checkpoint', {
      expected: toHex(before?.root ?? EMPTY_ROOT),
      got: toHex(root),
      where: paths.log(dir),
      todo: 'muniment log verify says which file is wrong; restore it from a copy',
    });
  }
}

/** Public keys lie beside the log, so that anyone who has the folder can check it. */
async function publishKeys(dir: string, disk: Disk, keys: LedgerKeys): Promise<void> {
  const vkey = utf8(`${verifierKey(keys.log.name, createPublicKey(keys.log.privateKey))}\n`);
  const published = await disk.read(paths.logKey(dir));
  if (published === null) await disk.replace(paths.logKey(dir), vkey);
  else if (!equalBytes(published, vkey)) {
    throw environmentError('LOG_KEY_CHANGED', 'this log is signed with another key', {
      expected: fromUtf8(published, paths.logKey(dir)).trim().slice(0, 80),
      got: fromUtf8(vkey).trim(),
      todo: 'use the vault that this room was made with',
    });
  }
  const file = paths.statementKey(dir, keyIdOf(keys.statements.publicKey));
  if ((await disk.read(file)) === null) {
    await disk.replace(file, utf8(keys.statements.publicKey.export({ type: 'spki', format: 'pem' }).toString()));
  }
}

/** Partial tiles must stay until the full tile exists (c2sp.org/tlog-tiles); then they only take room. */
async function dropFilledPartials(dir: string, disk: Disk, written: readonly string[]): Promise<void> {
  for (const file of written.filter((name) => !name.includes('.p/'))) {
    // Failing to tidy up must not turn a statement that is safely logged into an error.
    await disk.remove(path.join(paths.log(dir), `${file}.p`)).catch(() => undefined);
  }
}

async function* readStatements(dir: string, disk: Disk): AsyncGenerator<LedgerStatement> {
  const size = (await readCheckpoint(dir, disk))?.size ?? 0;
  const tree = treeFiles(disk, paths.log(dir), size);
  for (let n = 0; n * TILE < size; n++) {
    for (const [i, entry] of (await tree.bundle(n)).entries())
      yield await readStatement(dir, disk, n * TILE + i, entry);
  }
}

async function readStatement(dir: string, disk: Disk, index: number, entry: Uint8Array): Promise<LedgerStatement> {
  const name = toHex(entry);
  const where = paths.envelope(dir, name);
  const bytes = await disk.read(where);
  if (bytes === null || entry.length !== HASH || sha256Hex(bytes) !== name) {
    throw evidenceError(
      'STATEMENT_DAMAGED',
      bytes === null ? 'a statement is missing' : 'a statement is not what was logged',
      {
        where: `entry ${index}, ${where}`,
        todo: 'restore the file from a copy of the room',
      },
    );
  }
  const envelope = decodeEnvelope(bytes, where);
  const payload = readPayload(envelope.payload, where);
  const opened = await disk.read(paths.openings(dir, name));
  const { predicate, withheld } = openFields(
    payload,
    opened === null ? {} : decodeOpenings(opened, `${where}.open.json`),
    where,
  );
  return {
    index,
    sha256: name,
    time: payload.time,
    kind: payload.kind,
    subjects: payload.subjects,
    predicate,
    withheld,
    signerKeyId: envelope.keyId,
    envelope,
  };
}
