/** One release as a candidate: both exact lines, the verdict of theory §11, and what was done to the copy. */
import {
  type Alignment,
  alignTables,
  carryUnits,
  correspond,
  loadTable,
  type TestPlan,
  type WeightTable,
} from '../align/index.js';
import {
  assumptionOf,
  type CommitmentFact,
  groupOrders,
  type OpenedKeys,
  type ReleaseFact,
  type ReleasePlan,
} from '../mark/index.js';
import { diagnose } from './diagnose.js';
import { commonTables, type ExactInput, exactLines, type Multiplicity, markDirection } from './exact.js';
import { type ExactPower, type ExactTrials, exactPower, exactTrials, markedTable } from './exact-power.js';
import { EXACT_LEVEL } from './order.js';
import { elementsOf, type Subject } from './subject.js';
import type { Comparison, Tweak } from './types.js';

/** Beyond this many units in a group the alignment's cube takes minutes, and beyond this many weights the tables a gigabyte. */
const MAX_ALIGNED_UNITS = 1024;
const MAX_TESTED_WEIGHTS = 2 ** 24;
/** Fixes which of several equally good assignments is taken, for owner and verifier alike: nobody may choose one after the key is known. */
export const ALIGNMENT_SEED = 1;
/** Share of the marked weights that the suspect must have for `no-evidence`. */
const ENOUGH = 0.9;

/** A suspect laid against an original as one plan tests it: the same for every release of that plan, and without any key. */
export interface PreparedTest {
  readonly reference: WeightTable;
  readonly suspect: WeightTable;
  readonly alignment: Alignment | null;
  readonly directions: ReadonlyMap<string, Float64Array>;
  /** Share of the plan's weights that the suspect has, finite. */
  readonly comparable: number;
  readonly correspondence: Comparison['correspondence'];
  readonly leftOut: Comparison['leftOut'];
}

export interface ReleaseTest extends Pick<PreparedTest, 'comparable' | 'correspondence' | 'leftOut'> {
  readonly input: ExactInput;
  readonly lines: Comparison['lines'];
}

export interface ReleaseSubject {
  readonly commitment: CommitmentFact;
  readonly release: ReleaseFact;
  readonly keys: OpenedKeys;
}

/** @returns null where the model is too large for its tables to be held */
export async function prepareTest(
  plan: ReleasePlan,
  original: Subject,
  suspect: Subject,
): Promise<PreparedTest | null> {
  const weights = plan.test.tensors.reduce((sum, tensor) => sum + elementsOf(tensor.shape), 0);
  if (weights > MAX_TESTED_WEIGHTS) return null;
  const pairing = await correspond(original, suspect);
  const leftOut: { tensor: string; reason: string }[] = [];
  const shared = plan.test.tensors.filter((tensor) => {
    const other = suspect.tensors.get(pairing.names.get(tensor.name) ?? '');
    const fits =
      other?.shape.length === tensor.full.length && other.shape.every((size, axis) => size === tensor.full[axis]);
    if (!fits) leftOut.push({ tensor: tensor.name, reason: 'the suspect has no tensor of this shape in its place' });
    return fits;
  });
  const part: TestPlan = { ...plan.test, tensors: shared };
  const ours = await loadTable(original, part);
  const theirs = await loadTable(suspect, part, (name) => pairing.names.get(name) ?? name);
  const tables = commonTables(ours, theirs);
  for (const { name } of shared) {
    if (!tables.suspect.tensors.has(name)) leftOut.push({ tensor: name, reason: 'holds NaN or an infinity' });
  }
  const alignment = alignSuspect(plan.test, tables.reference, tables.suspect);
  const directions = alignment === null ? new Map() : markDirection(plan, tables.reference, tables.suspect, alignment);
  const kept = [...tables.suspect.tensors.values()].reduce((sum, { values }) => sum + values.length, 0);
  const comparable = weights === 0 ? 0 : kept / weights;
  return { ...tables, alignment, directions, comparable, correspondence: pairing.pairs, leftOut };
}

/** Both exact lines of one release. @param prepared by a plan with the same tests and marks */
export function testRelease(
  { commitment: { plan }, release, keys }: ReleaseSubject,
  { reference, suspect, alignment, directions, ...rest }: PreparedTest,
  multiplicity: Multiplicity,
): ReleaseTest {
  const input: ExactInput = { plan, reference, suspect, keys, alignment, directions };
  return { ...rest, input, lines: exactLines(input, multiplicity, assumptionOf(release.beacon)) };
}

function alignSuspect(plan: TestPlan, reference: WeightTable, suspect: WeightTable): Alignment | null {
  if (plan.groups.some((group) => group.size > MAX_ALIGNED_UNITS)) return null;
  return alignTables(plan, reference, suspect, ALIGNMENT_SEED);
}

export interface Decided {
  readonly verdict: Comparison['verdict'];
  readonly log10p: number;
  readonly reason: string;
  readonly tweaks: readonly Tweak[];
}

/**
 * The verdict on one release. Null of both lines: the suspect does not depend on this release's (σ, c); proof in
 * docs/theory.md §2, §3, §7; levels in §11.
 * @param looksLikeOriginal the suspect is a copy of the unmarked original, or of another release of it
 * @param power trials that were kept of an earlier check, or null: they are made here where they are needed
 */
export function decideRelease(
  subject: ReleaseSubject,
  test: ReleaseTest,
  looksLikeOriginal: string | null,
  factor: number,
  power: { kept: ExactTrials | null; keep(trials: ExactTrials): void },
  sameFile: boolean,
): Decided {
  const log10p = Math.min(...test.lines.map((line) => line.log10p));
  const { release } = subject;
  if (log10p <= EXACT_LEVEL) {
    return {
      verdict: 'related',
      log10p,
      reason: `This file depends on release ${release.release}, the copy made for ${release.recipient}: if it did not, the chance of this would be at most 10^${log10p.toFixed(1)}. That names a copy, not who passed it on. Open remain: a licence, a purchase in good faith, a merge that contains the copy, a breach at the owner.`,
      tweaks: sameFile ? [{ kind: 'exact-copy' }] : describe(subject, test),
    };
  }
  const silent = { log10p, tweaks: [] };
  if (looksLikeOriginal !== null) return { ...silent, verdict: 'inconclusive', reason: looksLikeOriginal };
  if (test.comparable < ENOUGH || test.input.alignment === null) {
    const reason =
      test.input.alignment === null
        ? 'The model is too wide for its units to be aligned here, so a permuted copy could not be recognised.'
        : `The suspect has only ${(100 * test.comparable).toFixed(0)} % of the weights that this release can be told by.`;
    return { ...silent, verdict: 'inconclusive', reason };
  }
  const { plan, keys } = test.input;
  let trials = power.kept;
  if (trials === null) {
    trials = exactTrials(plan, test.input.reference, keys);
    power.keep(trials);
  }
  const shown = exactPower(trials, factor);
  const missed = shown.filter((one) => one.found < one.trials);
  if (missed.length > 0) {
    const list = missed.map((one) => `${one.tweak}: ${one.found} of ${one.trials}`).join('; ');
    return {
      ...silent,
      verdict: 'inconclusive',
      reason: `Nothing was found, but the test would not always have found a copy either (${list}), so that shows nothing.`,
    };
  }
  return { ...silent, verdict: 'no-evidence', reason: nothingFound(release, shown, log10p) };
}

function nothingFound(release: ReleaseFact, shown: readonly ExactPower[], log10p: number): string {
  const low = Math.min(...shown.map((one) => one.interval95[0]));
  const names = shown.map((one) => one.tweak).join(', ');
  return `Nothing ties this file to release ${release.release} (log10 p ${log10p.toFixed(1)}). The same test found every tweaked copy of a release by that plan (${names}) in ${shown[0]!.trials} of ${shown[0]!.trials} trials each (95 % interval from ${(100 * low).toFixed(0)} %). A model extracted through its answers is not excluded.`;
}

/** What was done to the copy, measured against the release itself, not the original. */
function describe(subject: ReleaseSubject, { input }: ReleaseTest): readonly Tweak[] {
  const { plan, keys, suspect, alignment } = input;
  const orders = groupOrders(plan, keys);
  const reference = markedTable(plan, input.reference, keys);
  const planned = { ...plan.test, tensors: plan.test.tensors.filter(({ name }) => suspect.tensors.has(name)) };
  const stored = new Map(suspect.tensors);
  for (const tensor of planned.tensors) {
    const own = suspect.tensors.get(tensor.name)!;
    let values = own.values;
    for (const { axis, group, segments } of tensor.axes) {
      const order = orders.get(group);
      if (order !== undefined) values = carryUnits(values, tensor.shape, axis, segments, order);
    }
    stored.set(tensor.name, { shape: own.shape, values });
  }
  const groups = (alignment?.groups ?? []).map((group) => {
    const order = orders.get(group.id);
    if (order === undefined) return group;
    const assignment = new Int32Array(order.length);
    const scale = new Float64Array(order.length);
    const sign = new Int8Array(order.length);
    for (let i = 0; i < order.length; i++) {
      assignment[order[i]!] = group.assignment[i]!;
      scale[order[i]!] = group.scale[i]!;
      sign[order[i]!] = group.sign[i]!;
    }
    return { ...group, assignment, scale, sign };
  });
  const moved = groups.some(
    (group) => group.assignment.some((to, from) => to !== from) || group.scale.some((s) => s !== 1),
  );
  const still = { tensors: stored };
  return diagnose({
    plan: planned,
    reference,
    stored: still,
    aligned: moved && alignment !== null ? alignment.aligned : still,
    groups: moved ? groups : [],
    stated: () => null,
  }).filter((tweak) => subject.release.files.length > 0 || tweak.kind !== 'exact-copy');
}
