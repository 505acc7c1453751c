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
}

/** @param perm canonical axis → stored axis; stored axes that it leaves out have size 1 */
export function layoutOf(storedShape: readonly number[], perm: readonly number[]): Layout {
  const shape = perm.map((axis) => storedShape[axis]!);
  const storedStrides = stridesOf(storedShape);
  const strides = stridesOf(shape);
  const isPlain = perm.every((axis, k) => axis === k + storedShape.length - perm.length);
  if (isPlain) return { shape, isPlain, stored: (at) => at, canonical: (at) => at };
  return {
    shape,
    isPlain,
    stored: moved(
      shape,
      perm.map((axis) => storedStrides[axis]!),
    ),
    canonical: moved(
      storedShape,
      storedShape.map((_, axis) => strides[perm.indexOf(axis)] ?? 0),
    ),
  };
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
