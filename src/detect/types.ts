/** The answer of `compare` and `check` (the public contract) and the evidence lines it is made of. */
import type { TensorPair } from '../align/index.js';

export type LineKind = 'exact' | 'conditional' | 'calibrated';
export type Verdict = 'related' | 'no-evidence' | 'inconclusive';

export interface EvidenceLine {
  readonly test: string;
  /** Null hypothesis in one sentence. */
  readonly null: string;
  /** What must hold for log10p to be right. */
  readonly assumption: string;
  readonly statistic: number;
  readonly n: number;
  /** Corrected for multiplicity; never −Infinity. */
  readonly log10p: number;
  readonly kind: LineKind;
  readonly blindTo: readonly string[];
  /** Before correction, how it was corrected, and figures that a reader may want (per group hits, share, interval). */
  readonly detail: Readonly<Record<string, unknown>>;
}

export interface SharedTensor {
  readonly a: string;
  readonly b: string;
  readonly nature: 'learned' | 'constant' | 'base' | 'seed' | 'component';
}

/** One thing done to the copy, with its figure: `{kind:'quantised', bits:8}`, `{kind:'pruned', share:0.5}`. */
export type Tweak = Readonly<{ kind: string } & Record<string, string | number | boolean | readonly number[]>>;

export interface Comparison {
  readonly verdict: Verdict;
  readonly log10p: number | null;
  readonly kind: LineKind | null;
  /** Why, in one or two sentences that a lawyer can read. */
  readonly reason: string;
  readonly scope: { readonly comparable: number; readonly related: number };
  /** Which tensor of the one was compared with which of the other, and what told. */
  readonly correspondence: readonly TensorPair[];
  readonly shared: readonly SharedTensor[];
  readonly tweaks: readonly Tweak[];
  readonly lines: readonly EvidenceLine[];
  /** Tensors left out and why (NaN, inf, constants, unvouched axes). */
  readonly leftOut: readonly { readonly tensor: string; readonly reason: string }[];
  readonly bytesRead: number;
  readonly seconds: number;
}

export interface Candidate extends Comparison {
  readonly model: string;
  readonly release: string | null;
  readonly recipient: string | null;
  /** RFC 3339, or null where no outside time stamp exists. */
  readonly earliestTimestamp: string | null;
}

export interface CheckAnswer {
  readonly id: string;
  readonly suspect: { readonly name: string; readonly sha256: string };
  readonly candidates: readonly Candidate[];
}
