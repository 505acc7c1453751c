/** What elements are and how many: datatypes (§IV.A.2.d) and dataspaces (§IV.A.2.b). */
import type { Fields } from './hdf5-file.js';
import { MAX_RANK } from './limits.js';
import type { DType } from './model.js';

export type NumberType = Exclude<DType, 'STRING' | 'I4' | 'U4'>;

export type Hdf5Type =
  | { readonly kind: 'number'; readonly size: number; readonly dtype: NumberType; readonly bigEndian: boolean }
  /** Texts of `size` bytes each, ended by a zero byte or padded. */
  | { readonly kind: 'text'; readonly size: number; readonly padding: 'zero-ended' | 'zeros' | 'spaces' }
  /** Texts in a global heap. */
  | { readonly kind: 'heap-text'; readonly size: number }
  | { readonly kind: 'opaque'; readonly size: number }
  /** Known and not read. */
  | { readonly kind: 'other'; readonly size: number; readonly name: string };

const CLASSES = [
  'an integer',
  'a float',
  'a time',
  'a text',
  'a bit field',
  'opaque',
  'a compound',
  'a reference',
  'an enumeration',
  'a list of any length',
  'an array',
  'a complex number',
];
const PADDINGS = ['zero-ended', 'zeros', 'spaces'] as const;

/** @throws `HDF5_VERSION`, `HDF5_MALFORMED` */
export function readType(fields: Fields): Hdf5Type {
  const head = fields.u8();
  const version = head >> 4;
  const kind = head & 15;
  if (version < 1 || version > 5)
    fields.fail('a type has a version that is not read', { got: `${version}` }, 'VERSION');
  const bits = [fields.u8(), fields.u8(), fields.u8()] as const;
  const size = fields.u32();
  const name = CLASSES[kind];
  if (name === undefined) return fields.fail('there is no such class of types', { got: `class ${kind}` });
  if (size === 0) fields.fail('a type has no bytes');
  const other = { kind: 'other', size, name } as const;
  if (kind === 0) return integerOf(fields, bits[0], size) ?? other;
  if (kind === 1) return floatOf(fields, bits, size) ?? other;
  if (kind === 3) {
    const padding = PADDINGS[bits[0] & 15];
    return padding === undefined ? fields.fail('a text is padded in an unknown way') : { kind: 'text', size, padding };
  }
  if (kind === 5) return { kind: 'opaque', size };
  if (kind === 8) return enumerationOf(fields, version, bits[0] | (bits[1] << 8)) ?? other;
  if (kind === 9 && (bits[0] & 15) === 1) return { kind: 'heap-text', size };
  return other;
}

const INTEGERS: Readonly<Record<number, readonly [NumberType, NumberType]>> = {
  1: ['U8', 'I8'],
  2: ['U16', 'I16'],
  4: ['U32', 'I32'],
  8: ['U64', 'I64'],
};

function integerOf(fields: Fields, bits: number, size: number): Hdf5Type | null {
  const offset = fields.u16();
  const precision = fields.u16();
  const dtype = INTEGERS[size]?.[(bits & 8) === 0 ? 0 : 1];
  if (dtype === undefined || offset !== 0 || precision !== 8 * size) return null;
  return { kind: 'number', size, dtype, bigEndian: (bits & 1) === 1 };
}

/** Bytes, bits of the exponent and of the fraction, bias of the exponent. */
const FLOATS: Readonly<Record<string, NumberType>> = {
  '8 11 52 1023': 'F64',
  '4 8 23 127': 'F32',
  '2 5 10 15': 'F16',
  '2 8 7 127': 'BF16',
};

function floatOf(fields: Fields, bits: readonly [number, number, number], size: number): Hdf5Type | null {
  const offset = fields.u16();
  const precision = fields.u16();
  const exponentAt = fields.u8();
  const exponent = fields.u8();
  const fractionAt = fields.u8();
  const fraction = fields.u8();
  const bias = fields.u32();
  const dtype = FLOATS[`${size} ${exponent} ${fraction} ${bias}`];
  const isPlain =
    offset === 0 && precision === 8 * size && fractionAt === 0 && exponentAt === fraction && bits[1] === 8 * size - 1;
  // A fraction whose first 1 is implied, and none of VAX' byte orders.
  const isIeee = ((bits[0] >> 4) & 3) === 2 && (bits[0] & 0x40) === 0;
  if (dtype === undefined || !isPlain || !isIeee) return null;
  return { kind: 'number', size, dtype, bigEndian: (bits[0] & 1) === 1 };
}

/** An enumeration is stored as its integers; h5py's booleans are one of FALSE and TRUE. */
function enumerationOf(fields: Fields, version: number, members: number): Hdf5Type | null {
  const base = readType(fields);
  if (base.kind !== 'number') return null;
  if (base.size !== 1 || members !== 2) return base;
  const names: string[] = [];
  for (let i = 0; i < members; i++) {
    const start = fields.position;
    names.push(fields.textToZero());
    if (version < 3) fields.skip((8 - ((fields.position - start) % 8)) % 8);
  }
  const values = [fields.u8(), fields.u8()];
  return names.join() === 'FALSE,TRUE' && values.join() === '0,1' ? { ...base, dtype: 'BOOL' } : base;
}

export interface Hdf5Space {
  readonly shape: readonly number[];
  /** How far each axis may grow; null without end. */
  readonly most: readonly (number | null)[];
  /** There are no elements, not even one. */
  readonly isNull: boolean;
}

/** @throws `HDF5_VERSION`, `HDF5_MALFORMED` */
export function readSpace(fields: Fields): Hdf5Space {
  const version = fields.version(2, 'a dataspace', 1);
  const rank = fields.u8();
  const flags = fields.u8();
  let isNull = false;
  if (version === 1) fields.skip(5);
  else isNull = fields.u8() === 2;
  if (rank > MAX_RANK)
    fields.fail('a dataspace has too many axes', { expected: `at most ${MAX_RANK}`, got: `${rank}` });
  const shape = Array.from({ length: rank }, () => fields.length());
  const most = (flags & 1) === 0 ? shape : shape.map(() => sizeOrNone(fields));
  if (most.some((size, axis) => size !== null && size < shape[axis]!)) fields.fail('an axis is longer than it may be');
  return { shape, most, isNull };
}

function sizeOrNone(fields: Fields): number | null {
  const { lengthSize } = fields.file;
  const low = fields.bytes(lengthSize);
  if (low.every((byte) => byte === 0xff)) return null;
  let value = 0;
  for (let i = lengthSize - 1; i >= 0; i--) value = value * 256 + low[i]!;
  return value;
}
