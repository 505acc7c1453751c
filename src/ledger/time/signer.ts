/** Who signed a time stamp, and whether the signature holds (RFC 5652 §5.3–5.4, RFC 5816). */
import { createHash, verify, type X509Certificate } from 'node:crypto';
import { SignerInfo } from '@peculiar/asn1-cms';
import { AsnConvert, OctetString } from '@peculiar/asn1-schema';
import { SubjectKeyIdentifier } from '@peculiar/asn1-x509';
import { equalBytes, evidenceError, toHex } from '../../base/index.js';
import { DIGESTS, isStrong, OID_SHA256, SIGNATURES } from './algorithms.js';
import { partsOf } from './chain.js';
import { type ESSCertID, SigningCertificate } from './cms.js';
import { type Element, elementsIn } from './der.js';

const OID_CONTENT_TYPE = '1.2.840.113549.1.9.3';
const OID_MESSAGE_DIGEST = '1.2.840.113549.1.9.4';
const OID_SIGNING_CERTIFICATE = '1.2.840.113549.1.9.16.2.12';
const OID_SIGNING_CERTIFICATE_V2 = '1.2.840.113549.1.9.16.2.47';
const OID_SUBJECT_KEY_IDENTIFIER = '2.5.29.14';

const bad = (code: string, message: string, where: string): never => {
  throw evidenceError(code, message, { where });
};

export interface Signer {
  readonly info: SignerInfo;
  /** The signed attributes as they are signed: DER of a SET OF. */
  readonly signedBytes: Uint8Array;
}

/** @param element one SignerInfo (RFC 5652 §5.3). @throws `TIMESTAMP_SIGNATURE` */
export function readSigner(element: Element, where: string): Signer {
  const info = AsnConvert.parse(element.raw, SignerInfo);
  // version, sid, digestAlgorithm, then [0] signedAttrs.
  const attributes = elementsIn(element.body)?.[3];
  if (attributes?.tag !== 0xa0 || info.signedAttrs === undefined)
    return bad('TIMESTAMP_SIGNATURE', 'the stamp has no signed attributes', where);
  const signedBytes = attributes.raw.slice();
  // RFC 5652 §5.4: signed is the DER of a SET OF (0x31), not the implicit [0] (0xa0) of the encoding.
  signedBytes[0] = 0x31;
  return { info, signedBytes };
}

/** The one value of a signed attribute; null where it is absent. */
function attribute(signer: SignerInfo, oid: string, where: string): ArrayBuffer | null {
  const found = (signer.signedAttrs ?? []).filter((one) => one.attrType === oid);
  if (found.length === 0) return null;
  const values = found.flatMap((one) => one.attrValues);
  if (values.length !== 1) return bad('TIMESTAMP_SIGNATURE', `the signed attribute ${oid} is repeated`, where);
  return values[0]!;
}

const required = (signer: SignerInfo, oid: string, where: string): ArrayBuffer =>
  attribute(signer, oid, where) ?? bad('TIMESTAMP_SIGNATURE', `the signed attribute ${oid} is missing`, where);

/** The certificate that the signer names under its signature, by hash (RFC 5816 §2.2.1); no other may stand in for it. */
export function signingCertificate(
  { info: signer }: Signer,
  certificates: readonly X509Certificate[],
  where: string,
): X509Certificate {
  const named = [OID_SIGNING_CERTIFICATE_V2, OID_SIGNING_CERTIFICATE].flatMap((oid) => {
    const value = attribute(signer, oid, where);
    if (value === null) return [];
    const id = AsnConvert.parse(value, SigningCertificate).certs[0];
    if (id === undefined) return bad('TIMESTAMP_CERTIFICATE', 'the stamp names no signing certificate', where);
    return [{ id, digest: digestOf(oid, id, where) }];
  });
  if (named.length === 0) return bad('TIMESTAMP_CERTIFICATE', 'the stamp names no signing certificate', where);
  const leaf = certificates.find(
    (one) => isSigner(signer, one) && named.every(({ id, digest }) => isNamed(id, digest, one)),
  );
  return leaf ?? bad('TIMESTAMP_CERTIFICATE', 'the certificate that the signer names is not in the stamp', where);
}

function digestOf(oid: string, id: ESSCertID, where: string): string {
  // The older attribute (RFC 2634) knows SHA-1 only. It tells certificates apart that the pinned authority itself issued;
  // nobody gains by two of them that collide.
  if (oid === OID_SIGNING_CERTIFICATE) return 'sha1';
  const digest = DIGESTS[id.hashAlgorithm?.algorithm ?? OID_SHA256];
  return (
    digest ?? bad('TIMESTAMP_CERTIFICATE', 'the signing certificate is named by a hash that is not accepted', where)
  );
}

function isNamed({ certHash, issuerSerial }: ESSCertID, digest: string, certificate: X509Certificate): boolean {
  const actual = createHash(digest).update(certificate.raw).digest();
  if (!equalBytes(new Uint8Array(certHash.buffer), Uint8Array.from(actual))) return false;
  if (issuerSerial === undefined) return true;
  const { issuer, serialNumber } = partsOf(certificate).tbsCertificate;
  const names = issuerSerial.issuer.map((one) => one.directoryName);
  return (
    names.length === 1 &&
    names[0] !== undefined &&
    sameDer(names[0], issuer) &&
    sameBytes(issuerSerial.serialNumber, serialNumber)
  );
}

/** The signer's identifier outside the signature (RFC 5652 §5.3) must say the same. */
function isSigner({ sid }: SignerInfo, certificate: X509Certificate): boolean {
  const { issuer, serialNumber, extensions } = partsOf(certificate).tbsCertificate;
  const named = sid.issuerAndSerialNumber;
  if (named !== undefined) return sameDer(named.issuer, issuer) && sameBytes(named.serialNumber, serialNumber);
  const own = extensions?.find((one) => one.extnID === OID_SUBJECT_KEY_IDENTIFIER);
  return (
    own !== undefined &&
    sid.subjectKeyIdentifier !== undefined &&
    sameDer(AsnConvert.parse(own.extnValue.buffer, SubjectKeyIdentifier), sid.subjectKeyIdentifier)
  );
}

const sameBytes = (a: ArrayBuffer, b: ArrayBuffer): boolean => equalBytes(new Uint8Array(a), new Uint8Array(b));
const sameDer = (a: unknown, b: unknown): boolean => sameBytes(AsnConvert.serialize(a), AsnConvert.serialize(b));

/** The signature of the one signer over the token's content, under the certificate it names. @throws `TIMESTAMP_SIGNATURE` */
export function checkSignature(
  { info: signer, signedBytes }: Signer,
  content: Uint8Array,
  leaf: X509Certificate,
  where: string,
): void {
  const digest = DIGESTS[signer.digestAlgorithm.algorithm];
  const scheme = SIGNATURES[signer.signatureAlgorithm.algorithm];
  if (digest === undefined || scheme === undefined || !isStrong(leaf.publicKey)) {
    throw evidenceError('TIMESTAMP_SIGNATURE', 'the stamp is signed with an algorithm or key that is not accepted', {
      got: `${signer.digestAlgorithm.algorithm}, ${signer.signatureAlgorithm.algorithm}`,
      where,
    });
  }
  const claimed = AsnConvert.parse(required(signer, OID_MESSAGE_DIGEST, where), OctetString);
  const actual = createHash(digest).update(content).digest();
  if (!equalBytes(new Uint8Array(claimed.buffer), Uint8Array.from(actual)))
    bad('TIMESTAMP_SIGNATURE', 'the signed digest is not that of the stamp', where);
  // 06 0b …: DER of id-ct-TSTInfo, which the content-type attribute must hold (RFC 5652 §11.1).
  if (toHex(new Uint8Array(required(signer, OID_CONTENT_TYPE, where))) !== '060b2a864886f70d0109100104')
    bad('TIMESTAMP_SIGNATURE', 'the signed content type is not a time stamp', where);
  if (!verify(scheme ?? digest, signedBytes, leaf.publicKey, new Uint8Array(signer.signature.buffer)))
    bad('TIMESTAMP_SIGNATURE', 'the signature of the stamp is wrong', where);
}
