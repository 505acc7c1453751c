/** Constants of an OpenVINO IR: stretches of the .bin beside the .xml (`Const` layers: element_type, shape, offset, size). */
import { type ByteSource, type ErrorFacts, inputError, memorySource } from '../base/index.js';
import { storedBytes } from './elements.js';
import { MAX_RANK, MAX_TENSORS } from './limits.js';
import type { DType } from './model.js';
import type { Layer, Network } from './openvino-ir.js';
import { elementsOf, type StoredTensor, type Stretch, storedTensor } from './stored-tensor.js';

/** What a Const layer says of its bytes. */
export interface Constant {
  readonly layer: Layer;
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly elements: number;
  readonly stretch: Stretch;
  readonly where: string;
}
export type Constants = ReadonlyMap<Layer, Constant>;

/** Elements [start, end) as stored, or so many zeros. */
export type Run = readonly [start: number, end: number] | { readonly zeros: number };

/** How ONNX has a constant that OpenVINO has in another shape, or with its gates in another order. */
export interface Form {
  readonly shape: readonly number[];
  /** Absent: as stored. */
  readonly runs?: readonly Run[];
}

const TYPES: Readonly<Record<string, DType>> = {
  f64: 'F64',
  f32: 'F32',
  f16: 'F16',
  bf16: 'BF16',
  f8e4m3: 'F8_E4M3',
  f8e5m2: 'F8_E5M2',
  i64: 'I64',
  i32: 'I32',
  i16: 'I16',
  i8: 'I8',
  i4: 'I4',
  u64: 'U64',
  u32: 'U32',
  u16: 'U16',
  u8: 'U8',
  u4: 'U4',
  boolean: 'BOOL',
  string: 'STRING',
};
/** @returns null for a type that is not read */
export const dtypeOf = (type: string | undefined): DType | null =>
  type !== undefined && Object.hasOwn(TYPES, type) ? TYPES[type]! : null;

/** All networks of a file: the outermost, then those in its layers. */
export const networksIn = (network: Network): readonly Network[] => [
  network,
  ...network.layers.flatMap(({ bodies }) => [...bodies.values()].flatMap(networksIn)),
];

/**
 * Every Const layer, in the order of the file.
 * @param bin opens the file of weights; called only where a constant has bytes
 * @throws `OPENVINO_DTYPE`, `OPENVINO_SHAPE`, `OPENVINO_SIZE`, `OPENVINO_TRUNCATED`, `OPENVINO_LAYOUT`, `OPENVINO_TOO_MANY`,
 *   `OPENVINO_MALFORMED`
 */
export async function readConstants(
  networks: readonly Network[],
  bin: () => Promise<ByteSource>,
  name: string,
): Promise<Constants> {
  const found = new Map<Layer, Constant>();
  for (const layer of networks.flatMap(({ layers }) => layers)) {
    if (layer.type !== 'Const') continue;
    if (found.size >= MAX_TENSORS)
      refuse('TOO_MANY', `more than ${MAX_TENSORS} constants`, { where: `${name}, layer ${layer.id}` });
    found.set(layer, await readConstant(layer, bin, `${name}, layer ${layer.id}, ${layer.name.slice(0, 200)}`));
  }
  checkApart([...found.values()]);
  return found;
}

const refuse = (code: string, message: string, facts: ErrorFacts): never => {
  throw inputError(`OPENVINO_${code}`, message, facts);
};

async function readConstant(layer: Layer, bin: () => Promise<ByteSource>, where: string): Promise<Constant> {
  const { data } = layer;
  const dtype =
    dtypeOf(data.element_type) ??
    refuse('DTYPE', 'a constant has a type that is not read', {
      expected: Object.keys(TYPES).join(', '),
      got: data.element_type?.slice(0, 40) ?? 'none',
      where,
      todo: 'save the model with weights of another type: f32, f16, int8 or int4',
    });
  const shape = shapeOf(layer, where);
  const elements = elementsOf(shape, 'OPENVINO', where);
  const [offset, size] = [numberOf(layer, 'offset', where), numberOf(layer, 'size', where)];
  // Of a constant without elements OpenVINO writes one byte.
  const isEmpty = elements === 0 && size <= 1;
  if (dtype !== 'STRING' && !isEmpty && size !== storedBytes(dtype, elements)) {
    refuse('SIZE', 'a constant has more or fewer bytes than its type and shape need', {
      expected: `${storedBytes(dtype, elements)} bytes for ${data.element_type} [${shape.join(', ')}]`,
      got: `${size} bytes`,
      where,
      todo: 'the .xml is damaged or its numbers are false; convert the model again',
    });
  }
  const source = size === 0 ? memorySource(new Uint8Array(0)) : await bin();
  if (size > 0 && offset + size > source.byteLength) {
    refuse('TRUNCATED', 'a constant lies beyond the end of the .bin', {
      expected: `${offset + size} bytes`,
      got: `${source.byteLength} bytes in ${source.name}`,
      where,
      todo: 'the .bin is truncated or of another model; fetch both files again',
    });
  }
  const stretch = elements === 0 ? { source, offset: 0, length: 0 } : { source, offset, length: size };
  return { layer, dtype, shape, elements, stretch, where };
}

/** The sizes of `<data>`, and those of the port where it gives them. */
function shapeOf({ data, outputs }: Layer, where: string): readonly number[] {
  const text = data.shape?.trim();
  const sizes = text === undefined ? null : text === '' ? [] : text.split(',').map((size) => size.trim());
  const isRead = sizes !== null && sizes.length <= MAX_RANK && sizes.every((size) => /^\d{1,15}$/.test(size));
  const port = outputs[0]?.shape ?? null;
  if (!isRead || (port !== null && port.join() !== sizes.map(Number).join())) {
    return refuse('SHAPE', 'a constant has no sizes, or two different ones', {
      expected: `at most ${MAX_RANK} numbers from 0, the same in the layer and its port`,
      got: `${text?.slice(0, 100) ?? 'none'}; port ${port?.slice(0, 12).join(', ') ?? 'none'}`,
      where,
    });
  }
  return sizes.map(Number);
}

function numberOf({ data }: Layer, name: 'offset' | 'size', where: string): number {
  const text = data[name];
  if (text === undefined || !/^\d{1,15}$/.test(text)) {
    return refuse('MALFORMED', `a constant lacks its ${name}`, {
      expected: 'a number of bytes',
      got: text?.slice(0, 40) ?? 'none',
      where,
    });
  }
  return Number(text);
}

/** OpenVINO writes equal constants once; stretches that overlap otherwise show different weights in the same bytes. */
function checkApart(constants: readonly Constant[]): void {
  const filled = constants.filter(({ stretch }) => stretch.length > 0);
  filled.sort((a, b) => a.stretch.offset - b.stretch.offset || a.stretch.length - b.stretch.length);
  for (const [i, { stretch, where }] of filled.entries()) {
    const before = filled[i - 1]?.stretch;
    if (before === undefined || stretch.offset >= before.offset + before.length) continue;
    if (stretch.offset === before.offset && stretch.length === before.length) continue;
    refuse('LAYOUT', 'two constants overlap without being the same', {
      expected: `byte ${before.offset + before.length} of the .bin or later, or the same bytes`,
      got: `bytes ${stretch.offset} to ${stretch.offset + stretch.length}`,
      where,
    });
  }
}

/** The constant in its form. @param name unique in the model */
export function tensorOf(constant: Constant, name: string, form: Form | undefined): StoredTensor {
  const { dtype, where, stretch } = constant;
  const stretches = form?.runs?.map((run) => stretchOf(run, dtype, stretch)) ?? [stretch];
  return storedTensor('OPENVINO', name, dtype, form?.shape ?? constant.shape, { kind: 'bytes', stretches }, where);
}

function stretchOf(run: Run, dtype: DType, { source, offset }: Stretch): Stretch {
  if ('zeros' in run) {
    const length = storedBytes(dtype, run.zeros);
    return { source: memorySource(new Uint8Array(length), 'zeros'), offset: 0, length };
  }
  const from = storedBytes(dtype, run[0]);
  return { source, offset: offset + from, length: storedBytes(dtype, run[1]) - from };
}
