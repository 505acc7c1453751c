/**
 * Weights that an OpenVINO IR holds as integers: Const → Convert → [Subtract zero point] → Multiply scale, as weight
 * compression writes them, or Const → Convert → FakeQuantize. With one scale, or one per position of an axis, they become
 * DequantizeLinear; in groups (a scale per row and group) they are expanded on reading, as GGUF's blocks are.
 * Source: OpenVINO's low-precision representation of weights, `nncf.compress_weights`.
 */
import { BITS } from './elements.js';
import type { DType } from './model.js';
import { type Constant, tensorOf } from './openvino-constants.js';
import type { Layer } from './openvino-ir.js';
import type { Requests, Uses } from './openvino-uses.js';
import { type StoredTensor, storedTensor } from './stored-tensor.js';

export interface Quantised {
  readonly codes: Constant;
  readonly scale: Constant;
  readonly zero: Constant | null;
  /** Layers between the codes and their values, which stand for nothing by themselves. */
  readonly between: readonly Layer[];
  /** Stored axis that scales and zero points lie along; null: one for all; `groups`: more than one axis. */
  readonly axis: number | null | 'groups';
}

const isCode = (dtype: DType): boolean => /^([IU](4|8|16)|F8_.*)$/.test(dtype);
const isScale = (dtype: DType): boolean => /^(F64|F32|F16|BF16)$/.test(dtype);

/** What a Multiply makes of integers; null where it is something else. */
export function quantisedBy(multiply: Layer, uses: Uses): Quantised | null {
  if (multiply.type !== 'Multiply' || multiply.from.length !== 2) return null;
  for (const [k, other] of [
    [0, 1],
    [1, 0],
  ] as const) {
    const scale = uses.constant(multiply, other);
    if (scale === null || !isScale(scale.dtype)) continue;
    const found = codesAt(multiply, k, uses);
    if (found === null) continue;
    const axis = axisOf(found.codes.shape, [scale, ...(found.zero === null ? [] : [found.zero])]);
    if (axis !== undefined) return { ...found, scale, axis };
  }
  return null;
}

function codesAt(multiply: Layer, input: number, uses: Uses): Pick<Quantised, 'codes' | 'zero' | 'between'> | null {
  const converts = (layer: Layer, k: number): readonly Layer[] => uses.behind(layer, k)?.converts ?? [];
  const plain = uses.constant(multiply, input);
  if (plain !== null) {
    if (!isCode(plain.dtype)) return null;
    return { codes: plain, zero: null, between: converts(multiply, input) };
  }
  const subtract = uses.behind(multiply, input)?.layer;
  if (subtract?.type !== 'Subtract' || uses.next(subtract)?.layer !== multiply) return null;
  const [codes, zero] = [uses.constant(subtract, 0), uses.constant(subtract, 1)];
  if (codes === null || zero === null || !isCode(codes.dtype)) return null;
  const between = [subtract, ...converts(multiply, input), ...converts(subtract, 0), ...converts(subtract, 1)];
  return { codes, zero, between };
}

/** Undefined: the parameters do not fit the codes. */
function axisOf(shape: readonly number[], parameters: readonly Constant[]): Quantised['axis'] | undefined {
  const many = parameters.filter(({ elements }) => elements !== 1);
  if (many.length === 0) return null;
  // Numpy's broadcasting: axes are counted from the last.
  const sizes = many.map((one) => padded(one.shape, shape.length));
  if (sizes.some((one) => one.length !== shape.length || one.some((size, k) => size !== 1 && size !== shape[k])))
    return undefined;
  const wide = sizes.map((one) => one.flatMap((size, k) => (size === 1 ? [] : [k])));
  if (wide.every((axes) => axes.length === 1 && axes[0] === wide[0]![0])) return wide[0]![0]!;
  const isPrefix = sizes.every((one) => one.join() === sizes[0]!.join() && runsBehind(one, shape));
  return isPrefix && !shape.includes(0) ? 'groups' : undefined;
}

const padded = (shape: readonly number[], rank: number): readonly number[] => [
  ...new Array<number>(Math.max(0, rank - shape.length)).fill(1),
  ...shape,
];

/** The first axes are those of the codes, the rest of size 1: one number for each run of codes. */
const runsBehind = (sizes: readonly number[], shape: readonly number[]): boolean =>
  sizes.slice(0, sizes.findLastIndex((size) => size !== 1) + 1).every((size, k) => size === shape[k]);

/**
 * Of codes whose first two axes (groups, rows) become one: scales of each row lie along it. Null where they lie otherwise.
 */
export function merged(one: Quantised): Quantised | null {
  const { codes, scale, zero, axis } = one;
  const [groups = 0, rows = 0] = codes.shape;
  if (axis === null) return one;
  const fits = [scale, zero].every(
    (parameter) =>
      parameter === null ||
      parameter.elements === 1 ||
      (parameter.elements === groups * rows && runsBehind(padded(parameter.shape, codes.shape.length), codes.shape)),
  );
  return fits ? { ...one, axis: 0 } : null;
}

/** Scales and zero points along one axis are lists in ONNX. */
export function askQuantised({ scale, zero, axis }: Quantised, { ask }: Requests): void {
  if (axis === 'groups') return;
  for (const parameter of [scale, zero]) {
    if (parameter !== null && parameter.elements !== 1) ask(parameter, { shape: [parameter.elements] });
  }
}

/**
 * The values that codes in groups stand for: an exact product, then one rounding to float32.
 * @param shape of the values, where they are laid out anew behind their scales
 */
export function expanded({ codes, scale, zero }: Quantised, name: string, shape: readonly number[]): StoredTensor {
  const [q, s, z] = [codes, scale, zero].map((one) => (one === null ? null : tensorOf(one, name, undefined)));
  const run = codes.elements / scale.elements;
  const read = async (start: number, end: number): Promise<Float64Array> => {
    const values = await q!.read(start, end);
    const [first, last] = [Math.floor(start / run), Math.ceil(end / run)];
    const scales = await s!.read(first, last);
    const zeros =
      zero === null || z === null
        ? Float64Array.of(0)
        : zero.elements === 1
          ? await z!.read(0, 1)
          : await z!.read(first, last);
    return values.map((code, k) => {
      const group = Math.floor((start + k) / run) - first;
      return Math.fround((code - zeros[zeros.length === 1 ? 0 : group]!) * scales[group]!);
    });
  };
  const bits = (one: Constant | null): number =>
    one === null || one.dtype === 'STRING' ? 0 : (BITS[one.dtype] * one.elements) / codes.elements;
  return {
    ...storedTensor('OPENVINO', name, 'F32', shape, { kind: 'values', read }, codes.where),
    packed: {
      as: `${codes.layer.data.element_type} in groups of ${run}`,
      bits: bits(codes) + bits(scale) + bits(zero),
    },
  };
}

export interface Ranges {
  readonly codes: Constant;
  /** Lowest and highest code, and the values that they stand for. */
  readonly low: Constant;
  readonly high: Constant;
  readonly outLow: Constant;
  readonly outHigh: Constant;
  readonly levels: number;
  readonly axis: number | null;
  readonly between: readonly Layer[];
}

/** What a FakeQuantize makes of integers; null where it is something else. */
export function rangedBy(layer: Layer, uses: Uses): Ranges | null {
  const levels = Number(layer.data.levels);
  if (layer.type !== 'FakeQuantize' || layer.from.length !== 5 || !(levels > 1 && levels <= 65_536)) return null;
  const [codes, low, high, outLow, outHigh] = [0, 1, 2, 3, 4].map((k) => uses.constant(layer, k));
  if (!codes || !low || !high || !outLow || !outHigh || !isCode(codes.dtype)) return null;
  if (![low, high, outLow, outHigh].every(({ dtype }) => isScale(dtype))) return null;
  const axis = axisOf(codes.shape, [low, high, outLow, outHigh]);
  return axis === undefined || axis === 'groups'
    ? null
    : { codes, low, high, outLow, outHigh, levels, axis, between: uses.behind(layer, 0)?.converts ?? [] };
}

/**
 * Scale and zero point of codes in ranges: each code is a level, so value = outLow + (code − low) · (outHigh − outLow) /
 * (levels − 1). Null where codes lie between levels.
 */
export async function scalesOf(
  { codes, low, high, outLow, outHigh, levels, axis }: Ranges,
  names: { readonly scale: string; readonly zero: string },
): Promise<readonly [scale: StoredTensor, zero: StoredTensor] | null> {
  const channels = axis === null ? 1 : codes.shape[axis]!;
  const all = async (one: Constant): Promise<(k: number) => number> => {
    const values = await tensorOf(one, '', undefined).read(0, one.elements);
    return (k) => values[values.length === 1 ? 0 : k]!;
  };
  const [from, to, least, most] = [await all(low), await all(high), await all(outLow), await all(outHigh)];
  const numbers = Array.from({ length: channels }, (_, k) => k);
  if (numbers.some((k) => to(k) - from(k) !== levels - 1)) return null;
  const scale = Float64Array.from(numbers, (k) => (most(k) - least(k)) / (levels - 1));
  const zero = Float64Array.from(numbers, (k) => (scale[k] === 0 ? from(k) : from(k) - least(k) / scale[k]!));
  const tensor = (name: string, values: Float64Array): StoredTensor =>
    storedTensor('OPENVINO', name, 'F64', [channels], {
      kind: 'values',
      read: async (start, end) => values.slice(start, end),
    });
  return [tensor(names.scale, scale), tensor(names.zero, zero)];
}
