/**
 * Facts as far as rules can tell them apart: values of choices, and for days the truth of every comparison that some
 * rule makes and whether each term has run out. Assets that agree on these have the same answers.
 */
import { type Circumstances, type Condition, type FactValue, holds } from './condition.js';
import { endOf } from './evaluate.js';
import type { Law, Rule, Term } from './law.js';

export interface Discernment {
  /** One small number for each thing that some rule tells apart, written over `into`. */
  codes(at: Circumstances, into: number[]): readonly number[];
  /** Rules that look at the same things, together; the trade secrets of most countries are one. */
  readonly together: readonly {
    readonly rules: readonly Rule[];
    key(codes: readonly number[]): number | string;
  }[];
}

type Atom = { readonly fact: string } | { readonly comparison: Condition } | { readonly term: Term };

/** Thirteen hexadecimal digits fit a double exactly, and a number is a cheaper key than a text. */
const RADIX = 16;
const DIGITS = 13;

/** null where it does not fit a number. */
function packed(looked: readonly number[], codes: readonly number[]): number | null {
  if (looked.length > DIGITS) return null;
  let number = 0;
  for (const one of looked) {
    const code = codes[one]!;
    if (code >= RADIX) return null;
    number = number * RADIX + code;
  }
  return number;
}

export function discernment(law: Pick<Law, 'facts'>, rules: readonly Rule[]): Discernment {
  const atoms: Atom[] = [];
  const index = new Map<string, number>();
  const together = new Map<string, { readonly rules: Rule[]; readonly looked: readonly number[] }>();
  for (const rule of rules) {
    const looked = [...new Set(atomsOf(rule, law).map((atom) => intern(atom, atoms, index)))].sort((a, b) => a - b);
    const name = looked.join();
    const group = together.get(name) ?? { rules: [], looked };
    group.rules.push(rule);
    together.set(name, group);
  }
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
  return {
    codes(at, into) {
      for (const [index, atom] of atoms.entries()) into[index] = codeOf(valueIn(atom, at));
      return into;
    },
    together: [...together.values()].map((group) => ({
      rules: group.rules,
      key: (codes) => packed(group.looked, codes) ?? keyOf(group.looked.map((one) => codes[one]!)),
    })),
  };
}

function valueIn(atom: Atom, at: Circumstances): FactValue | undefined {
  if ('fact' in atom) return at.facts.get(atom.fact);
  if ('comparison' in atom) return holds(atom.comparison, at) ?? undefined;
  const end = endOf(atom.term, at.facts, at.today);
  return end === null ? undefined : end >= at.today;
}

/** One flat text from numbers: a key that is put together piece by piece costs more than all the rest. */
export const keyOf = (codes: readonly number[]): string => String.fromCharCode.apply(null, codes as number[]);

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
