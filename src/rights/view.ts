/** A cell as people and `--json` read it: every sentence with its source, every fact with the statement that it rests on. */

import type { Subject } from './derive.js';
import type { CellResult, Reason } from './evaluate.js';
import type { Evidence } from './evidence-of-facts.js';
import type {
  Citation,
  Defence,
  Formality,
  Jurisdiction,
  Law,
  Remedy,
  Right,
  RowKind,
  Rule,
  Statement,
} from './law.js';
import { RULES_BASE } from './load-law.js';
import type { Matrix, Row } from './matrix.js';
import { type Answer, type Verdict, verdictOf } from './verdict.js';

export interface SourceView {
  readonly cite: string;
  readonly at: string | null;
  readonly url: string | null;
  readonly verified: boolean;
}

export interface FactView {
  readonly fact: string;
  readonly question: string;
  /** null: not known. */
  readonly value: string | boolean | null;
  readonly how: 'stated' | 'answered' | 'shown' | 'not-shown' | 'supposed' | 'unknown';
  readonly field: string | null;
  readonly statements: readonly { readonly index: number; readonly sha256: string }[];
}

export interface ReasonView {
  readonly id: string;
  readonly text: string;
  readonly state: Reason['state'];
  readonly range: readonly [Verdict, Verdict];
  readonly why: readonly string[];
  readonly sources: readonly SourceView[];
  readonly facts: readonly FactView[];
  readonly toRaise: string | null;
}

export interface SaidView {
  readonly text: string;
  readonly answer?: string;
  readonly sources: readonly SourceView[];
}

export interface CellView {
  readonly jurisdiction: Jurisdiction;
  readonly right: Right;
  readonly answer: Answer;
  readonly range: readonly [Verdict, Verdict];
  readonly attainable: Verdict;
  /** The legal basis that decides; null where there is none. */
  readonly title: string | null;
  readonly titleSources: readonly SourceView[];
  readonly decides: readonly string[];
  readonly reasons: readonly ReasonView[];
  /** Facts to be known or shown. */
  readonly missing: readonly string[];
  /** What would change the answer. */
  readonly wouldChange: readonly string[];
  readonly term: SaidView | null;
  readonly ends: { readonly earliest: string; readonly latest: string } | null;
  readonly formality: (SaidView & { readonly cost: string | null; readonly time: string | null }) | null;
  readonly stops: readonly SaidView[];
  readonly defences: Readonly<Record<string, SaidView>> | null;
  readonly remedies: Readonly<Record<string, SaidView>> | null;
  readonly cases: readonly (SaidView & { readonly name: string; readonly date: string | null })[];
  readonly limits: string | null;
  /** Other legal bases looked at, weaker than the one that decides. */
  readonly others: readonly { readonly title: string; readonly range: readonly [Verdict, Verdict] }[];
  /** Sources that the answer rests on and that nobody has verified yet. */
  readonly unverified: readonly SourceView[];
  readonly rulesOf: string;
}

export interface RowView {
  readonly kind: RowKind;
  readonly assets: readonly {
    readonly name: string;
    readonly sha256: string;
    readonly attribute: string | null;
    readonly statement: number;
  }[];
  readonly cells: readonly CellView[];
}

export interface MatrixView {
  readonly asOf: string;
  /** Day of the rules base. */
  readonly rulesOf: string;
  readonly notices: readonly string[];
  readonly rows: readonly RowView[];
}

export function matrixView(law: Law, matrix: Matrix): MatrixView {
  const rulesOf = rulesDay(law);
  return {
    asOf: matrix.asOf,
    rulesOf,
    notices: noticesOf(matrix, rulesOf),
    rows: matrix.rows.map((row) => ({
      kind: row.kind,
      assets: row.subjects.map(({ asset, attribute }) => ({
        name: asset!.name,
        sha256: asset!.sha256,
        attribute,
        statement: asset!.statement.index,
      })),
      cells: row.cells.map((cell) => cellView(cell, row, matrix)),
    })),
  };
}

/** The day of the rules base: the latest of its files. */
export const rulesDay = (law: Law): string => law.rules.map((rule) => rule.asOf).reduce((a, b) => (a > b ? a : b));

/** What every text about rights says once. */
export function noticesOf(matrix: Pick<Matrix, 'asOf' | 'rows'>, rulesOf: string): readonly string[] {
  const cells = matrix.rows.flatMap((row) => row.cells);
  const unverified = cells.filter((cell) => cell.unverified.length > 0).length;
  return [
    'Information, not legal advice.',
    `Rules as of ${rulesOf}.${matrix.asOf === rulesOf ? '' : ` Asked for ${matrix.asOf}: changes of law are known only where the rules record a date.`}`,
    `${unverified} of ${cells.length} answers rest on at least one source that nobody has verified yet; each is marked †.`,
    'A mark in a model helps to recognise it; it changes nothing about which rights exist in it.',
  ];
}

export function cellView(
  cell: CellResult,
  row: Pick<Row, 'subjects' | 'endsOf'>,
  matrix: Pick<Matrix, 'evidence'>,
): CellView {
  const { rule } = cell;
  const best = cell.titles[0]?.title ?? null;
  const source = sourceIn(rule);
  const said = ({ text, cite }: Statement): SaidView => ({ text, sources: cite.map(source) });
  const answered = (one: Defence | Remedy): SaidView => ({ ...said(one), answer: one.answer });
  const subject = row.subjects[0];
  const reasons = cell.reasons.map((reason) => reasonView(reason, source, subject, matrix));
  return {
    jurisdiction: rule.jurisdiction,
    right: rule.right,
    answer: cell.answer,
    range: [verdictOf(cell.range.low), verdictOf(cell.range.high)],
    attainable: cell.attainable,
    title: best?.name ?? null,
    titleSources: (best?.cite ?? []).map(source),
    decides: cell.decides,
    reasons,
    missing: missingIn(cell, reasons),
    wouldChange: cell.reasons.flatMap((one) => (one.state !== 'met' && one.toRaise !== null ? [one.toRaise] : [])),
    term: best === null ? null : said(best.term),
    ends: best === null ? null : row.endsOf(best.term),
    formality: best === null ? null : formalityView(best.formality, said),
    stops: (best?.stops ?? []).map(said),
    defences: best === null ? null : mapValues(best.defences, answered),
    remedies: best === null ? null : mapValues(best.remedies, answered),
    cases: (best?.cases ?? []).map((one) => ({ ...said(one), name: one.name, date: one.date })),
    limits: best?.limits ?? null,
    others: cell.titles.slice(1).map((one) => ({
      title: one.title.name,
      range: [verdictOf(one.range.low), verdictOf(one.range.high)] as const,
    })),
    unverified: cell.unverified.map(source),
    rulesOf: rule.asOf,
  };
}

const formalityView = (one: Formality, said: (one: Statement) => SaidView) => ({
  ...said(one),
  answer: one.kind,
  cost: one.cost ?? null,
  time: one.time ?? null,
});

function reasonView(
  reason: Reason,
  source: (citation: Citation) => SourceView,
  subject: Subject | undefined,
  matrix: Pick<Matrix, 'evidence'>,
): ReasonView {
  return {
    id: reason.id,
    text: reason.text,
    state: reason.state,
    range: [verdictOf(reason.range.low), verdictOf(reason.range.high)],
    why: reason.why,
    sources: reason.cite.map(source),
    facts: reason.facts.map((fact) => factView(matrix.evidence(subject ?? null, fact))),
    toRaise: reason.toRaise,
  };
}

function factView({ spec, known }: Evidence): FactView {
  return {
    fact: spec.id,
    question: spec.question,
    value: known?.value ?? null,
    how: known?.how ?? 'unknown',
    field: known?.field ?? null,
    statements: (known?.statements ?? []).map((one) => ({ index: one.index, sha256: one.sha256 })),
  };
}

function missingIn(cell: CellResult, reasons: readonly ReasonView[]): readonly string[] {
  const facts = reasons
    .filter((one) => one.state === 'open')
    .flatMap((one) => one.facts.filter((fact) => fact.value === null).map((fact) => fact.question));
  return [...new Set(facts)].filter(() => cell.answer === 'unknown');
}

export const sourceIn =
  (rule: Rule) =>
  ({ of, at, verified }: Citation): SourceView => {
    const found = of === RULES_BASE ? { cite: `Muniment rules base, ${rule.asOf} (inference)` } : rule.sources[of]!;
    return { cite: found.cite, at: at ?? null, url: 'url' in found ? (found.url ?? null) : null, verified };
  };

const mapValues = <K extends string, A, B>(
  record: Readonly<Record<K, A>>,
  change: (value: A) => B,
): Readonly<Record<K, B>> =>
  Object.fromEntries(Object.entries(record).map(([name, value]) => [name, change(value as A)])) as Record<K, B>;
