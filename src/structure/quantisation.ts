/** Quantised numbers as the values that they stand for: value = (stored − zero) · scale (ONNX DequantizeLinear). */
import type { DType, Model, Tensor } from '../formats/index.js';
import { layoutOf, stridesOf } from './layout.js';
import type { Scales } from './scales.js';

export interface Quantisation {
  readonly bits: number;
  readonly granularity: 'tensor' | 'channel';
  /** @param at canonical position */
  decode(value: number, at: number): number;
  /** The stored number of a value, not yet rounded. @param at canonical position */
  encode(value: number, at: number): number;
  /** Distance between neighbouring stored numbers. @param at canonical position */
  step(at: number): number;
}

const BITS: Readonly<Partial<Record<DType, number>>> = {
  I4: 4,
  U4: 4,
  I8: 8,
  U8: 8,
  F8_E4M3: 8,
  F8_E5M2: 8,
  I16: 16,
  U16: 16,
  I32: 32,
};

/**
 * @param perm canonical axis → stored axis
 * @param scales undefined: not quantised
 * @param stored the model's own tensor of a graph's
 */
export async function quantisationOf(
  { dtype, shape }: Tensor,
  perm: readonly number[],
  scales: Scales | undefined,
  stored: (tensor: Tensor) => Tensor,
): Promise<Quantisation | null> {
  const bits = BITS[dtype];
  if (bits === undefined || scales === undefined) return null;
  const all = async (tensor: Tensor): Promise<Float64Array> => stored(tensor).read(0, tensor.elements);
  const factors = await Promise.all(scales.factors.map(all));
  const zero = scales.zero === null ? Float64Array.of(0) : await all(scales.zero);
  const channels = scales.axis === null ? 1 : shape[scales.axis]!;
  const at = (values: Float64Array, channel: number): number => values[values.length === 1 ? 0 : channel]!;
  const scale = Float64Array.from({ length: channels }, (_, channel) =>
    factors.reduce((product, factor) => product * at(factor, channel), 1),
  );
  const zeros = Float64Array.from({ length: channels }, (_, channel) => at(zero, channel));
  const axis = scales.axis === null ? -1 : perm.indexOf(scales.axis);
  const inner = axis < 0 ? Number.POSITIVE_INFINITY : stridesOf(layoutOf(shape, perm).shape)[axis]!;
  const channelOf = (position: number): number => Math.floor(position / inner) % channels;
  return {
    bits,
    granularity: channels > 1 ? 'channel' : 'tensor',
    decode: (value, position) => (value - zeros[channelOf(position)]!) * scale[channelOf(position)]!,
    encode: (value, position) => value / scale[channelOf(position)]! + zeros[channelOf(position)]!,
    step: (position) => Math.abs(scale[channelOf(position)]!),
  };
}

/** Where there is no graph: as onnxruntime's quantiser names them, `X_quantized`, `X_scale`, `X_zero_point`; channels are the rows. */
export function scalesByName({ tensors }: Model, tensor: Tensor): Scales | undefined {
  const base = tensor.name.replace(/_quantized$/, '');
  const scale = tensors.get(`${base}_scale`);
  if (base === tensor.name || scale === undefined) return undefined;
  const zero = tensors.get(`${base}_zero_point`) ?? null;
  const fits = [scale, zero].every((one) => one === null || one.elements === 1 || one.elements === tensor.shape[0]);
  return fits
    ? { factors: [scale], zero, axis: scale.elements > 1 || (zero?.elements ?? 1) > 1 ? 0 : null }
    : undefined;
}
