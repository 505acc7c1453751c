/** What a file of the law holds: `law/<jurisdiction>/<right>.yaml`. `law/schema.json` is the same shape for editors and for the loader. */
import type { AssetKind } from '../record/index.js';
import type { Condition } from './condition.js';
import type { Verdict } from './verdict.js';

export const jurisdictions = ['EU', 'DE', 'NL', 'UK', 'US', 'JP', 'CN', 'KR', 'IN', 'CH', 'CA'] as const;
export type Jurisdiction = (typeof jurisdictions)[number];

/** `database-right` takes in the near-equivalents: limited-access data, data held by another operator, market-ready results. */
export const rights = ['copyright', 'patent', 'database-right', 'trade-secret'] as const;
export type Right = (typeof rights)[number];

export const attributes = ['raw', 'labels', 'synthetic'] as const;
export type Attribute = (typeof attributes)[number];

/** A row of the matrix: an asset kind; data sets by attribute, since the law asks other questions of each. */
export type RowKind = `${'training-set' | 'test-set'}.${Attribute}` | Exclude<AssetKind, 'training-set' | 'test-set'>;

export const rowKinds: readonly RowKind[] = [
  'training-set.raw',
  'training-set.labels',
  'training-set.synthetic',
  'test-set.raw',
  'test-set.labels',
  'test-set.synthetic',
  'architecture',
  'training-parameters',
  'model',
  'code',
  'documentation',
  'creative-work',
  'system',
];

/** A pointer into a source. `verified` is true only where the source itself was seen to say so. */
export interface Citation {
  /** Key of `sources`, or `rules-base`: an inference from the rules base as a whole. */
  readonly of: string;
  /** Article, section, paragraph, page. */
  readonly at?: string;
  readonly verified: boolean;
}

export interface Source {
  /** As a lawyer cites it. */
  readonly cite: string;
  readonly url?: string;
}

/** Both ends included; null where the rules base records none. */
export interface InForce {
  readonly from?: string | null;
  readonly to?: string | null;
}

export interface Grade {
  readonly when: Condition;
  readonly is: Verdict;
  readonly why: string;
  readonly cite?: readonly Citation[];
}

/** One condition that the law sets, with what each state of the facts makes of it. */
export interface Requirement {
  readonly id: string;
  /** The condition, as a noun phrase or a sentence. */
  readonly text: string;
  readonly cite: readonly Citation[];
  readonly inForce?: InForce;
  /** Rows that it is asked of; all where absent. */
  readonly assets?: readonly RowKind[];
  /** Best first. The first grade whose condition holds decides. */
  readonly grades: readonly Grade[];
  readonly otherwise: { readonly is: Verdict; readonly why: string; readonly cite?: readonly Citation[] };
  /** Whether the owner can still bring it about (`act`), or it is as it is (`given`). */
  readonly owner: 'act' | 'given';
  /** What the owner can do or record. */
  readonly toRaise?: string;
}

export interface Statement {
  readonly text: string;
  readonly cite: readonly Citation[];
}

export interface Term extends Statement {
  /** Years from the first of `from` that is known; absent where no fixed number of years runs. */
  readonly years?: number;
  readonly from?: readonly string[];
  /** Counted from 1 January of the following year. */
  readonly fromNextJanuary?: boolean;
}

export interface Formality extends Statement {
  readonly kind: 'none' | 'registration' | 'filing' | 'optional' | 'unknown';
  readonly cost?: string;
  readonly time?: string;
}

export interface Defence extends Statement {
  readonly answer:
    | 'defeats'
    | 'does-not-defeat'
    | 'allowed'
    | 'allowed-unless-contract'
    | 'prohibited'
    | 'not-applicable'
    | 'limited'
    | 'unknown';
}

export interface Remedy extends Statement {
  readonly answer: 'yes' | 'no' | 'unknown';
}

export interface Case extends Statement {
  readonly id: string;
  readonly name: string;
  readonly date: string | null;
}

export interface Reach {
  readonly rows: readonly RowKind[];
  readonly atBest: Verdict;
  readonly why: string;
  readonly cite: readonly Citation[];
}

export const defences = ['independentCreation', 'priorUse', 'reverseEngineering'] as const;
export const remedies = ['injunction', 'damages', 'seizure', 'royalties'] as const;

/** One legal basis for a right. A cell takes the best of its titles. */
export interface Title {
  readonly id: string;
  readonly name: string;
  readonly cite: readonly Citation[];
  readonly inForce?: InForce;
  /** The best that rows can reach with every requirement met; a row that is not named is unknown. */
  readonly assets: readonly Reach[];
  readonly requirements: readonly Requirement[];
  /** What the files leave out here answers unknown, with the rules base as source. */
  readonly term: Term;
  readonly formality: Formality;
  /** Acts of others that it stops. */
  readonly stops: readonly Statement[];
  readonly defences: Readonly<Record<(typeof defences)[number], Defence>>;
  readonly remedies: Readonly<Record<(typeof remedies)[number], Remedy>>;
  readonly cases: readonly Case[];
  /** Limits in one sentence. */
  readonly limits: string;
}

export interface Rule {
  readonly jurisdiction: Jurisdiction;
  readonly right: Right;
  /** `EU/database-right` where a member state's rule is the union's with changes. */
  readonly extends?: string;
  /** Day of the rules base. */
  readonly asOf: string;
  readonly sources: Readonly<Record<string, Source>>;
  readonly titles: readonly Title[];
  /** The law has no such right: every cell is `no`, for this reason. */
  readonly notRecognised?: Statement;
  /** The rules base does not say: every cell is `unknown`, for this reason. */
  readonly notModelled?: Statement;
}

export interface FactSpec {
  readonly id: string;
  readonly type: 'boolean' | 'choice' | 'date' | 'country';
  readonly values?: readonly string[];
  readonly scope: 'room' | 'asset';
  /** Rows that it can be asked of; all where absent. */
  readonly assets?: readonly RowKind[];
  readonly question: string;
  readonly why: string;
  /** Minutes that an answer costs. */
  readonly effort: number;
  /** Never unknown: what the ledger does not show counts as not there, since the owner has to show it. */
  readonly shownOrNot?: boolean;
  /** How it follows from statements; absent where only an answer gives it. */
  readonly follows?: string;
}

export interface Law {
  readonly rules: readonly Rule[];
  readonly facts: ReadonlyMap<string, FactSpec>;
  /** Country sets, ISO 3166-1 alpha-2. */
  readonly sets: Readonly<Record<string, readonly string[]>>;
}
