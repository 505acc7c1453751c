/**
 * Tails for the order test: how many units of a suspect point at their own unit of the reference.
 *
 * X = #{i : f(i) = σ(i)}, σ uniform on the permutations of n units, f any rule that does not see σ
 * (it may be adversarial and non-injective, and use all that two honest models both learned).
 */
import { lnChoose, lnFactorial } from './factorial.js';
import { LN10 } from './logs.js';

/** log10 of the bound P(X ≥ k) ≤ 1/k! (docs/theory.md §2). */
export const log10HitsTail = (k: number): number => -lnFactorial(Math.max(0, k)) / LN10;

/**
 * log10 of the bound P(T ≥ k) ≤ G^(k−G) · G! / k! for k ≥ G, and 1 below, where T = ΣX over G unit groups
 * taken in a fixed order, the rule for each seeing the permutations of earlier groups only.
 *
 * Null: each permutation is uniform given the earlier ones. Proof in docs/theory.md §3: E[(T)_j] ≤ G^j by
 * Vandermonde's identity, and Markov on (T)_j with j = k − G, the best fixed j; it lies below both G^k/k! and
 * (eG/k)^k e^(−G).
 * @param groups planned groups G ≥ 1, those without a hit included
 */
export function log10PooledHits(k: number, groups: number): number {
  if (groups < 1 || k <= groups) return 0;
  return Math.min(0, ((k - groups) * Math.log(groups) + lnFactorial(groups) - lnFactorial(k)) / LN10);
}

/**
 * log10 of the e-value (1+t)^X e^(−t): E[(1+t)^X] = Σ t^k E[(X)_k]/k! ≤ e^t, for a t fixed beforehand
 * (docs/theory.md §2). Never 0.
 */
export const log10EValueOfHits = (hits: number, t: number): number => (hits * Math.log1p(t) - t) / LN10;

/**
 * log10 of the bound P(L ≥ k) ≤ C(m, k)/k!: L is the longest strictly increasing subsequence of
 * i ↦ σ⁻¹(f(i)) over m suspect units; structured pruning keeps it long (docs/theory.md §5).
 */
export function log10IncreasingTail(k: number, m: number): number {
  if (k <= 0) return 0;
  return Math.min(0, (lnChoose(m, k) - lnFactorial(k)) / LN10);
}

/** Length of the longest strictly increasing subsequence; negative entries (misses) are skipped. Patience sorting. */
export function longestIncreasing(sequence: ArrayLike<number>): number {
  const tops: number[] = [];
  for (let i = 0; i < sequence.length; i++) {
    const value = sequence[i]!;
    if (value < 0) continue;
    let low = 0;
    let high = tops.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (tops[middle]! < value) low = middle + 1;
      else high = middle;
    }
    tops[low] = value;
  }
  return tops.length;
}
