/**
 * Statements and law → asset × right × jurisdiction. Assets of which the law would say the same share a row, so that a
 * room of a hundred thousand statements costs one evaluation for each kind of situation, not for each asset.
 */
import type { Asset, StatementView } from '../record/index.js';
import type { Facts, FactValue } from './condition.js';
import { type FactReader, factReader, type Setting, type Subject, specsOf } from './derive.js';
import { discernment, keyOf } from './discern.js';
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
  const readers = new Map(rowKinds.map((row) => [row, factReader(specsOf(law, row), setting)]));
  const factsAbout = (subject: Subject): Facts => readers.get(subject.row)!.read(subject);
  const classes = classesOf(setting, inquiry, readers, (facts, into) =>
    discerned.codes({ facts, sets: law.sets, today: inquiry.asOf }, into),
  );
  // A cell depends on what its rule can tell apart, and on nothing else: rows that agree on that share it.
  const places = new Map(rules.map((rule, index) => [rule, index]));
  const known = new Map(
    rowKinds.map((kind) => [kind, discerned.together.map(() => new Map<number | string, readonly CellResult[]>())]),
  );
  const cellsOf = ({ kind, codes, subjects }: Alike): readonly CellResult[] => {
    const cells: CellResult[] = new Array(rules.length);
    for (const [index, group] of discerned.together.entries()) {
      const key = group.key(codes);
      const before = known.get(kind)![index]!;
      let found = before.get(key);
      if (found === undefined) {
        const at = { facts: factsAbout(subjects[0]!), sets: law.sets, today: inquiry.asOf };
        found = group.rules.map((rule) => evaluate(rule, kind, at));
        before.set(key, found);
      }
      for (const cell of found) cells[places.get(cell.rule)!] = cell;
    }
    return cells;
  };
  return {
    asOf: inquiry.asOf,
    rows: classes.map((one) => ({
      kind: one.kind,
      subjects: one.subjects.filter((subject) => subject.asset !== null),
      cells: cellsOf(one),
      // Facts and ends are worked out for the rows that somebody reads.
      get facts() {
        return factsAbout(one.subjects[0]!);
      },
      endsOf: (term: Term) => endsOver(term, one.subjects.map(factsAbout), inquiry.asOf),
    })),
    evidence: evidenceFor(law, setting),
  };
}

function endsOver(term: Term, facts: readonly Facts[], today: string): { earliest: string; latest: string } | null {
  if (term.years === undefined) return null;
  const ends = facts.flatMap((one) => endOf(term, one, today) ?? []).sort();
  return ends.length === 0 ? null : { earliest: ends[0]!, latest: ends.at(-1)! };
}

/** Subjects of one kind of which the rules can tell nothing apart. */
interface Alike {
  readonly kind: RowKind;
  readonly codes: readonly number[];
  readonly subjects: Subject[];
}

/** In the order of the kinds, then of the ledger. */
function classesOf(
  setting: Setting,
  inquiry: Inquiry,
  readers: ReadonlyMap<RowKind, FactReader>,
  codesOf: (facts: Facts, into: number[]) => readonly number[],
): readonly Alike[] {
  const kinds = new Map(rowKinds.map((row) => [row, new Map<string, Alike>()]));
  // One map and one list serve all assets: a room holds many, of which few differ.
  const facts = new Map<string, FactValue>();
  const into: number[] = [];
  for (const subject of subjectsOf(setting.register, inquiry.assets)) {
    readers.get(subject.row)!.read(subject, facts);
    const codes = codesOf(facts, into);
    const key = keyOf(codes);
    const alike = kinds.get(subject.row)!;
    const found = alike.get(key);
    if (found === undefined) alike.set(key, { kind: subject.row, codes: codes.slice(), subjects: [subject] });
    else found.subjects.push(subject);
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
