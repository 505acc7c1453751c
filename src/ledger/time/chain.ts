/**
 * From the certificate that signed a time stamp to a pinned root (RFC 5280 §6.1, RFC 3161 §2.3).
 *
 * The chain is checked here, certificate by certificate. Libraries were tried for it: one accepted a wrong CA and an empty
 * list of roots. Revocation is not asked for: that needs a network, and a stamp must verify without one.
 */
import { X509Certificate } from 'node:crypto';
import { AsnConvert } from '@peculiar/asn1-schema';
import {
  BasicConstraints,
  Certificate,
  ExtendedKeyUsage,
  type Extension,
  id_ce_basicConstraints,
  id_ce_certificatePolicies,
  id_ce_extKeyUsage,
  id_ce_keyUsage,
  id_kp_timeStamping,
  KeyUsage,
} from '@peculiar/asn1-x509';
import { evidenceError, inputError } from '../../base/index.js';
import { isStrong, SIGNATURES } from './algorithms.js';

/** Deeper chains do not occur among authorities. */
const MAX_CHAIN = 8;
const ANY_USAGE = '2.5.29.37.0';
/** Critical extensions that are understood here. Policies restrict nothing while none is asked for. */
const UNDERSTOOD: ReadonlySet<string> = new Set([
  id_ce_basicConstraints,
  id_ce_keyUsage,
  id_ce_extKeyUsage,
  id_ce_certificatePolicies,
]);

export const oneLine = (name: string): string => name.split('\n').join(', ');

const parts = new WeakMap<X509Certificate, Certificate>();

export function partsOf(certificate: X509Certificate): Certificate {
  const known = parts.get(certificate) ?? AsnConvert.parse(certificate.raw, Certificate);
  parts.set(certificate, known);
  return known;
}

function extension(certificate: X509Certificate, oid: string): Extension | undefined {
  return partsOf(certificate).tbsCertificate.extensions?.find((one) => one.extnID === oid);
}

const usagesOf = (found: Extension | undefined): readonly string[] =>
  found === undefined ? [] : [...AsnConvert.parse(found.extnValue.buffer, ExtendedKeyUsage)];

/** RFC 3161 §2.3: the signer's certificate is for time stamping, alone and critically so; it signs, and is no CA. */
export function checkPurpose(leaf: X509Certificate, where: string): void {
  const extended = extension(leaf, id_ce_extKeyUsage);
  const usages = usagesOf(extended);
  const usage = extension(leaf, id_ce_keyUsage);
  const keyUsages: readonly string[] =
    usage === undefined ? ['digitalSignature'] : AsnConvert.parse(usage.extnValue.buffer, KeyUsage).toJSON();
  const stampsAlone = extended?.critical === true && usages.length === 1 && usages[0] === id_kp_timeStamping;
  const signsAlone =
    keyUsages.length > 0 && keyUsages.every((one) => one === 'digitalSignature' || one === 'nonRepudiation');
  if (stampsAlone && signsAlone && !leaf.ca) return;
  throw evidenceError('TIMESTAMP_CERTIFICATE', 'the signer’s certificate is not for time stamping alone', {
    expected: 'extended key usage timeStamping, alone and critical; key usage digitalSignature; no CA',
    got: `${oneLine(leaf.subject)}: ${[...usages, ...keyUsages, ...(leaf.ca ? ['CA'] : [])].join(', ') || 'no usage'}`,
    where,
  });
}

/** What keeps a certificate out of any chain at this time, or null. */
function faultOf(certificate: X509Certificate, time: Date): string | null {
  const from = Date.parse(certificate.validFrom);
  const to = Date.parse(certificate.validTo);
  if (!(from <= time.getTime() && time.getTime() <= to)) return 'was not valid at the stamp’s time';
  if (!isStrong(certificate.publicKey)) return 'has a key that is too weak';
  const strange = partsOf(certificate).tbsCertificate.extensions?.find(
    (one) => one.critical && !UNDERSTOOD.has(one.extnID),
  );
  return strange === undefined ? null : `has a critical extension that is not understood (${strange.extnID})`;
}

/** As `faultOf`, for a certificate that rests on its issuer's signature, not on being pinned. */
function linkFaultOf(certificate: X509Certificate, time: Date): string | null {
  const { signatureAlgorithm } = partsOf(certificate);
  if (SIGNATURES[signatureAlgorithm.algorithm] == null)
    return `is signed with an algorithm that is not accepted (${signatureAlgorithm.algorithm})`;
  const usages = usagesOf(extension(certificate, id_ce_extKeyUsage));
  if (usages.length > 0 && !usages.includes(id_kp_timeStamping) && !usages.includes(ANY_USAGE))
    return 'is for other purposes than time stamping';
  return faultOf(certificate, time);
}

/** @param below how many CA certificates stand between this issuer and the signer */
function isIssuer(issuer: X509Certificate, of: X509Certificate, below: number): boolean {
  if (!issuer.ca || !of.checkIssued(issuer)) return false;
  const constraints = extension(issuer, id_ce_basicConstraints);
  const limit =
    constraints === undefined
      ? undefined
      : AsnConvert.parse(constraints.extnValue.buffer, BasicConstraints).pathLenConstraint;
  return (limit === undefined || limit >= below) && of.verify(issuer.publicKey);
}

/**
 * The pinned root that a signer's certificate leads to: each link named, signed, a CA, strong, and valid at that time.
 * @param given certificates that came with the stamp, in any order
 * @param roots PEM; an empty list verifies nothing
 * @throws `TIMESTAMP_CHAIN`, `TIMESTAMP_ROOT` for a root that is no certificate
 */
export function checkChain(
  leaf: X509Certificate,
  given: readonly X509Certificate[],
  roots: readonly string[],
  time: Date,
  where: string,
): X509Certificate {
  const pinned = roots.map((pem) => rootOf(pem, where));
  const tried = new Set<string>();
  const faults: string[] = [];
  const acceptable = (certificate: X509Certificate, fault: string | null): boolean => {
    if (fault !== null) faults.push(`${oneLine(certificate.subject)} ${fault}`);
    return fault === null;
  };
  const climb = (at: X509Certificate, below: number): X509Certificate | null => {
    // Each certificate is tried once, so that certificates which issue each other cannot make the search long.
    tried.add(at.fingerprint256);
    const same = pinned.find((root) => root.fingerprint256 === at.fingerprint256);
    if (same !== undefined) return acceptable(same, faultOf(same, time)) ? same : null;
    if (!acceptable(at, linkFaultOf(at, time))) return null;
    for (const root of pinned) if (isIssuer(root, at, below) && acceptable(root, faultOf(root, time))) return root;
    if (below + 1 >= MAX_CHAIN) return null;
    for (const issuer of given) {
      if (tried.has(issuer.fingerprint256) || !isIssuer(issuer, at, below)) continue;
      const root = climb(issuer, below + 1);
      if (root !== null) return root;
    }
    return null;
  };
  const root = climb(leaf, 0);
  if (root !== null) return root;
  throw evidenceError('TIMESTAMP_CHAIN', 'the signer’s certificate does not lead to a trusted authority', {
    expected:
      pinned.length === 0
        ? 'a list of trusted roots that is not empty'
        : pinned.map((r) => oneLine(r.subject)).join('; '),
    got: faults.length > 0 ? faults.join('; ') : `${oneLine(leaf.subject)}, issued by ${oneLine(leaf.issuer)}`,
    where,
  });
}

function rootOf(pem: string, where: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch (cause) {
    throw inputError('TIMESTAMP_ROOT', 'a trusted root is not a certificate', {
      expected: 'PEM',
      got: pem.slice(0, 40),
      where,
      cause,
    });
  }
}
