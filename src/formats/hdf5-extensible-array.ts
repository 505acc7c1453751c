/**
 * Extensible arrays (§VII.D): the addresses of the chunks of an array that may grow along one axis. The first elements
 * lie in the index block, the next in data blocks that it names, the rest in data blocks that secondary blocks name.
 */
import { arrayPart, type ElementOf } from './hdf5-array-part.js';
import type { Fields, Hdf5File } from './hdf5-file.js';
import { pageElement } from './hdf5-fixed-array.js';

interface ExtensibleArray {
  readonly at: number;
  readonly elementBytes: number;
  /** Bytes of an offset in the array. */
  readonly offsetBytes: number;
  readonly inIndex: number;
  /** Elements of the smallest data blocks. */
  readonly smallest: number;
  readonly pageElements: number;
  readonly levels: number;
  /** Levels whose data blocks the index block names itself, and how many these are. */
  readonly namedLevels: number;
  readonly namedBlocks: number;
  readonly index: number | null;
}

/** Signature, version, client and checksum. */
const PREFIX = 10;

/** Data blocks of a level, and elements of each of them. */
const blocksOf = (level: number): number => 2 ** Math.floor(level / 2);
const elementsIn = (array: ExtensibleArray, level: number): number => 2 ** Math.floor((level + 1) / 2) * array.smallest;

/** @throws on finding: `HDF5_MALFORMED`, `HDF5_CHECKSUM` */
export function extensibleArray(file: Hdf5File, at: number): ElementOf {
  let array: Promise<ExtensibleArray> | null = null;
  return async (number) => {
    array ??= readHeader(file, at);
    return elementOf(file, await array, number);
  };
}

async function readHeader(file: Hdf5File, at: number): Promise<ExtensibleArray> {
  const { fields } = await arrayPart(file, at, PREFIX + 6 + 6 * file.lengthSize + file.offsetSize, 'EAHD');
  const elementBytes = fields.u8();
  const bits = fields.u8();
  const inIndex = fields.u8();
  const smallest = fields.u8();
  const pointers = fields.u8();
  const pageBits = fields.u8();
  fields.skip(6 * file.lengthSize);
  const isPower = (size: number): boolean => size > 0 && Number.isInteger(Math.log2(size));
  if (
    elementBytes < file.offsetSize ||
    bits === 0 ||
    bits > 64 ||
    pageBits > 24 ||
    !isPower(smallest) ||
    !isPower(pointers) ||
    Math.log2(smallest) > bits
  ) {
    fields.fail('an index of chunks has impossible sizes');
  }
  return {
    at,
    elementBytes,
    offsetBytes: Math.ceil(bits / 8),
    inIndex,
    smallest,
    pageElements: 2 ** pageBits,
    levels: 1 + bits - Math.log2(smallest),
    namedLevels: 2 * Math.log2(pointers),
    namedBlocks: 2 * (pointers - 1),
    index: fields.address(),
  };
}

async function elementOf(file: Hdf5File, array: ExtensibleArray, number: number): Promise<Fields | null> {
  const { elementBytes, inIndex, namedBlocks, namedLevels, levels } = array;
  if (array.index === null) return null;
  const named = Math.max(0, levels - namedLevels);
  const length = PREFIX + file.offsetSize + inIndex * elementBytes + (namedBlocks + named) * file.offsetSize;
  const index = await partOf(file, array, array.index, length, 'EAIB');
  if (number < inIndex) {
    index.skip(number * elementBytes);
    return index.part(elementBytes);
  }
  index.skip(inIndex * elementBytes);
  let first = inIndex;
  let before = 0;
  for (let level = 0; level < levels; level++) {
    const blocks = blocksOf(level);
    const size = elementsIn(array, level);
    if (number >= first + blocks * size) {
      first += blocks * size;
      before += blocks;
      continue;
    }
    const block = Math.floor((number - first) / size);
    const within = (number - first) % size;
    if (level < namedLevels) {
      index.skip((before + block) * file.offsetSize);
      return dataElement(file, array, index.address(), size, within, () => true);
    }
    index.skip((namedBlocks + level - namedLevels) * file.offsetSize);
    return secondary(file, array, index.address(), level, block, within);
  }
  return index.fail('a chunk lies outside its index', { got: `chunk ${number}` });
}

const pagesIn = (array: ExtensibleArray, size: number): number =>
  size > array.pageElements ? Math.ceil(size / array.pageElements) : 0;

async function secondary(
  file: Hdf5File,
  array: ExtensibleArray,
  at: number | null,
  level: number,
  block: number,
  within: number,
): Promise<Fields | null> {
  if (at === null) return null;
  const blocks = blocksOf(level);
  const size = elementsIn(array, level);
  const bitmap = Math.ceil(pagesIn(array, size) / 8);
  const length = PREFIX + file.offsetSize + array.offsetBytes + blocks * (bitmap + file.offsetSize);
  const fields = await partOf(file, array, at, length, 'EASB');
  fields.skip(array.offsetBytes);
  const bitmaps = fields.bytes(blocks * bitmap);
  fields.skip(block * file.offsetSize);
  // Bits of one data block follow those of the one before, though each is given whole bytes.
  const isWritten = (page: number): boolean => {
    const bit = block * pagesIn(array, size) + page;
    return ((bitmaps[bit >> 3]! >> (7 - (bit % 8))) & 1) === 1;
  };
  return dataElement(file, array, fields.address(), size, within, isWritten);
}

async function dataElement(
  file: Hdf5File,
  array: ExtensibleArray,
  at: number | null,
  size: number,
  within: number,
  isWritten: (page: number) => boolean,
): Promise<Fields | null> {
  if (at === null) return null;
  const { elementBytes, pageElements } = array;
  const prefix = PREFIX + file.offsetSize + array.offsetBytes;
  if (pagesIn(array, size) === 0) {
    const fields = await partOf(file, array, at, prefix + size * elementBytes, 'EADB');
    fields.skip(array.offsetBytes + within * elementBytes);
    return fields.part(elementBytes);
  }
  await partOf(file, array, at, prefix, 'EADB');
  const page = Math.floor(within / pageElements);
  if (!isWritten(page)) return null;
  const start = at + prefix + page * (pageElements * elementBytes + 4);
  return pageElement(file, start, pageElements * elementBytes, (within % pageElements) * elementBytes, elementBytes);
}

async function partOf(
  file: Hdf5File,
  array: ExtensibleArray,
  at: number,
  length: number,
  signature: string,
): Promise<Fields> {
  const { fields } = await arrayPart(file, at, length, signature);
  if (fields.place('an index of chunks') !== array.at) fields.fail('a block is of another index');
  return fields;
}
