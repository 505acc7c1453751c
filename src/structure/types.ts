/** Shared vocabulary of `structure`: canonical tensors and unit groups. */

/**
 * Where the units of a group lie along one axis of one tensor. Unit u (0 ≤ u < size) occupies the positions
 * `start + u·unitStride + r·repeatStride` for 0 ≤ r < repeat. A plain axis: start 0, unitStride 1, repeat 1.
 * A flattened convolution (C×S → C·S): unitStride S, repeat S, repeatStride 1. One LSTM gate: start gate·H.
 * Heads of D dimensions: unitStride D, repeat D, repeatStride 1; the dimensions of one head, read by R others: start
 * head·R·D, unitStride 1, repeat R, repeatStride D.
 */
export interface Segment {
  readonly tensor: string;
  readonly axis: number;
  readonly start: number;
  readonly unitStride: number;
  readonly repeat: number;
  readonly repeatStride: number;
}

/** Who vouches that the order of these units carries no meaning. */
export type Vouched = 'graph' | 'names' | 'owner';

export interface UnitGroup {
  /** Stable across releases and conversions of one architecture: `g0`, `g1`, … in graph order from the inputs. */
  readonly id: string;
  readonly size: number;
  readonly vouched: Vouched;
  /** Every place that must move when the units are permuted; incoming sides (that produce the units) first. */
  readonly incoming: readonly Segment[];
  readonly outgoing: readonly Segment[];
  /**
   * Where the units lie inside one unit of an earlier group: dimensions of a head, hidden units of an expert. They move
   * with it, so their order is asked only once that of the outer group is known (docs/theory.md §4).
   */
  readonly within?: { readonly group: string; readonly unit: number };
  /** Whole tensors that move with the units, where these are stored apart: of each expert its tensors, in one order. */
  readonly members?: readonly (readonly string[])[];
  /** 'positive': a positive scale per unit can be moved through (ReLU, linear); 'any': sign too (linear, odd); 'none'. */
  readonly scaling: 'none' | 'positive' | 'any';
  /** For reading: the layer's name, e.g. `conv1 → relu`. */
  readonly label: string;
}

/** Why a tensor is not learned, or that it is. */
export type TensorNature = { readonly kind: 'learned' } | { readonly kind: 'constant'; readonly what: string };
