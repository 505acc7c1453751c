/** One release of decision trees as a candidate: its line, the verdict of theory §11, and what was done to the copy. */
import { seededRandom } from '../base/index.js';
import type { Model } from '../formats/index.js';
import {
  assumptionOf,
  type CommitmentFact,
  type Gap,
  type OpenedKeys,
  type ReleaseFact,
  type ReleasePlan,
  readingOf,
  releasedThresholds,
} from '../mark/index.js';
import { cappedByEntropy, clopperPearson } from '../stats/index.js';
import { type CanonicalTrees, canonicalTrees } from '../structure/index.js';
import type { Multiplicity } from './exact.js';
import type { ExactPower, ExactTrials } from './exact-power.js';
import { EXACT_LEVEL } from './order.js';
import { TRIALS } from './power.js';
import { type JitterPlaces, jitterPlaces, jitterTest } from './tree-jitter.js';
import { keepTrees } from './tree-tweaks.js';
import { compareTreeModels } from './trees.js';
import type { Comparison, EvidenceLine } from './types.js';

export interface TreeRelease {
  readonly commitment: CommitmentFact;
  readonly release: ReleaseFact;
  readonly keys: OpenedKeys;
  readonly gaps: readonly Gap[];
  /** The unmarked original. */
  readonly original: Model;
}

export const JITTER = 'threshold jitter';

/** What removes the mark, or leaves nothing to read: docs/design/tree-mark.md has the figures. */
const BLIND_TO = ['thresholds set anew in the gaps of other data', 'trees trained again', 'extraction'];

/** @param places key-free, of the suspect */
export function jitterLine(
  plan: ReleasePlan,
  keys: OpenedKeys,
  places: JitterPlaces,
  { factor, how }: Multiplicity,
  assumption: string,
): EvidenceLine {
  const { z, n, bound, log10p } = jitterTest(plan, keys, places);
  return {
    test: JITTER,
    null: `the suspect does not depend on where release ${keys.release} put its thresholds in the gaps of the training data`,
    assumption,
    statistic: z,
    n,
    log10p: cappedByEntropy(Math.min(0, bound + Math.log10(factor))),
    kind: 'exact',
    blindTo: BLIND_TO,
    detail: {
      correction: how,
      factor,
      batches: [...keys.seeds.keys()].sort((a, b) => a - b),
      uncorrectedLog10p: log10p,
      gaps: places.places.length,
      splits: places.splits,
      splitsInGaps: places.paired,
    },
  };
}

export interface TreeReleaseTest {
  readonly line: EvidenceLine;
  /** Share of the gaps in which the suspect cuts. */
  readonly comparable: number;
}

/** @returns null where the suspect holds no trees */
export function testTreeRelease(
  { commitment, release, keys, gaps, original }: TreeRelease,
  suspect: Model,
  multiplicity: Multiplicity,
): TreeReleaseTest | null {
  if (suspect.trees === undefined) return null;
  const ours = readingOf(original).map(canonicalTrees);
  const places = jitterPlaces(gaps, ours, suspect.trees.map(canonicalTrees));
  return {
    line: jitterLine(commitment.plan, keys, places, multiplicity, assumptionOf(release.beacon)),
    comparable: places.places.filter((place) => !Number.isNaN(place)).length / gaps.length,
  };
}

type Answer = Pick<Comparison, 'verdict' | 'log10p' | 'kind' | 'reason' | 'scope' | 'tweaks' | 'lines'>;

/**
 * @param unmarked why finding no mark shows nothing: the suspect's trees are the original's, and no release of it fired
 * @param power trials that were kept of an earlier check, or null
 */
export function decideTreeRelease(
  subject: TreeRelease,
  suspect: Model,
  test: TreeReleaseTest | null,
  unmarked: string | null,
  factor: number,
  power: { readonly kept: ExactTrials | null; keep(trials: ExactTrials): void },
  sameFile: boolean,
): Answer {
  const { release, gaps, original } = subject;
  if (test === null) {
    const reason =
      'The suspect holds no decision trees, so there are no thresholds that this release could be told by.';
    const scope = { comparable: 0, related: 0 };
    return { verdict: 'inconclusive', log10p: null, kind: null, reason, scope, tweaks: [], lines: [] };
  }
  const { line, comparable } = test;
  const found = { kind: 'exact' as const, log10p: line.log10p, lines: [line], tweaks: [] };
  const scope = { comparable, related: 0 };
  if (line.log10p <= EXACT_LEVEL) {
    return {
      ...found,
      verdict: 'related',
      reason: `This file depends on release ${release.release}, the copy made for ${release.recipient}: its thresholds lie in the gaps of the training data where that copy put them, and if it did not depend on it, the chance of this would be at most 10^${line.log10p.toFixed(1)}. That names a copy, not who passed it on. Open remain: a licence, a purchase in good faith, a merge that contains the copy, a breach at the owner.`,
      scope: { comparable, related: comparable },
      tweaks: sameFile ? [{ kind: 'exact-copy' }] : describe(subject, suspect),
    };
  }
  if (unmarked !== null) return { ...found, scope, verdict: 'inconclusive', reason: unmarked };
  let trials = power.kept;
  if (trials === null) {
    trials = jitterTrials(subject, readingOf(original).map(canonicalTrees));
    power.keep(trials);
  }
  const shown = jitterPower(trials, factor);
  const missed = shown.filter((one) => one.found < one.trials);
  if (missed.length > 0) {
    const list = missed.map((one) => `${one.tweak}: ${one.found} of ${one.trials}`).join('; ');
    const reason = `Nothing was found, but the test would not always have found a copy either (${list}), so that shows nothing: ${gaps.length} gaps are few.`;
    return { ...found, scope, verdict: 'inconclusive', reason };
  }
  const low = Math.min(...shown.map((one) => one.interval95[0]));
  const reason = `Nothing ties this file to release ${release.release} (log10 p ${line.log10p.toFixed(1)}). The same test found every tweaked copy of that release (${shown.map((one) => one.tweak).join('; ')}) in ${TRIALS} of ${TRIALS} trials each (95 % interval from ${(100 * low).toFixed(0)} %). Trees trained again, or whose thresholds were set anew in the gaps of other data, and a model extracted through its answers, are not excluded.`;
  return { ...found, scope, verdict: 'no-evidence', reason };
}

/** Against the release as it was made, not against the original. */
function describe({ original, gaps, commitment, keys }: TreeRelease, suspect: Model): Comparison['tweaks'] {
  const released = releasedTrees(original, gaps, commitment.plan, keys);
  return compareTreeModels({ ...original, trees: released }, suspect)?.tweaks ?? [];
}

/** The ensembles of the copy, made in memory. */
function releasedTrees(original: Model, gaps: readonly Gap[], plan: ReleasePlan, keys: OpenedKeys) {
  const thresholds = [...releasedThresholds(original, gaps, plan, keys).values()];
  return readingOf(original).map((trees, index) => ({ ...trees, threshold: thresholds[index]! }));
}

/** Each on top of a tenth of the trees dropped at random, so that no two trials are alike. */
export const JITTER_TWEAKS = [
  'half of the trees dropped',
  'thresholds rounded to 4 digits',
  'converted to float32 and trees re-ordered',
] as const;

/** Of a larger ensemble trees are taken evenly: fewer gaps then, so no more power than the whole has. */
const MAX_POWER_SPLITS = 10_000;

/** The named tweaks on the release itself, through the same pairing and test as a suspect. Uncorrected log10 p. */
export function jitterTrials(subject: TreeRelease, ours: readonly CanonicalTrees[]): ExactTrials {
  const { gaps, commitment, keys, original } = subject;
  const released = releasedTrees(original, gaps, commitment.plan, keys).map(canonicalTrees);
  const splits = released.reduce((sum, { feature }) => sum + feature.filter((input) => input !== -1).length, 0);
  const step = Math.max(1, Math.ceil(splits / MAX_POWER_SPLITS));
  return Object.fromEntries(
    JITTER_TWEAKS.map((tweak) => [
      tweak,
      Array.from({ length: TRIALS }, (_, trial) => {
        const random = seededRandom(1 + trial, `jitter power ${tweak}`);
        const share = tweak === 'half of the trees dropped' ? 0.5 : 0.1;
        const copies = released.map((trees) => {
          const kept = [...trees.root.keys()].filter((tree) => tree % step === 0 && random.unit() >= share);
          if (tweak === 'converted to float32 and trees re-ordered') kept.reverse();
          const copy = keepTrees(trees, kept);
          if (tweak === 'half of the trees dropped') return copy;
          const round = tweak === 'thresholds rounded to 4 digits' ? fourDigits : Math.fround;
          return { ...copy, threshold: copy.threshold.map(round) };
        });
        return jitterTest(commitment.plan, keys, jitterPlaces(gaps, ours, copies)).log10p;
      }),
    ]),
  );
}

const fourDigits = (value: number): number => Number(value.toPrecision(4));

const jitterPower = (trials: ExactTrials, factor: number): readonly ExactPower[] =>
  Object.entries(trials).map(([tweak, values]) => {
    const found = values.filter((log10p) => log10p + Math.log10(factor) <= EXACT_LEVEL).length;
    return { tweak, found, trials: values.length, interval95: clopperPearson(found, values.length) };
  });
