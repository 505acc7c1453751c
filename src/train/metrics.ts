/** Measures of quality, each from its definition. */

export interface BinaryQuality {
  readonly n: number;
  readonly positives: number;
  readonly threshold: number;
  readonly precision: number;
  readonly recall: number;
  readonly f1: number;
  /** Area under precision over recall: average precision, Σ (Rₙ − Rₙ₋₁)·Pₙ; ties enter together. */
  readonly prAuc: number;
  readonly accuracy: number;
}

const ratio = (a: number, b: number): number => (b === 0 ? 0 : a / b);

/** Positive where score ≥ threshold. */
export function binaryQuality(
  scores: ArrayLike<number>,
  positive: ArrayLike<boolean>,
  threshold: number,
): BinaryQuality {
  let hits = 0;
  let flagged = 0;
  let positives = 0;
  let right = 0;
  for (let i = 0; i < scores.length; i++) {
    const said = scores[i]! >= threshold;
    if (positive[i]!) positives += 1;
    if (said) flagged += 1;
    if (said && positive[i]!) hits += 1;
    if (said === positive[i]!) right += 1;
  }
  const precision = ratio(hits, flagged);
  const recall = ratio(hits, positives);
  return {
    n: scores.length,
    positives,
    threshold,
    precision,
    recall,
    f1: ratio(2 * hits, flagged + positives),
    prAuc: averagePrecision(scores, positive),
    accuracy: ratio(right, scores.length),
  };
}

/** Examples in order of falling score, with cumulated hits, cut where the score changes. */
function* cuts(scores: ArrayLike<number>, positive: ArrayLike<boolean>) {
  const order = Uint32Array.from({ length: scores.length }, (_, i) => i).sort((i, j) => scores[j]! - scores[i]!);
  let hits = 0;
  for (let rank = 0; rank < order.length; rank++) {
    const at = order[rank]!;
    if (positive[at]!) hits += 1;
    const next = order[rank + 1];
    if (next === undefined || scores[next]! < scores[at]!) {
      yield { flagged: rank + 1, hits, score: scores[at]!, next: next === undefined ? null : scores[next]! };
    }
  }
}

export function averagePrecision(scores: ArrayLike<number>, positive: ArrayLike<boolean>): number {
  const positives = Array.from(positive).filter(Boolean).length;
  let area = 0;
  let before = 0;
  for (const { flagged, hits } of cuts(scores, positive)) {
    area += ((hits - before) / Math.max(1, positives)) * (hits / flagged);
    before = hits;
  }
  return area;
}

/**
 * The threshold of greatest F1 on these (training or validation) data, halfway to the next lower score.
 * 0.5 when there are no positives.
 */
export function bestThreshold(scores: ArrayLike<number>, positive: ArrayLike<boolean>): number {
  const positives = Array.from(positive).filter(Boolean).length;
  let best = 0;
  let threshold = 0.5;
  for (const { flagged, hits, score, next } of cuts(scores, positive)) {
    const f1 = ratio(2 * hits, flagged + positives);
    if (f1 > best) {
      best = f1;
      threshold = next === null ? score : (score + next) / 2;
    }
  }
  return threshold;
}

export interface ClassQuality {
  readonly n: number;
  readonly accuracy: number;
  /** Mean of the classes' F1. */
  readonly macroF1: number;
  /** confusion[true][said]. */
  readonly confusion: readonly (readonly number[])[];
}

export function classQuality(said: ArrayLike<number>, truth: ArrayLike<number>, classes: number): ClassQuality {
  const confusion = Array.from({ length: classes }, () => new Array<number>(classes).fill(0));
  for (let i = 0; i < truth.length; i++) confusion[truth[i]!]![said[i]!]! += 1;
  const hits = confusion.map((row, k) => row[k]!);
  const f1 = hits.map((hit, k) => {
    const flagged = confusion.reduce((sum, row) => sum + row[k]!, 0);
    return ratio(2 * hit, flagged + confusion[k]!.reduce((a, b) => a + b, 0));
  });
  return {
    n: truth.length,
    accuracy: ratio(
      hits.reduce((a, b) => a + b, 0),
      truth.length,
    ),
    macroF1: f1.reduce((a, b) => a + b, 0) / classes,
    confusion,
  };
}

export interface ForecastQuality {
  readonly n: number;
  readonly rmse: number;
  readonly mae: number;
  /** 1 − Σ(y − ŷ)² / Σ(y − ȳ)². */
  readonly r2: number;
}

export function forecastQuality(said: ArrayLike<number>, truth: ArrayLike<number>): ForecastQuality {
  const n = truth.length;
  const mean = Array.from(truth).reduce((a, b) => a + b, 0) / n;
  let squares = 0;
  let absolute = 0;
  let spread = 0;
  for (let i = 0; i < n; i++) {
    const error = said[i]! - truth[i]!;
    squares += error * error;
    absolute += Math.abs(error);
    spread += (truth[i]! - mean) ** 2;
  }
  return { n, rmse: Math.sqrt(squares / n), mae: absolute / n, r2: spread === 0 ? 0 : 1 - squares / spread };
}
