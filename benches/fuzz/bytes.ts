/** Changes that know nothing of a format: bytes, blocks, whole numbers at aligned places, and text where a file has some. */
import type { RandomStream } from '../../src/base/index.js';

/** @returns null where it has nothing to change */
export type Mutation = (bytes: Buffer, random: RandomStream) => Buffer | null;

export const pick = <T>(random: RandomStream, items: readonly T[]): T => items[random.below(items.length)]!;

/** Half the places are anywhere; the others crowd towards the beginning or the end, where formats keep what they say of themselves. */
export function placeIn(length: number, random: RandomStream): number {
  const kind = random.below(8);
  if (kind < 4 || length < 2) return random.below(Math.max(1, length));
  const near = random.below(Math.max(1, Math.min(length, 2 ** (1 + random.below(Math.ceil(Math.log2(length)))))));
  return kind < 7 ? near : length - 1 - near;
}

const blockLength = (length: number, random: RandomStream): number =>
  1 + random.below(Math.min(length, 2 ** random.below(13)));

const flip: Mutation = (bytes, random) => {
  if (bytes.length === 0) return null;
  const at = placeIn(bytes.length, random);
  bytes[at]! ^= random.below(2) === 0 ? 1 << random.below(8) : 1 + random.below(255);
  return bytes;
};

const truncate: Mutation = (bytes, random) =>
  bytes.length === 0 ? null : bytes.subarray(0, placeIn(bytes.length, random));

const remove: Mutation = (bytes, random) => {
  if (bytes.length < 2) return null;
  const at = placeIn(bytes.length, random);
  return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + blockLength(bytes.length - at, random))]);
};

/** A block of the file once more, elsewhere: inserted, or over what is there. */
const copy: Mutation = (bytes, random) => {
  if (bytes.length < 2) return null;
  const from = placeIn(bytes.length, random);
  const block = Buffer.from(bytes.subarray(from, from + blockLength(bytes.length - from, random)));
  const to = placeIn(bytes.length, random);
  const over = random.below(2) === 0 ? block.length : 0;
  return Buffer.concat([bytes.subarray(0, to), block, bytes.subarray(to + over)]);
};

/** One byte, or one block, many times. */
const insert: Mutation = (bytes, random) => {
  const at = placeIn(bytes.length + 1, random);
  const filler = Buffer.alloc(2 ** random.below(13), pick(random, [0, 0xff, 0x7f, 0x80, random.below(256)]));
  return Buffer.concat([bytes.subarray(0, at), filler, bytes.subarray(at)]);
};

/** Whole numbers at which sizes and offsets break, signed and unsigned, and those about the file's own length. */
export function strangeInteger(width: number, length: number, random: RandomStream): bigint {
  const bits = BigInt(8 * width);
  const half = 1n << (bits - 1n);
  const near = BigInt(length);
  const values = [0n, 1n, -1n, -2n, half - 1n, half, -half + 1n, 0x7fn, 0xffn, 0xffffn, near, near - 1n, near + 1n];
  const large = [2n ** 31n - 1n, 2n ** 31n, 2n ** 32n - 1n, 2n ** 32n, 2n ** 53n, 2n ** 53n + 1n, 2n ** 62n, 2n ** 24n];
  return BigInt.asUintN(Number(bits), pick(random, random.below(2) === 0 ? values : large));
}

export function writeInteger(bytes: Buffer, at: number, width: number, value: bigint, little: boolean): void {
  for (let i = 0; i < width; i++) {
    const byte = Number((value >> BigInt(8 * i)) & 0xffn);
    bytes[little ? at + i : at + width - 1 - i] = byte;
  }
}

export function readInteger(bytes: Buffer, at: number, width: number, little = true): bigint {
  if (width === 8) return little ? bytes.readBigUInt64LE(at) : bytes.readBigUInt64BE(at);
  return BigInt(little ? bytes.readUIntLE(at, width) : bytes.readUIntBE(at, width));
}

const integer: Mutation = (bytes, random) => {
  const width = pick(random, [1, 2, 4, 4, 8, 8]);
  if (bytes.length < width) return null;
  const aligned = random.below(4) > 0 ? width : 1;
  const at = Math.min(Math.floor(placeIn(bytes.length, random) / aligned) * aligned, bytes.length - width);
  writeInteger(bytes, at, width, strangeInteger(width, bytes.length, random), random.below(4) > 0);
  return bytes;
};

/** Places tried before it is given up that a number there is some length or offset. */
const TRIES = 40;

/** A number that may well be a length or an offset, since it fits into the file, becomes another. */
const lengthField: Mutation = (bytes, random) => {
  for (let t = 0; t < TRIES; t++) {
    const width = pick(random, [2, 4, 4, 8]);
    if (bytes.length < width) return null;
    const at = Math.min(placeIn(bytes.length, random) & ~(width > 4 ? 3 : width - 1), bytes.length - width);
    const little = random.below(4) > 0;
    const value = readInteger(bytes, at, width, little);
    if (value === 0n || value > BigInt(bytes.length)) continue;
    const small = BigInt(1 + random.below(16));
    const others = [value + 1n, value - 1n, value + small, value * 2n, value / 2n, BigInt(bytes.length - at), small];
    const other = random.below(3) === 0 ? strangeInteger(width, bytes.length, random) : pick(random, others);
    writeInteger(bytes, at, width, BigInt.asUintN(8 * width, other), little);
    return bytes;
  }
  return null;
};

/** Most changes of a mutant are of these kinds. Each may write into the bytes that it is given. */
export const BYTE_MUTATIONS: Readonly<Record<string, Mutation>> = {
  flip,
  integer,
  'length field': lengthField,
  copy,
  insert,
  remove,
  truncate,
};

/** The beginning of one file and the end of another. */
export function splice(one: Uint8Array, other: Uint8Array, random: RandomStream): Buffer {
  const cut = placeIn(one.length + 1, random);
  const from = random.below(2) === 0 ? Math.min(cut, other.length) : placeIn(other.length + 1, random);
  return Buffer.concat([one.subarray(0, cut), other.subarray(from)]);
}
