/** Signed notes and checkpoints (c2sp.org/signed-note, c2sp.org/tlog-checkpoint), Ed25519. */
import { createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { concatBytes, evidenceError, fromBase64, fromHex, sha256, toBase64, toHex, utf8 } from '../base/index.js';

/** Signature type of Ed25519 in a note's key (c2sp.org/signed-note). */
const ED25519 = 0x01;
/** DER prefix of an Ed25519 SubjectPublicKeyInfo (RFC 8410 §4); the 32-byte key follows. */
const SPKI_PREFIX = fromHex('302a300506032b6570032100');
/** The specification asks for at least 16; more than this serves nobody. */
const MAX_SIGNATURES = 64;

/** A verifier key `name+hex(keyid)+base64(type ‖ key)`. */
export interface NoteVerifier {
  readonly name: string;
  readonly keyId: string;
  readonly key: KeyObject;
}

export interface NoteSigner {
  readonly name: string;
  readonly privateKey: KeyObject;
}

const rawKey = (key: KeyObject): Uint8Array =>
  Uint8Array.from(key.export({ type: 'spki', format: 'der' }).subarray(SPKI_PREFIX.length));
const keyHash = (name: string, key: Uint8Array): Uint8Array =>
  sha256(utf8(name), Uint8Array.of(0x0a, ED25519), key).subarray(0, 4);

/** @param key an Ed25519 public key */
export function verifierKey(name: string, key: KeyObject): string {
  const raw = rawKey(key);
  return `${name}+${toHex(keyHash(name, raw))}+${toBase64(concatBytes(Uint8Array.of(ED25519), raw))}`;
}

/** @throws `NOTE_KEY_INVALID` */
export function parseVerifierKey(text: string): NoteVerifier {
  const match = /^([^\s+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)$/.exec(text.trim());
  const body = match === null ? new Uint8Array(0) : fromBase64(match[3] ?? '');
  const name = match?.[1] ?? '';
  if (body.length !== 33 || body[0] !== ED25519 || toHex(keyHash(name, body.subarray(1))) !== match?.[2]) {
    throw evidenceError('NOTE_KEY_INVALID', 'not an Ed25519 verifier key', {
      expected: 'name+hex key id+base64 key',
      got: text.slice(0, 80),
    });
  }
  const der = Buffer.from(concatBytes(SPKI_PREFIX, body.subarray(1)));
  return { name, keyId: match[2] ?? '', key: createPublicKey({ key: der, format: 'der', type: 'spki' }) };
}

export function signNote(text: string, signer: NoteSigner): string {
  const raw = rawKey(createPublicKey(signer.privateKey));
  const signature = concatBytes(keyHash(signer.name, raw), sign(null, utf8(text), signer.privateKey));
  return `${text}\n— ${signer.name} ${toBase64(signature)}\n`;
}

/**
 * The text of a note that every known signer really signed, at least one of them.
 * @throws `NOTE_MALFORMED`, `NOTE_SIGNATURE` (a known key's signature fails), `NOTE_UNKNOWN_SIGNER` (none is known)
 */
export function verifyNote(note: string, verifiers: readonly NoteVerifier[], where: string): string {
  const malformed = (what: string): never => {
    throw evidenceError('NOTE_MALFORMED', `a signed note ${what}`, { where });
  };
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the specification forbids exactly these
  if (/[\u0000-\u0009\u000b-\u001f]/.test(note)) return malformed('holds control characters');
  const at = note.lastIndexOf('\n\n');
  if (at < 0) return malformed('has no empty line before its signatures');
  const text = note.slice(0, at + 1);
  const block = note.slice(at + 2);
  if (block === '' || !block.endsWith('\n')) return malformed('has no signature lines');
  const lines = block.slice(0, -1).split('\n');
  if (lines.length > MAX_SIGNATURES) return malformed(`has more than ${MAX_SIGNATURES} signatures`);
  let known = 0;
  for (const line of lines) {
    const match = /^— ([^\s+]+) ([A-Za-z0-9+/]+={0,2})$/.exec(line);
    if (match === null) return malformed('has a malformed signature line');
    const bytes = fromBase64(match[2] ?? '');
    if (bytes.length < 5) return malformed('has a signature that is too short');
    const verifier = verifiers.find((v) => v.name === match[1] && v.keyId === toHex(bytes.subarray(0, 4)));
    if (verifier === undefined) continue;
    if (!verify(null, utf8(text), verifier.key, bytes.subarray(4))) {
      throw evidenceError('NOTE_SIGNATURE', 'a signature of a known key on a note is wrong', {
        got: verifier.name,
        where,
      });
    }
    known++;
  }
  if (known === 0) throw evidenceError('NOTE_UNKNOWN_SIGNER', 'no known key signed this note', { where });
  return text;
}

export interface Checkpoint {
  readonly origin: string;
  readonly size: number;
  readonly root: Uint8Array;
}

export const checkpointText = ({ origin, size, root }: Checkpoint): string => `${origin}\n${size}\n${toBase64(root)}\n`;

/** @throws `CHECKPOINT_MALFORMED` */
export function parseCheckpoint(text: string, where: string): Checkpoint {
  const [origin, size, root, ...rest] = text.split('\n');
  if (!origin || !/^(0|[1-9]\d{0,15})$/.test(size ?? '') || root === undefined || rest.length !== 1 || rest[0] !== '') {
    throw evidenceError('CHECKPOINT_MALFORMED', 'a checkpoint is not origin, size and root', {
      got: text.slice(0, 100),
      where,
    });
  }
  const hash = fromBase64(root);
  if (hash.length !== 32) throw evidenceError('CHECKPOINT_MALFORMED', 'a checkpoint’s root is not 32 bytes', { where });
  return { origin, size: Number(size), root: hash };
}
