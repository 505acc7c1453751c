/** ONNX TensorProto (onnx.proto3) → tensor, in every form in which a value may be stored. */
import { type ByteSource, inputError } from '../base/index.js';
import { storedBytes } from './elements.js';
import { MAX_RANK } from './limits.js';
import type { DType } from './model.js';
import { varintStorage } from './onnx-varint-data.js';
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
  /** Fields of float_data (4) or double_data (10), whose values are already packed little-endian. */
  fixed: Field[];
  /** Fields of int32_data (5), int64_data (7) or uint64_data (11). */
  varints: Field[];
  external: Map<string, string>;
  isExternal: boolean;
}

/** Which types may use which typed field (onnx.proto3, comments of TensorProto). */
const FIXED_FIELDS: Readonly<Partial<Record<number, readonly DType[]>>> = { 4: ['F32'], 10: ['F64'] };

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
    fixed: [],
    varints: [],
    external: new Map(),
    isExternal: false,
  };
  for await (const field of reader.fields(message.start, message.end)) {
    reader.count(field.at);
    switch (field.number) {
      case 1:
        await reader.eachNumber(field, (size) => {
          if (raw.dims.push(Number(BigInt.asIntN(64, size))) > MAX_RANK)
            reader.fail('a tensor has too many dimensions', field.at);
        });
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
        if (field.wire !== 2 && field.wire !== (field.number === 4 ? 5 : 1))
          reader.fail('a float has the wrong wire type', field.at);
        raw.fixed.push(field);
        break;
      case 5:
      case 7:
      case 11:
        if (field.wire !== 2 && field.wire !== 0) reader.fail('a number has the wrong wire type', field.at);
        raw.varints.push(field);
        break;
      case 8:
        raw.name = await reader.text(field);
        break;
      case 9:
        if (field.wire !== 2) reader.fail('raw_data has the wrong wire type', field.at);
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
    const text = await reader.text(field);
    if (field.number === 1) key = text;
    else value = text;
  }
  return [key, value];
}

async function storageOf(
  reader: WireReader,
  raw: RawTensor,
  dtype: DType,
  files: ModelFiles,
  where: string,
): Promise<Storage> {
  const forms = [raw.isExternal, raw.raw !== null, raw.fixed.length > 0, raw.varints.length > 0];
  if (forms.filter(Boolean).length > 1) refuseForm('one field of values', 'several', where);
  if (raw.isExternal) return { kind: 'bytes', stretches: [await externalStretch(raw, dtype, files, where)] };
  if (raw.varints.length > 0) return varintStorage(reader.source, raw.varints, dtype, raw.dims, where);
  for (const { number } of raw.fixed) {
    const allowed = FIXED_FIELDS[number] ?? [];
    if (!allowed.includes(dtype)) refuseForm(allowed.join(' or '), dtype, where);
  }
  const fields = raw.raw === null ? raw.fixed : [raw.raw];
  const stretches = fields.map(({ start, end }) => ({ source: reader.source, offset: start, length: end - start }));
  return { kind: 'bytes', stretches };
}

function refuseForm(expected: string, got: string, where: string): never {
  throw inputError('ONNX_FORM', 'a tensor’s values lie in a field that does not fit its type', {
    expected,
    got,
    where,
    todo: 'export the model again; onnx.checker.check_model names the same fault',
  });
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
