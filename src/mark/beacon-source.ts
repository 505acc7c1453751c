/** A beacon round from a file or from a drand relay, verified, as the source that a release asks after its stamp. */
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { fromUtf8, inputError, parseStrictJson } from '../base/index.js';
import {
  type BeaconChain,
  fetchBeacon,
  QUICKNET,
  roundAfter,
  timeOfRound,
  type VerifiedRound,
  verifyBeacon,
} from '../ledger/index.js';
import type { BeaconRound, BeaconSource } from './beacon.js';

/** A round is a few hundred bytes. */
const MAX_ROUND_BYTES = 4096;
/** Relays publish a round a moment after its time. */
const GRACE_MS = 1500;

const isAddress = (named: string): boolean => /^https?:\/\//.test(named);

/**
 * @param named a file with one round, or the address of a relay: of one round, or of the chain, from which the first
 *   round after the stamp is fetched
 */
export function beaconSource(named: string): BeaconSource {
  return async (notBefore) => {
    const first = roundAfter(notBefore);
    const round = isAddress(named) ? await fetchRound(named, first) : await readRound(named);
    return { ...round, first } satisfies BeaconRound;
  };
}

/**
 * One named round, for a verifier who compares it with the bundle's: from a file, or from a relay of the chain.
 * @throws `BEACON_MALFORMED`, `BEACON_SIGNATURE`, `BEACON_UNREACHABLE`
 */
export const namedRound = (named: string, round: number, chain: BeaconChain): Promise<VerifiedRound> =>
  isAddress(named) ? fetchBeacon(roundAddress(named, round), chain) : readRound(named, chain);

async function fetchRound(address: string, first: number): Promise<VerifiedRound> {
  const wait = timeOfRound(first).getTime() + GRACE_MS - Date.now();
  if (wait > 0) await sleep(wait);
  return fetchBeacon(roundAddress(address, first), QUICKNET);
}

/** @param address of one round, which is kept, or of the chain */
function roundAddress(address: string, round: number): string {
  const base = address.replace(/\/+$/, '');
  return /\/public\/\d+$/.test(base) ? base : `${base.replace(/\/public(\/latest)?$/, '')}/public/${round}`;
}

async function readRound(file: string, chain: BeaconChain = QUICKNET): Promise<VerifiedRound> {
  const bytes = await readFile(file);
  if (bytes.length > MAX_ROUND_BYTES) {
    throw inputError('BEACON_MALFORMED', 'not a round of a drand beacon', {
      expected: `at most ${MAX_ROUND_BYTES} bytes of JSON`,
      got: `${bytes.length} bytes`,
      where: file,
    });
  }
  return verifyBeacon(parseStrictJson(fromUtf8(bytes, file), file), chain, file);
}
