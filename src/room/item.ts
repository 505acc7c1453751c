/**
 * One item of the vault as a file: salt, length, sealed name, then chunks of 1 MiB, each AES-256-GCM under a key of this
 * file alone, so that it can be read from anywhere without decrypting the rest. Salt, length and name are authenticated
 * with every chunk; the chunk's number is its nonce. So a chunk moved, left out, added or taken from elsewhere is noticed.
 */
import type { FileHandle } from 'node:fs/promises';
import {
  type ByteSource,
  Cursor,
  checkRange,
  concatBytes,
  fromUtf8,
  hkdf,
  inputError,
  secretBytes,
  u64be,
  utf8,
} from '../base/index.js';
import { seal, TAG, unseal } from './seal.js';

const MAGIC = utf8('MVLT1\n');
const CHUNK = 1024 * 1024;
const SALT = 32;
/** Names are made by the program: a longer one is a fault. */
export const MAX_NAME = 1024;
/** Out of reach of chunk numbers, which begin with four zero bytes. */
const NAME_NONCE = new Uint8Array(12).fill(255);

const chunkNonce = (index: number): Uint8Array => concatBytes(new Uint8Array(4), u64be(index));
const itemKey = (vaultKey: Uint8Array, salt: Uint8Array): Uint8Array =>
  hkdf(vaultKey, salt, ['muniment vault item v1']);

/** Encrypts a source into a new, empty file. Holds one chunk in memory. */
export async function writeItem(
  handle: FileHandle,
  vaultKey: Uint8Array,
  name: string,
  source: ByteSource,
): Promise<void> {
  const salt = secretBytes(SALT);
  const key = itemKey(vaultKey, salt);
  const head = concatBytes(MAGIC, salt, u64be(source.byteLength));
  const sealedName = seal(key, NAME_NONCE, head, utf8(name));
  await handle.writeFile(concatBytes(head, Uint8Array.of(sealedName.length >> 8, sealedName.length & 255), sealedName));
  const context = concatBytes(head, utf8(name));
  for (let at = 0, index = 0; at < source.byteLength; at += CHUNK, index++) {
    const clear = await source.slice(at, Math.min(at + CHUNK, source.byteLength));
    await handle.writeFile(seal(key, chunkNonce(index), context, clear));
  }
}

export interface Item {
  readonly name: string;
  readonly key: Uint8Array;
  readonly length: number;
  /** Where the first chunk lies. */
  readonly start: number;
  readonly context: Uint8Array;
}

const damaged = (where: string) =>
  inputError('VAULT_DAMAGED', 'an item of the vault is damaged', { where, todo: 'restore it from a copy of the room' });

/** Reads the head of an item. @throws `VAULT_DAMAGED` */
export async function readItem(file: ByteSource, vaultKey: Uint8Array): Promise<Item> {
  const cursor = new Cursor(
    await file.slice(0, Math.min(file.byteLength, MAGIC.length + SALT + 8 + 2 + MAX_NAME + TAG)),
    'VAULT',
  );
  if (cursor.remaining < MAGIC.length + SALT + 8 + 2) throw damaged(file.name);
  const head = cursor.bytes(MAGIC.length + SALT + 8);
  const key = itemKey(vaultKey, head.subarray(MAGIC.length, MAGIC.length + SALT));
  const length = Number(new DataView(head.buffer, head.byteOffset).getBigUint64(MAGIC.length + SALT));
  const nameLength = cursor.u16be();
  if (nameLength > cursor.remaining) throw damaged(file.name);
  const name = unseal(key, NAME_NONCE, head, cursor.bytes(nameLength));
  const chunks = Math.ceil(length / CHUNK);
  if (name === null || cursor.position + length + chunks * TAG !== file.byteLength) throw damaged(file.name);
  return { key, name: fromUtf8(name), length, start: cursor.position, context: concatBytes(head, name) };
}

/**
 * The clear bytes of an item as a source; closing it closes the file. Keeps the chunk read last, since reads are mostly
 * near each other. @throws `VAULT_DAMAGED` on a read
 */
export function itemSource(file: ByteSource, { key, name, length, start, context }: Item): ByteSource {
  let held = -1;
  let clear: Uint8Array = new Uint8Array(0);
  const chunk = async (index: number): Promise<Uint8Array> => {
    if (index === held) return clear;
    const from = start + index * (CHUNK + TAG);
    const size = Math.min(CHUNK, length - index * CHUNK) + TAG;
    const opened = unseal(key, chunkNonce(index), context, await file.slice(from, from + size));
    if (opened === null) throw damaged(`${name}, chunk ${index}`);
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
