/**
 * From facts and rules to an answer with its reasons. A cell is a range of verdicts: facts that are not known leave
 * several possible, and only where one is left is there an answer. All requirements have to be met, so the weakest
 * decides; a right with several legal bases is as strong as the strongest.
 */
import { type Circumstances, type Facts, factsIn, holds, moveMonths } from './condition.js';
import type { Citation, InForce, Requirement, RowKind, Rule, Statement, Term, Title } from './law.js';
import { RULES_BASE } from './load-law.js';
import {
  type Answer,
  answerOf,
  OPEN,
  point,
  type Range,
  rankOf,
  strongest,
  type Verdict,
  verdictOf,
  weakest,
} from './verdict.js';

/** One reason: a condition of the law and what the facts make of it. */
export interface Reason {
  /** The requirement's id; `asset`: what kind of thing it is; `term`, `in-force`, `not-recognised`, `not-modelled`. */
  readonly id: string;
  readonly text: string;
  /** `met`: as good as it gets; `short`: less than that; `failed`: no; `open`: facts are missing. */
  readonly state: 'met' | 'short' | 'failed' | 'open';
  readonly range: Range;
  /** What the owner could reach here by acting. */
  readonly attainable: number;
  /** One sentence; where facts are missing, one for each state still possible, best first. */
  readonly why: readonly string[];
  readonly cite: readonly Citation[];
  /** Facts looked at. */
  readonly facts: readonly string[];
  readonly toRaise: string | null;
  readonly owner: 'act' | 'given';
}

export interface TitleResult {
  readonly title: Title;
  readonly range: Range;
  readonly attainable: number;
  readonly reasons: readonly Reason[];
  /** Last day of the term; null where none runs or its beginning is not known. */
  readonly ends: string | null;
}

export interface CellResult {
  readonly rule: Rule;
  readonly row: RowKind;
  readonly answer: Answer;
  readonly range: Range;
  /** The best verdict after everything that the owner can still do. */
  readonly attainable: Verdict;
  /** Best first; empty where the law knows no such right or the rules base does not say. */
  readonly titles: readonly TitleResult[];
  /** The reasons that the answer rests on: of the best title, or why there is none. */
  readonly reasons: readonly Reason[];
  /** Those of them that hold the answer where it is. */
  readonly decides: readonly string[];
  /** Every unverified citation that the answer rests on. */
  readonly unverified: readonly Citation[];
}

export function evaluate(rule: Rule, row: RowKind, at: Circumstances): CellResult {
  const absent = noTitle(rule);
  if (absent !== null) return cellOf(rule, row, absent.range, absent.range.high, [], [absent]);
  const titles = rule.titles
    .map((title) => evaluateTitle(title, row, at))
    // Of titles that come to the same, the one that is about this kind of asset has the reason worth reading.
    .sort(
      (a, b) =>
        b.range.low - a.range.low ||
        b.range.high - a.range.high ||
        b.attainable - a.attainable ||
        b.reasons[0]!.range.high - a.reasons[0]!.range.high,
    );
  const range = strongest(titles.map((one) => one.range));
  const attainable = Math.max(...titles.map((one) => one.attainable));
  return cellOf(rule, row, range, attainable, titles, titles[0]!.reasons);
}

function cellOf(
  rule: Rule,
  row: RowKind,
  range: Range,
  attainable: number,
  titles: readonly TitleResult[],
  reasons: readonly Reason[],
): CellResult {
  const rests = [...(titles[0]?.title.cite ?? []), ...reasons.flatMap((one) => one.cite)];
  return {
    rule,
    row,
    answer: answerOf(range),
    range,
    attainable: verdictOf(attainable),
    titles,
    reasons,
    decides: reasons.filter((one) => holdsBack(one.range, range)).map((one) => one.id),
    unverified: distinct(rests.filter((one) => !one.verified)),
  };
}

/** A settled answer is capped by the reasons that can do no better; an open one hangs on those that can do worst. */
const holdsBack = (reason: Range, cell: Range): boolean =>
  cell.low === cell.high ? reason.high === cell.high : reason.low === cell.low;

function noTitle({ notRecognised, notModelled }: Rule): Reason | null {
  const reason = (id: string, { text, cite }: Statement, range: Range): Reason => ({
    id,
    text,
    state: range.high === 0 ? 'failed' : 'open',
    range,
    attainable: range.high,
    why: [text],
    cite,
    facts: [],
    toRaise: null,
    owner: 'given',
  });
  if (notRecognised !== undefined) return reason('not-recognised', notRecognised, point('no'));
  if (notModelled !== undefined) return reason('not-modelled', notModelled, OPEN);
  return null;
}

function evaluateTitle(title: Title, row: RowKind, at: Circumstances): TitleResult {
  const ends = endOf(title.term, at.facts, at.today);
  const reasons = [
    reach(title, row),
    ...inForceReason(title, at),
    ...title.requirements
      .filter((one) => (one.assets?.includes(row) ?? true) && runs(one.inForce, at.today))
      .map((one) => judge(one, at)),
    ...termReason(title, ends, at),
  ];
  return {
    title,
    range: weakest(reasons.map((one) => one.range)),
    attainable: Math.min(...reasons.map((one) => one.attainable)),
    reasons,
    ends,
  };
}

function reach(title: Title, row: RowKind): Reason {
  const found = title.assets.find((one) => one.rows.includes(row));
  if (found === undefined) {
    const why = `The rules base does not say whether ${title.name} reaches this kind of asset`;
    return given('asset', 'The kind of asset', OPEN, why, [{ of: RULES_BASE, verified: false }]);
  }
  return given('asset', 'The kind of asset', point(found.atBest), found.why, found.cite);
}

const given = (id: string, text: string, range: Range, why: string, cite: readonly Citation[]): Reason => ({
  id,
  text,
  state: range.low < range.high ? 'open' : range.low === 0 ? 'failed' : range.low === OPEN.high ? 'met' : 'short',
  range,
  attainable: range.high,
  why: [why],
  cite,
  facts: [],
  toRaise: null,
  owner: 'given',
});

const runs = (inForce: InForce | undefined, day: string): boolean =>
  (inForce?.from ?? '0000') <= day && day <= (inForce?.to ?? '9999');

function inForceReason(title: Title, at: Circumstances): readonly Reason[] {
  if (runs(title.inForce, at.today)) return [];
  const { from, to } = title.inForce!;
  const span = `${from == null ? '' : ` from ${from}`}${to == null ? '' : ` to ${to}`}`;
  return [
    given(
      'in-force',
      'In force on that day',
      point('no'),
      `${title.name} is law${span}, not on ${at.today}`,
      title.cite,
    ),
  ];
}

function termReason(title: Title, ends: string | null, at: Circumstances): readonly Reason[] {
  if (ends === null || ends >= at.today) return [];
  return [given('term', 'The term has not run out', point('no'), `The term ended on ${ends}`, title.term.cite)];
}

/** The requirement against the facts: grades whose condition is unknown stay possible, down to the first that holds. */
export function judge(requirement: Requirement, at: Circumstances): Reason {
  const possible: { readonly is: Verdict; readonly why: string; readonly cite?: readonly Citation[] }[] = [];
  let settled = false;
  for (const grade of requirement.grades) {
    const truth = holds(grade.when, at);
    if (truth === false) continue;
    possible.push(grade);
    if (truth === true) {
      settled = true;
      break;
    }
  }
  if (!settled) possible.push(requirement.otherwise);
  const ranks = possible.map((one) => rankOf(one.is));
  const range = { low: Math.min(...ranks), high: Math.max(...ranks) };
  const best = Math.max(...requirement.grades.map((one) => rankOf(one.is)), rankOf(requirement.otherwise.is));
  return {
    id: requirement.id,
    text: requirement.text,
    state: range.low < range.high ? 'open' : range.low === best ? 'met' : range.low === 0 ? 'failed' : 'short',
    range,
    attainable: requirement.owner === 'act' ? best : range.high,
    why: possible.map((one) => one.why),
    cite: distinct([...possible.flatMap((one) => one.cite ?? []), ...requirement.cite]),
    facts: factsOf(requirement),
    toRaise: requirement.toRaise ?? null,
    owner: requirement.owner,
  };
}

const looked = new WeakMap<Requirement, readonly string[]>();

/** The facts that a requirement looks at. */
function factsOf(requirement: Requirement): readonly string[] {
  let facts = looked.get(requirement);
  if (facts === undefined) {
    facts = [...new Set(requirement.grades.flatMap((one) => factsIn(one.when)))];
    looked.set(requirement, facts);
  }
  return facts;
}

/** Last day on which the term runs; null where no number of years is known or no beginning. */
export function endOf(term: Term, facts: Facts, today: string): string | null {
  if (term.years === undefined) return null;
  // What is only planned starts no term; a later start, by a new investment, has to be recorded to count.
  const from = (term.from ?? []).map((fact) => facts.get(fact)).find((day) => typeof day === 'string' && day <= today);
  if (typeof from !== 'string') return null;
  // Fifteen years from 1 January 2027 end with 31 December 2041.
  if (term.fromNextJanuary === true) return `${Number(from.slice(0, 4)) + term.years}-12-31`;
  return moveMonths(from, term.years * 12);
}

function distinct(citations: readonly Citation[]): readonly Citation[] {
  if (citations.length < 2) return citations;
  return [...new Map(citations.map((one) => [`${one.of} ${one.verified} ${one.at ?? ''}`, one])).values()];
}
