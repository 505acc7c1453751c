/** What the ledger holds for the law besides assets: answers, terms, measures, searches, and who received what. Later statements take the place of earlier ones. */
import type { Json } from '../base/index.js';
import { type Asset, type Registry, registryOf, type StatementView } from '../record/index.js';
import type { FactValue } from './condition.js';
import type { Attribute } from './law.js';

export interface AnswerGiven {
  readonly statement: StatementView;
  readonly fact: string;
  readonly value: FactValue;
}

export interface TermsClauses {
  readonly reverseEngineering?: boolean;
  readonly extraction?: boolean;
  readonly distillation?: boolean;
  readonly returnOrDestroy?: boolean;
  readonly whistleBlowerNotice?: boolean;
  readonly assignment?: boolean;
  readonly specific?: boolean;
}

export interface Terms {
  readonly statement: StatementView;
  readonly kind: 'confidentiality' | 'licence' | 'maintenance' | 'employment' | 'assignment' | 'terms-of-service';
  readonly parties: readonly string[];
  readonly scope: string | null;
  /** Digests; null: all of the room. */
  readonly assets: readonly string[] | null;
  readonly signed: string;
  readonly from: string;
  readonly until: string | null;
  readonly secrecyUntil: string | null;
  readonly clauses: TermsClauses;
  readonly penalty: string | null;
  readonly governingLaw: string | null;
}

export interface MeasureStated {
  readonly statement: StatementView;
  readonly measure: string;
  readonly state: 'in-force' | 'ended';
  readonly on: string;
  readonly until: string | null;
  readonly assets: readonly string[] | null;
  readonly text: string | null;
}

export interface Delivery {
  readonly statement: StatementView;
  readonly recipient: string;
  readonly model: string;
}

export interface Register {
  readonly registry: Registry;
  /** By asset digest, `''` for the room; then by `answerKey`. */
  readonly answers: ReadonlyMap<string, ReadonlyMap<string, AnswerGiven>>;
  readonly terms: Scoped<Terms>;
  readonly measures: Scoped<MeasureStated>;
  readonly searches: readonly StatementView[];
  /** By model digest. */
  readonly deliveries: ReadonlyMap<string, readonly Delivery[]>;
}

export const answerKey = (fact: string, attribute: Attribute | null): string =>
  attribute === null ? fact : `${fact} ${attribute}`;

/** The answer that stands: about this part of the asset, else about the asset; null where none was given. */
export function answerAbout(
  answers: ReadonlyMap<string, AnswerGiven> | undefined,
  fact: string,
  attribute: Attribute | null,
): AnswerGiven | null {
  if (answers === undefined) return null;
  return (attribute === null ? undefined : answers.get(answerKey(fact, attribute))) ?? answers.get(fact) ?? null;
}

/** A pure function of the statements; those withdrawn are left out, statements about the law of later days too (see `matrix`). */
export function registerOf(statements: readonly StatementView[]): Register {
  const registry = registryOf(statements);
  const withdrawn = new Set(
    registry.others.filter((one) => one.kind === 'withdrawal').map((one) => one.predicate.withdraws as string),
  );
  const answers = new Map<string, Map<string, AnswerGiven>>();
  const terms: Terms[] = [];
  const measures: MeasureStated[] = [];
  const searches: StatementView[] = [];
  for (const statement of registry.others) {
    if (withdrawn.has(statement.sha256)) continue;
    const { predicate } = statement;
    if (statement.kind === 'answer') {
      const of = textOf(predicate.asset) ?? '';
      const about = answers.get(of) ?? new Map<string, AnswerGiven>();
      answers.set(of, about);
      const fact = predicate.fact as string;
      const key = answerKey(fact, textOf(predicate.attribute) as Attribute | null);
      const { value } = predicate;
      if (typeof value === 'string' || typeof value === 'boolean') about.set(key, { statement, fact, value });
      else about.delete(key);
    } else if (statement.kind === 'terms') terms.push(termsOf(statement));
    else if (statement.kind === 'measure') measures.push(measureOf(statement));
    else if (statement.kind === 'prior-search') searches.push(statement);
  }
  const deliveries = new Map<string, Delivery[]>();
  for (const statement of registry.releases) {
    const model = (statement.predicate.model as { sha256?: string } | undefined)?.sha256;
    const recipient = textOf(statement.predicate.recipient);
    if (model === undefined || recipient === null) continue;
    const before = deliveries.get(model);
    if (before === undefined) deliveries.set(model, [{ statement, recipient, model }]);
    else before.push({ statement, recipient, model });
  }
  return {
    registry,
    answers,
    terms: scoped(terms),
    measures: scoped(measures),
    searches,
    deliveries,
  };
}

function termsOf(statement: StatementView): Terms {
  const { predicate } = statement;
  return {
    statement,
    kind: predicate.kind as Terms['kind'],
    parties: (predicate.parties ?? []) as readonly string[],
    scope: textOf(predicate.scope),
    assets: (predicate.assets as readonly string[] | undefined) ?? null,
    signed: textOf(predicate.signed) ?? '',
    from: textOf(predicate.from) ?? textOf(predicate.signed) ?? '',
    until: textOf(predicate.until),
    secrecyUntil: textOf(predicate.secrecyUntil),
    clauses: (predicate.clauses ?? {}) as TermsClauses,
    penalty: textOf(predicate.penalty),
    governingLaw: textOf(predicate.governingLaw),
  };
}

function measureOf(statement: StatementView): MeasureStated {
  const { predicate } = statement;
  return {
    statement,
    measure: predicate.measure as string,
    state: predicate.state as MeasureStated['state'],
    on: textOf(predicate.on) ?? '',
    until: textOf(predicate.until),
    assets: (predicate.assets as readonly string[] | undefined) ?? null,
    text: textOf(predicate.text),
  };
}

const textOf = (value: Json | undefined): string | null => (typeof value === 'string' ? value : null);

/** Statements that name assets, or none for all of the room; each list oldest first. */
export interface Scoped<T> {
  readonly all: readonly T[];
  /** Those that name no asset and so reach every one. */
  readonly everywhere: readonly T[];
  /** Those that name this asset by any of its digests. */
  naming(asset: Asset | null): readonly T[];
  /** Both. */
  over(asset: Asset | null): readonly T[];
}

interface Scope {
  readonly assets: readonly string[] | null;
  readonly statement: StatementView;
}

function scoped<T extends Scope>(all: readonly T[]): Scoped<T> {
  const everywhere = all.filter((one) => one.assets === null);
  const byDigest = new Map<string, T[]>();
  for (const one of all) {
    for (const digest of new Set(one.assets ?? [])) {
      const before = byDigest.get(digest);
      if (before === undefined) byDigest.set(digest, [one]);
      else before.push(one);
    }
  }
  const naming = (asset: Asset | null): readonly T[] => {
    if (asset === null || byDigest.size === 0) return NONE;
    let found: readonly T[] = NONE;
    for (const digest of asset.digests) {
      const here = byDigest.get(digest);
      if (here !== undefined) found = found.length === 0 ? here : inOrder([...found, ...here]);
    }
    return found;
  };
  return {
    all,
    everywhere,
    naming,
    over(asset) {
      const named = naming(asset);
      return named.length === 0 ? everywhere : inOrder([...everywhere, ...named]);
    },
  };
}

const NONE: readonly never[] = [];
const inOrder = <T extends Scope>(all: readonly T[]): readonly T[] =>
  [...new Set(all)].sort((a, b) => a.statement.index - b.statement.index);

/** A duty of confidence in force on a day: the agreement itself, or its secrecy that outlasts it. */
export const bindsOn = (terms: Terms, day: string): boolean =>
  terms.from <= day && (terms.until === null || day <= terms.until || day <= (terms.secrecyUntil ?? ''));

/** Names of persons and companies, compared without case and double spaces. */
export const sameParty = (a: string, b: string): boolean => a === b || fold(a) === fold(b);
const fold = (name: string): string => name.normalize('NFKC').trim().replace(/\s+/g, ' ').toLowerCase();
