/**
 * Stored elements ↔ float64, bit-exact on every machine. Decoding is exact; encoding rounds once, directly from
 * float64 to the stored type, ties to even (IEEE 754-2019 §4.3.1).
 */
import { inputError } from '../base/index.js';
import type { DType } from './model.js';

/** Bits of one stored element. */
export const BITS: Readonly<Record<Exclude<DType, 'STRING'>, number>> = {
  F64: 64,
  F32: 32,
  F16: 16,
  BF16: 16,
  F8_E4M3: 8,
  F8_E5M2: 8,
  I64: 64,
  I32: 32,
  I16: 16,
  I8: 8,
  I4: 4,
  U64: 64,
  U32: 32,
  U16: 16,
  U8: 8,
  U4: 4,
  BOOL: 8,
};

/** Bytes of `elements` packed elements. Sub-byte types fill bytes from the low nibble up. */
export const storedBytes = (dtype: DType, elements: number): number =>
  dtype === 'STRING' ? 0 : Math.ceil((BITS[dtype] * elements) / 8);

export const isFloat = (dtype: DType): boolean =>
  dtype === 'F64' || dtype === 'F32' || dtype === 'F16' || dtype === 'BF16';

const scratch = new DataView(new ArrayBuffer(8));

/** Shape of a small binary float: exponent bits, mantissa bits, and whether the top exponent holds infinities. */
interface SmallFloat {
  readonly exponent: number;
  readonly mantissa: number;
  readonly infinities: boolean;
}
const F16: SmallFloat = { exponent: 5, mantissa: 10, infinities: true };
const BF16: SmallFloat = { exponent: 8, mantissa: 7, infinities: true };
const F8_E5M2: SmallFloat = { exponent: 5, mantissa: 2, infinities: true };
/** E4M3FN: no infinities; only the all-ones pattern is NaN (Micikevicius et al. 2022). */
const F8_E4M3: SmallFloat = { exponent: 4, mantissa: 3, infinities: false };

function decodeSmall(bits: number, { exponent, mantissa, infinities }: SmallFloat): number {
  const sign = bits >>> (exponent + mantissa) === 1 ? -1 : 1;
  const e = (bits >>> mantissa) & ((1 << exponent) - 1);
  const m = bits & ((1 << mantissa) - 1);
  const bias = (1 << (exponent - 1)) - 1;
  const top = (1 << exponent) - 1;
  if (e === top && infinities) return m === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  if (e === top && m === (1 << mantissa) - 1) return Number.NaN;
  if (e === 0) return sign * m * 2 ** (1 - bias - mantissa);
  return sign * (m + (1 << mantissa)) * 2 ** (e - bias - mantissa);
}

/** The value of every pattern of bits, made on first use: five times faster than taking each number apart. */
function tableOf(small: SmallFloat): () => Float64Array {
  let table: Float64Array | null = null;
  return () => {
    const count = 2 ** (1 + small.exponent + small.mantissa);
    table ??= Float64Array.from({ length: count }, (_, bits) => decodeSmall(bits, small));
    return table;
  };
}
const float16s = tableOf(F16);
const bfloat16s = tableOf(BF16);

/** The value of a float16's 16 bits. */
export const float16 = (bits: number): number => float16s()[bits]!;

/** Rounds half to even; exact for |x| < 2^52. */
function roundEven(x: number): number {
  const floor = Math.floor(x);
  const rest = x - floor;
  if (rest > 0.5 || (rest === 0.5 && floor % 2 !== 0)) return floor + 1;
  return floor;
}

function encodeSmall(value: number, { exponent, mantissa, infinities }: SmallFloat): number {
  const bias = (1 << (exponent - 1)) - 1;
  const top = (1 << exponent) - 1;
  const nan = (top << mantissa) | (infinities ? 1 << (mantissa - 1) : (1 << mantissa) - 1);
  if (Number.isNaN(value)) return nan;
  const sign = value < 0 || Object.is(value, -0) ? 1 << (exponent + mantissa) : 0;
  const size = Math.abs(value);
  scratch.setFloat64(0, size);
  const exact = ((scratch.getUint32(0) >>> 20) & 0x7ff) - 1023;
  const power = Math.max(exact, 1 - bias);
  // Scaling by a power of two is exact, so this rounds once.
  const steps = size === Number.POSITIVE_INFINITY ? size : roundEven(size * 2 ** (mantissa - power));
  const encoded = steps >= 1 << mantissa ? ((power + bias - 1) << mantissa) + steps : steps;
  const largest = infinities ? top << mantissa : nan;
  if (encoded >= largest) return sign | (infinities ? largest : nan - 1);
  return sign | encoded;
}

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);

const READERS: Readonly<Record<Exclude<DType, 'STRING' | 'I4' | 'U4'>, (view: DataView, at: number) => number>> = {
  F64: (v, i) => v.getFloat64(i * 8, true),
  F32: (v, i) => v.getFloat32(i * 4, true),
  F16: (v, i) => float16s()[v.getUint16(i * 2, true)]!,
  BF16: (v, i) => bfloat16s()[v.getUint16(i * 2, true)]!,
  F8_E4M3: (v, i) => decodeSmall(v.getUint8(i), F8_E4M3),
  F8_E5M2: (v, i) => decodeSmall(v.getUint8(i), F8_E5M2),
  I64: (v, i) => Number(v.getBigInt64(i * 8, true)),
  U64: (v, i) => Number(v.getBigUint64(i * 8, true)),
  I32: (v, i) => v.getInt32(i * 4, true),
  U32: (v, i) => v.getUint32(i * 4, true),
  I16: (v, i) => v.getInt16(i * 2, true),
  U16: (v, i) => v.getUint16(i * 2, true),
  I8: (v, i) => v.getInt8(i),
  U8: (v, i) => v.getUint8(i),
  BOOL: (v, i) => v.getUint8(i),
};

/**
 * Decodes `count` elements from packed little-endian bytes.
 * @param skip elements to pass over first (1 where a range of 4-bit elements starts inside a byte)
 */
export function decodeElements(dtype: DType, bytes: Uint8Array, count: number, skip = 0): Float64Array {
  const view = viewOf(bytes);
  const out = new Float64Array(count);
  if (dtype === 'STRING') {
    throw inputError('TENSOR_NOT_NUMERIC', 'a tensor of strings has no numbers to read');
  }
  if (dtype === 'I4' || dtype === 'U4') {
    for (let i = 0; i < count; i++) {
      const nibble = (view.getUint8((i + skip) >> 1) >> (((i + skip) & 1) * 4)) & 15;
      out[i] = dtype === 'I4' && nibble > 7 ? nibble - 16 : nibble;
    }
    return out;
  }
  if (dtype === 'F32' && skip === 0 && bytes.byteOffset % 4 === 0 && LITTLE_ENDIAN) {
    out.set(new Float32Array(bytes.buffer, bytes.byteOffset, count));
    return out;
  }
  const read = READERS[dtype];
  for (let i = 0; i < count; i++) out[i] = read(view, i + skip);
  return out;
}

const LITTLE_ENDIAN = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

const INTEGER_RANGE: Readonly<Partial<Record<DType, readonly [number, number]>>> = {
  // The largest float64 values that still fit.
  I64: [-(2 ** 63), 2 ** 63 - 1024],
  U64: [0, 2 ** 64 - 2048],
  I32: [-(2 ** 31), 2 ** 31 - 1],
  U32: [0, 2 ** 32 - 1],
  I16: [-32768, 32767],
  U16: [0, 65535],
  I8: [-128, 127],
  U8: [0, 255],
  BOOL: [0, 1],
  I4: [-8, 7],
  U4: [0, 15],
};

/**
 * The value as the type stores it: rounded once, ties to even; integers are rounded and clamped; what is too large for
 * float16 and bfloat16 becomes an infinity, for float8 E4M3 (which has none) the largest value, as ONNX Cast saturates.
 * @throws `TENSOR_NOT_NUMERIC` for text, and for NaN where the type has none
 */
export function roundTo(dtype: DType, value: number): number {
  if (dtype === 'F64') return value;
  if (dtype === 'F32') return Math.fround(value);
  if (dtype === 'F16') return decodeSmall(encodeSmall(value, F16), F16);
  if (dtype === 'BF16') return decodeSmall(encodeSmall(value, BF16), BF16);
  if (dtype === 'F8_E4M3') return decodeSmall(encodeSmall(value, F8_E4M3), F8_E4M3);
  if (dtype === 'F8_E5M2') return decodeSmall(encodeSmall(value, F8_E5M2), F8_E5M2);
  const range = INTEGER_RANGE[dtype];
  if (range === undefined || Number.isNaN(value)) {
    throw inputError('TENSOR_NOT_NUMERIC', 'this value cannot be stored in this type', { got: `${value} as ${dtype}` });
  }
  return Math.min(range[1], Math.max(range[0], roundEven(value)));
}

const WRITERS: Readonly<Record<Exclude<DType, 'STRING'>, (view: DataView, at: number, value: number) => void>> = {
  F64: (v, i, x) => v.setFloat64(i * 8, x, true),
  F32: (v, i, x) => v.setFloat32(i * 4, x, true),
  F16: (v, i, x) => v.setUint16(i * 2, encodeSmall(x, F16), true),
  BF16: (v, i, x) => v.setUint16(i * 2, encodeSmall(x, BF16), true),
  F8_E4M3: (v, i, x) => v.setUint8(i, encodeSmall(x, F8_E4M3)),
  F8_E5M2: (v, i, x) => v.setUint8(i, encodeSmall(x, F8_E5M2)),
  I64: (v, i, x) => v.setBigInt64(i * 8, BigInt(roundTo('I64', x)), true),
  U64: (v, i, x) => v.setBigUint64(i * 8, BigInt(roundTo('U64', x)), true),
  I32: (v, i, x) => v.setInt32(i * 4, roundTo('I32', x), true),
  U32: (v, i, x) => v.setUint32(i * 4, roundTo('U32', x), true),
  I16: (v, i, x) => v.setInt16(i * 2, roundTo('I16', x), true),
  U16: (v, i, x) => v.setUint16(i * 2, roundTo('U16', x), true),
  I8: (v, i, x) => v.setInt8(i, roundTo('I8', x)),
  U8: (v, i, x) => v.setUint8(i, roundTo('U8', x)),
  BOOL: (v, i, x) => v.setUint8(i, roundTo('BOOL', x)),
  I4: (v, i, x) => setNibble(v, i, roundTo('I4', x) & 15),
  U4: (v, i, x) => setNibble(v, i, roundTo('U4', x)),
};

function setNibble(view: DataView, i: number, nibble: number): void {
  const held = view.getUint8(i >> 1);
  view.setUint8(i >> 1, i & 1 ? (held & 15) | (nibble << 4) : (held & 240) | nibble);
}

/** Packed little-endian bytes of values, each rounded by `roundTo`. */
export function encodeElements(dtype: DType, values: ArrayLike<number>): Uint8Array {
  if (dtype === 'STRING') throw inputError('TENSOR_NOT_NUMERIC', 'a tensor of strings holds no numbers');
  const out = new Uint8Array(storedBytes(dtype, values.length));
  const view = viewOf(out);
  const write = WRITERS[dtype];
  for (let i = 0; i < values.length; i++) write(view, i, values[i]!);
  return out;
}
