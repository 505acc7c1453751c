/** SHA-256 and HKDF-SHA-256 over bytes, files and sources. */
import { createHash, createHmac, hkdfSync, randomBytes as nodeRandomBytes } from 'node:crypto';
import { concatBytes, toHex, utf8 } from './bytes.js';
import type { ByteSource } from './source.js';

export function sha256(...parts: readonly Uint8Array[]): Uint8Array {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return Uint8Array.from(hash.digest());
}

/** Lower-case hex SHA-256. */
export const sha256Hex = (...parts: readonly Uint8Array[]): string => toHex(sha256(...parts));

export const hmacSha256 = (key: Uint8Array, ...parts: readonly Uint8Array[]): Uint8Array => {
  const mac = createHmac('sha256', key);
  for (const part of parts) mac.update(part);
  return Uint8Array.from(mac.digest());
};

/** 4 MiB: the chunk at which node's SHA-256 reached its best rate, and small enough to bound memory. */
const CHUNK = 4 * 1024 * 1024;

/** Hex SHA-256 of a whole source, streamed. `onProgress` gets bytes done and total. */
export async function sha256OfSource(
  source: ByteSource,
  onProgress?: (done: number, total: number) => void,
): Promise<string> {
  const hash = createHash('sha256');
  for (let at = 0; at < source.byteLength; at += CHUNK) {
    const end = Math.min(at + CHUNK, source.byteLength);
    hash.update(await source.slice(at, end));
    onProgress?.(end, source.byteLength);
  }
  return hash.digest('hex');
}

/**
 * HKDF-SHA-256 (RFC 5869) with every context field length-prefixed, so that no two contexts collide.
 * @param length bytes wanted, at most 8,160
 */
export function hkdf(secret: Uint8Array, salt: Uint8Array, context: readonly string[], length = 32): Uint8Array {
  const info = concatBytes(
    ...context.flatMap((field) => {
      const bytes = utf8(field);
      const prefix = new Uint8Array(4);
      new DataView(prefix.buffer).setUint32(0, bytes.length);
      return [prefix, bytes];
    }),
  );
  return new Uint8Array(hkdfSync('sha256', secret, salt, info, length));
}

/** Secrets and nonces only: everything that must be reproducible comes from `random.ts`. */
export const secretBytes = (length: number): Uint8Array => Uint8Array.from(nodeRandomBytes(length));
