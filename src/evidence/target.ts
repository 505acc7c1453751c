/** What a bundle is about, and the statements that this rests on. */
import { inputError, type Json } from '../base/index.js';
import type { LedgerStatement } from '../ledger/index.js';
import { commitmentsOf, type ReleaseFact, releasesOf } from '../mark/index.js';
import { findStatement, registryOf } from '../record/index.js';
import { type CheckFact, checkOf } from './check-fact.js';

export type Target =
  | { readonly kind: 'check'; readonly check: CheckFact }
  | { readonly kind: 'model'; readonly model: LedgerStatement; readonly name: string }
  | { readonly kind: 'release'; readonly release: ReleaseFact };

/**
 * @param term a check's id or statement, `last` for the latest check, a release's id, or a model's name or digest
 * @throws `PROVE_UNKNOWN`, `PROVE_UNFINISHED`
 */
export function targetOf(statements: readonly LedgerStatement[], term: string): Target {
  const checks = statements.map(checkOf).filter((one) => one !== null);
  const check = (term === 'last' ? checks.at(-1) : checks.find((one) => one.check === term)) ?? null;
  if (check !== null) return { kind: 'check', check };
  const release = releasesOf(statements).find((one) => one.release === term);
  if (release !== undefined) return { kind: 'release', release };
  if (commitmentsOf(statements).some((one) => one.release === term)) {
    throw inputError('PROVE_UNFINISHED', 'this release was committed and never finished', {
      got: term,
      todo: `muniment release --resume ${term} --out FILE`,
    });
  }
  const registry = registryOf(statements);
  const named = [...registry.byName(term), ...registry.byDigest(term)].find((asset) => asset.kind === 'model');
  if (named !== undefined) return { kind: 'model', model: statements[named.statement.index]!, name: named.name };
  const found = statements.some((one) => one.sha256.startsWith(term)) ? findStatement(statements, term) : null;
  const asCheck = found === null ? null : checkOf(found);
  if (asCheck !== null) return { kind: 'check', check: asCheck };
  throw inputError('PROVE_UNKNOWN', 'neither a check, nor a release, nor a recorded model', {
    expected: 'the id of a check (c-…), last for the latest one, of a release (r-…), or the name or digest of a model',
    got: term,
    todo: 'muniment log lists them',
  });
}

/**
 * What the target rests on: the room's keys, the check, each related release with its commitment, the model and all it
 * links to, every stamp.
 * @param opened the release of which keys are shown; null where none are
 */
export function relevant(
  statements: readonly LedgerStatement[],
  target: Target,
  opened: string | null,
): readonly LedgerStatement[] {
  const wanted = new Set<string>();
  const registry = registryOf(statements);
  const addModel = (digest: string): void => {
    for (const asset of registry.byDigest(digest)) {
      if (wanted.has(asset.statement.sha256)) continue;
      for (const one of asset.history) wanted.add(one.sha256);
      for (const link of asset.links) addModel(link.sha256);
    }
  };
  for (const one of statements) if (one.kind === 'room-opened' || one.kind === 'timestamp') wanted.add(one.sha256);
  if (target.kind === 'model') addModel(target.model.sha256);
  else {
    const releases = new Set(opened === null ? [] : [opened]);
    if (target.kind === 'release') releases.add(target.release.release);
    else {
      wanted.add(target.check.statement.sha256);
      for (const { verdict, release } of target.check.candidates) {
        if (verdict === 'related' && release !== null) releases.add(release);
      }
    }
    for (const one of statements) {
      if (
        (one.kind === 'release' || one.kind === 'release-commitment') &&
        releases.has(one.predicate.release as string)
      ) {
        wanted.add(one.sha256);
        addModel(String((one.predicate.model as { sha256?: Json })?.sha256));
      }
      if (one.kind === 'opening' && opened !== null) wanted.add(one.sha256);
    }
  }
  return statements.filter((one) => wanted.has(one.sha256));
}
