/** Asking an RFC 3161 time-stamp authority over HTTP (RFC 3161 §2.4.1, §3.4). */
import { AsnConvert, OctetString } from '@peculiar/asn1-schema';
import { MessageImprint, TimeStampReq, TimeStampReqVersion } from '@peculiar/asn1-tsp';
import { AlgorithmIdentifier } from '@peculiar/asn1-x509';
import { environmentError, secretBytes } from '../../base/index.js';

export const OID_SHA256 = '2.16.840.1.101.3.4.2.1';
/** Real tokens are 2–10 kB; this leaves room for long certificate chains. */
export const MAX_TOKEN_BYTES = 256 * 1024;
const TIMEOUT_MS = 20_000;

/** DER of a request for a token over this SHA-256, asking for the signer's certificates. */
export function timestampRequest(sha256: Uint8Array, nonce: Uint8Array): Uint8Array {
  const request = new TimeStampReq({
    version: TimeStampReqVersion.v1,
    messageImprint: new MessageImprint({
      hashAlgorithm: new AlgorithmIdentifier({ algorithm: OID_SHA256, parameters: null }),
      hashedMessage: new OctetString(sha256),
    }),
    nonce: Uint8Array.from(nonce).buffer,
    certReq: true,
  });
  return new Uint8Array(AsnConvert.serialize(request));
}

/** A positive nonce of 64 bits without a leading zero byte, so that its DER is unique. */
export function newNonce(): Uint8Array {
  const nonce = secretBytes(8);
  nonce[0] = (nonce[0]! & 0x3f) | 0x40;
  return nonce;
}

/**
 * Asks one authority; returns its whole response (DER), unverified.
 * @throws `TSA_UNREACHABLE`, `TSA_REFUSED`
 */
export async function askAuthority(url: string, sha256: Uint8Array, nonce: Uint8Array): Promise<Uint8Array> {
  let response: Response;
  try {
    response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/timestamp-query' },
      body: Buffer.from(timestampRequest(sha256, nonce)),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
  } catch (cause) {
    throw environmentError('TSA_UNREACHABLE', 'the time-stamp authority does not answer', {
      where: url,
      todo: 'check the address and the network; the statement is recorded, and can be stamped later',
      cause,
    });
  }
  const declared = Number(response.headers.get('content-length') ?? 0);
  if (!response.ok || declared > MAX_TOKEN_BYTES) {
    throw environmentError('TSA_REFUSED', 'the time-stamp authority gave no token', {
      got: `HTTP ${response.status}, ${declared} bytes`,
      where: url,
    });
  }
  return readBounded(response, url);
}

async function readBounded(response: Response, url: string): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let total = 0;
  for await (const part of response.body ?? []) {
    const bytes = part as Uint8Array;
    total += bytes.length;
    if (total > MAX_TOKEN_BYTES) {
      throw environmentError('TSA_REFUSED', 'the answer is too long for a time stamp', {
        expected: `at most ${MAX_TOKEN_BYTES} bytes`,
        where: url,
      });
    }
    parts.push(bytes);
  }
  return Uint8Array.from(Buffer.concat(parts));
}
