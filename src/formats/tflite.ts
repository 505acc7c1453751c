/**
 * TensorFlow Lite (LiteRT): a FlatBuffer of subgraphs, whose constant tensors name a buffer with bytes. Source:
 * tensorflow/lite/schema/schema.fbs, version 3 and its additions; field numbers below are its own.
 */
import { type ByteSource, inputError } from '../base/index.js';
import { Flatbuffer, type Table } from './flatbuffers.js';
import { MAX_RANK, MAX_TENSORS } from './limits.js';
import type { DType, Model, StoredScales } from './model.js';
import { type ModelFiles, modelOf } from './opened.js';
import { type StoredTensor, type Stretch, storedTensor } from './stored-tensor.js';
import { layoutsIn, operatorCodes } from './tflite-layout.js';

export const looksLikeTflite = (head: Uint8Array): boolean =>
  Buffer.from(head.subarray(4, 8)).toString('latin1') === 'TFL3';

const MODEL = { version: 0, operatorCodes: 1, subgraphs: 2, description: 3, buffers: 4 } as const;
const SUBGRAPH = { tensors: 0, operators: 3, name: 4 } as const;
const TENSOR = { shape: 0, type: 1, buffer: 2, name: 3, quantization: 4, sparsity: 6 } as const;
const BUFFER = { data: 0, offset: 1, size: 2 } as const;
const QUANTIZATION = { scale: 2, zeroPoint: 3, detailsType: 4, details: 5, dimension: 6 } as const;

/** `TensorType`; complex numbers, resources and variants are refused by name. */
const TYPES: Readonly<Record<number, DType>> = {
  0: 'F32',
  1: 'F16',
  2: 'I32',
  3: 'U8',
  4: 'I64',
  5: 'STRING',
  6: 'BOOL',
  7: 'I16',
  9: 'I8',
  10: 'F64',
  12: 'U64',
  15: 'U32',
  16: 'U16',
  17: 'I4',
  18: 'BF16',
};
const REFUSED: Readonly<Record<number, string>> = { 8: 'complex64', 11: 'complex128', 13: 'resource', 14: 'variant' };

/**
 * @throws `TFLITE_MALFORMED`, `TFLITE_TRUNCATED`, `TFLITE_VERSION`, `TFLITE_TOO_MANY`, `TFLITE_BUFFER`, `TFLITE_LAYOUT`,
 * `TFLITE_DTYPE`, `TFLITE_SHAPE`, `TFLITE_SIZE`, `TFLITE_SPARSE`, `TFLITE_QUANTISATION`, `UTF8_INVALID`
 */
export async function openTflite(source: ByteSource, files: ModelFiles): Promise<Model> {
  const model = await new Flatbuffer(source, 'TFLITE').root();
  const version = await model.u32(MODEL.version);
  if (version !== 3) {
    model.file.fail(
      'the file is of a version that is not read',
      model.at,
      { expected: '3', got: String(version) },
      'VERSION',
    );
  }
  const buffers = await buffersOf(model);
  const codes = await operatorCodes(model, MODEL.operatorCodes);
  const tensors: StoredTensor[] = [];
  const names = new Map<string, number>();
  let index = 0;
  for await (const subgraph of model.tables(MODEL.subgraphs)) {
    const title = (await subgraph.text(SUBGRAPH.name)) || `subgraph${index}`;
    const prefix = index++ === 0 ? '' : `${title}/`;
    const layoutOf = await layoutsIn(subgraph, SUBGRAPH.operators, codes);
    let place = 0;
    for await (const table of subgraph.tables(SUBGRAPH.tensors)) {
      const at = place++;
      const stretch = buffers[await table.u32(TENSOR.buffer)];
      if (stretch === undefined) {
        return model.file.fail(
          'a tensor names a buffer that the file does not have',
          table.at,
          { got: String(await table.u32(TENSOR.buffer)) },
          'BUFFER',
        );
      }
      // A file cut short may lack what is never asked for: shapes and names of values that are computed.
      await table.vector(TENSOR.shape, 4);
      await table.vector(TENSOR.name, 1);
      // Without bytes it is computed when the model runs.
      if (stretch.length === 0) continue;
      if (tensors.length >= MAX_TENSORS)
        model.file.fail(`more than ${MAX_TENSORS} constants`, table.at, {}, 'TOO_MANY');
      const tensor = await constant(
        table,
        unique(names, prefix + ((await table.text(TENSOR.name)) || `tensor${at}`)),
        stretch,
      );
      const outputsFirst = layoutOf(at, tensor.shape.length);
      tensors.push(outputsFirst === undefined ? tensor : { ...tensor, outputsFirst });
    }
  }
  const description = await model.text(MODEL.description);
  return modelOf(files, {
    format: 'tflite',
    tensors,
    graph: null,
    opset: null,
    metadata: new Map(description ? [['description', description]] : []),
  });
}

/** Names are for people there and may come twice; the second is told apart, as its kin in ONNX are. */
function unique(names: Map<string, number>, name: string): string {
  const before = names.get(name) ?? 0;
  names.set(name, before + 1);
  return before === 0 ? name : unique(names, `${name}#${before}`);
}

/** Where each buffer's bytes lie: in the FlatBuffer, or behind it where that would be too large. */
async function buffersOf(model: Table): Promise<readonly Stretch[]> {
  const { source } = model.file;
  const buffers: Stretch[] = [];
  for await (const table of model.tables(MODEL.buffers)) {
    const inside = await table.vector(BUFFER.data, 1);
    const offset = await table.u64(BUFFER.offset);
    const size = await table.u64(BUFFER.size);
    // 1 is what the writer leaves before it knows better.
    const isOutside = offset > 1 && size > 0;
    if (isOutside && offset + size > source.byteLength) {
      model.file.fail(
        'a buffer lies beyond the end of the file',
        table.at,
        { expected: `${offset + size} bytes`, got: `${source.byteLength} bytes` },
        'TRUNCATED',
      );
    }
    if (isOutside && inside !== null && inside.length > 0) {
      model.file.fail('a buffer lies in two places', table.at, {}, 'BUFFER');
    }
    const { at, length } = isOutside ? { at: offset, length: size } : (inside ?? { at: 0, length: 0 });
    buffers.push({ source, offset: at, length });
  }
  checkApart(buffers, model);
  return buffers;
}

/** Tensors may share a buffer; two buffers that overlap show different weights in the same bytes. */
function checkApart(buffers: readonly Stretch[], model: Table): void {
  const filled = buffers.filter(({ length }) => length > 0).sort((a, b) => a.offset - b.offset || a.length - b.length);
  for (const [i, { offset }] of filled.entries()) {
    const before = filled[i - 1];
    if (before !== undefined && offset < before.offset + before.length && !isSame(before, filled[i]!)) {
      model.file.fail(
        'two buffers overlap',
        offset,
        { expected: `byte ${before.offset + before.length} or later` },
        'LAYOUT',
      );
    }
  }
}

const isSame = (a: Stretch, b: Stretch): boolean => a.offset === b.offset && a.length === b.length;

async function constant(table: Table, name: string, stretch: Stretch): Promise<StoredTensor> {
  const where = `${table.file.source.name} byte ${table.at}, tensor ${name}`;
  if (table.place(TENSOR.sparsity, 4) !== null) {
    throw inputError('TFLITE_SPARSE', 'the model stores a sparse tensor, which is not read', {
      where,
      todo: 'convert the model without Optimize.EXPERIMENTAL_SPARSITY, or run its DENSIFY operators first',
    });
  }
  const type = await table.u8(TENSOR.type);
  const dtype = TYPES[type];
  if (dtype === undefined) {
    throw inputError('TFLITE_DTYPE', 'a tensor has a type that is not read', {
      got: REFUSED[type] ?? `type ${type}`,
      where,
      todo: 'convert the tensor to float32 and export the model again',
    });
  }
  const shape = await table.integers(TENSOR.shape, MAX_RANK);
  const tensor = storedTensor('TFLITE', name, dtype, shape, { kind: 'bytes', stretches: [stretch] }, where);
  const scales = await scalesOf(table, tensor, where);
  return scales === null ? tensor : { ...tensor, scales };
}

/** value = (stored − zero point) · scale, one of each or one per position of an axis. */
async function scalesOf(table: Table, tensor: StoredTensor, where: string): Promise<StoredScales | null> {
  const quantization = await table.table(TENSOR.quantization);
  if (quantization === null || !/^[IU](4|8|16|32)$/.test(tensor.dtype)) return null;
  const refuse = (message: string, got: string): never => {
    throw inputError('TFLITE_QUANTISATION', message, {
      expected: 'one scale and zero point, or one per position of the quantised axis',
      got,
      where,
      todo: 'convert the model again without custom quantisation',
    });
  };
  const details = await quantization.union(QUANTIZATION.detailsType, QUANTIZATION.details);
  if (details !== null)
    return refuse('a tensor is quantised by a scheme of its own', `QuantizationDetails ${details.type}`);
  const scale = await quantization.vector(QUANTIZATION.scale, 4);
  const zero = await quantization.vector(QUANTIZATION.zeroPoint, 8);
  if (scale === null || scale.length === 0) return null;
  const axis = await quantization.i32(QUANTIZATION.dimension);
  const channels = tensor.shape[axis];
  const counts = [scale.length, ...(zero === null || zero.length === 0 ? [] : [zero.length])];
  if (counts.some((count) => count !== 1 && count !== channels)) {
    return refuse(
      'scales or zero points do not fit their tensor',
      `${counts.join(' and ')} for axis ${axis} of [${tensor.shape.join(', ')}]`,
    );
  }
  const { source } = table.file;
  const parameter = (
    what: string,
    dtype: 'F32' | 'I64',
    { at, length }: { at: number; length: number },
  ): StoredTensor => {
    const stretches = [{ source, offset: at, length: length * (dtype === 'F32' ? 4 : 8) }];
    return {
      ...storedTensor('TFLITE', `${tensor.name}_${what}`, dtype, [length], { kind: 'bytes', stretches }, where),
      writable: false,
    };
  };
  return {
    factors: [parameter('scale', 'F32', scale)],
    zero: zero === null || zero.length === 0 ? null : parameter('zero_point', 'I64', zero),
    axis: counts.some((count) => count > 1) ? axis : null,
  };
}
