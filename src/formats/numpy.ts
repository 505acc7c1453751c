/**
 * NumPy arrays: `.npy` (a header in Python's syntax, then packed values) and `.npz` (a ZIP of them).
 * Source: NEP 1 and NumPy's `numpy/lib/_format_impl.py`, versions 1 to 3.
 */
import { type ByteSource, Cursor, type ErrorFacts, fromUtf8, inputError } from '../base/index.js';
import { storedBytes } from './elements.js';
import { MAX_NUMPY_HEADER } from './limits.js';
import type { DType, Model } from './model.js';
import { type ModelFiles, modelOf } from './opened.js';
import { parseLiteral } from './python-literal.js';
import { elementsOf, type StoredTensor, type Stretch, storedTensor } from './stored-tensor.js';
import { type Layout, packedStrides, stridedStorage } from './strided.js';
import { storedEntry, type ZipArchive } from './zip.js';

const MAGIC = Buffer.from('\x93NUMPY', 'latin1');

export const looksLikeNumpy = (head: Uint8Array): boolean => Buffer.from(head.subarray(0, 6)).equals(MAGIC);

/** Kind and bytes, as `dtype.str` gives them without the byte order. */
const TYPES: Readonly<Record<string, Layout['dtype']>> = {
  f8: 'F64',
  f4: 'F32',
  f2: 'F16',
  i8: 'I64',
  i4: 'I32',
  i2: 'I16',
  i1: 'I8',
  u8: 'U64',
  u4: 'U32',
  u2: 'U16',
  u1: 'U8',
  b1: 'BOOL',
};

interface ArrayHeader {
  readonly dtype: Layout['dtype'] | 'STRING';
  readonly bigEndian: boolean;
  readonly fortran: boolean;
  readonly shape: readonly number[];
  /** Bytes before the values. */
  readonly length: number;
  /** Bytes of one element. */
  readonly width: number;
}

const refuse = (code: string, message: string, facts: ErrorFacts): never => {
  throw inputError(`NUMPY_${code}`, message, facts);
};

/**
 * The array in a stretch.
 * @throws `NUMPY_MAGIC`, `NUMPY_VERSION`, `NUMPY_HEADER`, `NUMPY_OBJECT` (Python objects, which only running code could
 * read), `NUMPY_DTYPE`, `NUMPY_SHAPE`, `NUMPY_SIZE`, `NUMPY_TRUNCATED`
 */
async function arrayIn(stretch: Stretch, name: string, writable: boolean): Promise<StoredTensor> {
  const where = stretch.source.name;
  const { dtype, bigEndian, fortran, shape, length, width } = await readHeader(stretch, where);
  const elements = elementsOf(shape, 'NUMPY', where);
  if (length + elements * width !== stretch.length) {
    refuse('SIZE', 'an array has more or fewer bytes than its type and shape need', {
      expected: `${elements * width} bytes for ${dtype} [${shape.join(', ')}]`,
      got: `${stretch.length - length} bytes`,
      where,
      todo: 'the file is truncated or its header is false; save it again',
    });
  }
  const values = { source: stretch.source, offset: stretch.offset + length, length: elements * width };
  if (dtype === 'STRING')
    return storedTensor('NUMPY', name, dtype, shape, { kind: 'bytes', stretches: [values] }, where);
  const layout = { dtype, shape, strides: packedStrides(shape, fortran), offset: 0, bigEndian };
  const tensor = storedTensor('NUMPY', name, dtype, shape, stridedStorage(values, layout), where);
  return { ...tensor, writable: writable && tensor.writable };
}

async function readHeader({ source, offset, length }: Stretch, where: string): Promise<ArrayHeader> {
  const head = new Cursor(await source.slice(offset, offset + Math.min(length, 12)), 'NUMPY', offset);
  if (!Buffer.from(head.bytes(6)).equals(MAGIC)) refuse('MAGIC', 'this is no NumPy array', { where });
  const major = head.u8();
  const minor = head.u8();
  if (major < 1 || major > 3 || minor !== 0) {
    refuse('VERSION', 'the array is of a version that is not read', {
      expected: '1.0 to 3.0',
      got: `${major}.${minor}`,
      where,
    });
  }
  const size = major === 1 ? head.u8() + 256 * head.u8() : head.u32();
  const start = head.position;
  if (size > MAX_NUMPY_HEADER) {
    refuse('HEADER', 'the header is longer than any real one', {
      expected: `at most ${MAX_NUMPY_HEADER} bytes`,
      got: String(size),
      where,
    });
  }
  if (start + size > length) {
    refuse('TRUNCATED', 'the array ends inside its header', {
      expected: `${start + size} bytes`,
      got: `${length}`,
      where,
    });
  }
  const bytes = await source.slice(offset + start, offset + start + size);
  const text = major === 3 ? fromUtf8(bytes, where) : Buffer.from(bytes).toString('latin1');
  const header = parseLiteral(text, where);
  const { descr, fortran, shape } =
    header instanceof Map
      ? { descr: header.get('descr'), fortran: header.get('fortran_order'), shape: header.get('shape') }
      : {};
  if (!Array.isArray(shape) || typeof fortran !== 'boolean' || descr === undefined) {
    return refuse('HEADER', 'the header lacks a type, an order or a shape', { got: text.slice(0, 100), where });
  }
  return { ...numpyType(descr, where), fortran, shape: shape as readonly number[], length: start + size };
}

/** The type of a `dtype.str`. @throws `NUMPY_OBJECT`, `NUMPY_DTYPE` */
export function numpyType(descr: unknown, where: string): Pick<ArrayHeader, 'dtype' | 'bigEndian' | 'width'> {
  const parts = typeof descr === 'string' ? /^([<>|=]?)([a-zA-Z])(\d*)$/.exec(descr) : null;
  const [, order = '', kind = '', size = ''] = parts ?? [];
  if (kind === 'O') {
    refuse('OBJECT', 'the array holds Python objects, which only running code could read', {
      got: String(descr),
      where,
      todo: 'where you trust the file, save the numbers alone: array.astype(numpy.float32)',
    });
  }
  // Fixed-length text: labels beside the weights. UCS-4 or bytes.
  if (kind === 'U' || kind === 'S') {
    return { dtype: 'STRING', bigEndian: false, width: Number(size) * (kind === 'U' ? 4 : 1) };
  }
  const key = kind + size;
  const dtype = Object.hasOwn(TYPES, key) ? TYPES[key] : undefined;
  if (dtype === undefined) {
    return refuse('DTYPE', 'the array has a type that is not read', {
      expected: `integers, booleans and floats of 16 to 64 bits`,
      got: JSON.stringify(descr)?.slice(0, 80) ?? 'nothing',
      where,
      todo: 'save it as float32: array.astype(numpy.float32)',
    });
  }
  return { dtype, bigEndian: order === '>', width: storedBytes(dtype as DType, 1) };
}

const whole = (source: ByteSource): Stretch => ({ source, offset: 0, length: source.byteLength });

/** One array, named `arr_0` as `numpy.savez` names one without a name. */
export async function openNumpy(source: ByteSource, files: ModelFiles): Promise<Model> {
  const tensor = await arrayIn(whole(source), 'arr_0', true);
  return modelOf(files, { format: 'numpy', tensors: [tensor], graph: null, opset: null, metadata: new Map() });
}

/** @returns null for an archive of something else */
export async function openNumpyArchive(archive: ZipArchive, files: ModelFiles): Promise<Model | null> {
  const names = [...archive.entries.keys()];
  if (names.length === 0 || !names.every((name) => name.endsWith('.npy'))) return null;
  const tensors: StoredTensor[] = [];
  for (const name of names) {
    const content = archive.open(name);
    const isStored = storedEntry(content) !== null;
    tensors.push(await arrayIn(whole(content), name.slice(0, -'.npy'.length), isStored));
  }
  return modelOf(files, { format: 'numpy', tensors, graph: null, opset: null, metadata: new Map() });
}
