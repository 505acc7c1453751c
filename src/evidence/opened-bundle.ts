/** A bundle as the steps of `verify` see it: its files read, its statements checked one by one. */
import { createPublicKey, verify as verifySignature } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { equalBytes, evidenceError, fromUtf8, inputError, parseStrictJson, sha256Hex } from '../base/index.js';
import {
  type Checkpoint,
  checkPredicate,
  decodeEnvelope,
  decodeOpenings,
  entryOf,
  openFields,
  parseCheckpoint,
  parseVerifierKey,
  preAuthEncoding,
  readPayload,
  verifyEnvelope,
  verifyNote,
  verifyProof,
} from '../ledger/index.js';
import type { StatementView } from '../record/index.js';
import { type BundleAbout, bundlePaths, MAX_JSON_BYTES } from './bundle.js';
import { compareDigestList, DIGEST_LIST, DIGEST_LIST_SIGNATURE, parseDigestList } from './digest-list.js';
import type { Trust } from './trust.js';

/** Of one step: `unknown` where it could not be checked here, and the step says why. */
export type Outcome = 'holds' | 'fails' | 'unknown';

/** What the steps pass on to each other. */
export interface Opened {
  readonly dir: string;
  readonly trust: Trust | null;
  readonly about: BundleAbout;
  readonly listed: ReadonlySet<string>;
  readonly checkpoint: Checkpoint;
  readonly note: string;
  readonly keys: ReadonlyMap<string, string>;
  readonly statements: readonly Shown[];
}

export interface Shown extends StatementView {
  readonly opened: boolean;
  /** Fields of an opened statement whose values are not shown. */
  readonly withheld: number;
}

export const readBytes = async (dir: string, file: string): Promise<Uint8Array> =>
  Uint8Array.from(await readFile(path.join(dir, file)));

export async function readJson<T>(dir: string, file: string): Promise<T> {
  const bytes = await readBytes(dir, file);
  if (bytes.length > MAX_JSON_BYTES)
    throw evidenceError('BUNDLE_TOO_LARGE', 'a file of the bundle is longer than any real one', { where: file });
  return parseStrictJson(fromUtf8(bytes, file), file) as unknown as T;
}

export async function checkFiles(dir: string): Promise<ReadonlySet<string>> {
  let text: string;
  try {
    text = fromUtf8(await readBytes(dir, DIGEST_LIST), DIGEST_LIST);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ENOENT' && (cause as NodeJS.ErrnoException).code !== 'ENOTDIR')
      throw cause;
    throw inputError('BUNDLE_NOT_ONE', 'this is no bundle', {
      expected: `a folder with ${DIGEST_LIST}`,
      where: dir,
      todo: 'name the folder that muniment prove made',
    });
  }
  const listed = parseDigestList(text);
  const { changed, missing, unlisted } = await compareDigestList(dir, listed);
  const first = changed[0] ?? missing[0] ?? unlisted[0];
  if (first !== undefined) {
    throw evidenceError(
      'BUNDLE_FILE_CHANGED',
      `a file ${changed.length > 0 ? 'is not what was listed' : missing.length > 0 ? 'is missing' : 'was added'}`,
      { where: first },
    );
  }
  return new Set(listed.map((entry) => entry.path));
}

export async function readAbout(dir: string): Promise<BundleAbout> {
  const about = await readJson<BundleAbout>(dir, bundlePaths.about);
  if (about.version !== 1)
    throw evidenceError('BUNDLE_VERSION', 'the bundle has a version that is not known here', {
      expected: '1',
      got: String(about.version),
      where: bundlePaths.about,
    });
  return about;
}

/** Keys that may sign: the trust file's, or without one those in the bundle. */
export async function readKeys(
  dir: string,
  listed: ReadonlySet<string>,
  trust: Trust | null,
): Promise<ReadonlyMap<string, string>> {
  if (trust !== null) return new Map(trust.owners.map((owner) => [owner.keyId, owner.key]));
  const files = [...listed].filter((file) => /^keys\/[0-9a-f]{64}\.pem$/.test(file));
  return new Map(
    await Promise.all(
      files.map(async (file) => [file.slice(5, 69), fromUtf8(await readBytes(dir, file), file)] as const),
    ),
  );
}

export async function checkListSignature(dir: string, keys: ReadonlyMap<string, string>): Promise<void> {
  const [list, signature] = [await readBytes(dir, DIGEST_LIST), await readBytes(dir, DIGEST_LIST_SIGNATURE)];
  for (const pem of keys.values()) {
    const key = createPublicKey(pem);
    if (key.asymmetricKeyType === 'ec' && verifySignature('sha256', list, key, signature)) return;
  }
  throw evidenceError('BUNDLE_SIGNATURE', 'the digest list is not signed by a key that counts here', {
    expected: [...keys.keys()].map((id) => id.slice(0, 16)).join(', ') || 'a key',
    where: DIGEST_LIST_SIGNATURE,
    todo: 'with a trust file, check that it names this owner’s key',
  });
}

export async function readCheckpoint(
  dir: string,
  trust: Trust | null,
): Promise<{ checkpoint: Checkpoint; note: string }> {
  const note = fromUtf8(await readBytes(dir, bundlePaths.checkpoint), bundlePaths.checkpoint);
  const text = verifyNote(note, await logKeys(dir, trust), bundlePaths.checkpoint);
  return { checkpoint: parseCheckpoint(text, bundlePaths.checkpoint), note };
}

export async function logKeys(dir: string, trust: Trust | null) {
  const own = fromUtf8(await readBytes(dir, bundlePaths.logKey), bundlePaths.logKey);
  return (trust === null ? [own] : trust.logs).map(parseVerifierKey);
}

export async function readStatements(
  dir: string,
  about: BundleAbout,
  keys: ReadonlyMap<string, string>,
  checkpoint: Checkpoint,
  note: string,
  listed: ReadonlySet<string>,
): Promise<readonly Shown[]> {
  const verifier = verifyNoteOnce(note);
  const shown: Shown[] = [];
  for (const name of about.statements) {
    const where = bundlePaths.envelope(name);
    const bytes = await readBytes(dir, where);
    if (sha256Hex(bytes) !== name)
      throw evidenceError('STATEMENT_CHANGED', 'a statement is not what its name says', { where });
    const envelope = decodeEnvelope(bytes, where);
    const key = keys.get(envelope.keyId);
    if (key === undefined)
      throw evidenceError('STATEMENT_UNKNOWN_SIGNER', 'a statement is signed by a key that does not count here', {
        got: envelope.keyId,
        where,
      });
    if (!verifyEnvelope(envelope, key))
      throw evidenceError('STATEMENT_SIGNATURE', 'the signature of a statement is wrong', { where });
    const derived = [
      [bundlePaths.signed(name), preAuthEncoding(envelope.payloadType, envelope.payload)],
      [bundlePaths.signature(name), envelope.signature],
    ] as const;
    for (const [file, expected] of derived) {
      if (!equalBytes(await readBytes(dir, file), expected))
        throw evidenceError('BUNDLE_DERIVED', 'a file for openssl is not what the statement holds', { where: file });
    }
    const payload = readPayload(envelope.payload, where);
    const isOpen = listed.has(bundlePaths.openings(name));
    const opened = openFields(
      payload,
      isOpen ? decodeOpenings(await readBytes(dir, bundlePaths.openings(name)), bundlePaths.openings(name)) : {},
      where,
    );
    checkPredicate(payload.kind, opened.predicate, opened.withheld.length === 0);
    const proofText = fromUtf8(await readBytes(dir, bundlePaths.proof(name)), bundlePaths.proof(name));
    const { index } = verifier(proofText, entryOf(bytes), bundlePaths.proof(name), await logKeysOf(dir));
    if (index >= checkpoint.size)
      throw evidenceError('PROOF_WRONG', 'a statement lies beyond the checkpoint', { where });
    shown.push({
      index,
      sha256: name,
      kind: payload.kind,
      subjects: payload.subjects,
      predicate: opened.predicate,
      time: payload.time,
      opened: isOpen,
      withheld: isOpen ? opened.withheld.length : 0,
    });
  }
  return shown.sort((a, b) => a.index - b.index);
}

const logKeysOf = async (dir: string) => [parseVerifierKey(fromUtf8(await readBytes(dir, bundlePaths.logKey)))];

/** Every proof must carry the bundle's own checkpoint, whose signature was checked against the keys that count. */
const verifyNoteOnce =
  (note: string) =>
  (text: string, entry: Uint8Array, where: string, verifiers: ReturnType<typeof parseVerifierKey>[]) => {
    if (!text.endsWith(`\n\n${note}`))
      throw evidenceError('PROOF_WRONG', 'a proof is for another checkpoint than the bundle’s', { where });
    return verifyProof(text, entry, verifiers, where);
  };

/**
 * Fields are signed as salted hashes, so an owner could sign a thousand values of `seeds` in one commitment, open the one
 * that fires, and call the others withheld: one release in the count, a thousand draws. Nothing may be hidden of what
 * keys or numbers rest on.
 * @throws `BUNDLE_WITHHELD`
 */
export function requireAllFields(
  shown: readonly Shown[],
  used: readonly { readonly statement: { readonly sha256: string; readonly kind: string } }[],
): void {
  for (const { statement } of used) {
    const withheld = shown.find(({ sha256 }) => sha256 === statement.sha256)?.withheld ?? 0;
    if (withheld === 0) continue;
    throw evidenceError('BUNDLE_WITHHELD', 'a statement that keys or numbers rest on is not shown whole', {
      expected: 'every field that was signed',
      got: `${withheld} withheld`,
      where: `${statement.kind} ${statement.sha256}`,
      todo: 'ask the owner for a bundle that opens them',
    });
  }
}
