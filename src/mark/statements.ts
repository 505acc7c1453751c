/** The two statements of a release, read back from the ledger as plain data. */
import type { Json } from '../base/index.js';
import type { StatementView } from '../record/index.js';
import type { BeaconRecord, StampFact } from './beacon.js';
import type { CommittedTensor } from './commitment.js';
import type { ReleasePlan } from './plan.js';

/** How the unit groups were found: needed to lay the tensors out again in the same way. */
export interface StructureSource {
  /** SHA-256 of the ONNX file whose graph vouches for a file without one; null where the model has its own or none. */
  readonly graph: string | null;
  readonly plainStack: boolean;
}

export interface CommitmentFact {
  readonly statement: StatementView;
  readonly release: string;
  readonly recipient: string;
  readonly model: { readonly name: string; readonly sha256: string };
  /** Salted Merkle root of the unmarked original. */
  readonly original: { readonly root: string; readonly layout: readonly CommittedTensor[] };
  readonly seeds: readonly string[];
  readonly plan: ReleasePlan;
  readonly planDigest: string;
  readonly structure: StructureSource;
}

export interface ReleaseFact {
  readonly statement: StatementView;
  readonly release: string;
  readonly recipient: string;
  readonly commitment: string;
  readonly model: { readonly name: string; readonly sha256: string };
  readonly files: readonly { readonly name: string; readonly sha256: string; readonly bytes: number }[];
  readonly copy: { readonly root: string; readonly layout: readonly CommittedTensor[] };
  readonly beacon: BeaconRecord;
  readonly stamps: readonly StampFact[];
  readonly assumption: string;
}

const as = <T>(value: Json | undefined): T => value as unknown as T;

/** Predicates were held to their schemas by the ledger; a withheld field reads as undefined. */
export function commitmentsOf(statements: readonly StatementView[]): readonly CommitmentFact[] {
  return statements
    .filter((statement) => statement.kind === 'release-commitment')
    .map((statement) => {
      const { predicate } = statement;
      return {
        statement,
        release: as(predicate.release),
        recipient: as(predicate.recipient),
        model: as(predicate.model),
        original: as(predicate.original),
        seeds: as(predicate.seeds),
        plan: as(predicate.plan),
        planDigest: as(predicate.planSha256),
        structure: as(predicate.structure),
      };
    });
}

export function releasesOf(statements: readonly StatementView[]): readonly ReleaseFact[] {
  return statements
    .filter((statement) => statement.kind === 'release')
    .map((statement) => {
      const { predicate } = statement;
      return {
        statement,
        release: as(predicate.release),
        recipient: as(predicate.recipient),
        commitment: as(predicate.commitment),
        model: as(predicate.model),
        files: as(predicate.files),
        copy: as(predicate.copy),
        beacon: as(predicate.beacon),
        stamps: as(predicate.stamps),
        assumption: as(predicate.assumption),
      };
    });
}

/**
 * How many releases could have been drawn: every commitment counts, finished or not, once for each choice that its
 * beacon left open (docs/theory.md §1, §8).
 */
export function releaseChances(statements: readonly StatementView[]): number {
  const choices = new Map(releasesOf(statements).map((release) => [release.release, release.beacon.choices]));
  return commitmentsOf(statements).reduce((sum, { release }) => sum + (choices.get(release) ?? 1), 0);
}
