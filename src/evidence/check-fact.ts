/** A `check` statement, read back as plain data. */
import { evidenceError, type Json } from '../base/index.js';
import type { Candidate } from '../detect/index.js';
import type { ModelCommitment } from '../mark/index.js';
import type { StatementView } from '../record/index.js';
import type { BundleAbout } from './bundle.js';

export interface CheckFact extends Readonly<Record<string, unknown>> {
  readonly statement: StatementView;
  readonly check: string;
  readonly look: number;
  /** Releases that could have fired when the check was made. */
  readonly chances: number;
  readonly suspect: ModelCommitment & {
    readonly name: string;
    readonly sha256: string;
    readonly files: readonly { readonly name: string; readonly sha256: string }[];
    readonly kept: boolean;
  };
  readonly candidates: readonly Candidate[];
  readonly custody?: Readonly<Record<string, string>>;
}

/** Null for statements of another kind, and where the fields are withheld. */
export function checkOf(statement: StatementView): CheckFact | null {
  if (statement.kind !== 'check' || !('candidates' in statement.predicate)) return null;
  return { ...(statement.predicate as Readonly<Record<string, Json>>), statement } as unknown as CheckFact;
}

/**
 * The check that a bundle says it is about; null where it is about something else.
 * @throws `BUNDLE_ABOUT` where it is not shown, or names another file
 */
export function checkShown({ kind, id, name }: BundleAbout['about'], statements: readonly StatementView[]) {
  if (kind !== 'check') return null;
  const check = statements.map(checkOf).find((one) => one?.check === id) ?? null;
  if (check?.suspect.name === name) return check;
  throw evidenceError('BUNDLE_ABOUT', 'the bundle does not show the check that it says it is about', {
    expected: check === null ? `the statement of check ${id}` : check.suspect.name,
    got: check === null ? 'none' : name,
    where: id,
  });
}
