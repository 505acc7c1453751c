/**
 * Statements and law → asset × right × jurisdiction. Assets of which the law would say the same share a row, so that a
 * room of a hundred thousand statements costs one evaluation for each kind of situation, not for each asset.
 */
import type { Asset, StatementView } from '../record/index.js';
import { type Circumstances, type Condition, type Facts, type FactValue, holds } from './condition.js';
import { factsOf, type Setting, type Subject } from './derive.js';
import { type CellResult, endOf, evaluate } from './evaluate.js';
import { type Evidence, evidenceFor } from './evidence-of-facts.js';
import {
  type Attribute,
  attributes,
  type FactSpec,
  type Jurisdiction,
  type Law,
  type Right,
  type RowKind,
  rowKinds,
  type Term,
} from './law.js';
import { judgeMeasures, type Measure, type MeasureJudgement } from './measures.js';
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
  readonly cells: readonly Cell[];
}

export interface Cell extends CellResult {
  /** Last day of the deciding title's term over the row's assets; null where none runs or its beginning is not known. */
  readonly ends: { readonly earliest: string; readonly latest: string } | null;
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
  const judged = new Map<Asset, readonly MeasureJudgement[]>();
  return {
    register,
    today,
    supposed,
    measures(asset) {
      if (asset === null) return [];
      let found = judged.get(asset);
      if (found === undefined) {
        found = judgeMeasures(measures, asset, register, today);
        judged.set(asset, found);
      }
      return found;
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
  const signature = signatureOf(law);
  const classes = new Map<
    string,
    {
      kind: RowKind;
      subjects: Subject[];
      facts: Facts;
      earliest: Map<string, FactValue>;
      latest: Map<string, FactValue>;
    }
  >();
  for (const subject of subjectsOf(setting.register, inquiry.assets)) {
    const facts = factsOf(law.facts.values(), subject, setting);
    const at = { facts, sets: law.sets, today: inquiry.asOf };
    const key = `${subject.row} ${signature(at)}`;
    const found = classes.get(key);
    if (found === undefined) {
      classes.set(key, {
        kind: subject.row,
        subjects: [subject],
        facts,
        earliest: new Map(facts),
        latest: new Map(facts),
      });
    } else {
      found.subjects.push(subject);
      for (const term of signature.from) {
        const day = facts.get(term);
        if (day === undefined) continue;
        if (day < found.earliest.get(term)!) found.earliest.set(term, day);
        if (day > found.latest.get(term)!) found.latest.set(term, day);
      }
    }
  }
  const rows = [...classes.values()]
    .sort((a, b) => rowKinds.indexOf(a.kind) - rowKinds.indexOf(b.kind))
    .map(({ kind, subjects, facts, earliest, latest }) => ({
      kind,
      subjects: subjects.filter((one) => one.asset !== null),
      facts,
      cells: rules.map((rule): Cell => {
        const cell = evaluate(rule, kind, { facts, sets: law.sets, today: inquiry.asOf });
        const term = cell.titles[0]?.title.term;
        const ends = term === undefined ? null : endOf(term, earliest);
        return { ...cell, ends: ends === null ? null : { earliest: ends, latest: endOf(term!, latest)! } };
      }),
    }));
  return { asOf: inquiry.asOf, rows, evidence: evidenceFor(law, setting) };
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

/**
 * Facts as far as the law can tell them apart: values of choices, and for days the truth of every comparison that some
 * rule makes and whether each term has run out.
 */
function signatureOf(law: Law): ((at: Circumstances) => string) & { readonly from: readonly string[] } {
  const plain: FactSpec[] = [...law.facts.values()].filter((spec) => spec.type !== 'date');
  const comparisons = new Map<string, Condition>();
  const terms = new Map<string, Term>();
  const walk = (condition: Condition): void => {
    if ('all' in condition) condition.all.forEach(walk);
    else if ('any' in condition) condition.any.forEach(walk);
    else if ('not' in condition) walk(condition.not);
    else if ('onOrBefore' in condition || 'onOrAfter' in condition)
      comparisons.set(JSON.stringify(condition), condition);
  };
  for (const title of law.rules.flatMap((rule) => rule.titles)) {
    for (const requirement of title.requirements) for (const grade of requirement.grades) walk(grade.when);
    if (title.term.years !== undefined) {
      const { years, from, fromNextJanuary } = title.term;
      terms.set(JSON.stringify([years, from, fromNextJanuary]), title.term);
    }
  }
  const dates = [...comparisons.values()];
  const runs = [...terms.values()];
  const sign = (at: Circumstances): string => {
    let text = '';
    for (const spec of plain) text += `${at.facts.get(spec.id) ?? ''},`;
    for (const condition of dates) text += `${holds(condition, at)},`;
    for (const term of runs) {
      const end = endOf(term, at.facts);
      text += end === null ? '-' : end < at.today ? '0' : '1';
    }
    return text;
  };
  return Object.assign(sign, { from: [...new Set(runs.flatMap((term) => term.from ?? []))] });
}
