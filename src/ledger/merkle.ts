/**
 * The Merkle tree of RFC 6962 §2.1: hashes, roots, inclusion and consistency proofs.
 * Verification follows RFC 9162 §2.1.3.2 and §2.1.4.2, written apart from proof making.
 */
import { equalBytes, sha256, sha256Hex } from '../base/index.js';

const LEAF = Uint8Array.of(0);
const NODE = Uint8Array.of(1);

export const leafHash = (entry: Uint8Array): Uint8Array => sha256(LEAF, entry);
export const nodeHash = (left: Uint8Array, right: Uint8Array): Uint8Array => sha256(NODE, left, right);
/** Root of the tree without entries: SHA-256 of nothing. */
export const EMPTY_ROOT = sha256();
export const EMPTY_ROOT_HEX = sha256Hex();

/** Hash of the complete subtree of 2^level leaves that begins at leaf index·2^level. */
export type SubtreeHash = (level: number, index: number) => Promise<Uint8Array>;

/** Largest power of two below n (n ≥ 2): where RFC 6962 splits. */
function split(n: number): number {
  let k = 1;
  while (k * 2 < n) k *= 2;
  return k;
}

const log2 = (n: number): number => Math.round(Math.log2(n));

/** Root over leaves [start, start + size). */
export async function rangeRoot(hash: SubtreeHash, start: number, size: number): Promise<Uint8Array> {
  if (size === 0) return EMPTY_ROOT;
  if (Number.isInteger(Math.log2(size)) && start % size === 0) return hash(log2(size), start / size);
  const k = split(size);
  return nodeHash(await rangeRoot(hash, start, k), await rangeRoot(hash, start + k, size - k));
}

/** Audit path of leaf `index` in the tree of `size` leaves, from the leaf's sibling up (RFC 6962 §2.1.1). */
export async function inclusionProof(hash: SubtreeHash, index: number, size: number): Promise<Uint8Array[]> {
  const walk = async (start: number, count: number): Promise<Uint8Array[]> => {
    if (count === 1) return [];
    const k = split(count);
    return index < start + k
      ? [...(await walk(start, k)), await rangeRoot(hash, start + k, count - k)]
      : [...(await walk(start + k, count - k)), await rangeRoot(hash, start, k)];
  };
  return walk(0, size);
}

/** Proof that the tree of `older` leaves is a prefix of that of `newer` (RFC 6962 §2.1.2). */
export async function consistencyProof(hash: SubtreeHash, older: number, newer: number): Promise<Uint8Array[]> {
  const walk = async (start: number, m: number, n: number, whole: boolean): Promise<Uint8Array[]> => {
    if (m === n) return whole ? [] : [await rangeRoot(hash, start, n)];
    const k = split(n);
    return m <= k
      ? [...(await walk(start, m, k, whole)), await rangeRoot(hash, start + k, n - k)]
      : [...(await walk(start + k, m - k, n - k, false)), await rangeRoot(hash, start, k)];
  };
  return older === 0 || older === newer ? [] : walk(0, older, newer, true);
}

/** True when the proof leads from this leaf hash at `index` to `root` of a tree of `size` leaves. */
export function verifyInclusion(
  leaf: Uint8Array,
  index: number,
  size: number,
  proof: readonly Uint8Array[],
  root: Uint8Array,
): boolean {
  if (!Number.isSafeInteger(index) || !Number.isSafeInteger(size) || index < 0 || index >= size) return false;
  let fn = index;
  let sn = size - 1;
  let hash = leaf;
  for (const sibling of proof) {
    if (sn === 0) return false;
    if (fn % 2 === 1 || fn === sn) {
      hash = nodeHash(sibling, hash);
      while (fn % 2 === 0 && fn !== 0) {
        fn /= 2;
        sn = Math.floor(sn / 2);
      }
    } else {
      hash = nodeHash(hash, sibling);
    }
    fn = Math.floor(fn / 2);
    sn = Math.floor(sn / 2);
  }
  return sn === 0 && equalBytes(hash, root);
}

/** True when the tree with `olderRoot` over `older` leaves is a prefix of that with `newerRoot` over `newer`. */
export function verifyConsistency(
  older: number,
  newer: number,
  proof: readonly Uint8Array[],
  olderRoot: Uint8Array,
  newerRoot: Uint8Array,
): boolean {
  if (!Number.isSafeInteger(older) || !Number.isSafeInteger(newer) || older < 0 || older > newer) return false;
  if (older === newer) return proof.length === 0 && equalBytes(olderRoot, newerRoot);
  if (older === 0) return proof.length === 0 && equalBytes(olderRoot, EMPTY_ROOT);
  const path = Number.isInteger(Math.log2(older)) ? [olderRoot, ...proof] : [...proof];
  let fn = older - 1;
  let sn = newer - 1;
  while (fn % 2 === 1) {
    fn = Math.floor(fn / 2);
    sn = Math.floor(sn / 2);
  }
  const first = path.shift();
  if (first === undefined) return false;
  let fr = first;
  let sr = first;
  for (const sibling of path) {
    if (sn === 0) return false;
    if (fn % 2 === 1 || fn === sn) {
      fr = nodeHash(sibling, fr);
      sr = nodeHash(sibling, sr);
      while (fn % 2 === 0 && fn !== 0) {
        fn /= 2;
        sn = Math.floor(sn / 2);
      }
    } else {
      sr = nodeHash(sr, sibling);
    }
    fn = Math.floor(fn / 2);
    sn = Math.floor(sn / 2);
  }
  return sn === 0 && equalBytes(fr, olderRoot) && equalBytes(sr, newerRoot);
}
