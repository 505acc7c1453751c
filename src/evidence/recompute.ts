/**
 * Recomputes the exact lines of an expert bundle from what was committed and opened, in plain float64 with a fixed order
 * of summation, without onnxruntime: every number of the claim is made again, none is believed (docs/theory.md §12).
 */
import {
  type Alignment,
  type AlignmentStep,
  alignTables,
  checkAlignment,
  loadTable,
  type TestPlan,
} from '../align/index.js';
import { evidenceError, fromHex } from '../base/index.js';
import {
  ALIGNMENT_SEED,
  commonTables,
  type EvidenceLine,
  type ExactInput,
  exactLines,
  type Multiplicity,
} from '../detect/index.js';
import {
  assumptionOf,
  type CommitmentFact,
  checkSeed,
  foldName,
  type ModelCommitment,
  planDigest,
  type ReleaseFact,
} from '../mark/index.js';
import type { AlignmentFile, Expert } from './bundle.js';
import { checkedModel, type OpenedModel } from './opened-rows.js';
import { partnerIn } from './pairing.js';

/** How far a recomputed log10 p may lie from the claimed one. */
export const TOLERANCE = 1e-9;

export interface Recomputed {
  readonly lines: readonly EvidenceLine[];
  readonly input: ExactInput;
}

/**
 * @param commitment from the signed statement, not from the expert files
 * @param suspect commitment of the suspect, from the signed check
 * @param multiplicity counted anew by the caller
 * @throws `BUNDLE_PLAN`, `MARK_SEED_COMMITMENT`, `MARK_ROW_NOT_COMMITTED`, `ALIGNMENT_NOT_OPTIMAL`, `BUNDLE_NUMBER`, …
 */
export async function recompute(
  expert: Expert,
  commitment: CommitmentFact,
  release: ReleaseFact,
  suspect: ModelCommitment,
  multiplicity: Multiplicity,
): Promise<Recomputed> {
  const { plan } = commitment;
  const { batch, seed, names } = expert.keys;
  if (planDigest(plan) !== commitment.planDigest) {
    throw evidenceError('BUNDLE_PLAN', 'the test plan is not the one that was committed', {
      expected: commitment.planDigest,
      got: planDigest(plan),
      where: commitment.release,
    });
  }
  const committed = commitment.seeds[batch];
  if (committed === undefined)
    throw evidenceError('BUNDLE_PLAN', 'the plan has no such batch', { got: String(batch), where: commitment.release });
  checkSeed(fromHex(seed), committed, batch);
  const nameOf = partnerIn(names);
  const original = checkedModel(expert.original, commitment.original, plan.test, (tensor) => tensor, 'original');
  const theirs = checkedModel(expert.suspect, suspect, plan.test, nameOf, 'suspect');
  const planned = plan.test.tensors.map(({ name }) => name);
  requireWhole(planned, expert.original, commitment.original, 'original');
  requireWhole(planned.map(nameOf), expert.suspect, suspect, 'suspect');
  const part: TestPlan = {
    ...plan.test,
    tensors: plan.test.tensors.filter((tensor) => theirs.tensors.has(nameOf(tensor.name))),
  };
  const tables = commonTables(await loadTable(original, part), await loadTable(theirs, part, nameOf));
  const alignment = checkAlignment(plan.test, tables.reference, tables.suspect, stepsOf(expert.alignment));
  requireOurs(alignment, alignTables(plan.test, tables.reference, tables.suspect, ALIGNMENT_SEED));
  const input: ExactInput = {
    plan,
    ...tables,
    alignment,
    keys: {
      release: commitment.release,
      original: commitment.original.root,
      beacon: release.beacon.value,
      seeds: new Map([[batch, fromHex(seed)]]),
    },
  };
  const lines = exactLines(input, multiplicity, assumptionOf(release.beacon));
  compareLines(lines, expert.claims.lines);
  return { lines, input };
}

/**
 * Where units are alike several assignments are optimal, and whoever knows the key could take the one that scores: only
 * the one that the fixed seed gives counts.
 */
export function requireOurs(claimed: Alignment, own: Alignment): void {
  const other = claimed.steps.find((step, i) => step.assignment.join() !== own.steps[i]?.assignment.join());
  if (other === undefined) return;
  throw evidenceError(
    'ALIGNMENT_CHOSEN',
    'an assignment is one of several optima, and not the one that the fixed seed gives',
    {
      where: `pass ${other.pass}, group ${other.group}`,
    },
  );
}

/**
 * The owner may not choose, knowing the keys, what counts: of each tensor that is compared both models open all that was
 * committed, the factors of a normalisation that follows it too.
 */
export function requireWhole(
  names: readonly string[],
  opened: OpenedModel,
  commitment: ModelCommitment,
  where: 'original' | 'suspect',
): void {
  const shown = new Set(opened.tensors.map(({ tensor }) => tensor));
  const committed = new Set(commitment.layout.map(({ tensor }) => tensor));
  const missing = names
    .flatMap((name) => [name, foldName(name)])
    .find((name) => committed.has(name) && !shown.has(name));
  const unknown = where === 'original' ? names.find((name) => !committed.has(name)) : undefined;
  if (missing !== undefined || unknown !== undefined || shown.size !== opened.tensors.length) {
    throw evidenceError('BUNDLE_ROWS', 'a tensor of the plan is not opened, or not once', {
      got: missing ?? unknown ?? 'a tensor twice',
      where,
    });
  }
}

const stepsOf = (file: AlignmentFile): readonly AlignmentStep[] =>
  file.steps.map(({ pass, group, assignment, u, v }) => ({
    pass,
    group,
    assignment: Int32Array.from(assignment),
    u: Float64Array.from(u),
    v: Float64Array.from(v),
  }));

/** @throws `BUNDLE_NUMBER` */
export function compareLines(lines: readonly EvidenceLine[], claimed: readonly EvidenceLine[]): void {
  for (const [i, line] of lines.entries()) {
    const claim = claimed[i];
    const near =
      claim !== undefined &&
      claim.test === line.test &&
      Math.abs(claim.log10p - line.log10p) <= TOLERANCE &&
      Math.abs(claim.statistic - line.statistic) <= TOLERANCE * Math.max(1, Math.abs(line.statistic));
    if (!near || lines.length !== claimed.length) {
      throw evidenceError('BUNDLE_NUMBER', 'a claimed number is not what the opened data give', {
        expected: `${line.test}: statistic ${line.statistic}, log10 p ${line.log10p}`,
        got: claim === undefined ? 'no line' : `${claim.test}: statistic ${claim.statistic}, log10 p ${claim.log10p}`,
      });
    }
  }
}
