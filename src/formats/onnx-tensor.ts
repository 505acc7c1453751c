/** ONNX TensorProto (onnx.proto3) → tensor, in every form in which a value may be stored. */
import { type ByteSource, Cursor, fromUtf8, inputError } from '../base/index.js';
import { BITS, decodeElements, storedBytes } from './elements.js';
import { MAX_RANK, MAX_READ_ELEMENTS, MAX_STRING } from './limits.js';
import type { DType } from './model.js';
import type { ModelFiles } from './opened.js';
import type { Field, WireReader } from './protobuf.js';
import { elementsOf, type Storage, type StoredTensor, type Stretch, storedTensor } from './stored-tensor.js';

/** TensorProto.DataType. Complex numbers, 4-bit floats and the FNUZ variants are refused by name. */
export const ONNX_DTYPES: Readonly<Record<number, DType>> = {
  1: 'F32',
  2: 'U8',
  3: 'I8',
  4: 'U16',
  5: 'I16',
  6: 'I32',
  7: 'I64',
  8: 'STRING',
  9: 'BOOL',
  10: 'F16',
  11: 'F64',
  12: 'U32',
  13: 'U64',
  16: 'BF16',
  17: 'F8_E4M3',
  19: 'F8_E5M2',
  21: 'U4',
  22: 'I4',
};
const REFUSED: Readonly<Record<number, string>> = {
  14: 'complex64',
  15: 'complex128',
  18: 'float8e4m3fnuz',
  20: 'float8e5m2fnuz',
  23: 'float4e2m1',
};

interface RawTensor {
  name: string;
  dims: number[];
  type: number;
  raw: Field | null;
  /** Stretches of float_data, double_data: already packed little-endian. */
  packed: Stretch[];
  packedField: number;
  /** Varint-coded values: int32_data (5), int64_data (7), uint64_data (11). */
  varints: Field[];
  external: Map<string, string>;
  isExternal: boolean;
}

/** @param path how subgraph tensors are kept apart, '' at the top; @param fallback name for a nameless value */
export async function readTensor(
  reader: WireReader,
  field: Field,
  files: ModelFiles,
  path: string,
  fallback = '',
): Promise<{ tensor: StoredTensor; ownName: string }> {
  const raw = await collect(reader, field);
  const ownName = raw.name === '' ? fallback : raw.name;
  const where = `${reader.source.name} byte ${field.at}, tensor ${ownName}`;
  const dtype = ONNX_DTYPES[raw.type];
  if (dtype === undefined) {
    throw inputError('ONNX_DTYPE', 'a tensor has a type that is not read', {
      got: REFUSED[raw.type] ?? `data type ${raw.type}`,
      where,
      todo: 'convert the tensor to float32 and export the model again',
    });
  }
  const storage = await storageOf(reader, raw, dtype, files, where);
  return { tensor: storedTensor('ONNX', path + ownName, dtype, raw.dims, storage, where), ownName };
}

async function collect(reader: WireReader, message: Field): Promise<RawTensor> {
  const raw: RawTensor = {
    name: '',
    dims: [],
    type: 0,
    raw: null,
    packed: [],
    packedField: 0,
    varints: [],
    external: new Map(),
    isExternal: false,
  };
  for await (const field of reader.fields(message.start, message.end)) {
    switch (field.number) {
      case 1:
        for (const value of await varintsOf(reader, field, MAX_RANK)) raw.dims.push(Number(BigInt.asIntN(64, value)));
        if (raw.dims.length > MAX_RANK) reader.fail('a tensor has too many dimensions', field.at);
        break;
      case 2:
        raw.type = Number(field.value);
        break;
      case 3:
        throw inputError('ONNX_SEGMENT', 'a tensor is split into segments, a form that no exporter writes', {
          where: `${reader.source.name} byte ${field.at}`,
        });
      case 4:
      case 10:
        raw.packedField = field.number;
        raw.packed.push({ source: reader.source, offset: field.start, length: field.end - field.start });
        break;
      case 5:
      case 7:
      case 11:
        raw.varints.push(field);
        break;
      case 8:
        raw.name = fromUtf8(await reader.bytes(field, MAX_STRING), `${reader.source.name} byte ${field.at}`);
        break;
      case 9:
        raw.raw = field;
        break;
      case 13: {
        const [key, value] = await readPair(reader, field);
        raw.external.set(key, value);
        break;
      }
      case 14:
        raw.isExternal = field.value === 1n;
        break;
    }
  }
  return raw;
}

/** A StringStringEntryProto. */
export async function readPair(reader: WireReader, message: Field): Promise<readonly [string, string]> {
  let key = '';
  let value = '';
  for await (const field of reader.fields(message.start, message.end)) {
    if (field.number !== 1 && field.number !== 2) continue;
    const text = fromUtf8(await reader.bytes(field, MAX_STRING), `${reader.source.name} byte ${field.at}`);
    if (field.number === 1) key = text;
    else value = text;
  }
  return [key, value];
}

/** One varint, or a packed run of them; at most `maximum`. */
export async function varintsOf(reader: WireReader, field: Field, maximum: number): Promise<bigint[]> {
  if (field.wire === 0) return [field.value];
  if (field.wire !== 2) return reader.fail('a number has the wrong wire type', field.at);
  const values: bigint[] = [];
  let at = field.start;
  while (at < field.end) {
    const { value, next } = await reader.varint(at, field.end);
    values.push(value);
    at = next;
    if (values.length > maximum) reader.fail(`more than ${maximum} numbers in one field`, field.at);
  }
  return values;
}

async function storageOf(
  reader: WireReader,
  raw: RawTensor,
  dtype: DType,
  files: ModelFiles,
  where: string,
): Promise<Storage> {
  if (raw.isExternal) return { kind: 'bytes', stretches: [await externalStretch(raw, dtype, files, where)] };
  if (raw.raw !== null) {
    if (raw.raw.wire !== 2) reader.fail('raw_data has the wrong wire type', raw.raw.at);
    return {
      kind: 'bytes',
      stretches: [{ source: reader.source, offset: raw.raw.start, length: raw.raw.end - raw.raw.start }],
    };
  }
  if (raw.packed.length > 0) {
    const wanted = raw.packedField === 4 ? 'F32' : 'F64';
    if (dtype !== wanted) {
      throw inputError('ONNX_FORM', 'a tensor’s values lie in a field that does not fit its type', {
        expected: wanted,
        got: dtype,
        where,
      });
    }
    return { kind: 'bytes', stretches: raw.packed };
  }
  if (raw.varints.length > 0) return { kind: 'values', read: () => readVarints(reader.source, raw, dtype, where) };
  return { kind: 'bytes', stretches: [] };
}

async function externalStretch(raw: RawTensor, dtype: DType, files: ModelFiles, where: string): Promise<Stretch> {
  const location = raw.external.get('location');
  if (location === undefined) {
    throw inputError('ONNX_EXTERNAL', 'a tensor is said to lie in another file, which is not named', { where });
  }
  const elements = elementsOf(raw.dims, 'ONNX', where);
  const number = (key: string, otherwise: number): number => {
    const text = raw.external.get(key);
    if (text === undefined) return otherwise;
    if (!/^\d{1,16}$/.test(text))
      throw inputError('ONNX_EXTERNAL', `external data has no valid ${key}`, { got: text.slice(0, 40), where });
    return Number(text);
  };
  const source: ByteSource = await files.beside(location);
  const offset = number('offset', 0);
  const length = number('length', storedBytes(dtype, elements));
  if (offset + length > source.byteLength) {
    throw inputError('ONNX_TRUNCATED', 'external data ends too early', {
      expected: `${offset + length} bytes`,
      got: `${source.byteLength} bytes`,
      where: `${source.name}, for ${where}`,
    });
  }
  return { source, offset, length };
}

/** Values of int32_data, int64_data, uint64_data. float16 and bfloat16 there are bit patterns (onnx.proto3, int32_data). */
async function readVarints(source: ByteSource, raw: RawTensor, dtype: DType, where: string): Promise<Float64Array> {
  const elements = elementsOf(raw.dims, 'ONNX', where);
  if (elements > MAX_READ_ELEMENTS) {
    throw inputError('TENSOR_READ_TOO_LARGE', 'more values than memory is planned for', {
      expected: `at most ${MAX_READ_ELEMENTS}`,
      got: String(elements),
      where,
    });
  }
  const bits = dtype === 'STRING' ? 8 : BITS[dtype];
  const patterns = new Uint8Array(storedBytes(dtype, elements) + 8);
  const view = new DataView(patterns.buffer);
  const nibbles = bits === 4;
  const units = nibbles ? Math.ceil(elements / 2) : elements;
  let count = 0;
  for (const field of raw.varints) {
    const bytes = field.wire === 2 ? await source.slice(field.start, field.end) : null;
    const put = (value: bigint): void => {
      if (count >= units)
        throw inputError('ONNX_SIZE', 'a tensor has more values than its shape', { expected: String(units), where });
      if (bits === 64) view.setBigUint64(count * 8, BigInt.asUintN(64, value), true);
      else if (bits === 32) view.setUint32(count * 4, Number(BigInt.asUintN(32, value)), true);
      else if (bits === 16) view.setUint16(count * 2, Number(BigInt.asUintN(16, value)), true);
      else view.setUint8(count, Number(BigInt.asUintN(8, value)));
      count++;
    };
    if (bytes === null) put(field.value);
    else eachVarint(bytes, field.start, put);
  }
  if (count !== units)
    throw inputError('ONNX_SIZE', 'a tensor has fewer values than its shape', {
      expected: String(units),
      got: String(count),
      where,
    });
  return decodeElements(dtype, patterns, elements);
}

function eachVarint(bytes: Uint8Array, base: number, put: (value: bigint) => void): void {
  const cursor = new Cursor(bytes, 'ONNX', base);
  while (cursor.remaining > 0) {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      if (shift > 63n) cursor.fail('MALFORMED', 'a number does not fit 64 bits');
      const byte = cursor.u8();
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) break;
    }
    put(value);
  }
}
