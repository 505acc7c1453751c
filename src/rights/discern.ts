/**
 * Facts as far as rules can tell them apart: values of choices, and for days the truth of every comparison that some
 * rule makes and whether each term has run out. Assets that agree on these have the same answers.
 */
import { type Circumstances, type Condition, type FactValue, holds } from './condition.js';
import { endOf } from './evaluate.js';
import type { Law, Rule, Term } from './law.js';

export interface Discernment {
  /** One small number for each thing that some rule tells apart. */
  codes(at: Circumstances): readonly number[];
  /** All of them as a key. */
  key(codes: readonly number[]): string;
  /** Those that one rule looks at. */
  keyFor(rule: Rule, codes: readonly number[]): number | string;
  /** Facts that terms run from. */
  readonly from: readonly string[];
}

type Atom = { readonly fact: string } | { readonly comparison: Condition } | { readonly term: Term };

/** Thirteen hexadecimal digits fit a double exactly, and a number is a cheaper key than a text. */
const RADIX = 16;
const DIGITS = 13;

export function discernment(law: Pick<Law, 'facts'>, rules: readonly Rule[]): Discernment {
  const atoms: Atom[] = [];
  const index = new Map<string, number>();
  const of = new Map(
    rules.map((rule) => [rule, [...new Set(atomsOf(rule, law).map((atom) => intern(atom, atoms, index)))]]),
  );
  const values = new Map<FactValue | undefined, number>([
    [undefined, 0],
    [false, 1],
    [true, 2],
  ]);
  const codeOf = (value: FactValue | undefined): number => {
    let code = values.get(value);
    if (code === undefined) {
      code = values.size;
      values.set(value, code);
    }
    return code;
  };
  // One flat string from numbers: a key that is put together piece by piece costs more than all the rest.
  const key = (codes: readonly number[]): string => String.fromCharCode.apply(null, codes as number[]);
  return {
    codes: (at) =>
      atoms.map((atom) => {
        if ('fact' in atom) return codeOf(at.facts.get(atom.fact));
        if ('comparison' in atom) return codeOf(holds(atom.comparison, at) ?? undefined);
        const end = endOf(atom.term, at.facts, at.today);
        return codeOf(end === null ? undefined : end >= at.today);
      }),
    key,
    keyFor(rule, codes) {
      const looked = of.get(rule)!;
      if (looked.length > DIGITS) return key(looked.map((one) => codes[one]!));
      let packed = 0;
      for (const one of looked) {
        const code = codes[one]!;
        if (code >= RADIX) return key(looked.map((at) => codes[at]!));
        packed = packed * RADIX + code;
      }
      return packed;
    },
    from: [...new Set(atoms.flatMap((atom) => ('term' in atom ? (atom.term.from ?? []) : [])))],
  };
}

function intern(atom: Atom, atoms: Atom[], index: Map<string, number>): number {
  const name = JSON.stringify('term' in atom ? [atom.term.years, atom.term.from, atom.term.fromNextJanuary] : atom);
  const known = index.get(name);
  if (known !== undefined) return known;
  index.set(name, atoms.length);
  return atoms.push(atom) - 1;
}

function atomsOf(rule: Rule, law: Pick<Law, 'facts'>): readonly Atom[] {
  const atoms: Atom[] = [];
  const walk = (condition: Condition): void => {
    if ('all' in condition || 'any' in condition || 'not' in condition) {
      for (const one of 'all' in condition ? condition.all : 'any' in condition ? condition.any : [condition.not])
        walk(one);
    } else if ('onOrBefore' in condition || 'onOrAfter' in condition) atoms.push({ comparison: condition });
    else if (law.facts.get(condition.fact)!.type !== 'date') atoms.push({ fact: condition.fact });
  };
  for (const { requirements, term } of rule.titles) {
    for (const requirement of requirements) for (const grade of requirement.grades) walk(grade.when);
    if (term.years !== undefined) atoms.push({ term });
  }
  return atoms;
}
