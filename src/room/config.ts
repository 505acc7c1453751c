/** A room's settings, `config.json`: nothing secret, nothing that evidence rests on. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { fromUtf8, inputError, type Json, parseStrictJson } from '../base/index.js';

export interface Authority {
  readonly url: string;
  /** PEM of the root that its stamps must lead to. */
  readonly root: string;
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

export const configFile = (dir: string): string => path.join(dir, 'config.json');

/** @throws `ROOM_CONFIG` */
export async function readConfig(dir: string): Promise<RoomConfig> {
  const where = configFile(dir);
  const value = parseStrictJson(fromUtf8(await readFile(where), where), where) as { readonly [name: string]: Json };
  const tsa = value.tsa;
  const valid =
    value.version === 1 &&
    typeof value.owner === 'string' &&
    typeof value.origin === 'string' &&
    typeof value.created === 'string' &&
    Array.isArray(tsa) &&
    tsa.every(
      (one: Json) =>
        typeof (one as { url?: Json } | null)?.url === 'string' && typeof (one as { root?: Json }).root === 'string',
    );
  if (!valid)
    throw inputError('ROOM_CONFIG', 'the room’s configuration is not understood', {
      expected: 'version 1',
      where,
      todo: 'restore the file, or use the version of muniment that wrote it',
    });
  return value as unknown as RoomConfig;
}
