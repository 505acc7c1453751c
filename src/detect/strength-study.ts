/**
 * Which strength a mark should have, measured before anything is committed: what it costs (accuracy on the owner's test
 * set, else the drift of the outputs) against the power that it buys. Trial keys only, which no release ever uses: the
 * choice then says nothing of the keys that are drawn afterwards (docs/theory.md §1).
 */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import path from 'node:path';
import { loadTable, type WeightTable } from '../align/index.js';
import { noProgress, type Progress, sha256, sha256Hex, utf8 } from '../base/index.js';
import { writeModel } from '../formats/index.js';
import {
  DEFAULT_STRENGTH,
  type DriftBed,
  driftBed,
  type OpenedKeys,
  type OutputDrift,
  type PlanOptions,
  planRelease,
  type ReleasePlan,
  releasedValues,
  spreadStrength,
  type TensorHarm,
} from '../mark/index.js';
import type { CanonicalModel } from '../structure/index.js';
import { type Score, scoreTable, type Table } from '../train/index.js';
import { EVERYTHING, exactTrials } from './exact-power.js';
import { subjectOfCanonical } from './open-subject.js';

export interface StudySettings {
  /** A labelled table: costs are then measured on it. */
  readonly test?: { readonly table: Table; readonly target?: string } | null;
  /** What a mark may cost: points of accuracy, per cent of the RMSE. Default 0.1; 1. */
  readonly mostCost?: number;
  /** A folder in which copies are written and run; they are removed. */
  readonly workshop: string;
  readonly progress?: Progress;
}

export interface CostFigure {
  readonly mean: number;
  /** Standard error of the mean: what these keys cannot tell from no cost. */
  readonly error: number;
  readonly most: number;
  readonly keys: number;
}

export interface StrengthOffer {
  readonly strength: number;
  /** Mean over the trial keys: points of accuracy lost, or per cent by which the RMSE rises; null without a test set. */
  readonly cost: CostFigure | null;
  /** As `OutputDrift` has it, over the trial keys; null where the model cannot be run here. */
  readonly drift: { readonly rms: number; readonly largest: number; readonly keys: number } | null;
  /** Least log10 p that a copy gave under `tweak`, uncorrected, the worst of `trials`; null for a model too large to try. */
  readonly power: { readonly tweak: string; readonly worst: number; readonly trials: number } | null;
  readonly verdict: 'chosen' | 'too faint' | 'too dear' | 'not needed';
}

export interface StrengthStudy {
  readonly original: Score | null;
  readonly offers: readonly StrengthOffer[];
  readonly chosen: number;
  /** By tensor, where they differ by what each tensor does to the outputs; null: one strength for all. */
  readonly strengths: ReadonlyMap<string, number> | null;
  readonly reason: string;
}

const CANDIDATES = [0.01, 0.02, 0.03, 0.05, 0.08, 0.12] as const;
/** Uncorrected log10 p that every trial must reach: what a key of 256 bits can say at most, so that a louder mark would say no more. */
export const WANTED = -77;
const POINTS = 0.1;
const PER_CENT = 1;
/** Root mean square drift of the outputs where there is no test set to say what it costs. */
const MOST_DRIFT = 0.04;
const KEYS = 4;
const TRIALS = 5;
/** Strength at which one tensor alone is tried: far above rounding, and still small. */
const PROBE = 0.1;
/** More tensors are not tried one by one: each costs a copy and its run. */
const MOST_TENSORS = 48;
const MOST_BYTES = 2 ** 28;
/** Of a larger model as much is tried as fits: the whole has more power, never less. */
const MOST_WEIGHTS = 2 ** 18;

const trialKeys = (model: CanonicalModel, batches: number, n: number): OpenedKeys => ({
  release: `trial ${n}`,
  original: sha256Hex(utf8([...model.tensors.keys()].join('\n'))),
  beacon: '0'.repeat(64),
  seeds: new Map(Array.from({ length: batches }, (_, batch) => [batch, sha256(utf8(`trial ${n} batch ${batch}`))])),
});

/**
 * The least strength whose copies were all found, within the cost; else the strongest within the cost.
 * @param plan options of the release that is to be made, without strengths
 */
export async function studyStrength(
  canonical: CanonicalModel,
  plan: Omit<PlanOptions, 'strength' | 'strengths'>,
  settings: StudySettings,
): Promise<StrengthStudy> {
  await mkdir(settings.workshop, { recursive: true });
  const folder = await mkdtemp(path.join(settings.workshop, '.muniment-study-'));
  try {
    return await study(canonical, plan, settings, folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function study(
  canonical: CanonicalModel,
  options: PlanOptions,
  { test = null, mostCost, progress = noProgress }: StudySettings,
  folder: string,
): Promise<StrengthStudy> {
  const small = canonical.model.sources.reduce((sum, source) => sum + source.byteLength, 0) <= MOST_BYTES;
  const copies = copier(canonical, folder);
  const unmarked = small ? await copies(null) : null;
  const bed = unmarked === null ? null : await driftBed(unmarked);
  const original = test === null || unmarked === null ? null : await scoreTable(unmarked, test.table, test.target);
  const allowed = mostCost ?? (original?.metric === 'rmse' ? PER_CENT : POINTS);
  const harms = bed === null ? null : await harmsOf(canonical, options, copies, bed, progress);
  const tried = { ...options, budget: MOST_WEIGHTS };
  const reference = await referenceOf(canonical, planRelease(canonical, tried));
  const blind = bed === null && original === null;
  const candidates = CANDIDATES.filter((one) => (blind ? one <= DEFAULT_STRENGTH : true)).filter((one) =>
    reference === null ? one === DEFAULT_STRENGTH : true,
  );
  const offers: StrengthOffer[] = [];
  for (const strength of candidates) {
    progress.update(offers.length, candidates.length, `strength ${strength}`);
    const strengths = strengthsOf(harms, strength);
    const plan = planRelease(canonical, { ...options, ...strengths });
    const drifts: OutputDrift[] = [];
    const costs: number[] = [];
    for (let n = 0; n < KEYS && !blind; n++) {
      const copy = await copies({ plan, keys: trialKeys(canonical, plan.batches, n) });
      const drift = (await bed?.drift(copy)) ?? null;
      if (drift !== null) drifts.push(drift);
      if (original !== null) costs.push(costOf(original, await scoreTable(copy, test!.table, test!.target)));
    }
    const cost = costs.length === 0 ? null : costFigure(costs);
    const drift =
      drifts.length === 0
        ? null
        : {
            rms: Math.sqrt(meanOf(drifts.map(({ rms }) => rms * rms))),
            largest: Math.max(...drifts.map(({ largest }) => largest)),
            keys: drifts.length,
          };
    const power =
      reference === null
        ? null
        : powerOf(planRelease(canonical, { ...tried, ...strengths }), reference, trialKeys(canonical, plan.batches, 0));
    const dear = cost !== null ? cost.mean - cost.error > allowed : drift !== null && drift.rms > MOST_DRIFT;
    const faint = power !== null && power.worst > WANTED;
    offers.push({ strength, cost, drift, power, verdict: dear ? 'too dear' : faint ? 'too faint' : 'chosen' });
    if (dear || !faint) break;
  }
  progress.update(candidates.length, candidates.length);
  return decided(
    original,
    offers,
    harms,
    blind ? `${DEFAULT_STRENGTH}, as the model cannot be run here` : limitOf(original, allowed),
  );
}

function decided(
  original: Score | null,
  offers: readonly StrengthOffer[],
  harms: readonly TensorHarm[] | null,
  limit: string,
): StrengthStudy {
  const enough = offers.find((offer) => offer.verdict === 'chosen');
  const affordable = offers.filter((offer) => offer.verdict !== 'too dear').at(-1);
  const best = enough ?? affordable ?? offers[0]!;
  const reason =
    enough !== undefined
      ? `the faintest whose copies were all found at 10^${WANTED} or below, within ${limit}`
      : affordable !== undefined
        ? `the strongest within ${limit}; its copies are not all found at 10^${WANTED}`
        : `the faintest that is tried; it costs more than ${limit}`;
  const strengths = strengthsOf(harms, best.strength).strengths ?? null;
  return {
    original,
    offers: offers.map((offer) => (offer === best ? { ...offer, verdict: 'chosen' } : offer)),
    chosen: best.strength,
    strengths,
    reason,
  };
}

const limitOf = (original: Score | null, allowed: number): string =>
  original === null
    ? `${100 * MOST_DRIFT} % drift of the outputs`
    : `${allowed} ${original.metric === 'rmse' ? '% of the RMSE' : 'points of accuracy'}`;

const strengthsOf = (
  harms: readonly TensorHarm[] | null,
  strength: number,
): { strength: number; strengths?: ReadonlyMap<string, number> } =>
  harms === null ? { strength } : { strength, strengths: spreadStrength(harms, strength) };

function costFigure(costs: readonly number[]): CostFigure {
  const mean = meanOf(costs);
  const spread = Math.sqrt(meanOf(costs.map((one) => (one - mean) ** 2)) / Math.max(1, costs.length - 1));
  return { mean, error: spread, most: Math.max(...costs), keys: costs.length };
}

const meanOf = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;

const costOf = (original: Score, copy: Score): number =>
  original.metric === 'accuracy'
    ? 100 * (original.value - copy.value)
    : original.value > 0
      ? 100 * (copy.value / original.value - 1)
      : 0;

/** @param marks null: the original itself */
type Copier = (marks: { readonly plan: ReleasePlan; readonly keys: OpenedKeys } | null) => Promise<string>;

/** Writes one copy at a time, in the original's own format, in place of the last one. */
function copier(canonical: CanonicalModel, folder: string): Copier {
  const name = path.basename(canonical.model.sources[0]!.name);
  let count = 0;
  return async (marks) => {
    await rm(path.join(folder, String(count++)), { recursive: true, force: true });
    const copy = path.join(folder, String(count), name);
    const values = marks === null ? new Map() : releasedValues(canonical, marks.plan, marks.keys);
    await mkdir(path.dirname(copy));
    await writeModel(canonical.model, values, copy);
    return copy;
  };
}

/** Each tensor marked alone. @returns null for models of many tensors, and where no tensor shows any effect */
async function harmsOf(
  canonical: CanonicalModel,
  options: PlanOptions,
  copies: Copier,
  bed: DriftBed,
  progress: Progress,
): Promise<readonly TensorHarm[] | null> {
  const { marked, batches } = planRelease(canonical, { ...options, strength: PROBE });
  if (marked.length < 2 || marked.length > MOST_TENSORS) return null;
  const out: TensorHarm[] = [];
  for (const [index, one] of marked.entries()) {
    progress.update(index, marked.length, `what ${one.tensor} bears`);
    const strengths = new Map(marked.map(({ tensor }) => [tensor, tensor === one.tensor ? PROBE : 0]));
    const alone = planRelease(canonical, { ...options, strength: 0, strengths });
    const drift = await bed.drift(await copies({ plan: alone, keys: trialKeys(canonical, batches, 0) }));
    if (drift === null) return null;
    const weights = Math.min(one.rows, one.perBatch * batches) * one.width;
    out.push({ tensor: one.tensor, weights, harm: (drift.rms / PROBE) ** 2 });
  }
  return out.some(({ harm }) => harm > 0) ? out : null;
}

async function referenceOf(canonical: CanonicalModel, plan: ReleasePlan): Promise<WeightTable | null> {
  if (plan.marked.length === 0 || plan.test.groups.every(({ tested }) => !tested)) return null;
  return loadTable(await subjectOfCanonical(canonical, 'the original'), plan.test);
}

function powerOf(plan: ReleasePlan, reference: WeightTable, keys: OpenedKeys): StrengthOffer['power'] {
  const trials = exactTrials(plan, reference, keys, { tweaks: [EVERYTHING], trials: TRIALS });
  return { tweak: EVERYTHING, worst: Math.max(...trials[EVERYTHING]!), trials: TRIALS };
}
