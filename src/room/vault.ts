/**
 * The vault: everything secret of a room, encrypted at rest. A passphrase or key file opens it through scrypt
 * (RFC 7914); a random vault key, wrapped by that, keys every item, so that the passphrase can change alone.
 *
 * An item is cut into chunks, each AES-256-GCM under a key of its own file, so that it can be read from anywhere
 * without decrypting the rest; chunk number, number of chunks, length and name are authenticated with each.
 */
import { createCipheriv, createDecipheriv, scryptSync } from 'node:crypto';
import { mkdir, open, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import {
  type ByteSource,
  Cursor,
  checkRange,
  concatBytes,
  environmentError,
  fileSource,
  fromBase64,
  fromUtf8,
  hkdf,
  hmacSha256,
  inputError,
  memorySource,
  secretBytes,
  toBase64,
  toHex,
  u64be,
  utf8,
} from '../base/index.js';

export interface Vault {
  put(name: string, bytes: Uint8Array): Promise<void>;
  /** Null where there is no such item. @throws `VAULT_DAMAGED` */
  get(name: string): Promise<Uint8Array | null>;
  list(): Promise<string[]>;
  remove(name: string): Promise<void>;
  /** Encrypts a source of any size, chunk by chunk. */
  putFile(source: ByteSource, name: string): Promise<void>;
  /** Reads an item from anywhere without decrypting the rest. @throws `VAULT_NO_ITEM`, `VAULT_DAMAGED` on a read */
  openFile(name: string): Promise<ByteSource>;
}

/** What opens a vault: exactly one of the two. */
export interface Unlock {
  readonly passphrase?: string;
  /** Path of a file whose bytes serve as the passphrase. */
  readonly keyFile?: string;
}

const MAGIC = utf8('MVLT1\n');
const CHUNK = 1024 * 1024;
const TAG = 16;
/** Items named here are paths of our own making; a longer one is a fault. */
const MAX_NAME = 1024;
/** OWASP's recommendation for scrypt in 2025: N = 2^17, r = 8, p = 1; 128 MiB and about half a second. */
const SCRYPT = { N: 2 ** 17, r: 8, p: 1 } as const;
/** A key file that asks for more memory than this was tampered with. */
const MAX_SCRYPT_N = 2 ** 20;
/** A key file may be anything short; a disk image is a mistake. */
const MAX_KEY_FILE = 1024 * 1024;

const seal = (key: Uint8Array, nonce: Uint8Array, context: Uint8Array, clear: Uint8Array): Uint8Array => {
  const cipher = createCipheriv('aes-256-gcm', key, nonce);
  cipher.setAAD(context);
  return concatBytes(cipher.update(clear), cipher.final(), cipher.getAuthTag());
};

/** Null when the tag is wrong. */
const unseal = (key: Uint8Array, nonce: Uint8Array, context: Uint8Array, sealed: Uint8Array): Uint8Array | null => {
  if (sealed.length < TAG) return null;
  const decipher = createDecipheriv('aes-256-gcm', key, nonce);
  decipher.setAAD(context);
  decipher.setAuthTag(sealed.subarray(sealed.length - TAG));
  try {
    return concatBytes(decipher.update(sealed.subarray(0, sealed.length - TAG)), decipher.final());
  } catch {
    return null;
  }
};

async function secretOf({ passphrase, keyFile }: Unlock): Promise<Uint8Array> {
  if (passphrase !== undefined && passphrase !== '') return utf8(passphrase.normalize('NFC'));
  if (keyFile !== undefined) {
    const source = await fileSource(keyFile);
    try {
      if (source.byteLength < 16 || source.byteLength > MAX_KEY_FILE) {
        throw environmentError('VAULT_KEY_FILE', 'this file cannot serve as a key', {
          expected: `16 to ${MAX_KEY_FILE} bytes`,
          got: `${source.byteLength} bytes`,
          where: keyFile,
          todo: 'make one with: head -c 32 /dev/urandom > room.key',
        });
      }
      return Uint8Array.from(await source.slice(0, source.byteLength));
    } finally {
      await source.close();
    }
  }
  throw environmentError('VAULT_LOCKED', 'nothing was given that opens the vault', {
    expected: 'MUNIMENT_PASSPHRASE or --key-file FILE',
    todo: 'set MUNIMENT_PASSPHRASE, or give --key-file',
  });
}

const stretch = (secret: Uint8Array, salt: Uint8Array, { N, r, p }: { N: number; r: number; p: number }): Uint8Array =>
  Uint8Array.from(scryptSync(secret, salt, 32, { N, r, p, maxmem: 256 * N * r }));

interface WrappedKey {
  readonly version: 1;
  readonly kdf: 'scrypt';
  readonly N: number;
  readonly r: number;
  readonly p: number;
  readonly salt: string;
  /** 12 bytes of nonce, then the sealed vault key. */
  readonly key: string;
}

const KEY_CONTEXT = utf8('muniment vault key v1');
const keyFileOf = (dir: string): string => path.join(dir, 'key.json');

/** Makes a new vault in an empty folder. @param cost scrypt's N; lower it in tests only */
export async function createVault(dir: string, unlock: Unlock, cost: number = SCRYPT.N): Promise<Vault> {
  await mkdir(path.join(dir, 'items'), { recursive: true, mode: 0o700 });
  const vaultKey = secretBytes(32);
  await writeFile(keyFileOf(dir), await wrapKey(vaultKey, unlock, cost), { mode: 0o600, flag: 'wx' });
  return vaultWith(dir, vaultKey);
}

async function wrapKey(vaultKey: Uint8Array, unlock: Unlock, N: number): Promise<string> {
  const [salt, nonce] = [secretBytes(32), secretBytes(12)];
  const key = stretch(await secretOf(unlock), salt, { ...SCRYPT, N });
  const wrapped: WrappedKey = {
    version: 1,
    kdf: 'scrypt',
    ...SCRYPT,
    N,
    salt: toBase64(salt),
    key: toBase64(concatBytes(nonce, seal(key, nonce, KEY_CONTEXT, vaultKey))),
  };
  return `${JSON.stringify(wrapped, null, 2)}\n`;
}

/** @throws `VAULT_LOCKED`, `VAULT_WRONG_KEY`, `VAULT_DAMAGED` */
export async function openVault(dir: string, unlock: Unlock): Promise<Vault> {
  return vaultWith(dir, await unwrapKey(dir, unlock));
}

async function unwrapKey(dir: string, unlock: Unlock): Promise<Uint8Array> {
  const where = keyFileOf(dir);
  let wrapped: WrappedKey;
  try {
    wrapped = JSON.parse(await readFile(where, 'utf8')) as WrappedKey;
    if (
      wrapped.version !== 1 ||
      wrapped.kdf !== 'scrypt' ||
      !(wrapped.N >= 2 && wrapped.N <= MAX_SCRYPT_N && wrapped.r === 8 && wrapped.p === 1)
    )
      throw new Error('unknown parameters');
  } catch (cause) {
    throw inputError('VAULT_DAMAGED', 'the vault’s key file cannot be read', {
      where,
      todo: 'restore it from a copy of the room; nothing else opens the vault',
      cause,
    });
  }
  const sealed = fromBase64(wrapped.key);
  const key = stretch(await secretOf(unlock), fromBase64(wrapped.salt), wrapped);
  const vaultKey = unseal(key, sealed.subarray(0, 12), KEY_CONTEXT, sealed.subarray(12));
  if (vaultKey !== null) return vaultKey;
  throw environmentError('VAULT_WRONG_KEY', 'this passphrase or key file does not open the vault', {
    where: dir,
    todo: 'check MUNIMENT_PASSPHRASE or --key-file; there is no other way in',
  });
}

/** Wraps the vault key anew: the items stay as they are. */
export async function changeUnlock(dir: string, from: Unlock, to: Unlock): Promise<void> {
  const temporary = `${keyFileOf(dir)}.new`;
  await writeFile(temporary, await wrapKey(await unwrapKey(dir, from), to, SCRYPT.N), { mode: 0o600 });
  await rename(temporary, keyFileOf(dir));
}

interface Header {
  readonly key: Uint8Array;
  readonly name: string;
  readonly length: number;
  /** Where the first chunk lies. */
  readonly start: number;
  readonly context: Uint8Array;
}

const NAME_NONCE = new Uint8Array(12).fill(255);
const chunkNonce = (index: number): Uint8Array => concatBytes(new Uint8Array(4), u64be(index));

function vaultWith(dir: string, vaultKey: Uint8Array): Vault {
  const items = path.join(dir, 'items');
  const nameKey = hkdf(vaultKey, new Uint8Array(0), ['muniment vault names v1']);
  const placeOf = (name: string): string => path.join(items, toHex(hmacSha256(nameKey, utf8(name))).slice(0, 40));
  const itemKey = (salt: Uint8Array): Uint8Array => hkdf(vaultKey, salt, ['muniment vault item v1']);

  async function putFile(source: ByteSource, name: string): Promise<void> {
    const place = placeOf(name);
    const temporary = `${place}.${process.pid}.${toHex(secretBytes(4))}.tmp`;
    const handle = await open(temporary, 'wx', 0o600);
    try {
      const salt = secretBytes(32);
      const key = itemKey(salt);
      const head = concatBytes(MAGIC, salt, u64be(source.byteLength));
      const sealedName = seal(key, NAME_NONCE, head, utf8(name));
      await handle.write(concatBytes(head, Uint8Array.of(sealedName.length >> 8, sealedName.length & 255), sealedName));
      const context = concatBytes(head, utf8(name));
      for (let at = 0, index = 0; at < source.byteLength; at += CHUNK, index++) {
        const clear = await source.slice(at, Math.min(at + CHUNK, source.byteLength));
        await handle.writeFile(seal(key, chunkNonce(index), context, clear));
      }
      await handle.sync();
      await handle.close();
      await rename(temporary, place);
      await syncFolder(items);
    } catch (error) {
      await handle.close().catch(() => undefined);
      await rm(temporary, { force: true });
      throw error;
    }
  }

  async function readHeader(file: ByteSource): Promise<Header> {
    const cursor = new Cursor(await file.slice(0, Math.min(file.byteLength, 64 + MAX_NAME)), 'VAULT');
    const magic = cursor.bytes(MAGIC.length);
    const salt = cursor.bytes(32);
    const length = Number(new DataView(Uint8Array.from(cursor.bytes(8)).buffer).getBigUint64(0));
    const head = concatBytes(magic, salt, u64be(length));
    const key = itemKey(salt);
    const name = unseal(key, NAME_NONCE, head, cursor.bytes(cursor.u16be()));
    const chunks = Math.ceil(length / CHUNK);
    if (name === null || cursor.position + length + chunks * TAG !== file.byteLength) {
      throw inputError('VAULT_DAMAGED', 'an item of the vault is damaged', {
        where: file.name,
        todo: 'restore it from a copy of the room',
      });
    }
    return { key, name: fromUtf8(name), length, start: cursor.position, context: concatBytes(head, name) };
  }

  async function openFile(name: string): Promise<ByteSource> {
    const place = placeOf(name);
    const file = await fileSource(place).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error;
      throw environmentError('VAULT_NO_ITEM', 'the vault holds no such item', { got: name, where: dir });
    });
    try {
      const header = await readHeader(file);
      if (header.name !== name) {
        throw inputError('VAULT_DAMAGED', 'an item of the vault lies in another’s place', {
          expected: name,
          got: header.name,
          where: file.name,
          todo: 'restore it from a copy of the room',
        });
      }
      return decrypting(file, header);
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  return {
    put: (name, bytes) => putFile(memorySource(bytes, name), name),
    putFile,
    openFile,
    remove: (name) => rm(placeOf(name), { force: true }),
    async get(name) {
      if (!(await readdir(items)).includes(path.basename(placeOf(name)))) return null;
      const source = await openFile(name);
      try {
        return await source.slice(0, source.byteLength);
      } finally {
        await source.close();
      }
    },
    async list() {
      const names: string[] = [];
      for (const file of (await readdir(items)).filter((entry) => /^[0-9a-f]{40}$/.test(entry))) {
        const source = await fileSource(path.join(items, file));
        try {
          names.push((await readHeader(source)).name);
        } finally {
          await source.close();
        }
      }
      return names.sort();
    },
  };
}

/** The clear bytes of an item as a source; keeps the chunk read last, since reads are mostly near each other. */
function decrypting(file: ByteSource, { key, name, length, start, context }: Header): ByteSource {
  let held = -1;
  let clear: Uint8Array = new Uint8Array(0);
  const chunk = async (index: number): Promise<Uint8Array> => {
    if (index === held) return clear;
    const from = start + index * (CHUNK + TAG);
    const size = Math.min(CHUNK, length - index * CHUNK) + TAG;
    const opened = unseal(key, chunkNonce(index), context, await file.slice(from, from + size));
    if (opened === null) {
      throw inputError('VAULT_DAMAGED', 'an item of the vault is damaged', {
        where: `${name}, chunk ${index}`,
        todo: 'restore it from a copy of the room',
      });
    }
    held = index;
    clear = opened;
    return opened;
  };
  const source: ByteSource = {
    byteLength: length,
    name,
    async slice(from, to) {
      checkRange(source, from, to);
      const out = new Uint8Array(to - from);
      for (let at = from; at < to; ) {
        const index = Math.floor(at / CHUNK);
        const part = (await chunk(index)).subarray(at - index * CHUNK, to - index * CHUNK);
        out.set(part, at - from);
        at += part.length;
      }
      return out;
    },
    close: () => file.close(),
  };
  return source;
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
