/** Transferable proofs that an entry is in a log: c2sp.org/tlog-proof. */
import { evidenceError, fromBase64, toBase64 } from '../base/index.js';
import { leafHash, verifyInclusion } from './merkle.js';
import { type Checkpoint, type NoteVerifier, parseCheckpoint, verifyNote } from './note.js';

const HEAD = 'c2sp.org/tlog-proof@v1';

/** @param checkpoint the signed note, verbatim */
export const formatProof = (index: number, proof: readonly Uint8Array[], checkpoint: string): string =>
  `${HEAD}\nindex ${index}\n${proof.map((hash) => `${toBase64(hash)}\n`).join('')}\n${checkpoint}`;

export interface VerifiedProof {
  readonly index: number;
  readonly checkpoint: Checkpoint;
}

/**
 * Checks that `entry` is in a log that one of the verifiers signed.
 * @throws `PROOF_MALFORMED`, `PROOF_WRONG`, and `verifyNote`'s
 */
export function verifyProof(
  text: string,
  entry: Uint8Array,
  verifiers: readonly NoteVerifier[],
  where: string,
): VerifiedProof {
  const malformed = (): never => {
    throw evidenceError('PROOF_MALFORMED', 'not a tlog-proof', { where });
  };
  const at = text.indexOf('\n\n');
  if (at < 0) return malformed();
  const lines = text.slice(0, at).split('\n');
  // The optional line `extra` is not authenticated by anything: read past, never shown.
  if (/^extra [A-Za-z0-9+/]*={0,2}$/.test(lines[1] ?? '')) lines.splice(1, 1);
  const [head, second, ...rest] = lines;
  const match = /^index (0|[1-9]\d{0,15})$/.exec(second ?? '');
  // 64 levels reach beyond 2^53 entries.
  if (head !== HEAD || match === null || rest.length > 64) return malformed();
  const hashes = rest.map(fromBase64);
  if (hashes.some((hash) => hash.length !== 32)) return malformed();
  const checkpoint = parseCheckpoint(verifyNote(text.slice(at + 2), verifiers, where), where);
  const index = Number(match[1]);
  if (!verifyInclusion(leafHash(entry), index, checkpoint.size, hashes, checkpoint.root)) {
    throw evidenceError('PROOF_WRONG', 'an inclusion proof does not lead to the checkpoint', { where });
  }
  return { index, checkpoint };
}
