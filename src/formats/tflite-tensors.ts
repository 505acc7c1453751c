/** Tensors of a TFLite graph: constants with their bytes, what is computed with its sizes (schema.fbs, `Tensor`). */
import { inputError } from '../base/index.js';
import type { Table } from './flatbuffers.js';
import { MAX_RANK, MAX_TENSORS } from './limits.js';
import type { DType, Tensor } from './model.js';
import { type Storage, type StoredTensor, type Stretch, storedTensor } from './stored-tensor.js';
import { type Expanded, sparseStorage } from './tflite-sparse.js';

/** How stored integers stand for numbers: value = (stored − zero) · scale, as ONNX DequantizeLinear has it. */
export interface Scales {
  /** One element, or one per position of `axis`. */
  readonly scale: StoredTensor;
  readonly zero: StoredTensor | null;
  /** Null where both are single. */
  readonly axis: number | null;
}

export interface Entry {
  /** Of a constant, unique in the model. */
  readonly name: string;
  readonly shape: readonly number[];
  readonly dtype: DType | null;
  /** Null for what is computed when the model runs. */
  readonly constant: StoredTensor | null;
  readonly scales: Scales | null;
}

const TENSOR = { shape: 0, type: 1, buffer: 2, name: 3, quantization: 4, sparsity: 6 } as const;
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

/** Names of all constants of the model so far. */
export class Names {
  readonly #given = new Map<string, number>();

  /** They are for people there and may come twice; the second is told apart, as its kin in ONNX are. */
  unique(name: string): string {
    const before = this.#given.get(name) ?? 0;
    this.#given.set(name, before + 1);
    return before === 0 ? name : this.unique(`${name}#${before}`);
  }
  has(name: string): boolean {
    return this.#given.has(name);
  }
  get size(): number {
    return this.#given.size;
  }
}

/** What the graphs of one file have in common. */
export interface SharedParts {
  readonly buffers: readonly Stretch[];
  readonly names: Names;
  readonly expanded: Expanded;
}

/** @param prefix before the names of every graph but the first */
export async function readEntries(
  subgraph: Table,
  field: number,
  parts: SharedParts,
  prefix: string,
): Promise<readonly Entry[]> {
  const { buffers, names } = parts;
  const entries: Entry[] = [];
  for await (const table of subgraph.tables(field)) {
    const stretch = buffers[await table.u32(TENSOR.buffer)];
    if (stretch === undefined) {
      return table.file.fail(
        'a tensor names a buffer that the file does not have',
        table.at,
        { got: String(await table.u32(TENSOR.buffer)) },
        'BUFFER',
      );
    }
    const name = prefix + ((await table.text(TENSOR.name)) || `tensor${entries.length}`);
    const shape = await table.integers(TENSOR.shape, MAX_RANK);
    if (names.size >= MAX_TENSORS) table.file.fail(`more than ${MAX_TENSORS} constants`, table.at, {}, 'TOO_MANY');
    if (stretch.length > 0) entries.push(await constant(table, parts, name, shape, stretch));
    else entries.push({ name, shape, dtype: TYPES[await table.u8(TENSOR.type)] ?? null, constant: null, scales: null });
  }
  return entries;
}

async function constant(
  table: Table,
  { names, expanded }: SharedParts,
  given: string,
  shape: readonly number[],
  stretch: Stretch,
): Promise<Entry> {
  const name = names.unique(given);
  const where = `${table.file.source.name} byte ${table.at}, tensor ${name}`;
  const type = await table.u8(TENSOR.type);
  const dtype = TYPES[type];
  if (dtype === undefined) {
    throw inputError('TFLITE_DTYPE', 'a tensor has a type that is not read', {
      got: REFUSED[type] ?? `type ${type}`,
      where,
      todo: 'convert the tensor to float32 and export the model again',
    });
  }
  const sparsity = await table.table(TENSOR.sparsity);
  const storage: Storage =
    sparsity === null
      ? { kind: 'bytes', stretches: [stretch] }
      : await sparseStorage(sparsity, dtype, shape, stretch, expanded, where);
  const tensor = storedTensor('TFLITE', name, dtype, shape, storage, where);
  return { name, shape, dtype, constant: tensor, scales: await scalesOf(table, tensor, names, where) };
}

async function scalesOf(table: Table, tensor: Tensor, names: Names, where: string): Promise<Scales | null> {
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
      ...storedTensor(
        'TFLITE',
        names.unique(`${tensor.name}_${what}`),
        dtype,
        [length],
        { kind: 'bytes', stretches },
        where,
      ),
      writable: false,
    };
  };
  return {
    scale: parameter('scale', 'F32', scale),
    zero: zero === null || zero.length === 0 ? null : parameter('zero_point', 'I64', zero),
    axis: counts.some((count) => count > 1) ? axis : null,
  };
}
