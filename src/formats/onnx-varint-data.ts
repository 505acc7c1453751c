/**
 * Values that ONNX stores as base-128 numbers: int32_data, int64_data and uint64_data of a TensorProto.
 * Small floats there are bit patterns, 4-bit integers come two in a byte (onnx.proto3, comment of int32_data).
 */
import { type ByteSource, inputError } from '../base/index.js';
import { BITS, decodeElements } from './elements.js';
import type { DType } from './model.js';
import type { Field } from './protobuf.js';
import { elementsOf, type Storage } from './stored-tensor.js';

const ALLOWED: Readonly<Partial<Record<number, readonly DType[]>>> = {
  5: ['I32', 'I16', 'I8', 'I4', 'U16', 'U8', 'U4', 'BOOL', 'F16', 'BF16', 'F8_E4M3', 'F8_E5M2'],
  7: ['I64'],
  11: ['U32', 'U64'],
};
/** Bytes fetched at a time. */
const WINDOW = 1 << 20;

/** @throws `ONNX_FORM` when the field does not fit the type; `ONNX_SIZE` when it cannot hold so many values */
export function varintStorage(
  source: ByteSource,
  fields: readonly Field[],
  dtype: DType,
  shape: readonly number[],
  where: string,
): Storage {
  for (const { number } of fields) {
    if (!ALLOWED[number]?.includes(dtype)) {
      throw inputError('ONNX_FORM', 'a tensor’s values lie in a field that does not fit its type', {
        expected: (ALLOWED[number] ?? []).join(', '),
        got: dtype,
        where,
      });
    }
  }
  const elements = elementsOf(shape, 'ONNX', where);
  const perUnit = dtype === 'I4' || dtype === 'U4' ? 2 : 1;
  const units = Math.ceil(elements / perUnit);
  // A number takes one to ten bytes, so a false shape shows before anything is allocated for it.
  const present = fields.reduce((sum, { start, end }) => sum + (end - start), 0);
  if (present < units || present > 10 * units) refuseCount(units, `${present} bytes`, where);
  return {
    kind: 'values',
    async read(start, end) {
      const first = Math.floor(start / perUnit);
      const last = Math.ceil(end / perUnit);
      const patterns = await readUnits(source, fields, { dtype, first, last, units, where });
      return decodeElements(dtype, patterns, end - start, start % perUnit);
    },
  };
}

interface Wanted {
  readonly dtype: DType;
  /** Units [first, last) of `units` in all. */
  readonly first: number;
  readonly last: number;
  readonly units: number;
  readonly where: string;
}

/** The wanted numbers, cut to their type and packed. Base-128 numbers have no fixed place, so all before are passed over. */
async function readUnits(source: ByteSource, fields: readonly Field[], wanted: Wanted): Promise<Uint8Array> {
  const { dtype, first, last, units, where } = wanted;
  const width = Math.max(1, BITS[dtype as Exclude<DType, 'STRING'>] / 8);
  const out = new Uint8Array((last - first) * width);
  const view = new DataView(out.buffer);
  let unit = 0;
  for (const field of fields) {
    let value = 0n;
    let digits = 0;
    for (let at = field.start; at < field.end && (unit < last || last === units); at += WINDOW) {
      const window = await source.slice(at, Math.min(at + WINDOW, field.end));
      for (const [i, byte] of window.entries()) {
        if (digits > 9) {
          throw inputError('ONNX_MALFORMED', 'a number does not fit 64 bits', {
            where: `${source.name} byte ${at + i}, ${where}`,
          });
        }
        if (unit >= first) value |= BigInt(byte & 127) << BigInt(7 * digits);
        digits++;
        if (byte >= 128) continue;
        if (unit >= first && unit < last) put(view, (unit - first) * width, width, value);
        unit++;
        value = 0n;
        digits = 0;
      }
    }
    if (digits > 0 && unit < last) refuseCount(units, 'an unfinished number', where);
  }
  if (unit < last || (last === units && unit !== units)) refuseCount(units, String(unit), where);
  return out;
}

function put(view: DataView, at: number, width: number, value: bigint): void {
  if (width === 8) view.setBigUint64(at, BigInt.asUintN(64, value), true);
  else if (width === 4) view.setUint32(at, Number(BigInt.asUintN(32, value)), true);
  else if (width === 2) view.setUint16(at, Number(BigInt.asUintN(16, value)), true);
  else view.setUint8(at, Number(BigInt.asUintN(8, value)));
}

function refuseCount(units: number, got: string, where: string): never {
  throw inputError('ONNX_SIZE', 'a tensor has more or fewer values than its shape', {
    expected: String(units),
    got,
    where,
    todo: 'the file is damaged or its header is false; export it again',
  });
}
