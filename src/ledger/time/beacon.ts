/**
 * drand beacon rounds (drand.love/docs/specification, scheme bls-unchained-g1-rfc9380): a value that nobody knew before
 * its time, signed by a threshold of the network; the signature is verified here.
 */
import { bls12_381 } from '@noble/curves/bls12-381.js';
import {
  environmentError,
  equalBytes,
  evidenceError,
  fromHex,
  fromUtf8,
  type Json,
  MunimentError,
  parseStrictJson,
  sha256,
  u64be,
} from '../../base/index.js';
import { fetchBounded } from './http.js';

export interface BeaconChain {
  readonly name: string;
  /** Hex of the chain's hash. */
  readonly hash: string;
  /** Hex, compressed G2 point. */
  readonly publicKey: string;
  /** Unix seconds of round 1. */
  readonly genesis: number;
  /** Seconds. */
  readonly period: number;
}

/** The League of Entropy's unchained network, since August 2023. */
export const QUICKNET: BeaconChain = {
  name: 'quicknet',
  hash: '52db9ba70e0cc0f6eaf7803dd07447a1f5477735fd3f661792ba94600c84e971',
  publicKey:
    '83cf0f2896adee7eb8b5f01fcad3912212c437e0073e911fb90022d3e760183c8c4b450b6a0a6c3ac6a5776a2d1064510d1fec758c921cc22b0e17e63aaf4bcb5ed66304de9cf809bd274ca73bab4af5a6e9c76a4bc09e76eae8991ef5ece45a',
  genesis: 1692803367,
  period: 3,
};

export interface VerifiedRound {
  readonly chain: string;
  readonly round: number;
  readonly time: Date;
  /** 32 bytes, hex: SHA-256 of the signature. */
  readonly randomness: string;
  readonly signature: string;
}

export const timeOfRound = (round: number, chain: BeaconChain = QUICKNET): Date =>
  new Date((chain.genesis + (round - 1) * chain.period) * 1000);

/** The first round published strictly after `time`. */
export const roundAfter = (time: Date, chain: BeaconChain = QUICKNET): number =>
  Math.max(1, Math.floor((time.getTime() / 1000 - chain.genesis) / chain.period) + 2);

const DST = 'BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_';
/** A round is some 300 bytes. */
const MAX_ROUND_BYTES = 4096;
const TIMEOUT_MS = 20_000;
const FETCH_AGAIN = 'fetch the round again, from a relay of its network';

/** @throws `BEACON_MALFORMED`, `BEACON_SIGNATURE` */
export function verifyBeacon(round: Json, chain: BeaconChain = QUICKNET, where = 'beacon round'): VerifiedRound {
  const {
    round: number,
    signature,
    randomness,
  } = (typeof round === 'object' && round !== null && !Array.isArray(round) ? round : {}) as Record<string, Json>;
  const valid =
    typeof number === 'number' &&
    Number.isSafeInteger(number) &&
    number > 0 &&
    typeof signature === 'string' &&
    /^[0-9a-f]{96}$/.test(signature) &&
    // Bundles and chains leave it out: it follows from the signature.
    (randomness === undefined || (typeof randomness === 'string' && /^[0-9a-f]{64}$/.test(randomness)));
  if (!valid) {
    throw evidenceError('BEACON_MALFORMED', 'not a round of a drand beacon', {
      expected: `{"round", "randomness", "signature"} of ${chain.name}`,
      got: JSON.stringify(round).slice(0, 100),
      where,
      todo: FETCH_AGAIN,
    });
  }
  const bytes = fromHex(signature);
  const value = sha256(bytes);
  try {
    const message = bls12_381.G1.hashToCurve(sha256(u64be(number)), { DST });
    const good = bls12_381.shortSignatures.verify(bytes, message, fromHex(chain.publicKey));
    if (!good)
      throw evidenceError('BEACON_SIGNATURE', 'the beacon round is not signed by its network', {
        expected: `a signature of ${chain.name}`,
        got: `round ${number}, signature ${signature}`,
        where,
        todo: FETCH_AGAIN,
      });
  } catch (cause) {
    if (cause instanceof MunimentError) throw cause;
    throw evidenceError('BEACON_SIGNATURE', 'the beacon round’s signature is no point of the curve', {
      expected: `a signature of ${chain.name}`,
      got: `round ${number}, signature ${signature}`,
      where,
      todo: FETCH_AGAIN,
      cause,
    });
  }
  if (typeof randomness === 'string' && !equalBytes(fromHex(randomness), value)) {
    throw evidenceError('BEACON_SIGNATURE', 'the beacon round’s value is not the hash of its signature', {
      expected: Buffer.from(value).toString('hex'),
      got: `round ${number}, randomness ${randomness}`,
      where,
      todo: FETCH_AGAIN,
    });
  }
  return {
    chain: chain.hash,
    round: number,
    time: timeOfRound(number, chain),
    randomness: Buffer.from(value).toString('hex'),
    signature,
  };
}

/** Fetches a round from a drand HTTP relay and verifies it. @throws `BEACON_UNREACHABLE`, and what `verifyBeacon` throws */
export async function fetchBeacon(url: string, chain: BeaconChain = QUICKNET): Promise<VerifiedRound> {
  const unreachable = (got: string, cause?: unknown) =>
    environmentError('BEACON_UNREACHABLE', 'the beacon does not answer with a round', {
      got,
      where: url,
      todo: 'fetch the round elsewhere and give it as a file: --beacon round.json',
      ...(cause === undefined ? {} : { cause }),
    });
  const answer = await fetchBounded(url, MAX_ROUND_BYTES, TIMEOUT_MS).catch((cause: unknown) => {
    throw unreachable(cause instanceof Error ? cause.message : String(cause), cause);
  });
  if (!answer.ok || answer.bytes === null) {
    throw unreachable(`HTTP ${answer.status}${answer.bytes === null ? `, more than ${MAX_ROUND_BYTES} bytes` : ''}`);
  }
  return verifyBeacon(parseStrictJson(fromUtf8(answer.bytes, url), url), chain, url);
}
