/** What a person states about an asset. The schemas in `schemas/` hold every field, its meaning and an example. */
import type { Json } from '../base/index.js';
import type { EffortBucket, Relation } from './kinds.js';

export interface Person {
  readonly name: string;
  readonly relation?: 'employee' | 'contractor' | 'founder' | 'student' | 'other';
  readonly employer?: string;
  /** What this person did or chose. */
  readonly part?: string;
}

export interface Spent {
  readonly hours?: number;
  readonly cost?: number;
  /** ISO 4217. */
  readonly currency?: string;
  readonly compute?: { readonly hours: number; readonly device: string };
  readonly note?: string;
}

export interface How {
  readonly way:
    | 'made'
    | 'own-sensors'
    | 'connected-product'
    | 'collected'
    | 'user-generated'
    | 'simulated'
    | 'bought'
    | 'licensed'
    | 'public';
  readonly from?: string;
  readonly terms?: string;
  readonly choices?: string;
}

/** `on`: a digest, the name of a recorded test set, or a path; it becomes a digest when it is recorded. */
export interface Measured {
  readonly metric: string;
  readonly value: number;
  readonly on?: string;
  readonly n?: number;
  readonly interval95?: readonly [number, number];
  readonly note?: string;
}

/** `to`: a digest, the name of a recorded asset, or a path. */
export interface LinkTo {
  readonly relation: Relation;
  readonly to: string;
}

export type Scalar = string | number | boolean;

/** Days are `YYYY-MM-DD`. Every field may be left out; kinds refuse those that are not theirs. */
export interface Facts {
  readonly name?: string;
  readonly description?: string;
  readonly authors?: readonly Person[];
  readonly made?: { readonly from?: string; readonly to?: string };
  readonly published?: string;
  readonly firstUse?: string;
  /** ISO 3166-1 alpha-2. */
  readonly country?: string;
  readonly how?: How;
  readonly effort?: Readonly<Partial<Record<EffortBucket, Spent>>>;
  readonly quality?: readonly Measured[];
  readonly confidentiality?: {
    readonly level: 'secret' | 'confidential' | 'internal' | 'public';
    readonly marked?: boolean;
    readonly measures?: readonly string[];
    readonly shared?: readonly { readonly with: string; readonly on?: string; readonly under?: string }[];
  };
  readonly links?: readonly LinkTo[];
  readonly notes?: string;
  /** Why an earlier statement is corrected. */
  readonly reason?: string;
  // training-set, test-set
  readonly parts?: Readonly<Partial<Record<'raw' | 'labels' | 'synthetic', Readonly<Record<string, Json>>>>>;
  readonly rows?: number;
  readonly columns?: readonly string[];
  readonly period?: { readonly from?: string; readonly to?: string };
  // training-parameters, model
  readonly parameters?: Readonly<Record<string, Scalar | null | readonly Scalar[]>>;
  readonly environment?: Readonly<Record<string, Scalar>>;
  readonly latency?: { readonly milliseconds: number; readonly batch?: number; readonly machine?: string };
  readonly alternatives?: readonly {
    readonly what: string;
    readonly quality?: readonly Measured[];
    readonly milliseconds?: number;
    readonly reason?: string;
  }[];
  // code, documentation, creative-work
  readonly commit?: string;
  readonly language?: string;
  readonly medium?: string;
  // system
  readonly software?: Readonly<Record<string, Scalar>>;
  readonly hardware?: readonly string[];
  readonly purpose?: 'training' | 'inference' | 'both';
}
