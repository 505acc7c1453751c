/**
 * The empty gaps of the training data in which an ensemble's thresholds lie. Between two neighbouring values of an input
 * a threshold can stand anywhere, and every training row goes the way it went: that freedom carries the mark
 * (docs/theory.md §16).
 *
 * A gap is taken once, however many splits of however many trees cut in it. So equal thresholds stay equal, a copy shows
 * no scatter that could be averaged, and what is left of the mark does not depend on which trees a thief keeps, or in
 * what order.
 */
import { COMPARISONS, type TreeEnsemble, ZERO_IS_MISSING } from '../formats/index.js';
import { nextUp } from '../structure/index.js';
import type { TrainingValues } from './tree-data.js';

export interface Gap {
  /** Place among the model's ensembles. */
  readonly ensemble: number;
  readonly feature: number;
  /** The training values around it, as the table has them. */
  readonly low: number;
  readonly high: number;
  /** Where the unmarked original cuts, as `x < threshold`; of several, the one that most splits have. */
  readonly threshold: number;
}

/** With fewer float32 numbers inside, rounding would be as large as the mark. */
export const MIN_FLOATS = 64;

const LESS_OR = new Set([COMPARISONS.indexOf('<='), COMPARISONS.indexOf('>')]);

/** True for a split that compares with a number. */
export const isNumericSplit = ({ feature, comparison }: TreeEnsemble, node: number): boolean =>
  feature[node] !== -1 && comparison[node]! <= COMPARISONS.indexOf('>=');

/** A numeric split as `x < cut`: what the four comparisons have in common, in the precision of the ensemble. */
export const cutOf = ({ threshold, comparison, precision }: TreeEnsemble, node: number): number =>
  LESS_OR.has(comparison[node]!) ? nextUp(threshold[node]!, precision) : threshold[node]!;

/** All gaps that some split cuts in, by ensemble, input and place, which is the order of their chips. */
export function gapsOf(ensembles: readonly TreeEnsemble[], values: TrainingValues): readonly Gap[] {
  return ensembles.flatMap((ensemble, index) => {
    const cuts = cutsByFeature(ensemble);
    return [...cuts]
      .sort(([a], [b]) => a - b)
      .flatMap(([feature, own]) => gapsOfFeature(ensemble, index, feature, own, values.of(index, feature)));
  });
}

/** Input → cut → how many splits have it. Cuts on which zeros count as missing are left alone. */
function cutsByFeature(ensemble: TreeEnsemble): Map<number, Map<number, number>> {
  const found = new Map<number, Map<number, number>>();
  for (let node = 0; node < ensemble.feature.length; node++) {
    const cut = isNumericSplit(ensemble, node) ? cutOf(ensemble, node) : Number.NaN;
    if (!Number.isFinite(cut) || (ensemble.missing[node]! & ZERO_IS_MISSING) !== 0) continue;
    const feature = ensemble.feature[node]!;
    const own = found.get(feature) ?? new Map<number, number>();
    own.set(cut, (own.get(cut) ?? 0) + 1);
    found.set(feature, own);
  }
  return found;
}

/** @param values of the input in training, ascending, each once */
function gapsOfFeature(
  { precision }: TreeEnsemble,
  ensemble: number,
  feature: number,
  cuts: ReadonlyMap<number, number>,
  values: Float64Array,
): readonly Gap[] {
  const read = precision === 'F32' ? Math.fround : (value: number) => value;
  const gaps = new Map<number, Gap & { readonly splits: number }>();
  for (const [threshold, splits] of [...cuts].sort(([a], [b]) => a - b)) {
    // Values before this place go left, as the format reads them.
    const place = firstNotBelow(values, threshold, read);
    const [below, above] = [values[place - 1], values[place]];
    // All of the data on one side: only missing values are told apart, or rows that are not in this table.
    if (below === undefined || above === undefined) continue;
    if (!holdsFloats(boundsOf({ low: below, high: above }))) continue;
    const before = gaps.get(place);
    if (before === undefined || before.splits < splits)
      gaps.set(place, { ensemble, feature, low: below, high: above, threshold, splits });
  }
  return [...gaps].sort(([a], [b]) => a - b).map(([, { splits: _, ...gap }]) => gap);
}

function firstNotBelow(values: Float64Array, cut: number, read: (value: number) => number): number {
  let [low, high] = [0, values.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (read(values[middle]!) < cut) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Whether `MIN_FLOATS` float32 numbers lie between the two. */
function holdsFloats({ low, high }: Pick<Gap, 'low' | 'high'>): boolean {
  const largest = Math.max(Math.abs(low), Math.abs(high), MIN_NORMAL);
  const step = 2 ** (Math.floor(Math.log2(largest)) - 23);
  return high - low >= (MIN_FLOATS + 2) * step;
}

const MIN_NORMAL = 2 ** -126;

/** A training value may be read as float32 or as float64: no row lies between these, whichever it is. */
export const boundsOf = ({ low, high }: Pick<Gap, 'low' | 'high'>): Pick<Gap, 'low' | 'high'> => ({
  low: Math.max(low, Math.fround(low)),
  high: Math.min(high, Math.fround(high)),
});

/** How far a cut lies from the middle of a gap, in halves of the gap: −1 … 1 inside. */
export function placeIn(gap: Pick<Gap, 'low' | 'high'>, cut: number): number {
  const { low, high } = boundsOf(gap);
  const half = (high - low) / 2;
  return (cut - (low + half)) / half;
}

/** The gap in which a split of the ensemble cuts, −1 for none. */
export function gapFinder(
  gaps: readonly Gap[],
): (ensemble: number, feature: number, cut: number, precision: TreeEnsemble['precision']) => number {
  const ranges = new Map<string, readonly [number, number]>();
  for (const [row, { ensemble, feature }] of gaps.entries()) {
    const key = `${ensemble} ${feature}`;
    ranges.set(key, [ranges.get(key)?.[0] ?? row, row + 1]);
  }
  return (ensemble, feature, cut, precision) => {
    const read = precision === 'F32' ? Math.fround : (value: number) => value;
    const range = ranges.get(`${ensemble} ${feature}`);
    if (range === undefined) return -1;
    let [low, high] = range;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (read(gaps[middle]!.high) < cut) low = middle + 1;
      else high = middle;
    }
    return low < range[1] && read(gaps[low]!.low) < cut ? low : -1;
  };
}
