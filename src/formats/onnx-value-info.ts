/** ONNX ValueInfoProto (onnx.proto3): the name, type and shape of a graph's inputs, outputs and inner values. */
import type { ValueInfo } from './model.js';
import { ONNX_DTYPES } from './onnx-tensor.js';
import type { Field, WireReader } from './protobuf.js';

/** Types other than plain tensors (sequences, maps, optionals) come out with dtype and shape null. */
export async function readValueInfo(reader: WireReader, message: Field): Promise<ValueInfo> {
  let name = '';
  let dtype: ValueInfo['dtype'] = null;
  let shape: (number | string | null)[] | null = null;
  for await (const field of reader.fields(message.start, message.end)) {
    if (field.number === 1) name = await reader.text(field);
    if (field.number !== 2 || field.wire !== 2) continue;
    for await (const type of reader.fields(field.start, field.end)) {
      if (type.number !== 1 || type.wire !== 2) continue;
      for await (const part of reader.fields(type.start, type.end)) {
        reader.count(part.at);
        if (part.number === 1) dtype = ONNX_DTYPES[Number(part.value)] ?? null;
        if (part.number === 2 && part.wire === 2) shape = await readShape(reader, part);
      }
    }
  }
  return { name, dtype, shape };
}

async function readShape(reader: WireReader, message: Field): Promise<(number | string | null)[]> {
  const shape: (number | string | null)[] = [];
  for await (const dimension of reader.fields(message.start, message.end)) {
    if (dimension.number !== 1 || dimension.wire !== 2) continue;
    reader.count(dimension.at);
    let size: number | string | null = null;
    for await (const field of reader.fields(dimension.start, dimension.end)) {
      if (field.number === 1) size = Number(BigInt.asIntN(64, field.value));
      if (field.number === 2) size = await reader.text(field);
    }
    shape.push(typeof size === 'number' && size < 0 ? null : size);
  }
  return shape;
}
