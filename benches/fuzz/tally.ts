/** What came of many mutants, kept small: counts of codes, the slowest, the largest, and what is wrong. */
import type { Fault } from './attempt.js';
import type { Report } from './worker.js';

export interface Finding extends Fault {
  readonly reader: string;
  readonly step: number;
}

export interface Tally {
  readonly mutants: number;
  readonly models: number;
  readonly codes: Readonly<Record<string, number>>;
  /** Of those that were slow, the shorter of two looks. */
  readonly slowestMs: number;
  readonly peakBytes: number;
  readonly findings: readonly Finding[];
  /** Slow or large once, on a busy machine or among others' garbage, and not when looked at again alone. */
  readonly notAgain: number;
  readonly seconds: number;
}

export const EMPTY: Tally = {
  mutants: 0,
  models: 0,
  codes: {},
  slowestMs: 0,
  peakBytes: 0,
  findings: [],
  notAgain: 0,
  seconds: 0,
};

/** No attempt takes longer, and no process holds more, whatever the file. */
export const MOST_MS = 2000;
export const MOST_BYTES = 512 * 2 ** 20;

export function added(a: Tally, b: Tally): Tally {
  const codes: Record<string, number> = { ...a.codes };
  for (const [code, count] of Object.entries(b.codes)) codes[code] = (codes[code] ?? 0) + count;
  return {
    mutants: a.mutants + b.mutants,
    models: a.models + b.models,
    codes,
    slowestMs: Math.max(a.slowestMs, b.slowestMs),
    peakBytes: Math.max(a.peakBytes, b.peakBytes),
    findings: [...a.findings, ...b.findings],
    notAgain: a.notAgain + b.notAgain,
    seconds: a.seconds + b.seconds,
  };
}

/** What a report says is wrong; time and memory are said of the process as it was, and are looked at again alone. */
export function faultOf({ fault, milliseconds, peakBytes }: Report): Fault | null {
  if (fault !== null) return fault;
  if (milliseconds > MOST_MS) return { what: 'slow', detail: `${Math.round(milliseconds)} ms` };
  if (peakBytes > MOST_BYTES) return { what: 'memory', detail: `${megabytes(peakBytes)} MB` };
  return null;
}

export const megabytes = (bytes: number): number => Math.round(bytes / 2 ** 20);

const refusals = ({ codes }: Tally): readonly (readonly [string, number])[] =>
  Object.entries(codes).sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1));

/** One line a reader. */
export function tableOf(tallies: ReadonlyMap<string, Tally>): string {
  const rows = [...tallies].map(([reader, tally]) => [
    reader,
    String(tally.mutants),
    String(tally.models),
    `${Math.round(tally.slowestMs)} ms`,
    `${megabytes(tally.peakBytes)} MB`,
    String(tally.findings.length),
    refusals(tally)
      .slice(0, 5)
      .map(([code, count]) => `${code} ${count}`)
      .join(', '),
  ]);
  const all = [['reader', 'mutants', 'models', 'slowest', 'peak', 'findings', 'refusals'], ...rows];
  const widths = all[0]!.map((_, k) => Math.max(...all.map((row) => row[k]!.length)));
  return all
    .map((row) =>
      row
        .map((cell, k) => cell.padEnd(widths[k]!))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** For the line of JSON. */
export const summaryOf = (tally: Tally): Readonly<Record<string, unknown>> => ({
  mutants: tally.mutants,
  models: tally.models,
  refusals: Object.fromEntries(refusals(tally).slice(0, 5)),
  codes: Object.keys(tally.codes).length,
  slowestMs: Math.round(tally.slowestMs),
  peakMb: megabytes(tally.peakBytes),
  notAgain: tally.notAgain,
  findings: tally.findings.length,
  seconds: Math.round(tally.seconds),
});
