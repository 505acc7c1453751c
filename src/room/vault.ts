/** The vault: everything secret of a room, encrypted at rest. One file an item; its name, too, is in no clear text. */
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import {
  type ByteSource,
  environmentError,
  fileSource,
  hkdf,
  hmacSha256,
  inputError,
  memorySource,
  secretBytes,
  toHex,
  usageError,
  utf8,
} from '../base/index.js';
import { itemSource, MAX_NAME, readItem, writeItem } from './item.js';
import { SCRYPT_COST, type Unlock, unwrapKey, wrapKey } from './unlock.js';

export interface Vault {
  put(name: string, bytes: Uint8Array): Promise<void>;
  /** Null where there is no such item. @throws `VAULT_DAMAGED` */
  get(name: string): Promise<Uint8Array | null>;
  /** @throws `VAULT_DAMAGED` naming the file whose name cannot be read */
  list(): Promise<string[]>;
  remove(name: string): Promise<void>;
  /** Encrypts a source of any size, chunk by chunk; the item is there whole or, after a failure, as it was before. */
  putFile(source: ByteSource, name: string): Promise<void>;
  /** Reads an item from anywhere without decrypting the rest. @throws `VAULT_NO_ITEM`, `VAULT_DAMAGED` on a read */
  openFile(name: string): Promise<ByteSource>;
}

/** What a killed process left half-written. Whoever still writes touches the file far more often than this. */
const ABANDONED_MS = 60 * 60 * 1000;
const ITEM = /^[0-9a-f]{40}$/;
const HALF_WRITTEN = /^[0-9a-f]{40}\.\d+\.[0-9a-f]{8}\.tmp$/;

/** Makes a new vault in an empty folder; its key. @param cost scrypt's N; lower it in tests only */
export async function createVaultKey(dir: string, unlock: Unlock, cost: number = SCRYPT_COST): Promise<Uint8Array> {
  await mkdir(path.join(dir, 'items'), { recursive: true, mode: 0o700 });
  const vaultKey = secretBytes(32);
  await wrapKey(dir, vaultKey, unlock, cost);
  return vaultKey;
}

export const createVault = async (dir: string, unlock: Unlock, cost: number = SCRYPT_COST): Promise<Vault> =>
  vaultWith(dir, await createVaultKey(dir, unlock, cost));

/** @throws `VAULT_LOCKED`, `VAULT_KEY_FILE`, `VAULT_WRONG_KEY`, `VAULT_DAMAGED` */
export async function openVault(dir: string, unlock: Unlock): Promise<Vault> {
  const vaultKey = await unwrapKey(dir, unlock);
  await removeAbandoned(path.join(dir, 'items'));
  return vaultWith(dir, vaultKey);
}

/** A killed write of a large model would otherwise fill the disk unseen. */
async function removeAbandoned(items: string): Promise<void> {
  for (const name of (await readdir(items)).filter((entry) => HALF_WRITTEN.test(entry))) {
    const file = path.join(items, name);
    const age = await stat(file).then(
      ({ mtimeMs }) => Date.now() - mtimeMs,
      () => 0,
    );
    // A folder that cannot be written to keeps them; reading goes on.
    if (age > ABANDONED_MS) await rm(file, { force: true }).catch(() => undefined);
  }
}

export function vaultWith(dir: string, vaultKey: Uint8Array): Vault {
  const items = path.join(dir, 'items');
  const nameKey = hkdf(vaultKey, new Uint8Array(0), ['muniment vault names v1']);
  const placeOf = (name: string): string => path.join(items, toHex(hmacSha256(nameKey, utf8(name))).slice(0, 40));

  async function putFile(source: ByteSource, name: string): Promise<void> {
    const { length } = utf8(name);
    if (length === 0 || length > MAX_NAME)
      throw usageError('VAULT_NAME', 'an item of the vault cannot have this name', {
        expected: `1 to ${MAX_NAME} bytes`,
        got: `${length} bytes`,
      });
    const place = placeOf(name);
    const temporary = `${place}.${process.pid}.${toHex(secretBytes(4))}.tmp`;
    const handle = await open(temporary, 'wx', 0o600);
    try {
      await writeItem(handle, vaultKey, name, source);
      await handle.sync();
      await handle.close();
      await rename(temporary, place);
    } catch (error) {
      await handle.close().catch(() => undefined);
      await rm(temporary, { force: true });
      throw error;
    }
    await syncFolder(items);
  }

  async function openItem(name: string): Promise<ByteSource | null> {
    const file = await fileSource(placeOf(name)).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error;
      return null;
    });
    if (file === null) return null;
    try {
      const item = await readItem(file, vaultKey);
      if (item.name === name) return itemSource(file, item);
      throw inputError('VAULT_DAMAGED', 'an item of the vault lies in another’s place', {
        expected: name,
        got: item.name,
        where: file.name,
        todo: 'restore it from a copy of the room',
      });
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  return {
    put: (name, bytes) => putFile(memorySource(bytes, name), name),
    putFile,
    async openFile(name) {
      const source = await openItem(name);
      if (source !== null) return source;
      throw environmentError('VAULT_NO_ITEM', 'the vault holds no such item', { got: name, where: dir });
    },
    async remove(name) {
      await rm(placeOf(name), { force: true });
      await syncFolder(items);
    },
    async get(name) {
      const source = await openItem(name);
      if (source === null) return null;
      try {
        return await source.slice(0, source.byteLength);
      } finally {
        await source.close();
      }
    },
    async list() {
      const names: string[] = [];
      for (const file of (await readdir(items)).filter((entry) => ITEM.test(entry))) {
        const source = await fileSource(path.join(items, file));
        try {
          names.push((await readItem(source, vaultKey)).name);
        } finally {
          await source.close();
        }
      }
      return names.sort();
    },
  };
}

/** Windows opens no folders; NTFS journals names by itself. */
async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return;
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
