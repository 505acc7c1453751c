/** A room's settings, `config.json`: nothing secret, nothing that evidence rests on. */
import path from 'node:path';
import { fromUtf8, inputError, type Json, parseStrictJson, usageError, utf8 } from '../base/index.js';
import { type Disk, realDisk } from '../ledger/index.js';

export interface Authority {
  readonly url: string;
  /** PEM of the root that its stamps must lead to. */
  readonly root: string;
  /** True where the owner has found this authority's service in a state's trusted list (Regulation (EU) No 910/2014, art. 22). */
  readonly qualified?: boolean;
}

export interface RoomConfig {
  readonly version: 1;
  readonly owner: string;
  /** The log's name in its checkpoints. */
  readonly origin: string;
  /** RFC 3339. */
  readonly created: string;
  readonly tsa: readonly Authority[];
}

/** Room for a hundred authorities with their roots. */
const MAX_CONFIG = 1024 * 1024;

export const configFile = (dir: string): string => path.join(dir, 'config.json');

const isObject = (value: Json | undefined): value is { readonly [name: string]: Json } =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const isAuthority = (value: Json): boolean =>
  isObject(value) &&
  typeof value.url === 'string' &&
  typeof value.root === 'string' &&
  (value.qualified === undefined || typeof value.qualified === 'boolean');

/** @throws `ROOM_CONFIG`, `ROOM_NOT_FOUND` */
export async function readConfig(dir: string, disk: Disk = realDisk): Promise<RoomConfig> {
  const where = configFile(dir);
  const bytes = await disk.read(where);
  if (bytes === null)
    throw usageError('ROOM_NOT_FOUND', 'there is no room here', { where: dir, todo: 'muniment init makes one' });
  const refuse = (got: string, cause?: unknown) =>
    inputError('ROOM_CONFIG', 'the room’s configuration is not understood', {
      expected: 'version 1',
      got,
      where,
      todo: 'restore the file, or use the version of muniment that wrote it',
      ...(cause === undefined ? {} : { cause }),
    });
  if (bytes.length > MAX_CONFIG) throw refuse(`${bytes.length} bytes`);
  let value: Json;
  try {
    value = parseStrictJson(fromUtf8(bytes, where), where);
  } catch (cause) {
    throw refuse(cause instanceof Error ? cause.message : String(cause), cause);
  }
  const valid =
    isObject(value) &&
    value.version === 1 &&
    typeof value.owner === 'string' &&
    typeof value.origin === 'string' &&
    typeof value.created === 'string' &&
    Array.isArray(value.tsa) &&
    value.tsa.every(isAuthority);
  if (!valid) throw refuse(isObject(value) ? `version ${String(value.version)}` : 'no object');
  return value as unknown as RoomConfig;
}

export const writeConfig = (dir: string, config: RoomConfig, disk: Disk = realDisk): Promise<void> =>
  disk.replace(configFile(dir), utf8(`${JSON.stringify(config, null, 2)}\n`));
