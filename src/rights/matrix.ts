/**
 * Statements and law → asset × right × jurisdiction. Assets of which the law would say the same share a row, so that a
 * room of a hundred thousand statements costs one evaluation for each kind of situation, not for each asset.
 */
import type { Asset, StatementView } from '../record/index.js';
import type { Facts, FactValue } from './condition.js';
import { factsOf, type Setting, type Subject, specsOf } from './derive.js';
import { type Discernment, discernment } from './discern.js';
import { type CellResult, endOf, evaluate } from './evaluate.js';
import { type Evidence, evidenceFor } from './evidence-of-facts.js';
import {
  type Attribute,
  attributes,
  type Jurisdiction,
  type Law,
  type Right,
  type RowKind,
  rowKinds,
  type Term,
} from './law.js';
import { judgeMeasures, type Measure, type Protection, protectionOf, situationOf } from './measures.js';
import { type Register, registerOf } from './register.js';

export interface Inquiry {
  /** `YYYY-MM-DD`; the law of that day, the facts as the ledger holds them now. */
  readonly asOf: string;
  /** `--what-if` */
  readonly supposed?: ReadonlyMap<string, FactValue>;
  readonly jurisdictions?: readonly Jurisdiction[];
  readonly rights?: readonly Right[];
  /** Only these assets; all where absent. */
  readonly assets?: readonly Asset[];
}

export interface Row {
  readonly kind: RowKind;
  /** Those of which the law says the same; empty where none of this kind is recorded. */
  readonly subjects: readonly Subject[];
  /** Of the first of them. */
  readonly facts: Facts;
  readonly cells: readonly CellResult[];
  /** Last day of a title's term, over the row's assets; null where none runs or its beginning is not known. */
  endsOf(term: Term): { readonly earliest: string; readonly latest: string } | null;
}

export interface Matrix {
  readonly asOf: string;
  readonly rows: readonly Row[];
  readonly setting: Setting;
  /** Facts of one subject with the statements that they rest on. */
  evidence(subject: Subject | null, fact: string): Evidence;
}

export function settingOf(
  measures: readonly Measure[],
  register: Register,
  today: string,
  supposed: ReadonlyMap<string, FactValue> = new Map(),
): Setting {
  const alike = new Map<string, Protection>();
  return {
    register,
    today,
    supposed,
    judged: (asset) => judgeMeasures(measures, asset, register, today),
    protection(asset) {
      const situation = asset === null ? '' : situationOf(asset, register);
      if (situation === null) return protectionOf(measures, asset, register, today);
      let known = alike.get(situation);
      if (known === undefined) {
        known = protectionOf(measures, asset, register, today);
        alike.set(situation, known);
      }
      return known;
    },
  };
}

export function matrixOf(
  law: Law,
  measures: readonly Measure[],
  statements: readonly StatementView[],
  inquiry: Inquiry,
): Matrix {
  const register = registerOf(statements);
  const setting = settingOf(measures, register, inquiry.asOf, inquiry.supposed);
  return { ...rowsOf(law, setting, inquiry), setting };
}

export function rowsOf(law: Law, setting: Setting, inquiry: Inquiry): Omit<Matrix, 'setting'> {
  const rules = law.rules.filter(
    (rule) =>
      (inquiry.jurisdictions?.includes(rule.jurisdiction) ?? true) && (inquiry.rights?.includes(rule.right) ?? true),
  );
  const discerned = discernment(law, rules);
  const rows = classesOf(law, setting, inquiry, discerned).map(
    ({ kind, codes, subjects, facts, earliest, latest }) => ({
      kind,
      subjects: subjects.filter((one) => one.asset !== null),
      facts,
      codes,
      endsOf(term: Term) {
        const end = endOf(term, earliest, inquiry.asOf);
        return end === null ? null : { earliest: end, latest: endOf(term, latest, inquiry.asOf)! };
      },
    }),
  );
  // A cell depends on what its rule can tell apart, and on nothing else: rows that agree on that share it.
  const cells = new Map(rowKinds.map((kind) => [kind, rules.map(() => new Map<number | string, CellResult>())]));
  const cellsOf = ({ kind, codes, facts }: (typeof rows)[number]): readonly CellResult[] => {
    const known = cells.get(kind)!;
    return rules.map((rule, index) => {
      const key = discerned.keyFor(rule, codes);
      const cell = known[index]!.get(key) ?? evaluate(rule, kind, { facts, sets: law.sets, today: inquiry.asOf });
      known[index]!.set(key, cell);
      return cell;
    });
  };
  return {
    asOf: inquiry.asOf,
    rows: rows.map((row) => ({ ...row, cells: cellsOf(row) })),
    evidence: evidenceFor(law, setting),
  };
}

/** Subjects of one kind of which the rules can tell nothing apart; days at their ends, for the terms. */
interface Alike {
  readonly kind: RowKind;
  readonly codes: readonly number[];
  readonly subjects: Subject[];
  /** Of the first. */
  readonly facts: Facts;
  readonly earliest: Map<string, FactValue>;
  readonly latest: Map<string, FactValue>;
}

/** In the order of the kinds, then of the ledger. */
function classesOf(law: Law, setting: Setting, inquiry: Inquiry, discerned: Discernment): readonly Alike[] {
  const specs = new Map(rowKinds.map((row) => [row, specsOf(law, row)]));
  const kinds = new Map(rowKinds.map((row) => [row, new Map<string, Alike>()]));
  const scratch = new Map<string, FactValue>();
  for (const subject of subjectsOf(setting.register, inquiry.assets)) {
    const facts = factsOf(specs.get(subject.row)!, subject, setting, scratch);
    const codes = discerned.codes({ facts, sets: law.sets, today: inquiry.asOf });
    const key = discerned.key(codes);
    const alike = kinds.get(subject.row)!;
    const found = alike.get(key);
    if (found === undefined) {
      const days = new Map(discerned.from.flatMap((fact) => (facts.has(fact) ? [[fact, facts.get(fact)!]] : [])));
      alike.set(key, {
        kind: subject.row,
        codes,
        subjects: [subject],
        facts: new Map(facts),
        earliest: days,
        latest: new Map(days),
      });
      continue;
    }
    found.subjects.push(subject);
    for (const fact of discerned.from) {
      const day = facts.get(fact);
      if (day === undefined) continue;
      if (day < found.earliest.get(fact)!) found.earliest.set(fact, day);
      if (day > found.latest.get(fact)!) found.latest.set(fact, day);
    }
  }
  return [...kinds.values()].flatMap((alike) => [...alike.values()]);
}

/** Every asset in force, data sets part by part; a kind of which none is recorded stands once, without an asset. */
export function* subjectsOf(register: Register, only?: readonly Asset[]): Generator<Subject> {
  const seen = new Set<RowKind>();
  for (const asset of only ?? register.registry.assets) {
    for (const subject of partsOf(asset)) {
      seen.add(subject.row);
      yield subject;
    }
  }
  if (only !== undefined) return;
  for (const row of rowKinds) {
    if (seen.has(row)) continue;
    const attribute = row.includes('.') ? (row.split('.')[1] as Attribute) : null;
    yield { asset: null, attribute, row };
  }
}

export function partsOf(asset: Asset): readonly Subject[] {
  const { kind } = asset;
  if (kind !== 'training-set' && kind !== 'test-set') return [{ asset, attribute: null, row: kind }];
  const { parts, how } = asset.predicate as {
    parts?: Readonly<Record<string, unknown>>;
    how?: { readonly way?: string };
  };
  const named = attributes.filter((one) => parts?.[one] !== undefined);
  // Without parts a simulated set is synthetic, any other is data as they came.
  const list: readonly Attribute[] = named.length > 0 ? named : [how?.way === 'simulated' ? 'synthetic' : 'raw'];
  return list.map((attribute) => ({ asset, attribute, row: `${kind}.${attribute}` as const }));
}
