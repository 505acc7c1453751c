/** What a person states about the law's questions, held to what the rules know before it is signed. */
import path from 'node:path';
import { inputError, type Json, usageError } from '../base/index.js';
import {
  type Asset,
  collect,
  digestPaths,
  type RecordingRoom,
  registryOf,
  type StatementView,
} from '../record/index.js';
import { checkDay, type FactValue } from './condition.js';
import { derivedFacts } from './derive.js';
import type { Attribute, FactSpec, Law, RowKind } from './law.js';
import { partsOf } from './matrix.js';
import type { Measure } from './measures.js';
import type { Terms, TermsClauses } from './register.js';

export interface Stated {
  readonly index: number;
  readonly sha256: string;
}

export interface AnswerInput {
  readonly fact: string;
  /** As typed: yes, no, a day, a country, a value; `unknown` takes an earlier answer back. */
  readonly value: string;
  /** Name or digest, `NAME/labels` for a part of a data set; null: the room. */
  readonly asset: string | null;
  readonly reason?: string;
  readonly by?: string;
}

/** @throws `RIGHTS_FACT`, `RIGHTS_VALUE`, `RIGHTS_SHOWN`, `RIGHTS_ASSET` */
export async function answerQuestion(room: RecordingRoom, law: Law, input: AnswerInput): Promise<Stated> {
  const spec = specOf(law, input.fact);
  if (spec.shownOrNot === true && derivedFacts.has(spec.id)) {
    throw inputError('RIGHTS_SHOWN', `${spec.id} has to be shown by the ledger; an answer shows nothing`, {
      expected: spec.follows ?? 'statements that show it',
      todo: `record what shows it: ${spec.follows ?? ''}`,
    });
  }
  const value = input.value === 'unknown' ? null : readValue(spec, input.value);
  const statements = await collect(room.ledger.statements());
  const target = input.asset === null ? null : targetOf(statements, input.asset);
  if (target === null && spec.scope === 'asset' && NOT_FOR_ALL.has(spec.id)) {
    throw inputError('RIGHTS_ASSET', `${spec.id} has no one answer for the whole room`, {
      todo: `say of which asset: --asset NAME`,
    });
  }
  if (target !== null && spec.assets !== undefined && !target.rows.some((row) => spec.assets!.includes(row))) {
    throw inputError('RIGHTS_FACT', `${spec.id} is not asked of ${target.asset.kind}`, {
      expected: spec.assets.join(', '),
    });
  }
  return append(room, 'answer', target === null ? [] : [subjectOf(target.asset)], {
    fact: spec.id,
    value,
    ...(target === null ? {} : { asset: target.asset.sha256 }),
    ...(target?.attribute == null ? {} : { attribute: target.attribute }),
    ...(input.reason === undefined ? {} : { reason: input.reason }),
    ...(input.by === undefined ? {} : { by: input.by }),
  });
}

/** Days and deeds of one thing. */
const NOT_FOR_ALL: ReadonlySet<string> = new Set([
  'completed-on',
  'last-substantial-update',
  'published-on',
  'patent-filed-on',
  'patent-granted',
  'registered-in-us-on',
]);

export function specOf(law: Law, fact: string): FactSpec {
  const spec = law.facts.get(fact);
  if (spec !== undefined) return spec;
  throw usageError('RIGHTS_FACT', `the rules know no fact ${JSON.stringify(fact)}`, {
    expected: `one of ${[...law.facts.keys()].join(', ')}`,
    todo: 'muniment rights ask shows the questions that matter now',
  });
}

/** @throws `RIGHTS_VALUE` */
export function readValue(spec: FactSpec, text: string): FactValue {
  const refuse = (expected: string): never => {
    throw usageError('RIGHTS_VALUE', `this is no answer to: ${spec.question}`, { expected, got: text, where: spec.id });
  };
  if (spec.type === 'boolean') {
    if (['yes', 'true'].includes(text.toLowerCase())) return true;
    if (['no', 'false'].includes(text.toLowerCase())) return false;
    return refuse('yes or no');
  }
  if (spec.type === 'date') return checkDay(text);
  if (spec.type === 'country') {
    return /^[A-Z]{2}$/.test(text.toUpperCase()) ? text.toUpperCase() : refuse('a country as two letters, such as NL');
  }
  return spec.values!.includes(text) ? text : refuse(spec.values!.join(', '));
}

export interface Target {
  readonly asset: Asset;
  readonly attribute: Attribute | null;
  readonly rows: readonly RowKind[];
}

/** @param term a name or a digest (eight digits or more), followed by `/raw`, `/labels` or `/synthetic` for a part @throws `RIGHTS_ASSET` */
export function targetOf(statements: readonly StatementView[], term: string): Target {
  const part = /\/(raw|labels|synthetic)$/.exec(term);
  const name = part === null ? term : term.slice(0, part.index);
  const registry = registryOf(statements);
  const named = registry.byName(name);
  const found =
    named.length > 0
      ? named
      : /^[0-9a-f]{8,64}$/i.test(name)
        ? registry.assets.filter((asset) => asset.digests.some((digest) => digest.startsWith(name.toLowerCase())))
        : [];
  if (found.length !== 1) {
    throw inputError('RIGHTS_ASSET', `no one recorded asset is meant by ${JSON.stringify(term)}`, {
      expected: 'the name of an asset, or eight or more digits of its SHA-256; /labels and the like for a part',
      got:
        found.length === 0
          ? 'nothing of that name'
          : found.map((one) => `${one.kind} ${one.sha256.slice(0, 16)}`).join(', '),
      todo: 'muniment log lists what is recorded',
    });
  }
  const asset = found[0]!;
  const attribute = part === null ? null : (part[1] as Attribute);
  const parts = partsOf(asset).filter((one) => attribute === null || one.attribute === attribute);
  if (parts.length === 0) {
    throw inputError('RIGHTS_ASSET', `${asset.name} has no part ${attribute}`, {
      expected: partsOf(asset)
        .map((one) => one.attribute ?? 'no parts')
        .join(', '),
    });
  }
  return { asset, attribute, rows: parts.map((one) => one.row) };
}

export interface TermsInput {
  readonly kind: Terms['kind'];
  readonly parties: readonly string[];
  /** The signed file; its digest is the subject. */
  readonly file: string | null;
  readonly signed: string;
  readonly from?: string;
  readonly until?: string;
  readonly secrecyUntil?: string;
  readonly scope?: string;
  readonly assets?: readonly string[];
  readonly clauses: TermsClauses;
  readonly purpose?: string;
  readonly penalty?: string;
  readonly governingLaw?: string;
  readonly notes?: string;
}

/** @throws `RIGHTS_DAY`, `RIGHTS_ASSET`, `RIGHTS_TERMS`; what `digestPaths` throws */
export async function addTerms(room: RecordingRoom, input: TermsInput): Promise<Stated> {
  for (const day of [input.signed, input.from, input.until, input.secrecyUntil]) if (day !== undefined) checkDay(day);
  const from = input.from ?? input.signed;
  for (const end of [input.until, input.secrecyUntil]) {
    if (end !== undefined && end < from) {
      throw inputError('RIGHTS_TERMS', 'these terms end before they begin', { got: `${from} to ${end}` });
    }
  }
  const { file, assets, ...rest } = input;
  const statements = await collect(room.ledger.statements());
  const targets = (assets ?? []).map((term) => targetOf(statements, term).asset);
  const document = file === null ? null : await digestPaths([file]);
  return append(
    room,
    'terms',
    [
      ...(document === null ? [] : [{ name: path.basename(file!), sha256: document.sha256 }]),
      ...targets.map(subjectOf),
    ],
    {
      ...(rest as unknown as Record<string, Json>),
      ...(targets.length === 0 ? {} : { assets: targets.map((one) => one.sha256) }),
    },
  );
}

export interface MeasureInput {
  readonly measure: string;
  readonly state: 'in-force' | 'ended';
  readonly on: string;
  readonly until?: string;
  readonly assets?: readonly string[];
  readonly persons?: readonly string[];
  readonly text?: string;
  readonly by?: string;
  /** Evidence files. */
  readonly files?: readonly string[];
}

/** @throws `RIGHTS_MEASURE`, `RIGHTS_DAY`, `RIGHTS_ASSET` */
export async function addMeasure(
  room: RecordingRoom,
  measures: readonly Measure[],
  input: MeasureInput,
): Promise<Stated> {
  const spec = measures.find((one) => one.id === input.measure.toUpperCase());
  if (spec === undefined) {
    throw usageError('RIGHTS_MEASURE', `there is no measure ${JSON.stringify(input.measure)}`, {
      expected: measures.map((one) => `${one.id} ${one.name}`).join('; '),
    });
  }
  checkDay(input.on);
  if (input.until !== undefined) checkDay(input.until);
  const { files, assets, measure: _, ...rest } = input;
  const statements = await collect(room.ledger.statements());
  const targets = (assets ?? []).map((term) => targetOf(statements, term).asset);
  const evidence = await Promise.all(
    (files ?? []).map(async (file) => ({ name: path.basename(file), sha256: (await digestPaths([file])).sha256 })),
  );
  return append(room, 'measure', [...evidence, ...targets.map(subjectOf)], {
    measure: spec.id,
    ...(rest as unknown as Record<string, Json>),
    ...(targets.length === 0 ? {} : { assets: targets.map((one) => one.sha256) }),
  });
}

export interface SearchInput {
  readonly on: string;
  readonly where: readonly string[];
  readonly terms: readonly string[];
  readonly found: readonly {
    readonly what: string;
    readonly published?: string;
    readonly where?: string;
    readonly closeness?: 'same' | 'part' | 'background';
    readonly difference?: string;
  }[];
  readonly by?: string;
  readonly asset?: string;
  readonly notes?: string;
}

/** @throws `RIGHTS_DAY`, `RIGHTS_ASSET` */
export async function addSearch(room: RecordingRoom, input: SearchInput): Promise<Stated> {
  checkDay(input.on);
  const { asset, ...rest } = input;
  const target = asset === undefined ? null : targetOf(await collect(room.ledger.statements()), asset).asset;
  return append(room, 'prior-search', target === null ? [] : [subjectOf(target)], {
    ...(rest as unknown as Record<string, Json>),
    ...(target === null ? {} : { asset: target.sha256 }),
  });
}

const subjectOf = (asset: Asset) => ({ name: asset.name, sha256: asset.sha256 });

async function append(
  room: RecordingRoom,
  kind: string,
  subjects: { name: string; sha256: string }[],
  predicate: Record<string, Json>,
): Promise<Stated> {
  for (const [name, value] of Object.entries(predicate)) if (value === undefined) delete predicate[name];
  const [receipt] = await room.ledger.append([{ kind, subjects, predicate }]);
  return { index: receipt!.index, sha256: receipt!.sha256 };
}
