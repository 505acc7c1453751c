/** DSSE envelopes (secure-systems-lab/dsse v1.0.2) signed with ECDSA P-256 and SHA-256, DER signatures. */
import { createHash, createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { concatBytes, evidenceError, fromBase64, toBase64, toHex, utf8 } from '../base/index.js';

export const PAYLOAD_TYPE = 'application/vnd.in-toto+json';

export interface Envelope {
  readonly payload: Uint8Array;
  readonly payloadType: string;
  readonly signature: Uint8Array;
  /** Hex SHA-256 of the signer's SPKI DER. A hint: the verifier chooses the key. */
  readonly keyId: string;
}

export interface StatementSigner {
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
}

/** Pre-authentication encoding: what is signed (DSSE protocol, "PAE"). */
export const preAuthEncoding = (type: string, payload: Uint8Array): Uint8Array =>
  concatBytes(utf8(`DSSEv1 ${utf8(type).length} ${type} ${payload.length} `), payload);

/** Hex SHA-256 of the key's SubjectPublicKeyInfo in DER. */
export const keyIdOf = (key: KeyObject): string =>
  createHash('sha256')
    .update(key.export({ type: 'spki', format: 'der' }))
    .digest('hex');

export function signEnvelope(payload: Uint8Array, signer: StatementSigner): Envelope {
  const signature = sign('sha256', preAuthEncoding(PAYLOAD_TYPE, payload), signer.privateKey);
  return {
    payload,
    payloadType: PAYLOAD_TYPE,
    signature: Uint8Array.from(signature),
    keyId: keyIdOf(signer.publicKey),
  };
}

/** The one byte form in which envelopes are stored and hashed. */
export const encodeEnvelope = (envelope: Envelope): Uint8Array =>
  utf8(
    JSON.stringify({
      payload: toBase64(envelope.payload),
      payloadType: envelope.payloadType,
      signatures: [{ keyid: envelope.keyId, sig: toBase64(envelope.signature) }],
    }),
  );

/** @throws `ENVELOPE_INVALID` unless the bytes are exactly what `encodeEnvelope` writes */
export function decodeEnvelope(bytes: Uint8Array, where: string): Envelope {
  try {
    const value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)) as {
      payload: string;
      payloadType: string;
      signatures: [{ keyid: string; sig: string }];
    };
    const envelope: Envelope = {
      payload: fromBase64(value.payload),
      payloadType: value.payloadType,
      signature: fromBase64(value.signatures[0].sig),
      keyId: value.signatures[0].keyid,
    };
    if (toHex(encodeEnvelope(envelope)) === toHex(bytes)) return envelope;
  } catch (cause) {
    throw evidenceError('ENVELOPE_INVALID', 'not a DSSE envelope', { where, cause });
  }
  throw evidenceError('ENVELOPE_INVALID', 'an envelope is not in its one byte form', { where });
}

/** True when `key` (P-256) signed exactly this payload and type. */
export function verifyEnvelope(envelope: Envelope, key: KeyObject | string): boolean {
  const publicKey = typeof key === 'string' ? createPublicKey(key) : key;
  if (publicKey.asymmetricKeyType !== 'ec' || publicKey.asymmetricKeyDetails?.namedCurve !== 'prime256v1') return false;
  return verify('sha256', preAuthEncoding(envelope.payloadType, envelope.payload), publicKey, envelope.signature);
}
