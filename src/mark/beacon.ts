/**
 * What came from outside after the commitment, so that the owner could not choose his keys with the result in view
 * (docs/theory.md §1): a beacon round, the time-stamp token itself, or nothing.
 */
import { type Json, sha256Hex, utf8 } from '../base/index.js';

/** Verified before it gets here: `ledger/time` checks a drand round against its chain's key. */
export interface BeaconRound {
  readonly chain: string;
  readonly round: number;
  /** When the round was published. */
  readonly time: Date;
  /** 32 bytes, hex. */
  readonly randomness: string;
  readonly signature: string;
  /** The first round after `notBefore`: what an owner who chooses nothing would have taken. */
  readonly first: number;
}

/** @param notBefore the moment that the stamp, or the owner's own clock, gives the commitment */
export type BeaconSource = (notBefore: Date) => Promise<BeaconRound>;

/** One time stamp of the checkpoint that holds the commitment. */
export interface StampFact {
  readonly authority: string;
  /** RFC 3339. */
  readonly time: string;
  /** SHA-256 of the token's DER, hex. */
  readonly token: string;
}

export type BeaconRecord =
  | {
      readonly kind: 'drand';
      readonly value: string;
      readonly choices: number;
      readonly chain: string;
      readonly round: number;
      readonly time: string;
      readonly signature: string;
      readonly stamped: boolean;
    }
  | { readonly kind: 'timestamp'; readonly value: string; readonly choices: number; readonly token: string }
  | { readonly kind: 'none'; readonly value: string; readonly choices: number };

const NOTHING = '00'.repeat(32);

/** Each later round that the owner could have waited for is one more choice, and is charged as one. */
export const drandRecord = (round: BeaconRound, stamped: boolean): BeaconRecord => ({
  kind: 'drand',
  value: sha256Hex(utf8(`muniment drand v1 ${round.chain} ${round.round} ${round.randomness}`)),
  choices: Math.max(1, round.round - round.first + 1),
  chain: round.chain,
  round: round.round,
  time: round.time.toISOString(),
  signature: round.signature,
  stamped,
});

/** @param requested tokens asked for, the unused ones too */
export const timestampRecord = (stamp: StampFact, requested: number): BeaconRecord => ({
  kind: 'timestamp',
  value: sha256Hex(utf8(`muniment timestamp v1 ${stamp.token}`)),
  choices: Math.max(1, requested),
  token: stamp.token,
});

export const noBeacon: BeaconRecord = { kind: 'none', value: NOTHING, choices: 1 };

/** What must be believed for an exact p to be right; printed with every line. */
export function assumptionOf(beacon: BeaconRecord): string {
  switch (beacon.kind) {
    case 'drand':
      return beacon.stamped
        ? 'SHA-256, HKDF and AES behave as random; the commitment was stamped before the beacon round that the keys are bound to, and no earlier stamp of it was kept back; every commitment made is in the ledger'
        : 'SHA-256, HKDF and AES behave as random; the commitment was made before the beacon round that the keys are bound to, which only the clock of the owner says; every commitment made is in the ledger';
    case 'timestamp':
      return `SHA-256, HKDF and AES behave as random; ${beacon.choices === 1 ? 'one token requested' : `${beacon.choices} tokens requested`}: the time-stamp token that the keys are bound to was not chosen among more; every commitment made is in the ledger`;
    case 'none':
      return 'SHA-256, HKDF and AES behave as random; the owner drew honestly: nothing from outside shows that the keys were not chosen with a result in view';
  }
}

export const beaconJson = (beacon: BeaconRecord): Json => beacon as unknown as Json;
