/** A room: the folder `.muniment/` with its ledger, its vault and its settings. Copy the folder and you have copied everything. */
import { createPrivateKey, createPublicKey, generateKeyPairSync, X509Certificate } from 'node:crypto';
import { access, mkdir, open, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import {
  type Clock,
  environmentError,
  inputError,
  secretBytes,
  systemClock,
  toHex,
  usageError,
} from '../base/index.js';
import { type Disk, type Ledger, type LedgerKeys, openLedger, verifierKey } from '../ledger/index.js';
import { type Authority, configFile, type RoomConfig, readConfig, writeConfig } from './config.js';
import { type StampOutcome, stampCheckpoint } from './stamps.js';
import type { Unlock } from './unlock.js';
import { createVaultKey, openVault, type Vault, vaultWith } from './vault.js';

export const ROOM_FOLDER = '.muniment';

export interface Room {
  readonly dir: string;
  readonly config: RoomConfig;
  /** Read only while the vault is closed: the signing keys lie in it. */
  readonly ledger: Ledger;
  /** Null while closed. */
  readonly vault: Vault | null;
  readonly clock: Clock;
  /** Has the current checkpoint stamped by every configured authority, and logs each token. */
  stamp(): Promise<StampOutcome>;
  close(): Promise<void>;
}

export interface InitOptions extends Unlock {
  readonly owner: string;
  /** Default: a random name under a domain that is reserved for such use (RFC 2606). */
  readonly origin?: string;
  readonly tsa?: readonly Authority[];
  readonly clock?: Clock;
  /** scrypt's N; lower it in tests only. */
  readonly vaultCost?: number;
}

export interface OpenOptions {
  readonly unlock?: Unlock;
  readonly clock?: Clock;
  readonly disk?: Disk;
}

const STATEMENT_KEY = 'keys/statements.p8';
const LOG_KEY = 'keys/log.p8';

/**
 * Makes a room, whole or not at all: it is built beside its place and renamed into it. A process that is killed half-way
 * leaves `<dir>.<random>.new`, which nothing takes for a room.
 * @throws `ROOM_EXISTS`, `ROOM_ORIGIN`, `ROOM_TSA_ROOT`, `VAULT_LOCKED`
 */
export async function initRoom(dir: string, options: InitOptions): Promise<Room> {
  const clock = options.clock ?? systemClock;
  if (await exists(dir)) throw roomExists(dir);
  const config: RoomConfig = {
    version: 1,
    owner: options.owner,
    origin: checkOrigin(options.origin ?? `${toHex(secretBytes(8))}.muniment.invalid/log`),
    created: clock.now().toISOString(),
    tsa: (options.tsa ?? []).map(checkAuthority),
  };
  const building = `${dir}.${toHex(secretBytes(4))}.new`;
  try {
    await mkdir(building, { recursive: true, mode: 0o700 });
    await writeConfig(building, config);
    const vaultKey = await createVaultKey(vaultFolder(building), options, options.vaultCost);
    const vault = vaultWith(vaultFolder(building), vaultKey);
    await makeKeys(vault);
    const keys = await keysOf(vault, config.origin);
    await openLedger(building, { keys, clock }).append([
      {
        kind: 'room-opened',
        subjects: [],
        predicate: {
          owner: config.owner,
          origin: config.origin,
          statementKey: pem(keys),
          logKey: verifierKey(config.origin, createPublicKey(keys.log.privateKey)),
          authorities: config.tsa.map((one) => ({ ...one })),
        },
      },
    ]);
    await moveInto(building, dir);
    return roomOf(dir, config, vaultWith(vaultFolder(dir), vaultKey), keys, clock);
  } catch (error) {
    await rm(building, { recursive: true, force: true });
    throw error;
  }
}

const vaultFolder = (dir: string): string => path.join(dir, 'vault');

const roomExists = (dir: string) =>
  usageError('ROOM_EXISTS', 'there is a room, or another folder, in this place already', {
    where: dir,
    todo: 'use it, or choose another place with --room DIR',
  });

/** One act: of two that start at once one finds the place taken. */
async function moveInto(building: string, dir: string): Promise<void> {
  await rename(building, dir).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOTEMPTY' || error.code === 'EEXIST' || error.code === 'ENOTDIR') throw roomExists(dir);
    throw error;
  });
  // Windows opens no folders; NTFS journals names by itself.
  if (process.platform === 'win32') return;
  const parent = await open(path.dirname(dir), 'r');
  try {
    await parent.sync();
  } finally {
    await parent.close();
  }
}

const pem = (keys: LedgerKeys): string => keys.statements.publicKey.export({ type: 'spki', format: 'pem' }).toString();

async function makeKeys(vault: Vault): Promise<void> {
  const der = { type: 'pkcs8', format: 'der' } as const;
  await vault.put(
    STATEMENT_KEY,
    Uint8Array.from(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export(der)),
  );
  await vault.put(LOG_KEY, Uint8Array.from(generateKeyPairSync('ed25519').privateKey.export(der)));
}

/** @throws `ROOM_KEYS_LOST` */
async function keysOf(vault: Vault, origin: string): Promise<LedgerKeys> {
  const read = async (name: string) => {
    const bytes = await vault.get(name);
    if (bytes === null)
      throw inputError('ROOM_KEYS_LOST', 'the vault does not hold the room’s signing keys', {
        where: name,
        todo: 'restore the vault from a copy of the room',
      });
    return createPrivateKey({ key: Buffer.from(bytes), format: 'der', type: 'pkcs8' });
  };
  const privateKey = await read(STATEMENT_KEY);
  return {
    statements: { privateKey, publicKey: createPublicKey(privateKey) },
    log: { name: origin, privateKey: await read(LOG_KEY) },
  };
}

/** The nearest room upwards from a folder, or null. */
export async function findRoom(from: string): Promise<string | null> {
  for (let at = path.resolve(from); ; at = path.dirname(at)) {
    const dir = path.join(at, ROOM_FOLDER);
    if (await exists(configFile(dir))) return dir;
    if (path.dirname(at) === at) return null;
  }
}

/** @throws `ROOM_NOT_FOUND`, `ROOM_CONFIG`, `VAULT_WRONG_KEY`, `VAULT_LOCKED`, `VAULT_DAMAGED` */
export async function openRoom(dir: string, { unlock, clock = systemClock, disk }: OpenOptions = {}): Promise<Room> {
  const config = await readConfig(dir, disk);
  if (unlock === undefined) return roomOf(dir, config, null, null, clock, disk);
  const vault = await openVault(vaultFolder(dir), unlock);
  return roomOf(dir, config, vault, await keysOf(vault, config.origin), clock, disk);
}

function roomOf(
  dir: string,
  config: RoomConfig,
  vault: Vault | null,
  keys: LedgerKeys | null,
  clock: Clock,
  disk?: Disk,
): Room {
  const ledger = openLedger(dir, {
    clock,
    ...(keys === null ? {} : { keys }),
    ...(disk === undefined ? {} : { disk }),
  });
  return {
    dir,
    config,
    ledger,
    vault,
    clock,
    async stamp() {
      if (keys !== null) return stampCheckpoint(dir, ledger, config.tsa, disk);
      throw environmentError(
        'LEDGER_READ_ONLY',
        'a stamp is logged, and the room was opened without its signing keys',
        {
          where: dir,
          todo: 'unlock the vault: set MUNIMENT_PASSPHRASE or give --key-file',
        },
      );
    },
    close: async () => undefined,
  };
}

const exists = (file: string): Promise<boolean> =>
  access(file).then(
    () => true,
    () => false,
  );

function checkOrigin(origin: string): string {
  if (/^[^\s+]{1,200}$/u.test(origin)) return origin;
  throw usageError('ROOM_ORIGIN', 'this cannot be the name of a log', {
    expected: 'a URL without its scheme, no spaces, no +, such as example.com/titles',
    got: origin,
  });
}

function checkAuthority({ url, root, qualified }: Authority): Authority {
  try {
    const { protocol, href } = new URL(url);
    if (protocol !== 'http:' && protocol !== 'https:') throw new Error('not an address of HTTP');
    if (root.split('-----BEGIN CERTIFICATE-----').length !== 2) throw new Error('not exactly one certificate');
    if (!new X509Certificate(root).ca) throw new Error('not a certificate authority');
    return { url: href, root, ...(qualified === undefined ? {} : { qualified }) };
  } catch (cause) {
    throw usageError('ROOM_TSA_ROOT', 'a time-stamp authority needs its address and its root certificate', {
      expected: 'an http or https address, and one CA certificate in PEM',
      got: `${url}: ${cause instanceof Error ? cause.message : String(cause)}`,
      cause,
    });
  }
}
