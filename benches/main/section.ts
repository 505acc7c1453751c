/** What the sections of `bench:main` have in common. */
import { clopperPearson } from '../../src/stats/index.js';
import type { BenchCall, Figure } from '../harness.js';

export interface Workplace {
  /** For files of this run; removed at its end. */
  readonly folder: string;
  readonly seed: number;
  say(line: string): void;
}

export type Figures = Readonly<Record<string, Figure>>;

export const workplace = ({ seed, say }: BenchCall, folder: string): Workplace => ({ folder, seed, say });

/** The largest of several log10 p: what the goal must hold for. */
export function worst(values: readonly number[]): Figure {
  return { value: Math.max(...values), n: values.length, interval95: null };
}

/** How many of n, with the Clopper–Pearson interval scaled to counts. */
export function countFigure(count: number, n: number): Figure {
  const [low, high] = clopperPearson(count, n);
  return { value: count, n, interval95: [low * n, high * n] };
}

/** A share of n with its Clopper–Pearson interval. */
export function shareFigure(count: number, n: number): Figure {
  const [low, high] = clopperPearson(count, n);
  return { value: count / n, n, interval95: [low, high] };
}

/** Counts answers that are not as they should be, and says each. */
export interface Tally {
  expect(what: string, holds: boolean, came: string): void;
  readonly n: number;
  readonly wrong: number;
}

export function tally(say: (line: string) => void): Tally {
  let n = 0;
  let wrong = 0;
  return {
    expect(what, holds, came) {
      n++;
      if (holds) return;
      wrong++;
      say(`WRONG ${what}: ${came}`);
    },
    get n() {
      return n;
    },
    get wrong() {
      return wrong;
    },
  };
}
