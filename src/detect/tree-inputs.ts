/**
 * Which input of a suspect is which of the original's, and in what unit: by names; or, where whole trees have the leaves
 * of ours under other inputs, by what the splits of those trees ask for. Sees no key (docs/theory.md §16).
 */
import { COMPARISONS } from '../formats/index.js';
import type { CanonicalTrees } from '../structure/index.js';
import { matchTrees, pairedByShape, type TreeMatch } from './tree-match.js';

const LESS = COMPARISONS.indexOf('<');
/** Share of the matched trees that are matched as they are, from which inputs are taken as they are. */
const AS_THEY_ARE = 0.5;
/** Fewer different thresholds do not fix a unit. */
const MIN_CUTS = 3;

/**
 * The suspect in the original's inputs and units, as far as can be told; else as it is.
 * @param placeOf where a copy's threshold is expected at a node of ours, before any key: the middle of its gap
 */
export function inOurInputs(
  ours: CanonicalTrees,
  suspect: CanonicalTrees,
  placeOf: (node: number) => number,
): { readonly trees: CanonicalTrees; readonly matches: readonly TreeMatch[] } {
  const named = byNames(ours, suspect);
  if (named !== null) return { trees: named, matches: matchTrees(ours, named).matches };
  const { matches, share } = matchTrees(ours, suspect);
  const asTheyAre = matches.filter(({ by }) => by === 'splits').length;
  if (share === 0 || asTheyAre >= AS_THEY_ARE * matches.length) return { trees: suspect, matches };
  const trees = byShape(ours, suspect, matches, placeOf);
  return { trees, matches: matchTrees(ours, trees).matches };
}

/** Null where not both name all that they have, alike. */
function byNames({ featureNames: ours }: CanonicalTrees, suspect: CanonicalTrees): CanonicalTrees | null {
  const theirs = suspect.featureNames;
  if (ours === null || theirs === null) return null;
  const place = new Map(ours.map((name, index) => [name, index]));
  if (place.size !== ours.length || !theirs.every((name) => place.has(name))) return null;
  return { ...suspect, feature: suspect.feature.map((input) => (input === -1 ? -1 : place.get(theirs[input]!)!)) };
}

interface Unit {
  readonly input: number;
  /** Ours = factor · theirs + shift. */
  readonly factor: number;
  readonly shift: number;
}

function byShape(
  ours: CanonicalTrees,
  suspect: CanonicalTrees,
  matches: readonly TreeMatch[],
  placeOf: (node: number) => number,
): CanonicalTrees {
  // Their input → our input → cuts of both.
  const votes = new Map<number, Map<number, (readonly [theirs: number, ours: number])[]>>();
  for (const [m, n] of pairedByShape(ours, suspect, matches)) {
    if (ours.comparison[m] !== LESS || suspect.comparison[n] !== LESS) continue;
    const own = votes.get(suspect.feature[n]!) ?? new Map<number, (readonly [number, number])[]>();
    own.set(ours.feature[m]!, [...(own.get(ours.feature[m]!) ?? []), [suspect.threshold[n]!, placeOf(m)]]);
    votes.set(suspect.feature[n]!, own);
  }
  const units = new Map(
    [...votes].map(([theirs, own]) => {
      const [input, cuts] = [...own].reduce((most, one) => (one[1].length > most[1].length ? one : most));
      return [theirs, unitOf(input, cuts)] as const;
    }),
  );
  const unit = (node: number): Unit | undefined => units.get(suspect.feature[node]!);
  return {
    ...suspect,
    feature: suspect.feature.map((input, node) => (input === -1 ? -1 : (unit(node)?.input ?? input))),
    threshold: suspect.threshold.map((cut, node) => {
      const known = suspect.comparison[node] === LESS ? unit(node) : undefined;
      return known === undefined ? cut : known.factor * cut + known.shift;
    }),
  };
}

/**
 * The line through the cuts of both that has the least absolute error, since wide gaps scatter more than narrow ones:
 * least squares, weighed again by what was left. As it is where the cuts are too few, or lie as well so.
 */
function unitOf(input: number, cuts: readonly (readonly [number, number])[]): Unit {
  const same = { input, factor: 1, shift: 0 };
  if (new Set(cuts.map(([, ours]) => ours)).size < MIN_CUTS) return same;
  const errors = ({ factor, shift }: Unit): readonly number[] =>
    cuts.map(([theirs, ours]) => Math.abs(factor * theirs + shift - ours));
  const total = (unit: Unit): number => errors(unit).reduce((sum, one) => sum + one, 0);
  let best: Unit | null = null;
  let weights: readonly number[] = cuts.map(() => 1);
  for (let round = 0; round < ROUNDS; round++) {
    const fitted = lineThrough(input, cuts, weights);
    if (!(fitted.factor > 0 && Number.isFinite(fitted.factor))) break;
    if (best === null || total(fitted) < total(best)) best = fitted;
    const left = errors(fitted);
    const least = 1e-3 * (left.reduce((sum, one) => sum + one, 0) / left.length) || Number.MIN_VALUE;
    weights = left.map((one) => 1 / Math.max(one, least));
  }
  return best === null || total(same) <= 2 * total(best) ? same : best;
}

const ROUNDS = 20;

function lineThrough(input: number, cuts: readonly (readonly [number, number])[], weights: readonly number[]): Unit {
  const all = weights.reduce((sum, one) => sum + one, 0);
  const mean = (of: 0 | 1): number => cuts.reduce((sum, one, k) => sum + weights[k]! * one[of], 0) / all;
  const [x, y] = [mean(0), mean(1)];
  const squares = cuts.reduce((sum, one, k) => sum + weights[k]! * (one[0] - x) ** 2, 0);
  const product = cuts.reduce((sum, one, k) => sum + weights[k]! * (one[0] - x) * (one[1] - y), 0);
  return { input, factor: product / squares, shift: y - (product / squares) * x };
}
