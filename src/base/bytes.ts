/** Byte helpers shared by every format: hex, base64, concatenation, constant-time comparison. */
import { timingSafeEqual } from 'node:crypto';
import { inputError } from './errors.js';

export const toHex = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex');

/** @throws `HEX_INVALID` unless the text is an even number of lower- or upper-case hex digits. */
export function fromHex(text: string): Uint8Array {
  if (text.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(text)) {
    throw inputError('HEX_INVALID', 'not a hexadecimal string', {
      expected: 'an even number of hex digits',
      got: text.slice(0, 40),
    });
  }
  return Uint8Array.from(Buffer.from(text, 'hex'));
}

export const toBase64 = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64');

/** Strict base64 (RFC 4648 §4, padded, no white space, canonical trailing bits). @throws `BASE64_INVALID`. */
export function fromBase64(text: string): Uint8Array {
  const bytes = Buffer.from(text, 'base64');
  if (bytes.toString('base64') !== text) {
    throw inputError('BASE64_INVALID', 'not canonical base64', { got: text.slice(0, 40) });
  }
  return Uint8Array.from(bytes);
}

export const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

/** @throws `UTF8_INVALID` on any malformed sequence; never replaces characters. */
export function fromUtf8(bytes: Uint8Array, where?: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw inputError('UTF8_INVALID', 'text is not valid UTF-8', { ...(where === undefined ? {} : { where }), cause });
  }
}

export function concatBytes(...parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

export const equalBytes = (a: Uint8Array, b: Uint8Array): boolean => a.length === b.length && timingSafeEqual(a, b);

/** Unsigned 64-bit big-endian. */
export function u64be(value: number | bigint): Uint8Array {
  const out = new Uint8Array(8);
  new DataView(out.buffer).setBigUint64(0, BigInt(value));
  return out;
}
