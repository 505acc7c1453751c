/** Which question is worth asking next: only those whose answer can change a cell, by expected change over effort. */
import { type FactValue, factsIn, moveMonths } from './condition.js';
import { derivedFacts, notShown, type Subject } from './derive.js';
import { evaluate } from './evaluate.js';
import type { FactSpec, Law, Right, Rule } from './law.js';
import type { Matrix, Row } from './matrix.js';

export interface Question {
  readonly fact: FactSpec;
  /** The assets that it is asked of; empty: of the room. */
  readonly subjects: readonly Subject[];
  readonly values: readonly FactValue[];
  /** Not answered but shown: by recording what `fact.follows` says. */
  readonly toShow: boolean;
  /** Mean over the possible answers of the steps by which cells move, at either end of their range. */
  readonly change: number;
  /** Cells that some answer moves. */
  readonly cells: number;
  readonly rights: readonly Right[];
  /** What each answer does: how many cells get better, how many worse, at the end that moves. */
  readonly effects: readonly { readonly value: FactValue; readonly better: number; readonly worse: number }[];
}

/** Best first: change ÷ effort, weighted by how many assets the row stands for; ties by name. */
export function questionsOf(law: Law, matrix: Matrix): readonly Question[] {
  const users = usersOf(law);
  const found = new Map<string, Question>();
  for (const spec of law.facts.values()) {
    const toShow = !isAnswered(spec);
    const rules = users.get(spec.id);
    if (rules === undefined) continue;
    const rows = matrix.rows.filter(
      (row) =>
        (toShow ? row.facts.get(spec.id) === notShown(spec) : !row.facts.has(spec.id)) &&
        (row.subjects.length > 0 || spec.scope === 'room') &&
        (spec.assets?.includes(row.kind) ?? true),
    );
    if (spec.scope === 'room') add(found, law, matrix, spec, rows, [], rules);
    else for (const row of rows) add(found, law, matrix, spec, [row], row.subjects, rules);
  }
  return [...found.values()].sort((a, b) => worth(b) - worth(a) || (a.fact.id < b.fact.id ? -1 : 1));
}

/** A fact that the ledger has to show, and that follows from statements, cannot be answered. */
export const isAnswered = (spec: FactSpec): boolean => spec.shownOrNot !== true || !derivedFacts.has(spec.id);

const worth = (question: Question): number =>
  (question.change * Math.max(1, question.subjects.length)) / question.fact.effort;

/** The rules that look at each fact. */
function usersOf(law: Law): ReadonlyMap<string, ReadonlySet<Rule>> {
  const users = new Map<string, Set<Rule>>();
  for (const rule of law.rules) {
    for (const title of rule.titles) {
      const facts = title.requirements.flatMap((one) => one.grades.flatMap((grade) => factsIn(grade.when)));
      for (const fact of [...facts, ...(title.term.from ?? [])]) {
        const set = users.get(fact) ?? new Set();
        users.set(fact, set.add(rule));
      }
    }
  }
  return users;
}

function add(
  found: Map<string, Question>,
  law: Law,
  matrix: Matrix,
  spec: FactSpec,
  rows: readonly Row[],
  subjects: readonly Subject[],
  rules: ReadonlySet<Rule>,
): void {
  const toShow = !isAnswered(spec);
  const values = valuesOf(spec, law, matrix.asOf).filter((value) => !toShow || value !== notShown(spec));
  const moved = new Set<string>();
  const rights = new Set<Right>();
  let change = 0;
  const effects = values.map((value) => {
    let better = 0;
    let worse = 0;
    for (const [index, row] of rows.entries()) {
      const facts = new Map(row.facts).set(spec.id, value);
      for (const before of row.cells) {
        if (!rules.has(before.rule)) continue;
        const after = evaluate(before.rule, row.kind, { facts, sets: law.sets, today: matrix.asOf }).range;
        const up = after.low - before.range.low;
        const down = before.range.high - after.high;
        if (up === 0 && down === 0) continue;
        change += Math.abs(up) + Math.abs(down);
        moved.add(`${index} ${before.rule.jurisdiction} ${before.rule.right}`);
        rights.add(before.rule.right);
        if (up > 0) better++;
        if (down > 0) worse++;
      }
    }
    return { value, better, worse };
  });
  if (moved.size === 0) return;
  found.set(`${spec.id} ${rows[0]!.kind} ${subjects[0]?.asset?.sha256 ?? ''}`, {
    fact: spec,
    subjects,
    values,
    toShow,
    change: change / values.length,
    cells: moved.size,
    rights: [...rights],
    effects,
  });
}

/** The answers tried: each choice; of countries one from each set and one from none; of days that day and ten years before. */
function valuesOf(spec: FactSpec, law: Law, today: string): readonly FactValue[] {
  if (spec.type === 'boolean') return [true, false];
  if (spec.type === 'choice') return spec.values!;
  if (spec.type === 'country') return [...Object.values(law.sets).map((set) => set[0]!), 'US'];
  return [today, moveMonths(today, -120)];
}
