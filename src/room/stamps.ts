/** Time stamps of a room's checkpoints: asked for, checked, kept and logged; and read back as the earliest time of each statement. */
import { mkdir, open, rename } from 'node:fs/promises';
import path from 'node:path';
import { type Json, type MunimentError, sha256, sha256Hex, toMunimentError, utf8 } from '../base/index.js';
import {
  askAuthority,
  type Ledger,
  type LedgerStatement,
  newNonce,
  type StatementInput,
  verifyTimestamp,
} from '../ledger/index.js';
import type { Authority } from './config.js';

export interface Stamp {
  /** Subject of the signing certificate. */
  readonly authority: string;
  /** RFC 3339. */
  readonly time: string;
  /** SHA-256 of the response, hex; its bytes lie in `stamps/<token>.tsr`. */
  readonly token: string;
  /** Entries that the stamped checkpoint covers. */
  readonly size: number;
}

export interface StampOutcome {
  readonly stamps: readonly Stamp[];
  readonly failures: readonly { readonly url: string; readonly error: MunimentError }[];
}

export const stampFile = (dir: string, token: string): string => path.join(dir, 'stamps', `${token}.tsr`);

/** Each authority that answers is logged as a `timestamp` statement, so that the next checkpoint holds its token too. */
export async function stampCheckpoint(
  dir: string,
  ledger: Ledger,
  authorities: readonly Authority[],
): Promise<StampOutcome> {
  const checkpoint = await ledger.checkpoint();
  if (checkpoint === null || authorities.length === 0) return { stamps: [], failures: [] };
  const digest = sha256(utf8(checkpoint.note));
  const stamps: Stamp[] = [];
  const failures: { url: string; error: MunimentError }[] = [];
  const statements: StatementInput[] = [];
  for (const authority of authorities) {
    try {
      const nonce = newNonce();
      const response = await askAuthority(authority.url, digest, nonce);
      const verified = verifyTimestamp(response, digest, [authority.root], { nonce, where: authority.url });
      await keep(stampFile(dir, verified.token), response);
      const stamp: Stamp = {
        authority: verified.authority,
        time: verified.time.toISOString(),
        token: verified.token,
        size: checkpoint.size,
      };
      stamps.push(stamp);
      statements.push({
        kind: 'timestamp',
        subjects: [
          { name: 'checkpoint', sha256: sha256Hex(utf8(checkpoint.note)) },
          { name: 'token', sha256: verified.token },
        ],
        predicate: { ...stamp, url: authority.url, checkpoint: checkpoint.note, label: 'non-qualified' },
      });
    } catch (error) {
      failures.push({ url: authority.url, error: toMunimentError(error) });
    }
  }
  if (statements.length > 0) await ledger.append(statements);
  return { stamps, failures };
}

async function keep(file: string, bytes: Uint8Array): Promise<void> {
  await mkdir(path.dirname(file), { recursive: true, mode: 0o700 });
  const handle = await open(`${file}.tmp`, 'w', 0o600);
  try {
    await handle.writeFile(bytes);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(`${file}.tmp`, file);
}

/** Stamps as the ledger states them; `verify` checks the tokens themselves. */
export function stampsOf(statements: readonly Pick<LedgerStatement, 'kind' | 'predicate'>[]): readonly Stamp[] {
  const texts = ({ authority, time, token }: Readonly<Record<string, Json>>) => [authority, time, token];
  return statements.flatMap(({ kind, predicate }) =>
    kind === 'timestamp' &&
    texts(predicate).every((text) => typeof text === 'string') &&
    typeof predicate.size === 'number'
      ? [predicate as unknown as Stamp]
      : [],
  );
}

/** The earliest stamp that covers the statement with this index, or null where time is self-asserted. */
export function earliestStamp(stamps: readonly Stamp[], index: number): Stamp | null {
  const covering = stamps.filter((stamp) => stamp.size > index);
  return covering.reduce<Stamp | null>((best, stamp) => (best === null || stamp.time < best.time ? stamp : best), null);
}
