/** Asking an RFC 3161 time-stamp authority over HTTP (RFC 3161 §2.4.1, §3.4). */
import { AsnConvert, OctetString } from '@peculiar/asn1-schema';
import { MessageImprint, TimeStampReq, TimeStampReqVersion } from '@peculiar/asn1-tsp';
import { AlgorithmIdentifier } from '@peculiar/asn1-x509';
import { environmentError, secretBytes } from '../../base/index.js';
import { OID_SHA256 } from './algorithms.js';
import { fetchBounded } from './http.js';

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
 * @param timeout milliseconds for the whole exchange
 * @throws `TSA_UNREACHABLE`, `TSA_REFUSED`
 */
export async function askAuthority(
  url: string,
  sha256: Uint8Array,
  nonce: Uint8Array,
  timeout: number = TIMEOUT_MS,
): Promise<Uint8Array> {
  const answer = await fetchBounded(url, MAX_TOKEN_BYTES, timeout, {
    method: 'POST',
    headers: { 'content-type': 'application/timestamp-query', accept: 'application/timestamp-reply' },
    body: Buffer.from(timestampRequest(sha256, nonce)),
  }).catch((cause: unknown) => {
    throw environmentError('TSA_UNREACHABLE', 'the time-stamp authority does not answer', {
      got: cause instanceof Error ? cause.message : String(cause),
      where: url,
      todo: 'check the address and the network; what was stated is recorded, and can be stamped later',
      cause,
    });
  });
  const type = answer.type.split(';')[0]!.trim().toLowerCase();
  // RFC 3161 §3.4. A page of HTML with status 200 (a proxy's login, a moved service) is no refusal by the authority.
  if (answer.ok && answer.bytes !== null && type === 'application/timestamp-reply') return answer.bytes;
  throw environmentError('TSA_REFUSED', 'what answered at this address gave no time stamp', {
    expected: `application/timestamp-reply of at most ${MAX_TOKEN_BYTES} bytes`,
    got: `HTTP ${answer.status}, ${answer.bytes === null ? 'too many' : answer.bytes.length} bytes of ${type || 'no type'}`,
    where: url,
    todo: 'check that the address is that of an RFC 3161 service, and what it asks of its users',
  });
}
