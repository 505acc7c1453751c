/** A drand network of one member, for tests: any round of it can be signed, so that two genuine rounds can be told apart. */
import { bls12_381 } from '@noble/curves/bls12-381.js';
import { sha256, sha256Hex, toHex, u64be, utf8 } from '../../../base/index.js';
import type { BeaconChain } from '../beacon.js';

const DST = 'BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_';

export interface TestNetwork {
  readonly chain: BeaconChain;
  /** As a relay answers it. */
  round(round: number): { readonly round: number; readonly randomness: string; readonly signature: string };
}

export function testNetwork(name: string, genesis: number): TestNetwork {
  const { shortSignatures } = bls12_381;
  const { secretKey, publicKey } = shortSignatures.keygen(
    Uint8Array.from([...sha256(utf8(name)), ...sha256(utf8(`${name} 2`))].slice(0, 48)),
  );
  return {
    chain: { name, hash: sha256Hex(utf8(name)), publicKey: publicKey.toHex(), genesis, period: 3 },
    round(round) {
      const point = shortSignatures.sign(bls12_381.G1.hashToCurve(sha256(u64be(round)), { DST }), secretKey);
      const signature = shortSignatures.Signature.toBytes(point);
      return { round, randomness: toHex(sha256(signature)), signature: toHex(signature) };
    },
  };
}
