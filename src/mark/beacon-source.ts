/** A beacon round from a file or from a drand relay, verified, as the source that a release asks after its stamp. */
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { fromUtf8, inputError, parseStrictJson } from '../base/index.js';
import { fetchBeacon, QUICKNET, roundAfter, timeOfRound, type VerifiedRound, verifyBeacon } from '../ledger/index.js';
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

async function fetchRound(address: string, first: number): Promise<VerifiedRound> {
  const wait = timeOfRound(first).getTime() + GRACE_MS - Date.now();
  if (wait > 0) await sleep(wait);
  const base = address.replace(/\/+$/, '');
  const single = /\/public\/\d+$/.test(base);
  const chain = base.replace(/\/public(\/latest)?$/, '');
  return fetchBeacon(single ? base : `${chain}/public/${first}`, QUICKNET);
}

async function readRound(file: string): Promise<VerifiedRound> {
  const bytes = await readFile(file);
  if (bytes.length > MAX_ROUND_BYTES) {
    throw inputError('BEACON_MALFORMED', 'not a round of a drand beacon', {
      expected: `at most ${MAX_ROUND_BYTES} bytes of JSON`,
      got: `${bytes.length} bytes`,
      where: file,
    });
  }
  return verifyBeacon(parseStrictJson(fromUtf8(bytes, file), file), QUICKNET, file);
}
