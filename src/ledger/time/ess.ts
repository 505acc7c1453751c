/** ASN.1 types that the CMS package lacks: ESS signing-certificate-v2 (RFC 5035 §3), by which a signer names its own certificate, and the set that is signed. */
import { Attribute } from '@peculiar/asn1-cms';
import { AsnArray, AsnProp, AsnPropTypes, AsnType, AsnTypeTypes, OctetString } from '@peculiar/asn1-schema';
import { AlgorithmIdentifier } from '@peculiar/asn1-x509';

export class ESSCertIDv2 {
  /** Absent means SHA-256. */
  hashAlgorithm?: AlgorithmIdentifier;
  certHash: OctetString = new OctetString();
  issuerSerial?: ArrayBuffer;
}
AsnType({ type: AsnTypeTypes.Sequence })(ESSCertIDv2);
AsnProp({ type: AlgorithmIdentifier, optional: true })(ESSCertIDv2.prototype, 'hashAlgorithm');
AsnProp({ type: OctetString })(ESSCertIDv2.prototype, 'certHash');
AsnProp({ type: AsnPropTypes.Any, optional: true })(ESSCertIDv2.prototype, 'issuerSerial');

class ESSCertIDs extends AsnArray<ESSCertIDv2> {}
AsnType({ type: AsnTypeTypes.Sequence, itemType: ESSCertIDv2 })(ESSCertIDs);

export class SigningCertificateV2 {
  certs: ESSCertIDs = new ESSCertIDs();
  policies?: ArrayBuffer;
}
AsnType({ type: AsnTypeTypes.Sequence })(SigningCertificateV2);
AsnProp({ type: ESSCertIDs })(SigningCertificateV2.prototype, 'certs');
AsnProp({ type: AsnPropTypes.Any, optional: true })(SigningCertificateV2.prototype, 'policies');

/** SignedAttributes as they are signed: SET OF Attribute (RFC 5652 §5.4). */
export class SignedAttributes extends AsnArray<Attribute> {}
AsnType({ type: AsnTypeTypes.Set, itemType: Attribute })(SignedAttributes);
