/** Fixed arrays (§VII.C): the addresses of the chunks of an array that cannot grow. */

import { arrayPart, type ElementOf } from './hdf5-array-part.js';
import { checkedBytes } from './hdf5-checksum.js';
import type { Fields, Hdf5File } from './hdf5-file.js';

interface FixedArray {
  readonly elementBytes: number;
  readonly pageElements: number;
  readonly count: number;
  readonly block: number | null;
}

/** Signature, version, client and checksum. */
const PREFIX = 10;
const MAX_PAGE_BITS = 24;

/** @throws on finding: `HDF5_MALFORMED`, `HDF5_CHECKSUM` */
export function fixedArray(file: Hdf5File, at: number): ElementOf {
  let array: Promise<FixedArray> | null = null;
  return async (number) => {
    array ??= readHeader(file, at);
    return elementOf(file, await array, at, number);
  };
}

async function readHeader(file: Hdf5File, at: number): Promise<FixedArray> {
  const { fields } = await arrayPart(file, at, PREFIX + 2 + file.lengthSize + file.offsetSize, 'FAHD');
  const elementBytes = fields.u8();
  const pageBits = fields.u8();
  const count = fields.length();
  if (elementBytes < file.offsetSize || pageBits > MAX_PAGE_BITS)
    fields.fail('an index of chunks has impossible sizes');
  return { elementBytes, pageElements: 2 ** pageBits, count, block: fields.address() };
}

async function elementOf(file: Hdf5File, array: FixedArray, at: number, number: number): Promise<Fields | null> {
  const { elementBytes, pageElements, count, block } = array;
  if (block === null) return null;
  if (number >= count) return file.fail('MALFORMED', 'an index of chunks is too short', at, { got: `${count} chunks` });
  const prefix = PREFIX + file.offsetSize;
  if (count <= pageElements) {
    const { fields } = await arrayPart(file, block, prefix + count * elementBytes, 'FADB');
    return element(fields, at, number * elementBytes, elementBytes);
  }
  // Pages follow the block, each with its checksum; a bit of each says whether it was ever written.
  const pages = Math.ceil(count / pageElements);
  const bitmap = Math.ceil(pages / 8);
  const { fields } = await arrayPart(file, block, prefix + bitmap, 'FADB');
  if (fields.place('an index of chunks') !== at) fields.fail('a block is of another index');
  const page = Math.floor(number / pageElements);
  const written = fields.bytes(bitmap);
  if (((written[page >> 3]! >> (7 - (page % 8))) & 1) === 0) return null;
  const start = block + prefix + bitmap + page * (pageElements * elementBytes + 4);
  const inPage = Math.min(pageElements, count - page * pageElements);
  return pageElement(file, start, inPage * elementBytes, (number % pageElements) * elementBytes, elementBytes);
}

function element(fields: Fields, array: number, skip: number, bytes: number): Fields {
  if (fields.place('an index of chunks') !== array) fields.fail('a block is of another index');
  fields.skip(skip);
  return fields.part(bytes);
}

/** The element `skip` bytes into a page of `length` bytes and a checksum. */
export async function pageElement(
  file: Hdf5File,
  at: number,
  length: number,
  skip: number,
  bytes: number,
): Promise<Fields> {
  await checkedBytes(file, at, length + 4);
  return file.fields(at + skip, bytes);
}
