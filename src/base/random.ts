/**
 * Reproducible randomness. Two streams, both the same on every machine:
 * `keyedStream` (AES-256-CTR, for committed secrets) and `seededRandom` (the same, from a public integer seed).
 */
import { createCipheriv } from 'node:crypto';
import { utf8 } from './bytes.js';
import { sha256 } from './hash.js';

export interface RandomStream {
  /** Uniform on 0 … 2^32 − 1. */
  u32(): number;
  /** Uniform on the open interval (0, 1): (k + 1/2) / 2^53, k uniform on 53 bits. */
  unit(): number;
  /** Uniform on 0 … n − 1 by rejection sampling, so without modulo bias. 1 ≤ n ≤ 2^32. */
  below(n: number): number;
}

const BLOCK = 4096;

/** @param key 32 bytes; the stream is AES-256-CTR over zeros with a zero initial counter. One key serves one stream. */
export function keyedStream(key: Uint8Array): RandomStream {
  const cipher = createCipheriv('aes-256-ctr', key, new Uint8Array(16));
  const zeros = new Uint8Array(BLOCK);
  let block = new DataView(new ArrayBuffer(0));
  let at = 0;
  const u32 = (): number => {
    if (at + 4 > block.byteLength) {
      const bytes = cipher.update(zeros);
      block = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
      at = 0;
    }
    const value = block.getUint32(at);
    at += 4;
    return value;
  };
  return {
    u32,
    unit() {
      const high = u32() >>> 5;
      const low = u32() >>> 6;
      return (high * 67108864 + low + 0.5) / 9007199254740992;
    },
    below(n) {
      const limit = 4294967296 - (4294967296 % n);
      for (;;) {
        const value = u32();
        if (value < limit) return value % n;
      }
    },
  };
}

/** For tests, training and simulation: a stream fixed by a public seed and a label that keeps uses apart. */
export const seededRandom = (seed: number, label = ''): RandomStream =>
  keyedStream(sha256(utf8(`muniment seed ${seed} ${label}`)));

/** Uniform random permutation of 0 … n − 1 (Fisher–Yates). */
export function randomPermutation(n: number, stream: RandomStream): Uint32Array {
  const order = Uint32Array.from({ length: n }, (_, i) => i);
  for (let i = n - 1; i > 0; i--) {
    const j = stream.below(i + 1);
    const held = order[i]!;
    order[i] = order[j]!;
    order[j] = held;
  }
  return order;
}
