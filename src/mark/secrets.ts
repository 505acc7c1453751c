/** What the vault holds of a release: seeds, salts, and the time stamp that its keys are bound to. */
import { environmentError, fromHex, fromUtf8, secretBytes, toHex, utf8 } from '../base/index.js';
import type { StampFact } from './beacon.js';
import { newSeeds, SEED_BYTES } from './keys.js';
import type { Gap } from './tree-gaps.js';

export interface SecretStore {
  put(name: string, bytes: Uint8Array): Promise<unknown>;
  get(name: string): Promise<Uint8Array | null>;
}

export interface ReleaseSecrets {
  readonly seeds: readonly Uint8Array[];
  /** For the salts of the original's commitment and of the copy's. */
  readonly originalSalt: Uint8Array;
  readonly copySalt: Uint8Array;
}

const place = (release: string, what: string): string => `release/${release}/${what}`;

export const newSecrets = (batches: number): ReleaseSecrets => ({
  seeds: newSeeds(batches),
  originalSalt: secretBytes(SEED_BYTES),
  copySalt: secretBytes(SEED_BYTES),
});

export async function putSecrets(store: SecretStore, release: string, secrets: ReleaseSecrets): Promise<void> {
  const text = JSON.stringify({
    seeds: secrets.seeds.map(toHex),
    originalSalt: toHex(secrets.originalSalt),
    copySalt: toHex(secrets.copySalt),
  });
  await store.put(place(release, 'secrets'), utf8(text));
}

/** @throws `MARK_SECRETS_LOST` where the vault does not hold them */
export async function getSecrets(store: SecretStore, release: string): Promise<ReleaseSecrets> {
  const bytes = await store.get(place(release, 'secrets'));
  if (bytes === null) {
    throw environmentError('MARK_SECRETS_LOST', 'the vault does not hold the seeds of this release', {
      where: release,
      todo: 'restore the vault from a copy of the room; without its seeds a release cannot be tested',
    });
  }
  const read = JSON.parse(fromUtf8(bytes)) as { seeds: string[]; originalSalt: string; copySalt: string };
  return {
    seeds: read.seeds.map(fromHex),
    originalSalt: fromHex(read.originalSalt),
    copySalt: fromHex(read.copySalt),
  };
}

/** Stamps obtained for a commitment, and how often they were asked for: a token that serves as beacon must not be drawn twice in silence. */
export interface KeptStamps {
  readonly requested: number;
  readonly stamps: readonly StampFact[];
}

export async function getStamps(store: SecretStore, release: string): Promise<KeptStamps> {
  const bytes = await store.get(place(release, 'stamps'));
  return bytes === null ? { requested: 0, stamps: [] } : (JSON.parse(fromUtf8(bytes)) as KeptStamps);
}

export const putStamps = (store: SecretStore, release: string, kept: KeptStamps): Promise<unknown> =>
  store.put(place(release, 'stamps'), utf8(JSON.stringify(kept)));

/** Values of the training data lie in the gaps of a tree ensemble, so the ledger has them by digest only. */
export const putGaps = (store: SecretStore, release: string, gaps: readonly Gap[]): Promise<unknown> =>
  store.put(place(release, 'gaps'), utf8(JSON.stringify(gaps)));

/** @throws `MARK_TREE_GAPS_LOST` where the vault does not hold them */
export async function getGaps(store: SecretStore, release: string): Promise<readonly Gap[]> {
  const bytes = await store.get(place(release, 'gaps'));
  if (bytes !== null) return JSON.parse(fromUtf8(bytes)) as Gap[];
  throw environmentError('MARK_TREE_GAPS_LOST', 'the vault does not hold the gaps in which this release was marked', {
    where: release,
    todo: 'restore the vault from a copy of the room; without them the release cannot be tested',
  });
}

export const graphName = (release: string): string => place(release, 'graph');
