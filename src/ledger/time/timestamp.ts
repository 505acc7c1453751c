/**
 * Verifying RFC 3161 tokens: imprint, signature, signing certificate, chain to a pinned root, purpose and validity.
 *
 * The chain is checked here, certificate by certificate. Libraries were tried for it: one accepted a wrong CA and an empty
 * list of roots.
 */
import { createHash, verify, X509Certificate } from 'node:crypto';
import { SignedData, type SignerInfo } from '@peculiar/asn1-cms';
import { AsnConvert, OctetString } from '@peculiar/asn1-schema';
import { TimeStampResp, TSTInfo } from '@peculiar/asn1-tsp';
import { Certificate, ExtendedKeyUsage, id_ce_extKeyUsage, id_kp_timeStamping } from '@peculiar/asn1-x509';
import { equalBytes, evidenceError, MunimentError, sha256Hex, toHex } from '../../base/index.js';
import { type ESSCertIDv2, SignedAttributes, SigningCertificateV2 } from './ess.js';
import { MAX_TOKEN_BYTES, OID_SHA256 } from './request.js';

const OID_SIGNED_DATA = '1.2.840.113549.1.7.2';
const OID_TST_INFO = '1.2.840.113549.1.9.16.1.4';
const OID_CONTENT_TYPE = '1.2.840.113549.1.9.3';
const OID_MESSAGE_DIGEST = '1.2.840.113549.1.9.4';
const OID_SIGNING_CERTIFICATE_V2 = '1.2.840.113549.1.9.16.2.47';

/** Digests that a token may use. SHA-1 and MD5 are refused: collisions are practical. */
const DIGESTS: Readonly<Record<string, string>> = {
  [OID_SHA256]: 'sha256',
  '2.16.840.1.101.3.4.2.2': 'sha384',
  '2.16.840.1.101.3.4.2.3': 'sha512',
};
/** Signature algorithms: RSA PKCS#1 v1.5 (plain or with a digest) and ECDSA. */
const SIGNATURES: Readonly<Record<string, string | null>> = {
  '1.2.840.113549.1.1.1': null,
  '1.2.840.113549.1.1.11': 'sha256',
  '1.2.840.113549.1.1.12': 'sha384',
  '1.2.840.113549.1.1.13': 'sha512',
  '1.2.840.10045.2.1': null,
  '1.2.840.10045.4.3.2': 'sha256',
  '1.2.840.10045.4.3.3': 'sha384',
  '1.2.840.10045.4.3.4': 'sha512',
};
/** Deeper chains do not occur among authorities. */
const MAX_CHAIN = 8;

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
 * @param nonce when the request is at hand, its nonce must come back
 * @throws `TIMESTAMP_MALFORMED`, `TIMESTAMP_REFUSED`, `TIMESTAMP_IMPRINT`, `TIMESTAMP_NONCE`, `TIMESTAMP_SIGNATURE`,
 *   `TIMESTAMP_CERTIFICATE`, `TIMESTAMP_CHAIN`
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
  const { signed, info, content } = parse(response, where);
  const { messageImprint } = info;
  if (
    messageImprint.hashAlgorithm.algorithm !== OID_SHA256 ||
    !equalBytes(new Uint8Array(messageImprint.hashedMessage.buffer), sha256)
  ) {
    return bad('TIMESTAMP_IMPRINT', 'the stamp is over something else', where);
  }
  if (nonce !== undefined && (info.nonce === undefined || toHex(new Uint8Array(info.nonce)) !== toHex(nonce))) {
    return bad('TIMESTAMP_NONCE', 'the stamp does not answer this request', where);
  }
  const signer =
    signed.signerInfos.length === 1
      ? signed.signerInfos[0]!
      : bad('TIMESTAMP_SIGNATURE', 'the stamp has not exactly one signer', where);
  const certificates = (signed.certificates ?? []).flatMap((choice) =>
    choice.certificate === undefined
      ? []
      : [new X509Certificate(Buffer.from(AsnConvert.serialize(choice.certificate)))],
  );
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
  };
}

const oneLine = (name: string): string => name.split('\n').join(', ');

function parse(response: Uint8Array, where: string): { signed: SignedData; info: TSTInfo; content: Uint8Array } {
  if (response.length > MAX_TOKEN_BYTES) return bad('TIMESTAMP_MALFORMED', 'the stamp is too long', where);
  const parsed = AsnConvert.parse(response, TimeStampResp);
  // Only the one DER encoding is accepted: bytes that parsing ignores could otherwise be changed unseen.
  if (!equalBytes(new Uint8Array(AsnConvert.serialize(parsed)), response))
    return bad('TIMESTAMP_MALFORMED', 'the stamp is not in its DER form', where);
  const status = Number(parsed.status.status);
  if (status !== 0 && status !== 1) return bad('TIMESTAMP_REFUSED', `the authority refused (status ${status})`, where);
  const token = parsed.timeStampToken;
  if (token === undefined || token.contentType !== OID_SIGNED_DATA)
    return bad('TIMESTAMP_MALFORMED', 'the answer holds no signed token', where);
  const signed = AsnConvert.parse(token.content, SignedData);
  const octets = signed.encapContentInfo.eContent?.single;
  if (signed.encapContentInfo.eContentType !== OID_TST_INFO || octets === undefined) {
    return bad('TIMESTAMP_MALFORMED', 'the token holds no time-stamp information', where);
  }
  const content = new Uint8Array(octets.buffer);
  return { signed, info: AsnConvert.parse(content, TSTInfo), content };
}

function attribute(signer: SignerInfo, oid: string, where: string): ArrayBuffer {
  const found = (signer.signedAttrs ?? []).filter((attr) => attr.attrType === oid);
  const value = found[0]?.attrValues[0];
  if (found.length !== 1 || found[0]?.attrValues.length !== 1 || value === undefined) {
    return bad('TIMESTAMP_SIGNATURE', `the signer’s attribute ${oid} is missing or repeated`, where);
  }
  return value;
}

/** The certificate that the signer itself names by hash (RFC 5816 §2.2.1); no other may stand in for it. */
function signingCertificate(
  signer: SignerInfo,
  certificates: readonly X509Certificate[],
  where: string,
): X509Certificate {
  const named: ESSCertIDv2 | undefined = AsnConvert.parse(
    attribute(signer, OID_SIGNING_CERTIFICATE_V2, where),
    SigningCertificateV2,
  ).certs[0];
  const digest = DIGESTS[named?.hashAlgorithm?.algorithm ?? OID_SHA256];
  if (named === undefined || digest === undefined)
    return bad('TIMESTAMP_CERTIFICATE', 'the signer’s certificate is named by a weak hash', where);
  const wanted = toHex(new Uint8Array(named.certHash.buffer));
  const leaf = certificates.find((certificate) => createHash(digest).update(certificate.raw).digest('hex') === wanted);
  return leaf ?? bad('TIMESTAMP_CERTIFICATE', 'the signer’s certificate is not in the stamp', where);
}

function checkSignature(signer: SignerInfo, content: Uint8Array, leaf: X509Certificate, where: string): void {
  const digest = DIGESTS[signer.digestAlgorithm.algorithm];
  const scheme = SIGNATURES[signer.signatureAlgorithm.algorithm];
  if (digest === undefined || scheme === undefined)
    bad('TIMESTAMP_SIGNATURE', 'the stamp is signed with an algorithm that is not accepted', where);
  const claimed = AsnConvert.parse(attribute(signer, OID_MESSAGE_DIGEST, where), OctetString);
  const actual = createHash(digest!).update(content).digest();
  if (!equalBytes(new Uint8Array(claimed.buffer), Uint8Array.from(actual)))
    bad('TIMESTAMP_SIGNATURE', 'the signed digest is not that of the stamp', where);
  // 06 0b …: DER of id-ct-TSTInfo, which the content-type attribute must hold (RFC 5652 §11.1).
  const contentType = toHex(new Uint8Array(attribute(signer, OID_CONTENT_TYPE, where)));
  if (contentType !== '060b2a864886f70d0109100104')
    bad('TIMESTAMP_SIGNATURE', 'the signed content type is not a time stamp', where);
  // RFC 5652 §5.4: what is signed is the DER of a SET OF, not the implicit [0] of the encoding.
  const attributes = Buffer.from(AsnConvert.serialize(new SignedAttributes(signer.signedAttrs ?? [])));
  if (!verify(scheme ?? digest!, attributes, leaf.publicKey, Buffer.from(signer.signature.buffer))) {
    bad('TIMESTAMP_SIGNATURE', 'the signature of the stamp is wrong', where);
  }
}

/** RFC 3161 §2.3: the extended key usage is time stamping, alone and critical; and the signer is no CA. */
export function checkPurpose(leaf: X509Certificate, where: string): void {
  const extension = AsnConvert.parse(leaf.raw, Certificate).tbsCertificate.extensions?.find(
    (ext) => ext.extnID === id_ce_extKeyUsage,
  );
  const usages = extension === undefined ? [] : [...AsnConvert.parse(extension.extnValue.buffer, ExtendedKeyUsage)];
  if (extension?.critical !== true || usages.length !== 1 || usages[0] !== id_kp_timeStamping || leaf.ca) {
    bad('TIMESTAMP_CERTIFICATE', 'the signer’s certificate is not for time stamping alone', where);
  }
}

const validAt = (certificate: X509Certificate, time: Date): boolean =>
  Date.parse(certificate.validFrom) <= time.getTime() && time.getTime() <= Date.parse(certificate.validTo);

/** Walks issuer by issuer to a pinned root; each link is named, signed, a CA, and valid at the stamp's time. */
function checkChain(
  leaf: X509Certificate,
  given: readonly X509Certificate[],
  roots: readonly string[],
  time: Date,
  where: string,
): X509Certificate {
  const pinned = roots.map((pem) => new X509Certificate(pem));
  const issuerAmong = (certificate: X509Certificate, list: readonly X509Certificate[]) =>
    list.find((issuer) => issuer.ca && certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey));
  let at = leaf;
  for (let depth = 0; depth < MAX_CHAIN; depth++) {
    if (!validAt(at, time))
      return bad('TIMESTAMP_CHAIN', `a certificate was not valid at the stamp’s time: ${oneLine(at.subject)}`, where);
    const root = pinned.find((candidate) => candidate.fingerprint256 === at.fingerprint256) ?? issuerAmong(at, pinned);
    if (root !== undefined) {
      return validAt(root, time)
        ? root
        : bad('TIMESTAMP_CHAIN', 'the pinned root was not valid at the stamp’s time', where);
    }
    const issuer = issuerAmong(
      at,
      given.filter((candidate) => candidate.fingerprint256 !== at.fingerprint256),
    );
    if (issuer === undefined) break;
    at = issuer;
  }
  return bad('TIMESTAMP_CHAIN', 'the signer’s certificate does not lead to a trusted authority', where);
}
