/** Why an authority gave no token (RFC 3161 §2.4.2). */
import type { PKIStatusInfo } from '@peculiar/asn1-tsp';

/** Bits of PKIFailureInfo. */
const FAILURES: Readonly<Record<number, string>> = {
  0: 'it does not know the hash algorithm',
  2: 'the request is not permitted',
  5: 'it found the request malformed',
  14: 'its source of time is not available',
  15: 'it does not offer this policy',
  16: 'it does not know an extension of the request',
  17: 'it cannot add the information asked for',
  25: 'it had a failure of its own',
};

/** In words, or null where the token was granted (0), or granted with changes (1). */
export function refusal({ status, statusString, failInfo }: PKIStatusInfo): string | null {
  const number = Number(status);
  if (number === 0 || number === 1) return null;
  const bits = failInfo === undefined ? [] : bitsOf(new Uint8Array(failInfo.value));
  const reasons = bits.map((bit) => FAILURES[bit] ?? `failure ${bit}`);
  // Text of an authority that is not trusted yet: printable and short.
  const said = [...(statusString ?? [])].map((text) => JSON.stringify(text.slice(0, 200)));
  return [`status ${number}`, ...reasons, ...said].join(', ');
}

/** BIT STRING: bit 0 is the highest of the first byte. */
const bitsOf = (bytes: Uint8Array): number[] =>
  [...bytes.slice(0, 4)].flatMap((byte, at) =>
    [0, 1, 2, 3, 4, 5, 6, 7].filter((bit) => byte & (0x80 >> bit)).map((bit) => at * 8 + bit),
  );
