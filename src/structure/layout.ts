/** Where a canonical element is stored, and the other way round. */

export interface Layout {
  /** Sizes of the canonical axes. */
  readonly shape: readonly number[];
  /** True where both orders are the same. */
  readonly isPlain: boolean;
  /** Canonical position → stored position, both row-major. */
  stored(at: number): number;
  /** Stored position → canonical position. */
  canonical(at: number): number;
  /** All values, from the stored order to the canonical one. */
  toCanonical(values: Float64Array): Float64Array;
  /** All values, from the canonical order to the stored one. */
  toStored(values: Float64Array): Float64Array;
}

/** @param perm canonical axis → stored axis; stored axes that it leaves out have size 1 */
export function layoutOf(storedShape: readonly number[], perm: readonly number[]): Layout {
  const shape = perm.map((axis) => storedShape[axis]!);
  const storedStrides = stridesOf(storedShape);
  const strides = stridesOf(shape);
  // Axes of size 1 may stand anywhere.
  const long = perm.filter((axis) => storedShape[axis] !== 1);
  const isPlain = long.every((axis, k) => k === 0 || axis > long[k - 1]!);
  if (isPlain) {
    const same = (values: Float64Array): Float64Array => values;
    return { shape, isPlain, stored: (at) => at, canonical: (at) => at, toCanonical: same, toStored: same };
  }
  const there = perm.map((axis) => storedStrides[axis]!);
  const back = storedShape.map((_, axis) => strides[perm.indexOf(axis)] ?? 0);
  return {
    shape,
    isPlain,
    stored: moved(shape, there),
    canonical: moved(storedShape, back),
    toCanonical: (values) => gathered(values, shape, there),
    toStored: (values) => gathered(values, storedShape, back),
  };
}

/**
 * Axes of size 1 hold nothing, and programs add and drop them: a 1 × 1 convolution is the matrix that it is, one along a
 * sequence a picture one pixel high, a bias [1, C, 1, 1] its C numbers. Of a weight the outputs and the inputs stay.
 * @param perm canonical axis → stored axis
 */
export function withoutSingles(
  shape: readonly number[],
  perm: readonly number[],
  isWeight: boolean,
): readonly number[] {
  const kept = perm.filter((axis, k) => shape[axis] !== 1 || (isWeight && k < 2));
  return kept.length === 0 ? perm.slice(-1) : kept;
}

export const stridesOf = (shape: readonly number[]): readonly number[] =>
  shape.map((_, axis) => shape.slice(axis + 1).reduce((all, size) => all * size, 1));

/** Row-major position in `sizes` → Σ index · stride. */
function moved(sizes: readonly number[], strides: readonly number[]): (at: number) => number {
  return (at) => {
    let [rest, out] = [at, 0];
    for (let k = sizes.length - 1; k >= 0; k--) {
      out += (rest % sizes[k]!) * strides[k]!;
      rest = Math.floor(rest / sizes[k]!);
    }
    return out;
  };
}

/** Values at the positions that `moved` gives one by one, counted instead of divided. */
function gathered(values: Float64Array, sizes: readonly number[], strides: readonly number[]): Float64Array {
  const out = new Float64Array(values.length);
  const index = sizes.map(() => 0);
  let from = 0;
  for (let at = 0; at < out.length; at++) {
    out[at] = values[from]!;
    for (let axis = sizes.length - 1; axis >= 0; axis--) {
      from += strides[axis]!;
      index[axis] = index[axis]! + 1;
      if (index[axis]! < sizes[axis]!) break;
      from -= sizes[axis]! * strides[axis]!;
      index[axis] = 0;
    }
  }
  return out;
}
