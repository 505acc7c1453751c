/**
 * ASN.1 types that the CMS packages lack: the signing-certificate attributes, by which a signer names its own certificate
 * (ESS: RFC 2634 §5.4, RFC 5035 §3), and statements of qualification.
 */
import {
  AsnArray,
  AsnIntegerArrayBufferConverter,
  AsnProp,
  AsnPropTypes,
  AsnType,
  AsnTypeTypes,
  OctetString,
} from '@peculiar/asn1-schema';
import { AlgorithmIdentifier, GeneralNames } from '@peculiar/asn1-x509';

export class IssuerSerial {
  issuer: GeneralNames = new GeneralNames();
  serialNumber: ArrayBuffer = new ArrayBuffer(0);
}
AsnType({ type: AsnTypeTypes.Sequence })(IssuerSerial);
AsnProp({ type: GeneralNames })(IssuerSerial.prototype, 'issuer');
AsnProp({ type: AsnPropTypes.Integer, converter: AsnIntegerArrayBufferConverter })(
  IssuerSerial.prototype,
  'serialNumber',
);

/** ESSCertIDv2; also ESSCertID of the older attribute, which has no hash algorithm: there it is SHA-1. */
export class ESSCertID {
  /** Absent means SHA-256 in version 2. */
  hashAlgorithm?: AlgorithmIdentifier;
  certHash: OctetString = new OctetString();
  issuerSerial?: IssuerSerial;
}
AsnType({ type: AsnTypeTypes.Sequence })(ESSCertID);
AsnProp({ type: AlgorithmIdentifier, optional: true })(ESSCertID.prototype, 'hashAlgorithm');
AsnProp({ type: OctetString })(ESSCertID.prototype, 'certHash');
AsnProp({ type: IssuerSerial, optional: true })(ESSCertID.prototype, 'issuerSerial');

export class ESSCertIDs extends AsnArray<ESSCertID> {}
AsnType({ type: AsnTypeTypes.Sequence, itemType: ESSCertID })(ESSCertIDs);

/** SigningCertificate and SigningCertificateV2. */
export class SigningCertificate {
  certs: ESSCertIDs = new ESSCertIDs();
  policies?: ArrayBuffer;
}
AsnType({ type: AsnTypeTypes.Sequence })(SigningCertificate);
AsnProp({ type: ESSCertIDs })(SigningCertificate.prototype, 'certs');
AsnProp({ type: AsnPropTypes.Any, optional: true })(SigningCertificate.prototype, 'policies');

/** A statement of qualification (RFC 3739 §3.2.6) in a certificate or a token. */
export class QCStatement {
  statementId = '';
  statementInfo?: ArrayBuffer;
}
AsnType({ type: AsnTypeTypes.Sequence })(QCStatement);
AsnProp({ type: AsnPropTypes.ObjectIdentifier })(QCStatement.prototype, 'statementId');
AsnProp({ type: AsnPropTypes.Any, optional: true })(QCStatement.prototype, 'statementInfo');

export class QCStatements extends AsnArray<QCStatement> {}
AsnType({ type: AsnTypeTypes.Sequence, itemType: QCStatement })(QCStatements);
