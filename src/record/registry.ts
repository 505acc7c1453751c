/** Everything that is known, as a pure function of the statements. Later statements correct or withdraw earlier ones; none disappears. */
import type { Json } from '../base/index.js';
import { type AssetKind, isAssetKind, type Keep, type Relation } from './kinds.js';

/** The part of a ledger statement that the registry needs. */
export interface StatementView {
  readonly index: number;
  /** SHA-256 of the envelope. */
  readonly sha256: string;
  readonly kind: string;
  readonly subjects: readonly { readonly name: string; readonly sha256: string }[];
  /** Opened fields; those withheld or erased are absent. */
  readonly predicate: Readonly<Record<string, Json>>;
  /** RFC 3339, stated by the owner. */
  readonly time: string;
}

export interface Asset {
  readonly kind: AssetKind;
  readonly name: string;
  /** The subject digest that stands for the asset. */
  readonly sha256: string;
  /** That one first, then every file named beside it. */
  readonly digests: readonly string[];
  readonly predicate: Readonly<Record<string, Json>>;
  /** Of a model: what the vault holds of it. */
  readonly keep: Keep | null;
  readonly links: readonly { readonly relation: Relation; readonly sha256: string; readonly name: string | null }[];
  /** The statement in force. */
  readonly statement: StatementView;
  /** The first statement about it, which is the one that dates it. */
  readonly first: StatementView;
  /** All statements about it, oldest first. */
  readonly history: readonly StatementView[];
}

export interface Registry {
  /** In force, oldest first. */
  readonly assets: readonly Asset[];
  readonly models: readonly Asset[];
  /** Taken back by a withdrawal. */
  readonly withdrawn: readonly Asset[];
  /** Statements of kind `release-commitment`, `release`, `check`, oldest first; those withdrawn are still here, since commitments and looks count. */
  readonly commitments: readonly StatementView[];
  readonly releases: readonly StatementView[];
  readonly checks: readonly StatementView[];
  /** Every statement that is none of these. */
  readonly others: readonly StatementView[];
  /** In force and with this digest: the asset's own, one of its files' or its statement's. */
  byDigest(sha256: string): readonly Asset[];
  byName(name: string): readonly Asset[];
}

export function registryOf(statements: readonly StatementView[]): Registry {
  const chains = new Map<string, StatementView[]>();
  const withdrawn = new Set<string>();
  const byKind = { 'release-commitment': [], release: [], check: [] } as Record<string, StatementView[]>;
  const others: StatementView[] = [];
  const taken: string[] = [];

  for (const statement of [...statements].sort((a, b) => a.index - b.index)) {
    if (isAssetKind(statement.kind)) {
      const earlier = textOf(statement.predicate.supersedes);
      const chain = earlier === null ? undefined : chains.get(earlier);
      // A correction of something unknown, or of another kind, stands for itself.
      if (chain !== undefined && chain[0]!.kind === statement.kind) {
        chain.push(statement);
        chains.set(statement.sha256, chain);
      } else chains.set(statement.sha256, [statement]);
    } else if (statement.kind === 'withdrawal') {
      const target = textOf(statement.predicate.withdraws);
      if (target !== null) taken.push(target);
      others.push(statement);
    } else (byKind[statement.kind] ?? others).push(statement);
  }
  for (const target of taken) {
    // Withdrawing a correction leaves what it corrected; withdrawing the only statement takes back the asset.
    const chain = chains.get(target);
    if (chain !== undefined) withdrawn.add(target);
  }

  const assets: Asset[] = [];
  const gone: Asset[] = [];
  for (const chain of new Set(chains.values())) {
    const standing = chain.filter((statement) => !withdrawn.has(statement.sha256));
    if (standing.length > 0) assets.push(assetOf(standing.at(-1)!, chain));
    else gone.push(assetOf(chain.at(-1)!, chain));
  }
  return {
    assets,
    models: assets.filter((asset) => asset.kind === 'model'),
    withdrawn: gone,
    commitments: byKind['release-commitment']!,
    releases: byKind.release!,
    checks: byKind.check!,
    others,
    byDigest: (sha256) =>
      assets.filter((asset) => asset.digests.includes(sha256) || asset.history.some((one) => one.sha256 === sha256)),
    byName: (name) => assets.filter((asset) => asset.name === name),
  };
}

function assetOf(statement: StatementView, history: readonly StatementView[]): Asset {
  const { predicate, subjects } = statement;
  const content = predicate.content as { manifest?: readonly { sha256: string }[] } | undefined;
  const links = (predicate.links ?? []) as readonly { relation: Relation; sha256: string; name?: string }[];
  return {
    kind: statement.kind as AssetKind,
    name: textOf(predicate.name) ?? subjects[0]?.name ?? '(withheld)',
    sha256: subjects[0]?.sha256 ?? '',
    digests: [
      ...new Set([...subjects.map((one) => one.sha256), ...(content?.manifest ?? []).map((one) => one.sha256)]),
    ],
    predicate,
    keep: statement.kind === 'model' ? ((textOf(predicate.keep) as Keep | null) ?? 'none') : null,
    links: links.map((link) => ({ relation: link.relation, sha256: link.sha256, name: link.name ?? null })),
    statement,
    first: history[0]!,
    history,
  };
}

const textOf = (value: Json | undefined): string | null => (typeof value === 'string' ? value : null);

/** Reads a whole ledger. */
export async function collect<T>(statements: AsyncIterable<T>): Promise<readonly T[]> {
  const all: T[] = [];
  for await (const statement of statements) all.push(statement);
  return all;
}
