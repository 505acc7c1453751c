/**
 * `compare` for two tree ensembles: what they have in common, and why nothing of it makes them `related`.
 *
 * `related` means that a null hypothesis was rejected, with a chance that can be checked (docs/theory.md §11). Without
 * a release, the only randomness of a tree is the data and the trainer's seed, and neither is ours: the popular
 * trainers are deterministic, their seed is 0 where no one sets it, and on the same table with the same settings they
 * write the same model bit for bit. So even equality of every number has an innocent cause that the files cannot
 * exclude, as a popular seed has for a network (§6), and its answer is the same: `inconclusive`, so explained. No
 * log10 p is given, since there is no null under which equal trees would have a known chance (§15).
 *
 * `no-evidence` is said where less is common than any changed copy of the reference would have, in 20 of 20 trials of
 * each named tweak, and no tree is equal as a whole. Independent trainings on one table reach `SHARED_BY_CHANCE` below.
 */
import { seededRandom } from '../base/index.js';
import type { Model } from '../formats/index.js';
import { clopperPearson } from '../stats/index.js';
import { type CanonicalTrees, canonicalTrees, treesDigest } from '../structure/index.js';
import { TRIALS } from './power.js';
import { matchTrees, type TreeMatch, type TreesMatched } from './tree-match.js';
import { keepTrees, TREE_TWEAKS, type TreeTweak, tweakTrees } from './tree-tweaks.js';
import type { Comparison, SharedTensor, Tweak } from './types.js';

/** Share of the smaller ensemble's splits in matched trees from which one is called a likely copy. */
const FOUND = 0.5;
/**
 * Above this it is not `no-evidence`: trainings on bootstraps of one table, and with rows and columns drawn at random,
 * reached 0.13 at depth 2, 0.07 at depth 3 and less beyond (docs/theory.md §15).
 */
const SHARED_BY_CHANCE = 0.2;
/** Fewer matched splits than this are as many as two trainings on one table may well have, whatever their share. */
const FEW_SPLITS = 50;
/** Splits on which power is shown: twenty trials of four tweaks take a second or two. */
const MAX_POWER_SPLITS = 10_000;
/** Pairs of trees listed in the answer. */
const MAX_LISTED = 1000;

type Answer = Omit<Comparison, 'bytesRead' | 'seconds'>;

/** @returns null where not both models are trees */
export function compareTreeModels(a: Model, b: Model, base?: Model): Answer | null {
  if (a.trees === undefined || b.trees === undefined) return null;
  const [ours, theirs] = [a.trees.map(canonicalTrees), b.trees.map(canonicalTrees)];
  const pairs = theirs.map((suspect) => ({ suspect, ...bestOf(ours, suspect) }));
  // Where a model holds several ensembles, the pair that has most in common speaks.
  const best = pairs.reduce((most, pair) => (pair.matched.share > most.matched.share ? pair : most));
  const { reference, suspect, matched } = best;
  const isEqual = treesDigest(reference) === treesDigest(suspect);
  const whole = matched.matches.filter((match) => isWhole(match, reference, suspect));
  const inBase = base?.trees === undefined ? null : inCommon(base.trees.map(canonicalTrees), suspect, matched);
  const shared = matched.matches.slice(0, MAX_LISTED).map(
    ({ ours: x, theirs: y }): SharedTensor => ({
      a: treeName(reference, x),
      b: treeName(suspect, y),
      nature: inBase?.has(y) === true ? 'base' : 'component',
    }),
  );
  const isFound = isEqual || matched.share >= FOUND;
  const decided = isFound
    ? { verdict: 'inconclusive' as const, reason: found(reference, suspect, matched, isEqual) }
    : notFound(reference, suspect, matched, whole.length);
  const others =
    b.trees.length > 1 || a.trees.length > 1
      ? ' The models hold several ensembles; the pair that has most in common was described.'
      : '';
  return {
    ...decided,
    reason: `${decided.reason}${baseSentence(inBase, matched)}${others}`,
    log10p: null,
    kind: null,
    scope: { comparable: 1, related: 0 },
    correspondence: [],
    shared: decided.verdict === 'no-evidence' ? [] : shared,
    tweaks: isFound ? tweaksOf(reference, suspect, matched, isEqual, formatOf(a), formatOf(b)) : [],
    lines: [],
    leftOut: [],
  };
}

const formatOf = ({ format, trees = [] }: Model): string => `${format} ${trees[0]!.precision}`;

function bestOf(ours: readonly CanonicalTrees[], suspect: CanonicalTrees) {
  const tried = ours.map((reference) => ({ reference, matched: matchTrees(reference, suspect) }));
  return tried.reduce((most, one) => (one.matched.share > most.matched.share ? one : most));
}

const treeName = ({ name }: CanonicalTrees, tree: number): string => `${name === '' ? '' : `${name} `}tree ${tree}`;

const splitsIn = ({ feature }: CanonicalTrees): number => feature.reduce((sum, one) => sum + (one === -1 ? 0 : 1), 0);

const splitsOf = ({ root, feature }: CanonicalTrees, tree: number): number =>
  ((root[tree + 1] ?? feature.length) - root[tree]! - 1) / 2;

/** Equal in every split and every leaf. */
const isWhole = (match: TreeMatch, reference: CanonicalTrees, suspect: CanonicalTrees): boolean =>
  match.by === 'leaves' ||
  (match.equalSplits === splitsOf(reference, match.ours) &&
    match.equalSplits === splitsOf(suspect, match.theirs) &&
    match.equalLeaves === match.leaves);

function inCommon(
  bases: readonly CanonicalTrees[],
  suspect: CanonicalTrees,
  matched: TreesMatched,
): ReadonlySet<number> {
  const known = new Set(bases.flatMap((base) => matchTrees(base, suspect).matches.map(({ theirs }) => theirs)));
  return new Set(matched.matches.flatMap(({ theirs }) => (known.has(theirs) ? [theirs] : [])));
}

function baseSentence(inBase: ReadonlySet<number> | null, { matches }: TreesMatched): string {
  if (inBase === null || matches.length === 0) return '';
  return ` Of the ${matches.length} trees in common, ${inBase.size} are in the base that was named as well, which explains them.`;
}

const CAUSES =
  'A copy, or a deterministic trainer on the same data with the same settings, which writes the same trees: the files alone do not tell which, and no chance is stated. Who had which data, and when each model was recorded, is a matter for the ledger.';

function found(reference: CanonicalTrees, suspect: CanonicalTrees, matched: TreesMatched, isEqual: boolean): string {
  if (isEqual) {
    return `All ${reference.root.length} trees are equal in every split and every leaf value. ${CAUSES}`;
  }
  const { matches } = matched;
  const [bySplits, leaves] = [matches.filter(({ by }) => by === 'splits'), matches.filter(({ by }) => by === 'leaves')];
  const parts = [
    ...(bySplits.length === 0 ? [] : [`${bySplits.length} follow the same splits from the root down`]),
    ...(leaves.length === 0 ? [] : [`${leaves.length} have the same leaf values under other inputs or thresholds`]),
  ];
  const splits = matches.reduce((sum, match) => sum + Math.max(match.splits, match.leaves - 1), 0);
  const bySize =
    splits < FEW_SPLITS
      ? `These are ${splits} splits only, which other trainings on the same data may have in common too.`
      : 'Other trainings on one table were seen to have at most 13 % in common.';
  return `Of ${suspect.root.length} trees of the second model, ${parts.join(' and ')} as a tree of the first (${reference.root.length} trees): ${percent(matched.share)} of the splits of the smaller model. ${bySize} ${CAUSES}`;
}

function notFound(
  reference: CanonicalTrees,
  suspect: CanonicalTrees,
  { matches, share }: TreesMatched,
  whole: number,
): Pick<Answer, 'verdict' | 'reason'> {
  const inconclusive = (reason: string) => ({ verdict: 'inconclusive' as const, reason });
  if (splitsIn(reference) === 0 || splitsIn(suspect) === 0)
    return inconclusive('One of the models has no tree that splits, so there is nothing to compare.');
  if (whole > 0) {
    return inconclusive(
      `${whole} of ${suspect.root.length} trees are equal as a whole, and the rest is not: trees that were taken over, or the beginning of a deterministic training on the same data. No chance is stated for it.`,
    );
  }
  if (share > SHARED_BY_CHANCE) {
    return inconclusive(
      `${matches.length} of ${suspect.root.length} trees follow the same splits (${percent(share)} of the smaller model): more than independent trainings on one table were seen to have, less than a copy would.`,
    );
  }
  const power = showTreePower(reference);
  const missed = power.filter((one) => one.found < one.trials);
  if (missed.length > 0) {
    return inconclusive(
      `The trees are too few or too small to be told apart: copies of the first model were not always found (${missed.map((one) => `${one.tweak}: ${one.found} of ${one.trials}`).join('; ')}). Finding little in common therefore shows nothing.`,
    );
  }
  const low = Math.min(...power.map((one) => one.interval95[0]));
  return {
    verdict: 'no-evidence',
    reason: `${matches.length} of ${suspect.root.length} trees follow the same splits, ${percent(share)} of the smaller model: what trainings on similar data have in common. Copies of the first model (${power.map((one) => one.tweak).join('; ')}) were found in ${TRIALS} of ${TRIALS} trials each (95 % interval from ${percent(low)}). Equal thresholds alone say nothing, since trainers cut where the data lie. A copy whose inputs and leaf values were both changed, a model refitted, or one trained on the answers of the first, is not excluded.`,
  };
}

export interface TreePower {
  readonly tweak: TreeTweak;
  readonly found: number;
  readonly trials: number;
  /** Clopper–Pearson, 95 %, of the share found. */
  readonly interval95: readonly [number, number];
}

/** The named tweaks, applied to the reference (of a large one, to trees taken evenly) and matched as a suspect is. */
export function showTreePower(reference: CanonicalTrees): readonly TreePower[] {
  const step = Math.ceil(splitsIn(reference) / MAX_POWER_SPLITS);
  const sample =
    step <= 1
      ? reference
      : keepTrees(
          reference,
          [...reference.root.keys()].filter((tree) => tree % step === 0),
        );
  return TREE_TWEAKS.map((tweak) => {
    let count = 0;
    for (let trial = 0; trial < TRIALS; trial++) {
      const copy = tweakTrees(sample, tweak, seededRandom(1 + trial, `tree power ${tweak}`));
      if (matchTrees(sample, copy).share >= FOUND) count++;
    }
    return { tweak, found: count, trials: TRIALS, interval95: clopperPearson(count, TRIALS) };
  });
}

function tweaksOf(
  reference: CanonicalTrees,
  suspect: CanonicalTrees,
  { matches }: TreesMatched,
  isEqual: boolean,
  from: string,
  to: string,
): readonly Tweak[] {
  const converted: readonly Tweak[] = from === to ? [] : [{ kind: 'converted', from, to }];
  if (isEqual) return converted.length > 0 ? converted : [{ kind: 'exact-copy' }];
  const sum = (of: (match: TreeMatch) => number): number => matches.reduce((total, match) => total + of(match), 0);
  const [splits, equal, leaves, same] = [
    sum((match) => match.splits),
    sum((match) => match.equalSplits),
    sum((match) => match.leaves),
    sum((match) => match.equalLeaves),
  ];
  const byLeaves = matches.filter(({ by }) => by === 'leaves');
  const moved = byLeaves.filter((match) => !haveSameInputs(reference, suspect, match)).length;
  const alone = sum((match) => (match.by === 'leaves' ? match.leaves - 1 : 0));
  const [dropped, added] = [reference.root.length - matches.length, suspect.root.length - matches.length];
  return [
    ...converted,
    ...(dropped > 0 ? [{ kind: 'trees-dropped', trees: dropped, of: reference.root.length }] : []),
    ...(added > 0 ? [{ kind: 'trees-added', trees: added, of: suspect.root.length }] : []),
    ...(same < leaves ? [{ kind: 'leaves-changed', share: 1 - same / leaves }] : []),
    ...(equal < splits || moved < byLeaves.length
      ? [{ kind: 'thresholds-moved', share: 1 - equal / (splits + (moved < byLeaves.length ? alone : 0)) }]
      : []),
    ...(moved > 0 ? [{ kind: 'inputs-changed', trees: moved }] : []),
  ];
}

/** Trees of the same leaves that ask for the same inputs in the same order differ in their thresholds. */
function haveSameInputs(reference: CanonicalTrees, suspect: CanonicalTrees, { ours, theirs }: TreeMatch): boolean {
  const inputs = ({ root, feature }: CanonicalTrees, tree: number): string =>
    feature.subarray(root[tree]!, root[tree + 1] ?? feature.length).join();
  return inputs(reference, ours) === inputs(suspect, theirs);
}

const percent = (share: number): string => `${(100 * share).toFixed(share > 0 && share < 0.1 ? 1 : 0)} %`;
