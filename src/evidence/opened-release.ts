/** A release opened whole: every batch's seed and the salts, so that others make the released file again. */
import { evidenceError, fromHex, toHex } from '../base/index.js';
import {
  type CommitmentFact,
  checkOpened,
  type Gap,
  getGaps,
  getSecrets,
  type ReleaseSecrets,
  releaseRoom,
  vaultOf,
} from '../mark/index.js';
import type { Room } from '../room/index.js';
import { bundlePaths } from './bundle.js';

/** Plain data of `recompute/release.json`; all hex, 32 bytes each. */
export interface OpenedRelease {
  readonly release: string;
  /** Of every batch, in order. */
  readonly seeds: readonly string[];
  /** From which the salts of H(w0) and of H(w) are derived. */
  readonly originalSalt: string;
  readonly copySalt: string;
  /** Of a release of trees: where its thresholds lie, between which values of the training data. */
  readonly gaps?: readonly Gap[];
}

/** From the vault. @throws `MARK_SECRETS_LOST`, and what `checkOpened` throws where the vault holds others */
export async function openRelease(room: Room, commitment: CommitmentFact): Promise<OpenedRelease> {
  const vault = vaultOf(releaseRoom(room));
  const secrets = await getSecrets(vault, commitment.release);
  checkOpened(commitment, secrets.seeds);
  return {
    release: commitment.release,
    seeds: secrets.seeds.map(toHex),
    originalSalt: toHex(secrets.originalSalt),
    copySalt: toHex(secrets.copySalt),
    ...(commitment.plan.trees === undefined ? {} : { gaps: await getGaps(vault, commitment.release) }),
  };
}

const SECRET = /^[0-9a-f]{64}$/;

/**
 * Reads what a bundle opens, and holds it to the commitment.
 * @throws `BUNDLE_SEEDS`, and what `checkOpened` throws
 */
export function secretsOf(
  opened: OpenedRelease,
  commitment: CommitmentFact,
): ReleaseSecrets & { readonly gaps?: readonly Gap[] } {
  const { release, seeds, originalSalt, copySalt, gaps } = opened;
  const wrong = [...seeds, originalSalt, copySalt].find((text) => typeof text !== 'string' || !SECRET.test(text));
  if (release !== commitment.release || wrong !== undefined) {
    throw evidenceError('BUNDLE_SEEDS', 'the opened seeds are not those of one release', {
      expected: `seeds and salts of 32 bytes in hex, of ${commitment.release}`,
      got: wrong === undefined ? String(release) : JSON.stringify(wrong).slice(0, 80),
      where: bundlePaths.release,
      todo: 'ask the owner for a new bundle: muniment prove RELEASE --expert --all-batches',
    });
  }
  const secrets = { seeds: seeds.map(fromHex), originalSalt: fromHex(originalSalt), copySalt: fromHex(copySalt) };
  checkOpened(commitment, secrets.seeds);
  return gaps === undefined ? secrets : { ...secrets, gaps };
}
