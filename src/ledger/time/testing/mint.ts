/**
 * An authority in TypeScript, for what `openssl ts` refuses to make: certificates and tokens that are wrong in one chosen
 * way, each truly signed. Also good ones, where there is no openssl. Its keys vouch for nothing.
 */
import { createHash, generateKeyPairSync, type KeyObject, sign, X509Certificate } from 'node:crypto';
import {
  Attribute,
  CertificateChoices,
  CertificateSet,
  DigestAlgorithmIdentifiers,
  EncapsulatedContent,
  EncapsulatedContentInfo,
  IssuerAndSerialNumber,
  SignedData,
  SignerIdentifier,
  SignerInfo,
  SignerInfos,
} from '@peculiar/asn1-cms';
import { AsnConvert, OctetString } from '@peculiar/asn1-schema';
import { MessageImprint, PKIStatus, PKIStatusInfo, TimeStampResp, TimeStampToken, TSTInfo } from '@peculiar/asn1-tsp';
import {
  AlgorithmIdentifier,
  AttributeTypeAndValue,
  AttributeValue,
  BasicConstraints,
  Certificate,
  ExtendedKeyUsage,
  Extension,
  Extensions,
  KeyUsage,
  KeyUsageFlags,
  Name,
  RelativeDistinguishedName,
  SubjectPublicKeyInfo,
  TBSCertificate,
  Validity,
  Version,
} from '@peculiar/asn1-x509';
import { ESSCertID, ESSCertIDs, QCStatement, QCStatements, SigningCertificate } from '../cms.js';
import { elementIn, elementsIn } from '../der.js';

export const TIME_STAMPING = '1.3.6.1.5.5.7.3.8';
const ECDSA: Readonly<Record<string, string>> = {
  sha1: '1.2.840.10045.4.1',
  sha256: '1.2.840.10045.4.3.2',
  sha384: '1.2.840.10045.4.3.3',
};
const RSA: Readonly<Record<string, string>> = { sha1: '1.2.840.113549.1.1.5', sha256: '1.2.840.113549.1.1.11' };
const HASHES: Readonly<Record<string, string>> = {
  sha1: '1.3.14.3.2.26',
  sha256: '2.16.840.1.101.3.4.2.1',
  sha384: '2.16.840.1.101.3.4.2.2',
};

export interface Keys {
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}
export interface Minted extends Keys {
  readonly certificate: X509Certificate;
  readonly pem: string;
}

export const ecKeys = (namedCurve = 'P-256'): Keys => generateKeyPairSync('ec', { namedCurve });

export interface CertificateFacts {
  readonly name: string;
  /** Self-signed where absent. */
  readonly issuer?: Minted;
  readonly keys?: Keys;
  /** Absent: no basic constraints at all. */
  readonly ca?: boolean;
  readonly pathLength?: number;
  readonly usages?: readonly string[];
  readonly usagesCritical?: boolean;
  readonly keyUsage?: number;
  readonly digest?: string;
  readonly from?: Date;
  readonly to?: Date;
  readonly extensions?: readonly Extension[];
  readonly serial?: number;
}

const nameOf = (text: string): Name =>
  new Name([
    new RelativeDistinguishedName([
      new AttributeTypeAndValue({ type: '2.5.4.3', value: new AttributeValue({ utf8String: text }) }),
    ]),
  ]);

export const extension = (extnID: string, critical: boolean, value: unknown): Extension =>
  new Extension({ extnID, critical, extnValue: new OctetString(AsnConvert.serialize(value)) });

const signatureOid = (key: KeyObject, digest: string): string =>
  (key.asymmetricKeyType === 'rsa' ? RSA : ECDSA)[digest] ?? '';

let serials = 1000;

export function mintCertificate(facts: CertificateFacts): Minted {
  const { issuer, keys = ecKeys(), digest = 'sha256', usages } = facts;
  const signer = issuer?.privateKey ?? keys.privateKey;
  const algorithm = new AlgorithmIdentifier({ algorithm: signatureOid(signer, digest) });
  const extensions = [
    ...(facts.ca === undefined
      ? []
      : [
          extension(
            '2.5.29.19',
            true,
            new BasicConstraints({
              cA: facts.ca,
              ...(facts.pathLength === undefined ? {} : { pathLenConstraint: facts.pathLength }),
            }),
          ),
        ]),
    extension(
      '2.5.29.15',
      true,
      new KeyUsage(facts.keyUsage ?? (facts.ca ? KeyUsageFlags.keyCertSign : KeyUsageFlags.digitalSignature)),
    ),
    ...(usages === undefined
      ? []
      : [extension('2.5.29.37', facts.usagesCritical ?? true, new ExtendedKeyUsage([...usages]))]),
    ...(facts.extensions ?? []),
  ];
  const tbs = new TBSCertificate({
    version: Version.v3,
    serialNumber: Uint8Array.of(16, facts.serial === undefined ? ++serials >> 8 : 0, (facts.serial ?? serials) & 255)
      .buffer,
    signature: algorithm,
    issuer:
      issuer === undefined
        ? nameOf(facts.name)
        : AsnConvert.parse(issuer.certificate.raw, Certificate).tbsCertificate.subject,
    validity: new Validity({
      notBefore: facts.from ?? new Date('2020-01-01T00:00:00Z'),
      notAfter: facts.to ?? new Date('2040-01-01T00:00:00Z'),
    }),
    subject: nameOf(facts.name),
    subjectPublicKeyInfo: AsnConvert.parse(
      keys.publicKey.export({ type: 'spki', format: 'der' }),
      SubjectPublicKeyInfo,
    ),
    extensions: new Extensions(extensions),
  });
  const signature = sign(digest, Buffer.from(AsnConvert.serialize(tbs)), signer);
  const certificate = new X509Certificate(
    Buffer.from(
      AsnConvert.serialize(
        new Certificate({
          tbsCertificate: tbs,
          signatureAlgorithm: algorithm,
          signatureValue: Uint8Array.from(signature).buffer,
        }),
      ),
    ),
  );
  return { ...keys, certificate, pem: certificate.toString() };
}

export interface TokenFacts {
  readonly signer: Minted;
  /** Certificates in the token; the signer's alone where absent. */
  readonly certificates?: readonly Minted[];
  readonly imprint: Uint8Array;
  readonly imprintDigest?: string;
  readonly nonce?: Uint8Array;
  readonly time?: Date;
  /** Hash of the signature over the attributes, and of the message digest. */
  readonly digest?: string;
  /** The certificate that is named by hash and, `named`, by issuer and serial number. */
  readonly hashed?: Minted;
  readonly named?: Minted;
  readonly essVersion?: 0 | 1 | 2;
  readonly qualified?: boolean;
  readonly contentType?: string;
  readonly status?: PKIStatus;
  readonly signers?: number;
  /** Changes the content after it was signed. */
  readonly tamper?: boolean;
}

const TST_INFO = '1.2.840.113549.1.9.16.1.4';
const algorithm = (oid: string): AlgorithmIdentifier => new AlgorithmIdentifier({ algorithm: oid, parameters: null });
const oidValue = (oid: string): ArrayBuffer => {
  // A SEQUENCE of the OID alone: the shortest way to its DER through the library.
  const der = new Uint8Array(AsnConvert.serialize(qcStatement(oid)));
  return der.slice(2).buffer;
};
const qcStatement = (statementId: string): QCStatement => Object.assign(new QCStatement(), { statementId });

/** DER of a TimeStampResp. */
export function mintToken(facts: TokenFacts): Uint8Array {
  const { signer, digest = 'sha256', time = new Date('2026-01-02T03:04:05Z') } = facts;
  const infoFacts = {
    version: 1,
    policy: '1.3.6.1.4.1.99999.1',
    messageImprint: new MessageImprint({
      hashAlgorithm: algorithm(HASHES[facts.imprintDigest ?? 'sha256']!),
      hashedMessage: new OctetString(facts.imprint),
    }),
    serialNumber: Uint8Array.of(7).buffer,
    genTime: time,
    ...(facts.nonce === undefined ? {} : { nonce: Uint8Array.from(facts.nonce).buffer }),
    ...(facts.qualified
      ? {
          extensions: new Extensions([
            extension('1.3.6.1.5.5.7.1.3', false, new QCStatements([qcStatement('0.4.0.19422.1.1')])),
          ]),
        }
      : {}),
  };
  const content = new Uint8Array(AsnConvert.serialize(new TSTInfo(infoFacts)));
  const hash = (bytes: Uint8Array, name = digest): Uint8Array =>
    Uint8Array.from(createHash(name).update(bytes).digest());
  const hashed = (facts.hashed ?? signer).certificate.raw;
  const version = facts.essVersion ?? 2;
  const essId = new ESSCertID();
  essId.certHash = new OctetString(hash(hashed, version === 1 ? 'sha1' : 'sha256'));
  const ess = new SigningCertificate();
  ess.certs = new ESSCertIDs([essId]);
  const attributes = [
    new Attribute({
      attrType: '1.2.840.113549.1.9.3',
      attrValues: [oidValue(facts.contentType ?? TST_INFO)],
    }),
    new Attribute({
      attrType: '1.2.840.113549.1.9.4',
      attrValues: [AsnConvert.serialize(new OctetString(hash(content)))],
    }),
    ...(version === 0
      ? []
      : [
          new Attribute({
            attrType: version === 1 ? '1.2.840.113549.1.9.16.2.12' : '1.2.840.113549.1.9.16.2.47',
            attrValues: [AsnConvert.serialize(ess)],
          }),
        ]),
  ];
  const named = AsnConvert.parse((facts.named ?? signer).certificate.raw, Certificate).tbsCertificate;
  const info = new SignerInfo({
    version: 1,
    sid: new SignerIdentifier({
      issuerAndSerialNumber: new IssuerAndSerialNumber({ issuer: named.issuer, serialNumber: named.serialNumber }),
    }),
    digestAlgorithm: algorithm(HASHES[digest]!),
    signedAttrs: attributes,
    signatureAlgorithm: algorithm(signatureOid(signer.privateKey, digest)),
  });
  info.signature = new OctetString(Uint8Array.from(sign(digest, signedBytes(info), signer.privateKey)));
  const shown = facts.tamper
    ? new Uint8Array(AsnConvert.serialize(new TSTInfo({ ...infoFacts, genTime: new Date(time.getTime() - 86400e3) })))
    : content;
  const signed = new SignedData({
    version: 3,
    digestAlgorithms: new DigestAlgorithmIdentifiers([algorithm(HASHES[digest]!)]),
    encapContentInfo: new EncapsulatedContentInfo({
      eContentType: TST_INFO,
      eContent: new EncapsulatedContent({ single: new OctetString(shown) }),
    }),
    certificates: new CertificateSet(
      (facts.certificates ?? [signer]).map(
        (one) => new CertificateChoices({ certificate: AsnConvert.parse(one.certificate.raw, Certificate) }),
      ),
    ),
    signerInfos: new SignerInfos(Array.from({ length: facts.signers ?? 1 }, () => info)),
  });
  const response = new TimeStampResp({
    status: new PKIStatusInfo({ status: facts.status ?? PKIStatus.granted }),
    timeStampToken: new TimeStampToken({
      contentType: '1.2.840.113549.1.7.2',
      content: AsnConvert.serialize(signed),
    }),
  });
  return new Uint8Array(AsnConvert.serialize(response));
}

/** DER of the attributes as a SET OF: the encoder keeps the order given, and these three stand in DER's. */
function signedBytes(info: SignerInfo): Uint8Array {
  const holder = new SignerInfo({ ...info, signature: new OctetString(0) });
  const whole = elementIn(new Uint8Array(AsnConvert.serialize(holder)), 0x30)!;
  const bytes = elementsIn(whole.body)![3]!.raw.slice();
  bytes[0] = 0x31;
  return bytes;
}
