/** Which digests, signatures and keys a time stamp and its certificates may rest on. */
import type { KeyObject } from 'node:crypto';

export const OID_SHA256 = '2.16.840.1.101.3.4.2.1';

/** Digest OID → Node's name. SHA-1 and MD5 are left out: collisions are practical. */
export const DIGESTS: Readonly<Record<string, string>> = {
  [OID_SHA256]: 'sha256',
  '2.16.840.1.101.3.4.2.2': 'sha384',
  '2.16.840.1.101.3.4.2.3': 'sha512',
};

/** Signature OID → its digest: RSA PKCS#1 v1.5 and ECDSA. Null where the OID names only the key and the digest is told apart (CMS). */
export const SIGNATURES: Readonly<Record<string, string | null>> = {
  '1.2.840.113549.1.1.1': null,
  '1.2.840.113549.1.1.11': 'sha256',
  '1.2.840.113549.1.1.12': 'sha384',
  '1.2.840.113549.1.1.13': 'sha512',
  '1.2.840.10045.2.1': null,
  '1.2.840.10045.4.3.2': 'sha256',
  '1.2.840.10045.4.3.3': 'sha384',
  '1.2.840.10045.4.3.4': 'sha512',
};

/** NIST SP 800-57 part 1 §5.6.1: 112 bits of strength, which is RSA of 2048 bits. */
const MIN_RSA = 2048;
/** Curves of at least 256 bits that authorities use. */
const CURVES: ReadonlySet<string> = new Set([
  'prime256v1',
  'secp384r1',
  'secp521r1',
  'brainpoolP256r1',
  'brainpoolP384r1',
  'brainpoolP512r1',
]);

export function isStrong(key: KeyObject): boolean {
  const { modulusLength, namedCurve } = key.asymmetricKeyDetails ?? {};
  if (key.asymmetricKeyType === 'rsa') return (modulusLength ?? 0) >= MIN_RSA;
  return key.asymmetricKeyType === 'ec' && CURVES.has(namedCurve ?? '');
}
