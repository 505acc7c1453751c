/**
 * One strength per tensor from what each of them does to the answers: where the model does not feel it, the mark may be
 * louder, at the same drift of the outputs as one strength for all.
 */
import { MAX_STRENGTH } from './plan.js';

export interface TensorHarm {
  readonly tensor: string;
  /** Marked weights. */
  readonly weights: number;
  /** Mean square change of the outputs, over that of the outputs, per squared strength of this tensor alone. */
  readonly harm: number;
}

/** Drift of a copy in use, in standard deviations of a tensor: beyond it a louder mark gains little. */
const DRIFT = 0.15;
/** A tensor is at most so many times louder than one strength for all would make it, or fainter: harm is an estimate. */
const MOST = 4;

/**
 * Maximises Σ Nℓ·αℓ²/(αℓ² + δ²), which is z² of docs/theory.md §7, at Σ hℓ·αℓ² = Σ hℓ·α²: by Lagrange
 * αℓ² = δ·√(Nℓ/(μ·hℓ)) − δ², within [α/4, 4α] and at most `MAX_STRENGTH`; μ by bisection.
 * @param strength α, above 0
 * @returns strengths by tensor; `strength` itself where no tensor shows any harm
 */
export function spreadStrength(tensors: readonly TensorHarm[], strength: number): ReadonlyMap<string, number> {
  const budget = tensors.reduce((sum, { harm }) => sum + harm * strength * strength, 0);
  const low = strength / MOST;
  const high = Math.min(MAX_STRENGTH, strength * MOST);
  if (!(budget > 0)) return new Map(tensors.map(({ tensor }) => [tensor, strength]));
  const at = (logPrice: number): number[] =>
    tensors.map(({ weights, harm }) => {
      const square = harm > 0 ? DRIFT * Math.sqrt(weights / (Math.exp(logPrice) * harm)) - DRIFT * DRIFT : high * high;
      return Math.min(high, Math.max(low, Math.sqrt(Math.max(0, square))));
    });
  const spent = (strengths: readonly number[]): number =>
    strengths.reduce((sum, one, index) => sum + tensors[index]!.harm * one * one, 0);
  let cheap = -100;
  let dear = 200;
  for (let step = 0; step < 200; step++) {
    const middle = (cheap + dear) / 2;
    if (spent(at(middle)) > budget) cheap = middle;
    else dear = middle;
  }
  const found = at(dear);
  // Three digits are enough, and the plan stays readable.
  return new Map(tensors.map(({ tensor }, index) => [tensor, Number(found[index]!.toPrecision(3))]));
}
