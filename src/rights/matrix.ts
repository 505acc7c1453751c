/**
 * Statements and law → asset × right × jurisdiction. Assets of which the law would say the same share a row, so that a
 * room of a hundred thousand statements costs one evaluation for each kind of situation, not for each asset.
 */
import type { Asset, StatementView } from '../record/index.js';
import { type Circumstances, type Condition, type Facts, type FactValue, holds } from './condition.js';
import { factsOf, type Setting, type Subject, specsOf } from './derive.js';
import { type CellResult, endOf, evaluate } from './evaluate.js';
import { type Evidence, evidenceFor } from './evidence-of-facts.js';
import {
  type Attribute,
  attributes,
  type Jurisdiction,
  type Law,
  type Right,
  type RowKind,
  type Rule,
  rowKinds,
  type Term,
} from './law.js';
import { type Measure, type Protection, protectionOf } from './measures.js';
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
  // Two facts of one asset ask for it, one after the other.
  let last: { readonly asset: Asset | null; readonly protection: Protection } | null = null;
  return {
    register,
    today,
    supposed,
    protection(asset) {
      if (last?.asset !== asset || last === null)
        last = { asset, protection: protectionOf(measures, asset, register, today) };
      return last.protection;
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
  const signature = signatureOf(law, rules);
  const specs = new Map(rowKinds.map((row) => [row, specsOf(law, row)]));
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
    const facts = factsOf(specs.get(subject.row)!, subject, setting);
    const at = { facts, sets: law.sets, today: inquiry.asOf };
    const key = `${subject.row} ${signature.sign(at)}`;
    const found = classes.get(key);
    if (found === undefined) {
      const days = new Map(signature.from.flatMap((fact) => (facts.has(fact) ? [[fact, facts.get(fact)!]] : [])));
      classes.set(key, { kind: subject.row, subjects: [subject], facts, earliest: days, latest: new Map(days) });
    } else {
      found.subjects.push(subject);
      for (const fact of signature.from) {
        const day = facts.get(fact);
        if (day === undefined) continue;
        if (day < found.earliest.get(fact)!) found.earliest.set(fact, day);
        if (day > found.latest.get(fact)!) found.latest.set(fact, day);
      }
    }
  }
  const cellOf = remembering(law, rules, inquiry.asOf);
  const rows = [...classes.values()]
    .sort((a, b) => rowKinds.indexOf(a.kind) - rowKinds.indexOf(b.kind))
    .map(({ kind, subjects, facts, earliest, latest }) => ({
      kind,
      subjects: subjects.filter((one) => one.asset !== null),
      facts,
      cells: rules.map((rule) => cellOf(rule, kind, facts)),
      endsOf(term: Term) {
        const end = endOf(term, earliest);
        return end === null ? null : { earliest: end, latest: endOf(term, latest)! };
      },
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

/** A cell depends on what its rule can tell apart, and on nothing else: rows that agree on that share it. */
function remembering(law: Law, rules: readonly Rule[], today: string) {
  const signatures = new Map(rules.map((rule) => [rule, signatureOf(law, [rule])]));
  const cells = new Map(rules.map((rule) => [rule, new Map<string, CellResult>()]));
  return (rule: Rule, kind: RowKind, facts: Facts): CellResult => {
    const key = `${kind} ${signatures.get(rule)!.sign({ facts, sets: law.sets, today })}`;
    const known = cells.get(rule)!;
    let cell = known.get(key);
    if (cell === undefined) {
      cell = evaluate(rule, kind, { facts, sets: law.sets, today });
      known.set(key, cell);
    }
    return cell;
  };
}

interface Signature {
  sign(at: Circumstances): string;
  /** Facts that terms run from. */
  readonly from: readonly string[];
}

/**
 * Facts as far as these rules can tell them apart: values of choices, and for days the truth of every comparison that
 * some rule makes and whether each term has run out.
 */
function signatureOf(law: Law, rules: readonly Rule[]): Signature {
  const plain = new Set<string>();
  const comparisons = new Map<string, Condition>();
  const terms = new Map<string, Term>();
  const walk = (condition: Condition): void => {
    if ('all' in condition || 'any' in condition || 'not' in condition) {
      for (const one of 'all' in condition ? condition.all : 'any' in condition ? condition.any : [condition.not])
        walk(one);
    } else if ('onOrBefore' in condition || 'onOrAfter' in condition) {
      comparisons.set(JSON.stringify(condition), condition);
    } else plain.add(condition.fact);
  };
  for (const title of rules.flatMap((rule) => rule.titles)) {
    for (const requirement of title.requirements) for (const grade of requirement.grades) walk(grade.when);
    if (title.term.years === undefined) continue;
    const { years, from, fromNextJanuary } = title.term;
    terms.set(JSON.stringify([years, from, fromNextJanuary]), title.term);
  }
  // A country matters only by the sets that rules name, but which one it is costs nothing to keep.
  const facts = [...plain].filter((fact) => law.facts.get(fact)!.type !== 'date');
  const dates = [...comparisons.values()];
  const runs = [...terms.values()];
  return {
    from: [...new Set(runs.flatMap((term) => term.from ?? []))],
    sign(at) {
      let text = '';
      for (const fact of facts) text += letterOf(at.facts.get(fact));
      for (const condition of dates) text += letterOf(holds(condition, at) ?? undefined);
      for (const term of runs) {
        const end = endOf(term, at.facts);
        text += end === null ? '?' : end < at.today ? '0' : '1';
      }
      return text;
    },
  };
}

const letterOf = (value: FactValue | undefined): string =>
  value === undefined ? '?' : value === true ? '1' : value === false ? '0' : `${value},`;
