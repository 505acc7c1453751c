/**
 * The line of marked trees: where in its gap each threshold of the suspect lies, against the chips of a release.
 *
 * Null: the suspect does not depend on this release's chips c, which were drawn after the gaps were committed. The
 * suspect's splits are paired with gaps from the suspect, the unmarked original and the gaps alone; so d is independent
 * of c, and z = ⟨c, d⟩/‖d‖ is exactly N(0, 1) whatever the suspect is (docs/theory.md §7, §16).
 */
import { COMPARISONS } from '../formats/index.js';
import { boundsOf, type Gap, gapChips, gapFinder, type OpenedKeys, placeIn, type ReleasePlan } from '../mark/index.js';
import { cappedByEntropy, log10NormalTail } from '../stats/index.js';
import type { CanonicalTrees } from '../structure/index.js';
import { inOurInputs } from './tree-inputs.js';
import { isSameCut, pairedSplits } from './tree-match.js';
import { meanOf, noiseWeights } from './tree-noise.js';

export interface JitterPlaces {
  /** [gaps]: mean place of the suspect's thresholds in the gap, in its halves, −1 … 1; NaN where it has none there. */
  readonly places: Float64Array;
  /** [gaps]: how much of each counts, by the noise that the suspect shows. */
  readonly weights: Float64Array;
  /** [gaps]: the original's. */
  readonly before: Float64Array;
  /** Splits of the suspect that compare with a number, and of these, in a gap. */
  readonly splits: number;
  readonly paired: number;
}

export interface JitterResult {
  readonly z: number;
  /** Gaps whose chip is open and in which the suspect cuts. */
  readonly n: number;
  /** log10 of the tail, not capped. */
  readonly bound: number;
  /** Capped by the key's entropy; not corrected for multiplicity. */
  readonly log10p: number;
}

/** Beyond the edge a threshold still counts for the gap, in halves of it: rounding pushes some out. */
const SLACK = 0.5;
/** What is left of the places when those of the original are taken out is rounding, in halves of a gap. */
const NOTHING = 1e-6;

const LESS = COMPARISONS.indexOf('<');
const within = (place: number): number => Math.max(-1, Math.min(1, place));

/** Sees the suspect, the gaps and the original; neither key nor release. */
export function jitterPlaces(
  gaps: readonly Gap[],
  reference: readonly CanonicalTrees[],
  suspect: readonly CanonicalTrees[],
): JitterPlaces {
  const found: number[][] = gaps.map(() => []);
  const stayed: number[][] = gaps.map(() => []);
  const ranges = rangesOf(gaps);
  const find = gapFinder(gaps);
  let [splits, paired] = [0, 0];
  for (const [index, given] of suspect.entries()) {
    // A model of one ensemble may have been converted to several, and several merged to one.
    const against = Math.min(index, reference.length - 1);
    const ours = reference[against]!;
    const rowOf = (node: number): number =>
      ours.comparison[node] === LESS ? find(against, ours.feature[node]!, ours.threshold[node]!, ours.precision) : -1;
    const { trees: theirs, matches } = inOurInputs(ours, given, (node) =>
      middleAt(gaps[rowOf(node)], ours.threshold[node]!),
    );
    const rows = new Int32Array(theirs.feature.length).fill(-1);
    for (const [m, n] of pairedSplits(ours, theirs, matches)) {
      rows[n] = rowOf(m);
    }
    for (let node = 0; node < theirs.feature.length; node++) {
      if (theirs.comparison[node] !== LESS) continue;
      splits++;
      const cut = theirs.threshold[node]!;
      const range = ranges.get(`${against} ${theirs.feature[node]!}`) ?? [0, 0];
      const row = rows[node] === -1 ? nearest(gaps, range, cut) : rows[node]!;
      if (row === -1) continue;
      paired++;
      (isSameCut(cut, gaps[row]!.threshold) ? stayed : found)[row]!.push(placeIn(gaps[row]!, cut));
    }
  }
  // Where some splits of a gap stand as the original's do and others do not, the former came from elsewhere.
  for (const [row, own] of found.entries()) if (own.length === 0) found[row] = stayed[row]!;
  return {
    places: Float64Array.from(found, (own) => (own.length === 0 ? Number.NaN : meanOf(own.map(within)))),
    weights: noiseWeights(gaps, found),
    before: Float64Array.from(gaps, (gap) => within(placeIn(gap, gap.threshold))),
    splits,
    paired,
  };
}

const middleAt = (gap: Gap | undefined, otherwise: number): number => {
  if (gap === undefined) return otherwise;
  const { low, high } = boundsOf(gap);
  return low + (high - low) / 2;
};

type Range = readonly [from: number, to: number];

function rangesOf(gaps: readonly Gap[]): ReadonlyMap<string, Range> {
  const ranges = new Map<string, Range>();
  for (const [row, { ensemble, feature }] of gaps.entries()) {
    const key = `${ensemble} ${feature}`;
    ranges.set(key, [ranges.get(key)?.[0] ?? row, row + 1]);
  }
  return ranges;
}

/** The gap whose middle is nearest, in halves of it; −1 where none is near. */
function nearest(gaps: readonly Gap[], [from, to]: Range, cut: number): number {
  let [low, high] = [from, to];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (gaps[middle]!.high < cut) low = middle + 1;
    else high = middle;
  }
  let best = -1;
  let least = 1 + SLACK;
  for (const row of [low - 1, low, low + 1]) {
    if (row < from || row >= to) continue;
    const distance = Math.abs(placeIn(gaps[row]!, cut));
    if (distance <= least) {
      best = row;
      least = distance;
    }
  }
  return best;
}

/**
 * z over the gaps whose chip is open.
 *
 * What an unmarked copy shows is taken out of d first, a constant and the original's own places: trees that were added
 * to a copy, trained by the same trainer on the same data, cut where the original does.
 */
export function jitterTest(
  plan: Pick<ReleasePlan, 'batches'>,
  keys: OpenedKeys,
  { places, before, weights }: Pick<JitterPlaces, 'places' | 'before' | 'weights'>,
): JitterResult {
  const chips = gapChips(plan, places.length, keys);
  const rows = [...places.keys()].filter((row) => !Number.isNaN(chips[row]!) && !Number.isNaN(places[row]!));
  const own = Float64Array.from(rows, (row) => places[row]!);
  const left = without(own, basisOf(Float64Array.from(rows, (row) => before[row]!)));
  const d = left === null ? null : left.map((value, k) => value * weights[rows[k]!]!);
  const z =
    d === null
      ? 0
      : dot(
          Float64Array.from(rows, (row) => chips[row]!),
          d,
        ) / Math.sqrt(dot(d, d));
  const bound = d === null ? 0 : log10NormalTail(z);
  return { z, n: rows.length, bound, log10p: cappedByEntropy(bound) };
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let k = 0; k < a.length; k++) sum += a[k]! * b[k]!;
  return sum;
}

/** A constant, and what of the places is not constant. */
function basisOf(before: Float64Array): readonly Float64Array[] {
  const constant = new Float64Array(before.length).fill(1);
  const rest = without(before, [constant]);
  return rest === null ? [constant] : [constant, rest];
}

/** @returns null where nothing is left */
function without(values: Float64Array, basis: readonly Float64Array[]): Float64Array | null {
  let left: Float64Array = values;
  for (const one of basis) {
    const squares = dot(one, one);
    const share = squares === 0 ? 0 : dot(left, one) / squares;
    left = left.map((value, k) => value - share * one[k]!);
  }
  return left.every((value) => Math.abs(value) < NOTHING) ? null : left;
}
