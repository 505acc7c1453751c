/**
 * Which stored integers are quantised weights, and by which scales and zero points: told by the operators that take them
 * (ONNX QuantizeLinear, QLinearMatMul, QLinearConv, MatMulInteger, ConvInteger; com.microsoft QGemm), not by names.
 */
import type { GraphNode, Tensor } from '../formats/index.js';
import { from, isSingle } from './rule.js';
import { attributeOf, type StoredRef, type Value } from './values.js';

/** value = (stored − zero) · Π factors */
export interface Scales {
  /** Each of one element, or one per position of `axis`. */
  readonly factors: readonly Tensor[];
  readonly zero: Tensor | null;
  /** Stored axis of the channels; null where everything is single. */
  readonly axis: number | null;
}

/** A product of integers whose scale is multiplied in later. */
export interface IntegerProduct {
  readonly weight: StoredRef;
  readonly zero: Tensor | null | undefined;
  /** Axis of the value that `weight` is. */
  readonly axis: number;
}

/** What is known of a value on its way from an integer product to its scale. */
export interface ScaleTrail {
  readonly product?: IntegerProduct | undefined;
  /** A stored scale times a dynamic one. */
  readonly factor?: Tensor | undefined;
}

type Inputs = readonly (Value | undefined)[];
type Found = (weight: Tensor, scales: Scales) => void;

/** Input places: weight, its factors, its zero point; axis of the value where there may be several. */
interface Place {
  readonly weight: number;
  readonly factors: readonly number[];
  readonly zero: number;
  readonly axis: (node: GraphNode, rank: number) => number;
}

const last = (_node: GraphNode, rank: number) => rank - 1;
const first = () => 0;
const gemmRows = (node: GraphNode) => (attributeOf.number(node, 'transB', 0) ? 0 : 1);

/** By operator; a map, since an operator may be called `constructor`. */
const PLACES = new Map<string, readonly Place[]>(
  Object.entries({
    DequantizeLinear: [
      { weight: 0, factors: [1], zero: 2, axis: (node, rank) => from(attributeOf.number(node, 'axis', 1), rank) },
    ],
    QLinearMatMul: [
      { weight: 0, factors: [1], zero: 2, axis: (_node, rank) => rank - 2 },
      { weight: 3, factors: [4], zero: 5, axis: last },
    ],
    QLinearConv: [
      { weight: 3, factors: [4], zero: 5, axis: first },
      { weight: 8, factors: [1, 4], zero: -1, axis: first },
    ],
    QGemm: [
      { weight: 3, factors: [4], zero: 5, axis: gemmRows },
      { weight: 6, factors: [1, 4], zero: -1, axis: last },
    ],
  }),
);

/** Integer products: weight and zero point; the scale follows behind. */
const PRODUCTS = new Map<string, readonly Omit<Place, 'factors'>[]>(
  Object.entries({
    MatMulInteger: [
      { weight: 0, zero: 2, axis: (_node, rank) => rank - 2 },
      { weight: 1, zero: 3, axis: last },
    ],
    ConvInteger: [{ weight: 1, zero: 3, axis: first }],
  }),
);

/** @returns what the node's first output is known as */
export function followScales(node: GraphNode, inputs: Inputs, found: Found): ScaleTrail {
  for (const place of PLACES.get(node.op) ?? []) {
    const weight = inputs[place.weight]?.stored;
    const factors = place.factors.flatMap((k) => inputs[k]?.stored?.tensor ?? []);
    if (!weight || factors.length < place.factors.length) continue;
    settle(weight, factors, zeroOf(inputs[place.zero]), place.axis(node, weight.perm.length), found);
  }
  for (const { weight: at, zero, axis } of PRODUCTS.get(node.op) ?? []) {
    const weight = inputs[at]?.stored;
    if (weight) return { product: { weight, zero: zeroOf(inputs[zero]), axis: axis(node, weight.perm.length) } };
  }
  if (node.op === 'Cast' || node.op === 'Identity') return { product: inputs[0]?.product, factor: inputs[0]?.factor };
  return node.op === 'Mul' ? followMul(inputs, found) : {};
}

/** Undefined: given, but not stored; then the weight is not decoded at all. */
const zeroOf = (value: Value | undefined): Tensor | null | undefined =>
  value === undefined ? null : value.stored?.tensor;

/** onnxruntime writes product · (dynamic scale · stored scale); product · dynamic · stored means the same. */
function followMul([a, b]: Inputs, found: Found): ScaleTrail {
  const [carrier, other] = a?.product ? [a, b] : [b, a];
  const product = carrier?.product;
  if (product) {
    const factor = other?.stored?.tensor ?? other?.factor;
    if (factor) settle(product.weight, [factor], product.zero, product.axis, found);
    return factor === undefined && isSingle(other) ? { product } : {};
  }
  const [stored, dynamic] = a?.stored ? [a, b] : [b, a];
  return stored?.stored && !dynamic?.stored && isSingle(dynamic) ? { factor: stored.stored.tensor } : {};
}

function settle(
  { tensor, perm }: StoredRef,
  factors: readonly Tensor[],
  zero: Tensor | null | undefined,
  axis: number,
  found: Found,
): void {
  if (zero === undefined) return;
  const stored = perm[axis];
  const parameters = zero === null ? factors : [...factors, zero];
  const many = parameters.filter(({ elements }) => elements !== 1);
  const fits = many.every(({ elements }) => stored !== undefined && elements === tensor.shape[stored]);
  if (fits) found(tensor, { factors, zero, axis: many.length === 0 ? null : stored! });
}
