/** From what a person states to the predicate that is signed: links resolved, earlier facts carried on, days checked. */
import { canonicalJson, inputError, type Json } from '../base/index.js';
import type { Facts, LinkTo, Measured } from './facts.js';
import { type AssetKind, relations } from './kinds.js';
import type { Target } from './links.js';
import { checkPredicate } from './schema.js';

export type Predicate = Readonly<Record<string, Json>>;
export type Resolve = (term: string, relation: LinkTo['relation']) => Promise<Target>;
type Where = (path: readonly string[]) => string;

/** Belong to one statement, never to the asset. */
const OF_THE_STATEMENT = ['supersedes', 'reason'] as const;

/**
 * Facts with `to` and `on` as digests. A field that is null in the facts is taken away from what was known before.
 * @throws `FACTS_INVALID`
 */
export async function resolveFacts(facts: Facts, resolve: Resolve, where?: Where): Promise<Record<string, Json>> {
  const out: Record<string, Json> = { ...(facts as Record<string, Json>) };
  const refuse = (path: readonly string[], expected: string, got: unknown): never => {
    throw inputError('FACTS_INVALID', `what is said does not fit: ${path.join('.')}`, {
      expected,
      got: JSON.stringify(got)?.slice(0, 200) ?? 'nothing',
      where: where === undefined ? path.join('.') : where(path),
    });
  };
  if (Array.isArray(facts.links)) {
    const links: Json[] = [];
    for (const [index, link] of facts.links.entries()) {
      const { relation, to } = (link ?? {}) as LinkTo;
      if (!relations.includes(relation)) refuse(['links', String(index), 'relation'], relations.join(', '), relation);
      if (typeof to !== 'string') refuse(['links', String(index), 'to'], 'a digest, a recorded name or a path', to);
      const target = await resolve(to, relation);
      links.push({ relation, sha256: target.sha256, ...(target.name === null ? {} : { name: target.name }) });
    }
    out.links = links;
  }
  if (Array.isArray(facts.quality)) out.quality = await resolveMeasured(facts.quality, resolve);
  if (Array.isArray(facts.alternatives)) {
    const alternatives: Json[] = [];
    for (const one of facts.alternatives) {
      const quality = Array.isArray(one?.quality) ? { quality: await resolveMeasured(one.quality, resolve) } : {};
      alternatives.push({ ...(one as unknown as Predicate), ...quality });
    }
    out.alternatives = alternatives;
  }
  return out;
}

async function resolveMeasured(list: readonly Measured[], resolve: Resolve): Promise<Json> {
  const out: Json[] = [];
  for (const one of list) {
    const on = typeof one?.on === 'string' ? { on: (await resolve(one.on, 'evaluated-on')).sha256 } : {};
    out.push({ ...(one as unknown as Predicate), ...on });
  }
  return out;
}

/**
 * @param known the predicate in force, or null for a new asset
 * @param defaults used where neither the facts nor what is known has the field
 * @param computed what Muniment found out itself; it wins
 * @throws `FACTS_INVALID`
 */
export function buildPredicate(
  kind: AssetKind,
  facts: Predicate,
  known: Predicate | null,
  defaults: Predicate,
  computed: Predicate,
  where?: Where,
): Predicate {
  const before = known === null ? {} : withoutStatement(known);
  const merged: Record<string, Json> = { ...defaults, ...before, ...facts, ...computed };
  // Links add up: a model keeps its training set when its test set is recorded later.
  if (Array.isArray(before.links) && Array.isArray(merged.links)) {
    merged.links = unique([...before.links, ...(merged.links as readonly Json[])]);
  }
  for (const [name, value] of Object.entries(merged)) if (value === null || value === undefined) delete merged[name];
  checkPredicate(kind, merged, where);
  checkDays(merged, where);
  return merged;
}

export function withoutStatement(predicate: Predicate): Predicate {
  const rest: Record<string, Json> = { ...predicate };
  for (const name of OF_THE_STATEMENT) delete rest[name];
  return rest;
}

/** Whether nothing is said that was not said before. */
export const samePredicate = (a: Predicate, b: Predicate): boolean =>
  canonicalJson(withoutStatement(a)) === canonicalJson(withoutStatement(b));

function unique(items: readonly Json[]): readonly Json[] {
  const seen = new Map<string, Json>();
  for (const item of items) {
    const { relation, sha256 } = item as { relation: string; sha256: string };
    seen.set(`${relation} ${sha256}`, item);
  }
  return [...seen.values()];
}

/** The schema holds the form YYYY-MM-DD; this holds the calendar and the order. */
function checkDays(predicate: Predicate, where?: Where): void {
  const check = (path: readonly string[], value: unknown): void => {
    if (typeof value !== 'string') return;
    const date = new Date(`${value}T00:00:00Z`);
    if (Number.isNaN(date.getTime()) || date.toISOString().slice(0, 10) !== value) {
      throw inputError('FACTS_INVALID', 'there is no such day', { got: value, where: where?.(path) ?? path.join('.') });
    }
  };
  for (const name of ['published', 'firstUse']) check([name], predicate[name]);
  for (const name of ['made', 'period']) {
    const span = (predicate[name] ?? {}) as { from?: string; to?: string };
    check([name, 'from'], span.from);
    check([name, 'to'], span.to);
    if (span.from !== undefined && span.to !== undefined && span.from > span.to) {
      throw inputError('FACTS_INVALID', `${name} ends before it begins`, {
        got: `${span.from} to ${span.to}`,
        where: where?.([name]) ?? name,
      });
    }
  }
}
