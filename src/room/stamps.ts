/** Time stamps of a room's checkpoints: asked for, checked, kept and logged; and read back as the earliest time of each statement. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import {
  fromUtf8,
  inputError,
  type Json,
  type MunimentError,
  parseStrictJson,
  sha256,
  sha256Hex,
  toMunimentError,
  utf8,
} from '../base/index.js';
import {
  askAuthority,
  type Disk,
  type Ledger,
  type LedgerStatement,
  newNonce,
  parseCheckpoint,
  realDisk,
  type StatementInput,
  verifyTimestamp,
} from '../ledger/index.js';
import type { Authority } from './config.js';

/** Time without any stamp is self-asserted. */
export type StampLabel = 'qualified' | 'non-qualified';

export interface Stamp {
  /** Subject of the signing certificate. */
  readonly authority: string;
  /** RFC 3339. */
  readonly time: string;
  /** SHA-256 of the response, hex; its bytes lie in `stamps/<token>.tsr`. */
  readonly token: string;
  /** Entries that the stamped checkpoint covers. */
  readonly size: number;
  /** `qualified` where the token claims it and the owner says that a state's trusted list bears it out. */
  readonly label: StampLabel;
}

export interface StampOutcome {
  readonly stamps: readonly Stamp[];
  /** `url`: who was asked, or the file of a stamp that waits and cannot be logged. */
  readonly failures: readonly { readonly url: string; readonly error: MunimentError }[];
}

/** A token that is kept and not yet logged: what its statement will need. */
interface Pending {
  readonly url: string;
  /** The signed note that was stamped. */
  readonly checkpoint: string;
}

export const stampFile = (dir: string, token: string): string => path.join(dir, 'stamps', `${token}.tsr`);
const pendingFile = (dir: string, token: string): string => path.join(dir, 'stamps', `${token}.pending.json`);
const PENDING = /^([0-9a-f]{64})\.pending\.json$/;

/**
 * Asks every authority at once. Each token is on disk before it is logged as a `timestamp` statement, so that the next
 * checkpoint holds it too; one whose logging failed is logged by the next call.
 */
export async function stampCheckpoint(
  dir: string,
  ledger: Ledger,
  authorities: readonly Authority[],
  disk: Disk = realDisk,
): Promise<StampOutcome> {
  const checkpoint = await ledger.checkpoint();
  if (checkpoint === null || authorities.length === 0) return { stamps: [], failures: [] };
  const digest = sha256(utf8(checkpoint.note));
  const failures: { url: string; error: MunimentError }[] = [];
  const answers = await Promise.all(
    authorities.map(async (authority) => {
      try {
        const nonce = newNonce();
        const response = await askAuthority(authority.url, digest, nonce);
        const stamp = stampOf(response, checkpoint.note, authority, nonce);
        return { authority, response, stamp };
      } catch (error) {
        failures.push({ url: authority.url, error: toMunimentError(error) });
        return null;
      }
    }),
  );
  const stamps: Stamp[] = [];
  for (const answer of answers) {
    if (answer === null) continue;
    const pending: Pending = { url: answer.authority.url, checkpoint: checkpoint.note };
    await disk.replaceAll([
      { file: stampFile(dir, answer.stamp.token), bytes: answer.response },
      { file: pendingFile(dir, answer.stamp.token), bytes: utf8(JSON.stringify(pending)) },
    ]);
    stamps.push(answer.stamp);
  }
  const unlogged = await logPending(dir, ledger, authorities, disk, new Set(stamps.map(({ token }) => token)));
  const isLogged = ({ token }: Stamp): boolean => !unlogged.some(({ url }) => url === pendingFile(dir, token));
  return { stamps: stamps.filter(isLogged), failures: [...failures, ...unlogged] };
}

function stampOf(response: Uint8Array, note: string, authority: Authority, nonce?: Uint8Array): Stamp {
  const where = authority.url;
  const options = nonce === undefined ? { where } : { where, nonce };
  const verified = verifyTimestamp(response, sha256(utf8(note)), [authority.root], options);
  return {
    authority: verified.authority,
    time: verified.time.toISOString(),
    token: verified.token,
    size: parseCheckpoint(note.slice(0, note.lastIndexOf('\n\n') + 1), where).size,
    label: verified.claimsQualified && authority.qualified === true ? 'qualified' : 'non-qualified',
  };
}

/**
 * Logs every token that waits for it, under the lock: another process may be logging the same ones.
 * @param fresh tokens of this call
 * @returns those that cannot be logged: damaged, or of an authority that the room no longer names; they stay where they are
 */
async function logPending(
  dir: string,
  ledger: Ledger,
  authorities: readonly Authority[],
  disk: Disk,
  fresh: ReadonlySet<string>,
): Promise<StampOutcome['failures']> {
  const waiting = async (): Promise<string[]> =>
    (await disk.list(path.join(dir, 'stamps'))).flatMap((name) => PENDING.exec(name)?.[1] ?? []);
  if ((await waiting()).length === 0) return [];
  return ledger.exclusively(async (append) => {
    const tokens = await waiting();
    // A process that was killed after logging and before tidying up leaves a logged token waiting.
    const logged = tokens.some((token) => !fresh.has(token)) ? await loggedTokens(ledger) : new Set<string>();
    const statements: StatementInput[] = [];
    const settled: string[] = [];
    const failures: { url: string; error: MunimentError }[] = [];
    for (const token of tokens) {
      try {
        if (!logged.has(token)) statements.push(await statementOf(dir, token, authorities));
        settled.push(token);
      } catch (error) {
        failures.push({ url: pendingFile(dir, token), error: toMunimentError(error) });
      }
    }
    if (statements.length > 0) await append(statements);
    for (const token of settled) await disk.remove(pendingFile(dir, token));
    return failures;
  });
}

async function loggedTokens(ledger: Ledger): Promise<ReadonlySet<string>> {
  const tokens = new Set<string>();
  for await (const { kind, predicate } of ledger.statements())
    if (kind === 'timestamp' && typeof predicate.token === 'string') tokens.add(predicate.token);
  return tokens;
}

/** @throws `STAMP_AUTHORITY`, `STAMP_DAMAGED`, and what `verifyTimestamp` throws */
async function statementOf(dir: string, token: string, authorities: readonly Authority[]): Promise<StatementInput> {
  const where = pendingFile(dir, token);
  const pending = parseStrictJson(fromUtf8(await readFile(where), where), where) as unknown as Partial<Pending> | null;
  if (typeof pending?.url !== 'string' || typeof pending.checkpoint !== 'string')
    throw inputError('STAMP_DAMAGED', 'what a waiting stamp is over cannot be read', { where });
  const authority = authorities.find(({ url }) => url === pending.url);
  if (authority === undefined)
    throw inputError('STAMP_AUTHORITY', 'a stamp waits to be logged, of an authority that this room no longer names', {
      got: pending.url,
      where,
      todo: 'name the authority again in config.json, or remove this file',
    });
  const response = Uint8Array.from(await readFile(stampFile(dir, token)));
  const stamp = stampOf(response, pending.checkpoint, authority);
  if (stamp.token !== token) throw inputError('STAMP_DAMAGED', 'a kept stamp is not the one its name says', { where });
  return {
    kind: 'timestamp',
    subjects: [
      { name: 'checkpoint', sha256: sha256Hex(utf8(pending.checkpoint)) },
      { name: 'token', sha256: token },
    ],
    predicate: {
      ...stamp,
      url: authority.url,
      checkpoint: pending.checkpoint,
    },
  };
}

/** Stamps as the ledger states them; `verify` checks the tokens themselves. */
export function stampsOf(statements: readonly Pick<LedgerStatement, 'kind' | 'predicate'>[]): readonly Stamp[] {
  return statements.flatMap(({ kind, predicate }) => (kind === 'timestamp' ? (statedStamp(predicate) ?? []) : []));
}

/** Null where openings that matter are withheld. */
function statedStamp({ authority, time, token, size, label }: Readonly<Record<string, Json>>): Stamp | null {
  const told =
    typeof authority === 'string' && typeof time === 'string' && typeof token === 'string' && typeof size === 'number';
  if (!told) return null;
  return { authority, time, token, size, label: label === 'qualified' ? 'qualified' : 'non-qualified' };
}

/** The earliest stamp that covers the statement with this index, or null where time is self-asserted. */
export function earliestStamp(stamps: readonly Stamp[], index: number): Stamp | null {
  const covering = stamps.filter((stamp) => stamp.size > index);
  const at = ({ time }: Stamp): number => Date.parse(time);
  return covering.reduce<Stamp | null>((best, stamp) => (best === null || at(stamp) < at(best) ? stamp : best), null);
}
