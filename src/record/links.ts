/** What a person points at (a digest, a recorded name or a path) as the digest it stands for. */
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { inputError, noProgress, type Progress } from '../base/index.js';
import { digestPaths } from './digest.js';
import type { AssetKind, Relation } from './kinds.js';
import type { Registry } from './registry.js';

/** What the far end of a relation is, for choosing between assets of one name. */
const FAR_END: Readonly<Record<Relation, readonly AssetKind[] | null>> = {
  'trained-on': ['training-set'],
  'evaluated-on': ['test-set', 'training-set'],
  'derived-from': null,
  architecture: ['architecture'],
  parameters: ['training-parameters'],
  'made-with': ['code', 'system'],
  'part-of': null,
  documents: null,
};

export interface Target {
  readonly sha256: string;
  readonly name: string | null;
}

/** Assets of the same call, which may point at one another though none is in the ledger yet. */
export interface Fellow {
  readonly kind: AssetKind;
  readonly name: string;
  readonly sha256: string;
  readonly paths: readonly string[];
}

/**
 * @param base folder that paths are relative to
 * @throws `LINK_UNKNOWN`, `LINK_AMBIGUOUS`
 */
export async function resolveTarget(
  term: string,
  relation: Relation,
  registry: Registry,
  fellows: readonly Fellow[],
  base: string,
  progress: Progress = noProgress,
): Promise<Target> {
  if (/^[0-9a-f]{64}$/i.test(term)) {
    const sha256 = term.toLowerCase();
    return { sha256, name: registry.byDigest(sha256)[0]?.name ?? null };
  }
  const kinds = FAR_END[relation];
  const fits = (kind: AssetKind): boolean => kinds === null || kinds.includes(kind);
  const file = path.resolve(base, term);
  const here = fellows.find((one) => fits(one.kind) && (one.name === term || one.paths.includes(file)));
  if (here !== undefined) return here;

  const named = registry.byName(term).filter((asset) => fits(asset.kind));
  const digests = new Set(named.map((asset) => asset.sha256));
  if (digests.size > 1) {
    throw inputError('LINK_AMBIGUOUS', `several recorded assets are called ${JSON.stringify(term)}`, {
      expected: 'one',
      got: named.map((asset) => `${asset.kind} ${asset.sha256.slice(0, 16)}… of ${asset.statement.time}`).join('; '),
      todo: 'give the whole digest instead of the name',
    });
  }
  if (named[0] !== undefined) return named[0];
  try {
    await stat(file);
  } catch (cause) {
    throw inputError('LINK_UNKNOWN', `${JSON.stringify(term)} is neither a digest, nor a recorded name, nor a file`, {
      expected: kinds === null ? 'a recorded asset' : `a recorded ${kinds.join(' or ')}`,
      where: relation,
      todo: 'record it first, or give its path',
      cause,
    });
  }
  const { sha256 } = await digestPaths([file], progress);
  return { sha256, name: registry.byDigest(sha256)[0]?.name ?? path.basename(file) };
}
