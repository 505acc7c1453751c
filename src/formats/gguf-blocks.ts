/**
 * ggml's block-quantised types: runs of 32 or 256 elements with their own scale, and for the `K` types scales of eight
 * or sixteen sub-blocks. Source: `block_q4_0` … `block_q6_K` of ggml (ggml-common.h) and the layouts that the Python
 * package `gguf` documents; checked against that package (vectors/formats/expected-gguf.json).
 *
 * llama.cpp computes in float32. Each product here is exact in float64, and so is a sum of two, so one rounding to
 * float32 at the end gives its values bit for bit.
 */
import { float16 } from './elements.js';

export interface BlockType {
  readonly name: string;
  /** Elements and bytes of one block. */
  readonly elements: number;
  readonly bytes: number;
  /** Writes the `elements` values of the block at byte `at` to `out` from `to` on. */
  expand(bytes: Uint8Array, at: number, out: Float64Array, to: number): void;
  /** How codes are changed under the block's own scales; absent: these blocks are not written. */
  readonly codes?: Codes;
}

/** Element `i` of the block at byte `at` is code · scale + shift, for a whole code from `least` to `most`. */
export interface Codes {
  readonly least: number;
  readonly most: number;
  grid(bytes: Uint8Array, at: number, i: number): { readonly scale: number; readonly shift: number };
  put(bytes: Uint8Array, at: number, i: number, code: number): void;
}

const putNibble = (bytes: Uint8Array, at: number, high: boolean, value: number): void => {
  bytes[at] = high ? (bytes[at]! & 15) | (value << 4) : (bytes[at]! & 240) | value;
};
const putNibbleOf32 = (bytes: Uint8Array, at: number, i: number, value: number): void =>
  putNibble(bytes, at + (i & 15), i >= 16, value & 15);
const putBit = (bytes: Uint8Array, at: number, i: number, value: number): void => {
  bytes[at] = (bytes[at]! & ~(1 << i)) | (value << i);
};

const half = (bytes: Uint8Array, at: number): number => float16(bytes[at]! | (bytes[at + 1]! << 8));
const signed = (byte: number): number => (byte << 24) >> 24;
/** Element `i` of 32: the low nibbles of 16 bytes, then their high ones. */
const nibble = (bytes: Uint8Array, at: number, i: number): number => (bytes[at + (i & 15)]! >> ((i >> 4) * 4)) & 15;
const bit = (bytes: Uint8Array, at: number, i: number): number => (bytes[at + (i >> 3)]! >> (i & 7)) & 1;

/** Blocks of 32 whose values are code · scale + shift. */
function small(
  name: string,
  bytes: number,
  parts: (bytes: Uint8Array, at: number) => { scale: number; shift: number },
  code: (bytes: Uint8Array, at: number, i: number) => number,
  written?: Pick<Codes, 'least' | 'most' | 'put'>,
): BlockType {
  return {
    name,
    elements: 32,
    bytes,
    ...(written === undefined ? {} : { codes: { ...written, grid: parts } }),
    expand(source, at, out, to) {
      const { scale, shift } = parts(source, at);
      for (let i = 0; i < 32; i++) out[to + i] = Math.fround(code(source, at, i) * scale + shift);
    },
  };
}

/** −0 is what leaves every product as it is, −0 too. */
const scaleOnly = (bytes: Uint8Array, at: number) => ({ scale: half(bytes, at), shift: -0 });
const scaleAndMinimum = (bytes: Uint8Array, at: number) => ({ scale: half(bytes, at), shift: half(bytes, at + 2) });

/** Sub-block `i` of eight: a 6-bit scale and a 6-bit minimum, packed into twelve bytes. */
function sixBits(bytes: Uint8Array, at: number, i: number): { readonly scale: number; readonly minimum: number } {
  if (i < 4) return { scale: bytes[at + i]! & 63, minimum: bytes[at + 4 + i]! & 63 };
  const low = bytes[at + 4 + i]!;
  return {
    scale: (low & 15) | ((bytes[at + i - 4]! >> 6) << 4),
    minimum: (low >> 4) | ((bytes[at + i]! >> 6) << 4),
  };
}

/** Blocks of 256 in eight sub-blocks of 32: code · d · scale − dmin · minimum. */
function eightSubBlocks(
  name: string,
  bytes: number,
  code: (bytes: Uint8Array, at: number, sub: number, i: number) => number,
  written: Pick<Codes, 'least' | 'most' | 'put'>,
): BlockType {
  return {
    name,
    elements: 256,
    bytes,
    codes: {
      ...written,
      grid(source, at, i) {
        const { scale, minimum } = sixBits(source, at + 4, i >> 5);
        return { scale: half(source, at) * scale, shift: -half(source, at + 2) * minimum };
      },
    },
    expand(source, at, out, to) {
      const d = half(source, at);
      const dmin = half(source, at + 2);
      for (let sub = 0; sub < 8; sub++) {
        const { scale, minimum } = sixBits(source, at + 4, sub);
        const step = d * scale;
        const below = dmin * minimum;
        for (let i = 0; i < 32; i++) out[to + sub * 32 + i] = Math.fround(code(source, at, sub, i) * step - below);
      }
    },
  };
}

/** Nibbles of sub-block `sub`: 32 bytes serve two sub-blocks, the even one with their low nibbles. */
const subNibble = (bytes: Uint8Array, at: number, sub: number, i: number): number =>
  (bytes[at + (sub >> 1) * 32 + i]! >> ((sub & 1) * 4)) & 15;

const putSubNibble = (bytes: Uint8Array, at: number, i: number, value: number): void =>
  putNibble(bytes, at + (i >> 6) * 32 + (i & 31), ((i >> 5) & 1) === 1, value & 15);

const Q6_K_CODES: Codes = {
  least: -32,
  most: 31,
  grid: (bytes, at, i) => ({ scale: half(bytes, at + 208) * signed(bytes[at + 192 + (i >> 4)]!), shift: -0 }),
  put(bytes, at, i, code) {
    const [part, within, value] = [i >> 7, i & 127, code + 32];
    putNibble(bytes, at + part * 64 + (within & 63), within >= 64, value & 15);
    const high = at + 128 + part * 32 + (within & 31);
    const shift = (within >> 5) * 2;
    bytes[high] = (bytes[high]! & ~(3 << shift)) | ((value >> 4) << shift);
  },
};

/** 128 low nibble bytes, 64 bytes of two high bits, sixteen signed scales, d. */
function expandQ6K(source: Uint8Array, at: number, out: Float64Array, to: number): void {
  const d = half(source, at + 208);
  for (let i = 0; i < 256; i++) {
    const part = i >> 7;
    const within = i & 127;
    const low = (source[at + part * 64 + (within & 63)]! >> ((within >> 6) * 4)) & 15;
    const high = (source[at + 128 + part * 32 + (within & 31)]! >> ((within >> 5) * 2)) & 3;
    const scale = d * signed(source[at + 192 + (i >> 4)]!);
    out[to + i] = Math.fround(scale * ((low | (high << 4)) - 32));
  }
}

/** Two low bits of element `i`: 32 bytes serve four runs of 32, twice. */
const twoBits = (bytes: Uint8Array, at: number, i: number): number =>
  (bytes[at + (i >> 7) * 32 + (i & 31)]! >> (((i >> 5) & 3) * 2)) & 3;

/** Sixteen bytes of scale and minimum, 64 bytes of two bits, d, dmin. */
function expandQ2K(source: Uint8Array, at: number, out: Float64Array, to: number): void {
  const d = half(source, at + 80);
  const dmin = half(source, at + 82);
  for (let i = 0; i < 256; i++) {
    const both = source[at + (i >> 4)]!;
    out[to + i] = Math.fround(d * (both & 15) * twoBits(source, at + 16, i) - dmin * (both >> 4));
  }
}

/** 32 bytes of high bits (clear: 4 less), 64 bytes of two bits, sixteen 6-bit scales in twelve bytes, d. */
function expandQ3K(source: Uint8Array, at: number, out: Float64Array, to: number): void {
  const d = half(source, at + 108);
  for (let i = 0; i < 256; i++) {
    const sub = i >> 4;
    const low = (source[at + 96 + (sub & 7)]! >> ((sub >> 3) * 4)) & 15;
    const high = (source[at + 104 + (sub & 3)]! >> ((sub >> 2) * 2)) & 3;
    const isHigh = (source[at + (i & 31)]! >> (i >> 5)) & 1;
    const code = twoBits(source, at + 32, i) - (isHigh === 1 ? 0 : 4);
    out[to + i] = Math.fround(d * ((low | (high << 4)) - 32) * code);
  }
}

/** What the sixteen codes of the IQ4 types stand for. */
const IQ4_LEVELS = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113] as const;

/** d, high bits of eight 6-bit scales, their low bits, 128 nibble bytes. */
function expandIQ4XS(source: Uint8Array, at: number, out: Float64Array, to: number): void {
  const d = half(source, at);
  const highs = source[at + 2]! | (source[at + 3]! << 8);
  for (let sub = 0; sub < 8; sub++) {
    const low = (source[at + 4 + (sub >> 1)]! >> ((sub & 1) * 4)) & 15;
    const step = d * ((low | (((highs >> (sub * 2)) & 3) << 4)) - 32);
    for (let i = 0; i < 32; i++)
      out[to + sub * 32 + i] = Math.fround(step * IQ4_LEVELS[nibble(source, at + 8 + sub * 16, i)]!);
  }
}

/** By `ggml_type`. */
export const BLOCK_TYPES: Readonly<Record<number, BlockType>> = {
  2: small('Q4_0', 18, scaleOnly, (b, at, i) => nibble(b, at + 2, i) - 8, {
    least: -8,
    most: 7,
    put: (b, at, i, code) => putNibbleOf32(b, at + 2, i, code + 8),
  }),
  3: small('Q4_1', 20, scaleAndMinimum, (b, at, i) => nibble(b, at + 4, i), {
    least: 0,
    most: 15,
    put: (b, at, i, code) => putNibbleOf32(b, at + 4, i, code),
  }),
  6: small('Q5_0', 22, scaleOnly, (b, at, i) => (nibble(b, at + 6, i) | (bit(b, at + 2, i) << 4)) - 16, {
    least: -16,
    most: 15,
    put(b, at, i, code) {
      putNibbleOf32(b, at + 6, i, code + 16);
      putBit(b, at + 2 + (i >> 3), i & 7, (code + 16) >> 4);
    },
  }),
  7: small('Q5_1', 24, scaleAndMinimum, (b, at, i) => nibble(b, at + 8, i) | (bit(b, at + 4, i) << 4), {
    least: 0,
    most: 31,
    put(b, at, i, code) {
      putNibbleOf32(b, at + 8, i, code);
      putBit(b, at + 4 + (i >> 3), i & 7, code >> 4);
    },
  }),
  8: small('Q8_0', 34, scaleOnly, (b, at, i) => signed(b[at + 2 + i]!), {
    least: -128,
    most: 127,
    put(b, at, i, code) {
      b[at + 2 + i] = code;
    },
  }),
  10: { name: 'Q2_K', elements: 256, bytes: 84, expand: expandQ2K },
  11: { name: 'Q3_K', elements: 256, bytes: 110, expand: expandQ3K },
  12: eightSubBlocks('Q4_K', 144, (b, at, sub, i) => subNibble(b, at + 16, sub, i), {
    least: 0,
    most: 15,
    put: (b, at, i, code) => putSubNibble(b, at + 16, i, code),
  }),
  13: eightSubBlocks(
    'Q5_K',
    176,
    (b, at, sub, i) => subNibble(b, at + 48, sub, i) | (((b[at + 16 + i]! >> sub) & 1) << 4),
    {
      least: 0,
      most: 31,
      put(b, at, i, code) {
        putSubNibble(b, at + 48, i, code);
        putBit(b, at + 16 + (i & 31), i >> 5, code >> 4);
      },
    },
  ),
  14: { name: 'Q6_K', elements: 256, bytes: 210, expand: expandQ6K, codes: Q6_K_CODES },
  20: small('IQ4_NL', 18, scaleOnly, (b, at, i) => IQ4_LEVELS[nibble(b, at + 2, i)]!),
  23: { name: 'IQ4_XS', elements: 256, bytes: 136, expand: expandIQ4XS },
};
