/** What is seen of a tensor whose nature is asked for. */
export interface Seen {
  /** Of the whole tensor. */
  readonly n: number;
  readonly rows: number;
  readonly width: number;
  readonly values: Float64Array;
  at(k: number): number;
  /** True where only a part was read: then a formula can be refuted and not confirmed. */
  readonly sampled: boolean;
  /** Relative to the peak. */
  readonly close: number;
  /** Largest magnitude seen. */
  readonly peak: number;
}

export const follows = ({ values, at }: Seen, expected: (at: number) => number, within: number): boolean =>
  values.every((value, k) => Math.abs(value - expected(at(k))) <= within);
