/**
 * The two statistics of answers. Both hold for any suspect, whatever it is: whoever answers does not know the keys from
 * which the answers, or the offset, were drawn (docs/theory.md §9).
 */
import { type OpenedKeys, type TriggerPlan, triggerLabel, triggersOf, waveChips, wavesAt } from '../mark/index.js';
import { cappedByEntropy, log10BinomialTail, log10NormalTail } from '../stats/index.js';
import type { Multiplicity } from './exact.js';
import type { EvidenceLine } from './types.js';

export interface HitsResult {
  readonly hits: number;
  readonly n: number;
  readonly classes: number;
  /** log10 of the tail, not capped. */
  readonly bound: number;
}

/**
 * Hits of the labels that the keys draw.
 *
 * Null: the suspect's answers do not depend on this set's keys; then hits ~ Bin(n, 1/K) exactly, for constant, random and
 * adversarial suspects alike. An answer that is missing, or no label, is a miss.
 * @param answers by index of the trigger
 */
export function triggerTest(
  plan: TriggerPlan,
  keys: OpenedKeys,
  answers: ReadonlyMap<number, string | number>,
): HitsResult | null {
  if (plan.answers.kind !== 'labels') return null;
  const { labels } = plan.answers;
  let hits = 0;
  let n = 0;
  for (let index = 0; index < plan.n; index++) {
    const label = triggerLabel(plan, keys, index);
    if (label === null) continue;
    n++;
    const said = answers.get(index);
    if (said !== undefined && String(said) === labels[label]) hits++;
  }
  return { hits, n, classes: labels.length, bound: n === 0 ? 0 : log10BinomialTail(hits, n, 1 / labels.length) };
}

export interface OffsetResult {
  readonly z: number;
  /** Waves whose chips are open. */
  readonly waves: number;
  /** Queries with an answer of the suspect's and one of the original's. */
  readonly n: number;
  readonly bound: number;
}

/**
 * z = ⟨c, d⟩/‖d‖ with d the regression of f − f₀ on the waves: how much of each the suspect's answers have more than
 * the original's.
 *
 * Null: the suspect's answers do not depend on this set's chips c; then z ~ N(0, 1) exactly, since Φ, f and f₀ are
 * functions of the inputs alone, which share no bits with c. d = 0 gives p = 1.
 * @param original answers of the recorded original, before any offset
 */
export function offsetTest(
  plan: TriggerPlan,
  keys: OpenedKeys,
  answers: ReadonlyMap<number, number>,
  original: ReadonlyMap<number, number>,
): OffsetResult | null {
  if (plan.answers.kind !== 'offset') return null;
  const asked = triggersOf(plan, keys);
  const at = wavesAt(
    plan,
    keys,
    asked.map(({ readings }) => readings.at(-1)!),
  );
  const drawn = waveChips(plan, keys);
  if (at === null || drawn === null) return null;
  const differences = asked.flatMap(({ index }, place) => {
    const difference = (answers.get(index) ?? Number.NaN) - (original.get(index) ?? Number.NaN);
    return Number.isFinite(difference) ? [{ difference, place }] : [];
  });
  // A suspect far off everywhere would drown the waves in its mean.
  const mean = differences.reduce((sum, one) => sum + one.difference, 0) / Math.max(1, differences.length);
  const d = regressed(
    differences.map(({ place }) => at[place]!),
    differences.map(({ difference }) => difference - mean),
    drawn.length,
  );
  let [product, squares, waves] = [0, 0, 0];
  for (let j = 0; j < d.length; j++) {
    if (Number.isNaN(drawn[j]!)) continue;
    product += drawn[j]! * d[j]!;
    squares += d[j]! * d[j]!;
    waves++;
  }
  const z = squares > 0 ? product / Math.sqrt(squares) : 0;
  return { z, waves, n: differences.length, bound: squares > 0 ? log10NormalTail(z) : 0 };
}

/** Share of the waves' mean square that is added to each: waves that the queries hardly tell apart are not told apart. */
const RIDGE = 0.02;

/**
 * (ΦᵀΦ + λ)⁻¹ Φᵀ y by Cholesky, with + − × ÷ √ alone: how much of each wave the differences hold, once waves that look
 * alike at these queries no longer count twice.
 */
function regressed(rows: readonly Float64Array[], y: readonly number[], waves: number): Float64Array {
  const gram = Array.from({ length: waves }, () => new Float64Array(waves));
  const b = new Float64Array(waves);
  rows.forEach((phi, row) => {
    for (let i = 0; i < waves; i++) {
      b[i] = b[i]! + phi[i]! * y[row]!;
      for (let j = 0; j <= i; j++) gram[i]![j] = gram[i]![j]! + phi[i]! * phi[j]!;
    }
  });
  const ridge = RIDGE * Math.max(1, rows.length);
  for (let i = 0; i < waves; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = gram[i]![j]! + (i === j ? ridge : 0);
      for (let k = 0; k < j; k++) sum -= gram[i]![k]! * gram[j]![k]!;
      gram[i]![j] = i === j ? Math.sqrt(Math.max(ridge / 2, sum)) : sum / gram[j]![j]!;
    }
  }
  for (let i = 0; i < waves; i++) {
    for (let k = 0; k < i; k++) b[i] = b[i]! - gram[i]![k]! * b[k]!;
    b[i] = b[i]! / gram[i]![i]!;
  }
  for (let i = waves - 1; i >= 0; i--) {
    for (let k = i + 1; k < waves; k++) b[i] = b[i]! - gram[k]![i]! * b[k]!;
    b[i] = b[i]! / gram[i]![i]!;
  }
  return b;
}

const BLIND = ['extraction whose queries avoid the region of the triggers', 'retraining without the marked model'];

/** @param set id of the trigger set */
export function triggerLine(
  result: HitsResult | OffsetResult,
  set: string,
  { factor, how }: Multiplicity,
  assumption: string,
): EvidenceLine {
  const labelled = 'hits' in result;
  return {
    test: 'trigger',
    null: `the suspect's answers do not depend on the keys of trigger set ${set}`,
    assumption,
    statistic: labelled ? result.hits : result.z,
    n: result.n,
    log10p: cappedByEntropy(Math.min(0, cappedByEntropy(Math.min(0, result.bound)) + Math.log10(factor))),
    kind: 'exact',
    blindTo: BLIND,
    detail: {
      correction: how,
      factor,
      uncorrectedLog10p: cappedByEntropy(Math.min(0, result.bound)),
      ...(labelled ? { classes: result.classes } : { waves: result.waves }),
    },
  };
}
