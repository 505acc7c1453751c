/** How far a right reaches, worst to best, and the range that open questions leave. */
export const verdicts = ['no', 'unlikely', 'arguable', 'likely', 'yes'] as const;
export type Verdict = (typeof verdicts)[number];
/** `unknown`: the facts or the rules base leave more than one answer. Never a guess in between. */
export type Answer = Verdict | 'unknown';

/** Ranks 0 (`no`) to 4 (`yes`), low ≤ high. */
export interface Range {
  readonly low: number;
  readonly high: number;
}

export const rankOf = (verdict: Verdict): number => verdicts.indexOf(verdict);
export const verdictOf = (rank: number): Verdict => verdicts[rank]!;
export const point = (verdict: Verdict): Range => ({ low: rankOf(verdict), high: rankOf(verdict) });
export const OPEN: Range = { low: 0, high: verdicts.length - 1 };

/** All have to hold: the weakest decides. */
export const weakest = (ranges: readonly Range[]): Range => ({
  low: Math.min(OPEN.high, ...ranges.map((one) => one.low)),
  high: Math.min(OPEN.high, ...ranges.map((one) => one.high)),
});

/** One suffices: the strongest decides. */
export const strongest = (ranges: readonly Range[]): Range => ({
  low: Math.max(0, ...ranges.map((one) => one.low)),
  high: Math.max(0, ...ranges.map((one) => one.high)),
});

export const answerOf = ({ low, high }: Range): Answer => (low === high ? verdictOf(low) : 'unknown');
