/**
 * What opens a vault: a passphrase or key file, through scrypt (RFC 7914), wraps the random vault key in `key.json`. The
 * items are under the vault key, so that the passphrase can change alone.
 */
import { scrypt } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import {
  concatBytes,
  environmentError,
  fileSource,
  fromBase64,
  fromUtf8,
  inputError,
  type Json,
  parseStrictJson,
  secretBytes,
  toBase64,
  usageError,
  utf8,
} from '../base/index.js';
import { realDisk } from '../ledger/index.js';
import { seal, TAG, unseal } from './seal.js';

/** Exactly one of the two. */
export interface Unlock {
  readonly passphrase?: string;
  /** Path of a file whose bytes serve as the passphrase. */
  readonly keyFile?: string;
}

/** OWASP's recommendation for scrypt in 2025: N = 2^17, r = 8, p = 1; 128 MiB and about half a second. */
export const SCRYPT_COST = 2 ** 17;
const [R, P] = [8, 1];
/** 256 MiB. A key.json that asks for more was tampered with. */
const MAX_COST = 2 ** 18;
/** A key file may be anything short; a disk image is a mistake. */
const MAX_KEY_FILE = 1024 * 1024;
/** 128 bits: fewer can be guessed. */
const MIN_KEY_FILE = 16;
const [KEY, SALT, NONCE] = [32, 32, 12];
const CONTEXT = utf8('muniment vault key v1');

export const wrappedKeyFile = (dir: string): string => path.join(dir, 'key.json');

/** @throws `VAULT_LOCKED`, `VAULT_KEY_FILE` */
async function secretOf({ passphrase, keyFile }: Unlock): Promise<Uint8Array> {
  if (passphrase !== undefined && keyFile !== undefined)
    throw usageError('VAULT_UNLOCK', 'a passphrase or a key file opens a vault, not both', { where: keyFile });
  if (keyFile !== undefined) return readKeyFile(keyFile);
  // One passphrase typed on two keyboards can differ in bytes: NFC makes it one.
  if (passphrase !== undefined && passphrase !== '') return utf8(passphrase.normalize('NFC'));
  throw environmentError('VAULT_LOCKED', 'nothing was given that opens the vault', {
    expected: 'MUNIMENT_PASSPHRASE or --key-file FILE',
    todo: 'set MUNIMENT_PASSPHRASE, or give --key-file',
  });
}

async function readKeyFile(keyFile: string): Promise<Uint8Array> {
  const refuse = (got: string, cause?: unknown) =>
    environmentError('VAULT_KEY_FILE', 'this file cannot serve as a key', {
      expected: `a file of ${MIN_KEY_FILE} to ${MAX_KEY_FILE} bytes`,
      got,
      where: keyFile,
      todo: 'check the path; a new key is made with: head -c 32 /dev/urandom > room.key',
      ...(cause === undefined ? {} : { cause }),
    });
  const source = await fileSource(keyFile).catch((cause: Error) => {
    throw refuse(cause.message, cause);
  });
  try {
    if (source.byteLength < MIN_KEY_FILE || source.byteLength > MAX_KEY_FILE)
      throw refuse(`${source.byteLength} bytes`);
    return Uint8Array.from(await source.slice(0, source.byteLength));
  } finally {
    await source.close();
  }
}

const stretch = (secret: Uint8Array, salt: Uint8Array, N: number): Promise<Uint8Array> =>
  new Promise((resolve, reject) =>
    scrypt(secret, salt, KEY, { N, r: R, p: P, maxmem: 256 * N * R }, (error, key) =>
      error === null ? resolve(Uint8Array.from(key)) : reject(error),
    ),
  );

/** Writes `key.json`, durable and as one act. @param cost scrypt's N; lower it in tests only */
export async function wrapKey(dir: string, vaultKey: Uint8Array, unlock: Unlock, cost: number): Promise<void> {
  const [salt, nonce] = [secretBytes(SALT), secretBytes(NONCE)];
  const key = await stretch(await secretOf(unlock), salt, cost);
  const sealed = concatBytes(nonce, seal(key, nonce, CONTEXT, vaultKey));
  const wrapped = { version: 1, kdf: 'scrypt', N: cost, r: R, p: P, salt: toBase64(salt), key: toBase64(sealed) };
  await realDisk.replace(wrappedKeyFile(dir), utf8(`${JSON.stringify(wrapped, null, 2)}\n`));
}

/** The vault key. @throws `VAULT_LOCKED`, `VAULT_KEY_FILE`, `VAULT_WRONG_KEY`, `VAULT_DAMAGED` */
export async function unwrapKey(dir: string, unlock: Unlock): Promise<Uint8Array> {
  const secret = await secretOf(unlock);
  const { cost, salt, sealed } = await readWrapped(wrappedKeyFile(dir));
  const key = await stretch(secret, salt, cost);
  const vaultKey = unseal(key, sealed.subarray(0, NONCE), CONTEXT, sealed.subarray(NONCE));
  if (vaultKey !== null) return vaultKey;
  throw environmentError('VAULT_WRONG_KEY', 'this passphrase or key file does not open the vault', {
    where: dir,
    todo: 'check MUNIMENT_PASSPHRASE or --key-file; there is no other way in',
  });
}

async function readWrapped(where: string): Promise<{ cost: number; salt: Uint8Array; sealed: Uint8Array }> {
  const damaged = (cause?: unknown) =>
    inputError('VAULT_DAMAGED', 'the vault’s wrapped key cannot be read', {
      expected: 'key.json of version 1, with scrypt',
      where,
      todo: 'restore it from a copy of the room; nothing else opens the vault',
      ...(cause === undefined ? {} : { cause }),
    });
  const bytes = await readFile(where).catch((error: NodeJS.ErrnoException) => {
    throw error.code === 'ENOENT' ? damaged(error) : error;
  });
  let value: Readonly<Record<string, Json>>;
  let salt: Uint8Array;
  let sealed: Uint8Array;
  try {
    value = parseStrictJson(fromUtf8(bytes, where), where) as Readonly<Record<string, Json>>;
    salt = fromBase64(String(value.salt));
    sealed = fromBase64(String(value.key));
  } catch (cause) {
    throw damaged(cause);
  }
  const cost = typeof value.N === 'number' ? value.N : 0;
  const sound =
    value.version === 1 &&
    value.kdf === 'scrypt' &&
    Number.isInteger(Math.log2(cost)) &&
    cost >= 2 &&
    cost <= MAX_COST &&
    value.r === R &&
    value.p === P &&
    salt.length === SALT &&
    sealed.length === NONCE + KEY + TAG;
  if (!sound) throw damaged();
  return { cost, salt, sealed };
}

/** Wraps the vault key anew: the items stay as they are. @param cost scrypt's N; lower it in tests only */
export async function changeUnlock(dir: string, from: Unlock, to: Unlock, cost: number = SCRYPT_COST): Promise<void> {
  await wrapKey(dir, await unwrapKey(dir, from), to, cost);
}
