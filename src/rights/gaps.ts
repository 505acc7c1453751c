/** What the owner can do, ordered by what it is worth: how far the cells that it holds back could rise. */
import type { Subject } from './derive.js';
import type { Jurisdiction, Right } from './law.js';
import type { Matrix } from './matrix.js';
import { rankOf } from './verdict.js';

export interface Gap {
  readonly todo: string;
  /** The requirement's id. */
  readonly requirement: string;
  readonly subjects: readonly Subject[];
  /** Steps (no → unlikely → arguable → likely → yes) that cells could rise, summed over assets. */
  readonly steps: number;
  readonly cells: readonly { readonly jurisdiction: Jurisdiction; readonly right: Right }[];
}

/** Only where the gap is among the weakest reasons of its cell, so that closing it moves the answer or clears the way. */
export function gapsOf(matrix: Matrix): readonly Gap[] {
  const gaps = new Map<
    string,
    { todo: string; requirement: string; subjects: readonly Subject[]; steps: number; cells: Gap['cells'][number][] }
  >();
  for (const [index, row] of matrix.rows.entries()) {
    if (row.subjects.length === 0) continue;
    for (const cell of row.cells) {
      const rise = rankOf(cell.attainable) - cell.range.low;
      if (rise <= 0) continue;
      for (const reason of cell.reasons) {
        if (reason.toRaise === null || reason.owner !== 'act' || reason.state === 'met') continue;
        if (!cell.decides.includes(reason.id)) continue;
        // The same requirement in the words of another law is the same thing to do.
        const key = `${index} ${reason.id}`;
        const gap = gaps.get(key) ?? {
          todo: reason.toRaise,
          requirement: reason.id,
          subjects: row.subjects,
          steps: 0,
          cells: [],
        };
        gap.steps += rise * row.subjects.length;
        gap.cells.push({ jurisdiction: cell.rule.jurisdiction, right: cell.rule.right });
        gaps.set(key, gap);
      }
    }
  }
  return [...gaps.values()].sort((a, b) => b.steps - a.steps || (a.todo < b.todo ? -1 : 1));
}
