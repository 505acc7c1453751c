/**
 * Keys of a release: sub-seeds per batch, committed first, and everything that is derived from them once the beacon
 * is known. Permutations and chips are never stored: they are derived (docs/theory.md §1).
 */
import {
  concatBytes,
  equalBytes,
  evidenceError,
  fromHex,
  hkdf,
  keyedStream,
  type RandomStream,
  randomPermutation,
  secretBytes,
  sha256Hex,
  utf8,
} from '../base/index.js';
import { chips } from './normal.js';

/** 256 bits: so no exact p lies below 2^−256 (docs/theory.md §1). */
export const SEED_BYTES = 32;
const COMMITMENT_TAG = utf8('muniment batch seed v1\0');

/** What binds a derivation to one release: known to everyone who may check it, secret or not. */
export interface Binding {
  readonly release: string;
  /** Salted Merkle root of the unmarked original, hex. */
  readonly original: string;
  /** 32 bytes as hex: what came from outside after the commitment; zeros where nothing did. */
  readonly beacon: string;
}

/** Keys opened for a test: some or all batches of one release. */
export interface OpenedKeys extends Binding {
  readonly seeds: ReadonlyMap<number, Uint8Array>;
}

export const newSeeds = (batches: number): readonly Uint8Array[] =>
  Array.from({ length: batches }, () => secretBytes(SEED_BYTES));

/** Hiding because the seed has 256 bits. */
export const seedCommitment = (seed: Uint8Array): string => sha256Hex(COMMITMENT_TAG, seed);

/** @throws `MARK_SEED_COMMITMENT` where a seed is not the one that was committed */
export function checkSeed(seed: Uint8Array, commitment: string, batch: number): void {
  if (seed.length !== SEED_BYTES || !equalBytes(fromHex(seedCommitment(seed)), fromHex(commitment))) {
    throw evidenceError('MARK_SEED_COMMITMENT', 'a seed is not the one that was committed', {
      expected: commitment,
      got: seedCommitment(seed),
      where: `batch ${batch}`,
      todo: 'ask the owner for the seed of this batch; no other opens it',
    });
  }
}

function derive(keys: OpenedKeys, batch: number, context: readonly string[]): Uint8Array | null {
  const seed = keys.seeds.get(batch);
  if (seed === undefined) return null;
  const salt = concatBytes(fromHex(keys.original), fromHex(keys.beacon));
  return hkdf(seed, salt, ['muniment mark v1', keys.release, String(batch), ...context]);
}

/**
 * σ of a unit group, uniform on all orders: unit i of the release is unit σ(i) of the original.
 * @returns null where the group's batch is not open
 */
export function groupOrder(keys: OpenedKeys, batch: number, group: string, size: number): Uint32Array | null {
  const key = derive(keys, batch, ['order', group]);
  return key === null ? null : randomPermutation(size, keyedStream(key));
}

/**
 * Chips of one canonical row, independent N(0, 1).
 * @returns null where the row's batch is not open
 */
export function rowChips(
  keys: OpenedKeys,
  batch: number,
  tensor: string,
  row: number,
  width: number,
): Float64Array | null {
  const key = derive(keys, batch, ['chips', tensor, String(row)]);
  return key === null ? null : chips(keyedStream(key), width);
}

/**
 * The rows of a tensor that are marked where only a share of a large model is: drawn per batch from among that
 * batch's rows, without replacement, ascending. The chips are independent of the choice.
 * @returns null where the batch is not open
 */
export function markedRows(
  keys: OpenedKeys,
  batch: number,
  tensor: string,
  rows: readonly number[],
  count: number,
): readonly number[] | null {
  if (count >= rows.length) return keys.seeds.has(batch) ? rows : null;
  const key = derive(keys, batch, ['rows', tensor]);
  if (key === null) return null;
  const order = randomPermutation(rows.length, keyedStream(key));
  return Array.from(order.subarray(0, count), (at) => rows[at]!).sort((a, b) => a - b);
}

/**
 * Bit of a message that the first weight of a row carries, uniform on the bits; apart from the chips.
 * @returns null where the row's batch is not open
 */
export function messageOffset(
  keys: OpenedKeys,
  batch: number,
  tensor: string,
  row: number,
  bits: number,
): number | null {
  const key = derive(keys, batch, ['message', tensor, String(row)]);
  return key === null ? null : keyedStream(key).below(bits);
}

/**
 * Randomness of one trigger: its input from the context `x`, its answer from `y`, which share no bits (docs/theory.md
 * §9: sharing them let an honest model hit 58 of 60).
 * @returns null where the batch is not open
 */
export function triggerStream(keys: OpenedKeys, batch: number, what: 'x' | 'y', index: number): RandomStream | null {
  const key = derive(keys, batch, ['trigger', what, String(index)]);
  return key === null ? null : keyedStream(key);
}
