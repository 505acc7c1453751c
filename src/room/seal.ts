/** AES-256-GCM with its tag behind the bytes. A key and nonce must never meet twice. */
import { createCipheriv, createDecipheriv } from 'node:crypto';
import { concatBytes } from '../base/index.js';

export const TAG = 16;

/** @param context authenticated, not stored */
export function seal(key: Uint8Array, nonce: Uint8Array, context: Uint8Array, clear: Uint8Array): Uint8Array {
  const cipher = createCipheriv('aes-256-gcm', key, nonce);
  cipher.setAAD(context);
  return concatBytes(cipher.update(clear), cipher.final(), cipher.getAuthTag());
}

/** Null when anything of key, nonce, context or bytes is not what was sealed. */
export function unseal(key: Uint8Array, nonce: Uint8Array, context: Uint8Array, sealed: Uint8Array): Uint8Array | null {
  if (sealed.length < TAG) return null;
  const decipher = createDecipheriv('aes-256-gcm', key, nonce);
  decipher.setAAD(context);
  decipher.setAuthTag(sealed.subarray(sealed.length - TAG));
  try {
    return concatBytes(decipher.update(sealed.subarray(0, sealed.length - TAG)), decipher.final());
  } catch {
    return null;
  }
}
