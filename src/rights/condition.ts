/** Conditions on facts, in Kleene's three values: what is not known makes true and false into unknown, never into a guess. */
import { inputError } from '../base/index.js';

export type FactValue = string | boolean;
/** One asset's facts on one day; a fact that is absent is unknown. */
export type Facts = ReadonlyMap<string, FactValue>;

/** A day that a fact states, moved by whole months; `today` is the day of the question. */
export interface Moment {
  readonly day: string;
  readonly months?: number;
}

export type Condition =
  | { readonly fact: string; readonly is?: FactValue | readonly FactValue[] }
  | { readonly fact: string; readonly in: string }
  | { readonly fact: string; readonly onOrBefore: Moment }
  | { readonly fact: string; readonly onOrAfter: Moment }
  | { readonly all: readonly Condition[] }
  | { readonly any: readonly Condition[] }
  | { readonly not: Condition };

/** true, false, or null: unknown. */
export type Truth = boolean | null;

export interface Circumstances {
  readonly facts: Facts;
  readonly sets: Readonly<Record<string, readonly string[]>>;
  /** `YYYY-MM-DD` */
  readonly today: string;
}

export function holds(condition: Condition, at: Circumstances): Truth {
  if ('all' in condition) return every(condition.all, at);
  if ('any' in condition) {
    let truth: Truth = false;
    for (const one of condition.any) {
      const value = holds(one, at);
      if (value === true) return true;
      if (value === null) truth = null;
    }
    return truth;
  }
  if ('not' in condition) {
    const value = holds(condition.not, at);
    return value === null ? null : !value;
  }
  const value = at.facts.get(condition.fact);
  if (value === undefined) return null;
  if ('in' in condition) return at.sets[condition.in]!.includes(String(value));
  if ('onOrBefore' in condition) return compareDays(value, condition.onOrBefore, at, (a, b) => a <= b);
  if ('onOrAfter' in condition) return compareDays(value, condition.onOrAfter, at, (a, b) => a >= b);
  const expected = condition.is ?? true;
  return Array.isArray(expected) ? expected.includes(value) : value === expected;
}

function every(conditions: readonly Condition[], at: Circumstances): Truth {
  let truth: Truth = true;
  for (const one of conditions) {
    const value = holds(one, at);
    if (value === false) return false;
    if (value === null) truth = null;
  }
  return truth;
}

function compareDays(
  value: FactValue,
  moment: Moment,
  at: Circumstances,
  order: (a: string, b: string) => boolean,
): Truth {
  const other = moment.day === 'today' ? at.today : at.facts.get(moment.day);
  if (typeof other !== 'string' || typeof value !== 'string') return null;
  return order(value, moveMonths(other, moment.months ?? 0));
}

/** By whole months; a day that the month lacks becomes its last. `2024-02-29` + 12 is `2025-02-28`. */
export function moveMonths(day: string, months: number): string {
  const total = Number(day.slice(0, 4)) * 12 + Number(day.slice(5, 7)) - 1 + months;
  const year = Math.floor(total / 12);
  const month = total - year * 12;
  const leap = (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0;
  const last = month === 1 && leap ? 29 : LENGTHS[month]!;
  const date = Math.min(Number(day.slice(8, 10)), last);
  return `${String(year).padStart(4, '0')}-${two(month + 1)}-${two(date)}`;
}

const LENGTHS = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] as const;
const two = (n: number): string => (n < 10 ? `0${n}` : `${n}`);

/** The facts that a condition looks at, each once, in order. */
export function factsIn(condition: Condition): readonly string[] {
  const found = new Set<string>();
  const walk = (one: Condition): void => {
    if ('all' in one) one.all.forEach(walk);
    else if ('any' in one) one.any.forEach(walk);
    else if ('not' in one) walk(one.not);
    else {
      found.add(one.fact);
      for (const moment of ['onOrBefore' in one ? one.onOrBefore : null, 'onOrAfter' in one ? one.onOrAfter : null]) {
        if (moment !== null && moment.day !== 'today') found.add(moment.day);
      }
    }
  };
  walk(condition);
  return [...found];
}

/** @throws `RIGHTS_DAY` */
export function checkDay(day: string): string {
  const date = new Date(`${day}T00:00:00Z`);
  if (/^\d{4}-\d\d-\d\d$/.test(day) && !Number.isNaN(date.getTime()) && date.toISOString().startsWith(day)) return day;
  throw inputError('RIGHTS_DAY', 'there is no such day', { expected: 'YYYY-MM-DD', got: day });
}
