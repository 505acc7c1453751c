/** Verifying RFC 3161 tokens: imprint, nonce, signing certificate, signature, and the chain to a pinned root. */
import { X509Certificate } from 'node:crypto';
import { AsnConvert } from '@peculiar/asn1-schema';
import { PKIStatusInfo, TSTInfo } from '@peculiar/asn1-tsp';
import { equalBytes, evidenceError, MunimentError, sha256Hex, toHex } from '../../base/index.js';
import { OID_SHA256 } from './algorithms.js';
import { checkChain, checkPurpose, oneLine } from './chain.js';
import { QCStatements } from './cms.js';
import { elementIn, elementsIn } from './der.js';
import { refusal } from './refusal.js';
import { MAX_TOKEN_BYTES } from './request.js';
import { checkSignature, readSigner, type Signer, signingCertificate } from './signer.js';

const [SEQUENCE, SET, OCTET_STRING, CONTEXT_0, CONTEXT_1] = [0x30, 0x31, 0x04, 0xa0, 0xa1];
/** DER of the OIDs id-signedData and id-ct-TSTInfo. */
const SIGNED_DATA = '06092a864886f70d010702';
const TST_INFO = '060b2a864886f70d0109100104';
const OID_QC_STATEMENTS = '1.3.6.1.5.5.7.1.3';
/** ETSI EN 319 422 §9.1, annex B: the authority claims a qualified electronic time stamp. */
const OID_EU_QUALIFIED = '0.4.0.19422.1.1';
/** A chain has at most 8; a token with a hundred is an attempt to make the search long. */
const MAX_CERTIFICATES = 32;

export interface VerifiedTimestamp {
  readonly time: Date;
  /** Subject of the signing certificate. */
  readonly authority: string;
  readonly serial: string;
  readonly policy: string;
  /** SHA-256 of the response's bytes, hex: how the stamp is referred to. */
  readonly token: string;
  /** Subject of the pinned root that the chain ends at. */
  readonly root: string;
  /**
   * True where the authority says, under its signature, that this is a qualified electronic time stamp (Regulation (EU)
   * No 910/2014, art. 42). A claim: whether the authority is qualified stands in its state's trusted list.
   */
  readonly claimsQualified: boolean;
}

interface Parsed {
  readonly info: TSTInfo;
  /** DER of `info`: what the signer hashed. */
  readonly content: Uint8Array;
  readonly signer: Signer;
  readonly certificates: readonly X509Certificate[];
}

export interface TimestampOptions {
  readonly nonce?: Uint8Array;
  /** For messages. */
  readonly where?: string;
}

const bad = (code: string, message: string, where: string, cause?: unknown): never => {
  throw evidenceError(code, message, { where, ...(cause === undefined ? {} : { cause }) });
};

/**
 * @param response DER of a TimeStampResp
 * @param sha256 the imprint that must have been stamped (32 bytes)
 * @param roots PEM certificates that are trusted; an empty list verifies nothing
 * @param options `nonce`: when the request is at hand, its nonce must come back
 * @throws `TIMESTAMP_MALFORMED`, `TIMESTAMP_REFUSED`, `TIMESTAMP_IMPRINT`, `TIMESTAMP_NONCE`, `TIMESTAMP_SIGNATURE`,
 *   `TIMESTAMP_CERTIFICATE`, `TIMESTAMP_CHAIN`, `TIMESTAMP_ROOT`
 */
export function verifyTimestamp(
  response: Uint8Array,
  sha256: Uint8Array,
  roots: readonly string[],
  options: TimestampOptions = {},
): VerifiedTimestamp {
  try {
    return verifyParts(response, sha256, roots, options);
  } catch (cause) {
    if (cause instanceof MunimentError) throw cause;
    // The ASN.1 and certificate parsers throw errors of many kinds on hostile bytes.
    return bad('TIMESTAMP_MALFORMED', 'the stamp cannot be read', options.where ?? 'time stamp', cause);
  }
}

function verifyParts(
  response: Uint8Array,
  sha256: Uint8Array,
  roots: readonly string[],
  { nonce, where = 'time stamp' }: TimestampOptions,
): VerifiedTimestamp {
  const { info, content, signer, certificates } = parse(response, where);
  const { messageImprint } = info;
  if (
    messageImprint.hashAlgorithm.algorithm !== OID_SHA256 ||
    !equalBytes(new Uint8Array(messageImprint.hashedMessage.buffer), sha256)
  ) {
    return bad('TIMESTAMP_IMPRINT', 'the stamp is over something else', where);
  }
  if (nonce !== undefined && (info.nonce === undefined || !equalBytes(new Uint8Array(info.nonce), nonce))) {
    return bad('TIMESTAMP_NONCE', 'the stamp does not answer this request', where);
  }
  const leaf = signingCertificate(signer, certificates, where);
  checkSignature(signer, content, leaf, where);
  checkPurpose(leaf, where);
  const root = checkChain(leaf, certificates, roots, info.genTime, where);
  return {
    time: info.genTime,
    authority: oneLine(leaf.subject),
    serial: toHex(new Uint8Array(info.serialNumber)),
    policy: info.policy,
    token: sha256Hex(response),
    root: oneLine(root.subject),
    claimsQualified: claimsQualified(info),
  };
}

/** @throws `TIMESTAMP_MALFORMED`, `TIMESTAMP_REFUSED` */
function parse(response: Uint8Array, where: string): Parsed {
  const malformed = (what: string): never => bad('TIMESTAMP_MALFORMED', what, where);
  if (response.length > MAX_TOKEN_BYTES) return malformed('the stamp is too long');
  const parts = elementsIn(elementIn(response, SEQUENCE)?.body ?? new Uint8Array(0));
  const [status, token, ...more] = parts ?? [];
  if (status === undefined || more.length > 0) return malformed('not the answer of a time-stamp authority in DER');
  const refused = refusal(AsnConvert.parse(status.raw, PKIStatusInfo));
  if (refused !== null) return bad('TIMESTAMP_REFUSED', `the authority refused: ${refused}`, where);
  const [type, wrapped, ...others] = (token?.tag === SEQUENCE ? elementsIn(token.body) : null) ?? [];
  const signed = wrapped?.tag === CONTEXT_0 ? elementIn(wrapped.body, SEQUENCE) : null;
  if (type === undefined || toHex(type.raw) !== SIGNED_DATA || signed === null || others.length > 0)
    return malformed('the answer holds no signed token');
  // SignedData (RFC 5652 §5.1): version, digests, content, [0] certificates, [1] revocation lists, signers.
  const [, , content, ...rest] = elementsIn(signed.body) ?? [];
  const signers = rest.at(-1);
  const optional = rest.slice(0, -1);
  if (
    content?.tag !== SEQUENCE ||
    signers?.tag !== SET ||
    optional.some(({ tag }) => tag !== CONTEXT_0 && tag !== CONTEXT_1)
  )
    return malformed('the token is not signed data');
  const [contentType, octets] = elementsIn(content.body) ?? [];
  const info = octets?.tag === CONTEXT_0 ? elementIn(octets.body, OCTET_STRING) : null;
  if (contentType === undefined || toHex(contentType.raw) !== TST_INFO || info === null)
    return malformed('the token holds no time-stamp information');
  const certificates = optional.filter(({ tag }) => tag === CONTEXT_0).flatMap(({ body }) => elementsIn(body) ?? []);
  const all = elementsIn(signers.body) ?? [];
  if (all.length !== 1) return bad('TIMESTAMP_SIGNATURE', 'the stamp has not exactly one signer', where);
  if (certificates.length > MAX_CERTIFICATES)
    return malformed(`more than ${MAX_CERTIFICATES} certificates in one stamp`);
  const parsed = AsnConvert.parse(info.body, TSTInfo);
  if (Number(parsed.version) !== 1) return malformed('a version other than 1');
  return {
    info: parsed,
    content: info.body,
    signer: readSigner(all[0]!, where),
    // Attribute certificates and other forms have context tags.
    certificates: certificates.filter(({ tag }) => tag === SEQUENCE).map(({ raw }) => new X509Certificate(raw)),
  };
}

function claimsQualified({ extensions }: TSTInfo): boolean {
  return (extensions ?? []).some(
    ({ extnID, extnValue }) =>
      extnID === OID_QC_STATEMENTS &&
      AsnConvert.parse(extnValue.buffer, QCStatements).some(({ statementId }) => statementId === OID_EU_QUALIFIED),
  );
}
