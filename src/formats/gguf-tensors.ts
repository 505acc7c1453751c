/** Tensors of a GGUF file: their descriptions at its head, and where and how their values lie. */
import { type ByteSource, inputError } from '../base/index.js';
import { storedBytes } from './elements.js';
import type { ForwardReader } from './forward-reader.js';
import { BLOCK_TYPES, type BlockType, type Codes } from './gguf-blocks.js';
import { readText } from './gguf-metadata.js';
import { MAX_GGUF_NAME, MAX_GGUF_RANK } from './limits.js';
import type { DType } from './model.js';
import { type Edit, elementsOf, type Storage, type StoredTensor, type Stretch, storedTensor } from './stored-tensor.js';

/** `ggml_type` of values that lie one after the other. */
const PLAIN: Readonly<Record<number, DType>> = {
  0: 'F32',
  1: 'F16',
  24: 'I8',
  25: 'I16',
  26: 'I32',
  27: 'I64',
  28: 'F64',
  30: 'BF16',
};
const REFUSED: Readonly<Record<number, string>> = {
  4: 'Q4_2',
  5: 'Q4_3',
  9: 'Q8_1',
  15: 'Q8_K',
  16: 'IQ2_XXS',
  17: 'IQ2_XS',
  18: 'IQ3_XXS',
  19: 'IQ1_S',
  21: 'IQ3_S',
  22: 'IQ2_S',
  29: 'IQ1_M',
  34: 'TQ1_0',
  35: 'TQ2_0',
  39: 'MXFP4',
};

export interface Info {
  readonly name: string;
  /** Row-major: the file lists the fastest axis first. */
  readonly shape: readonly number[];
  readonly type: BlockType | DType;
  readonly offset: number;
  readonly elements: number;
  readonly bytes: number;
  readonly where: string;
}

export async function readInfo(reader: ForwardReader, alignment: number): Promise<Info> {
  const where = `${reader.source.name} byte ${reader.offset}`;
  const name = await readText(reader, MAX_GGUF_NAME);
  const rank = (await reader.take(4)).u32();
  if (rank > MAX_GGUF_RANK) {
    reader.fail('SHAPE', 'a tensor has too many axes', { expected: `at most ${MAX_GGUF_RANK}`, got: String(rank) });
  }
  const rest = await reader.take(rank * 8 + 12);
  const shape = Array.from({ length: rank }, () => rest.safeU64()).reverse();
  const type = typeOf(rest.u32(), `${where}, tensor ${name}`);
  const offset = rest.safeU64();
  const elements = elementsOf(shape, 'GGUF', `${where}, tensor ${name}`);
  if (offset % alignment !== 0) {
    reader.fail('ALIGNMENT', 'a tensor does not begin where the alignment wants it', {
      expected: `a multiple of ${alignment}`,
      got: `${name} at ${offset}`,
    });
  }
  const bytes = bytesOf(type, shape, elements, `${where}, tensor ${name}`);
  return { name, shape, type, offset, elements, bytes, where: `${where}, tensor ${name}` };
}

function typeOf(code: number, where: string): BlockType | DType {
  const type = PLAIN[code] ?? BLOCK_TYPES[code];
  if (type !== undefined) return type;
  throw inputError('GGUF_DTYPE', 'a tensor has a type that is not read', {
    expected: [...Object.values(PLAIN), ...Object.values(BLOCK_TYPES).map(({ name }) => name)].join(', '),
    got: REFUSED[code] ?? `type ${code}`,
    where,
    todo: 'convert it: llama-quantize --allow-requantize FILE OUT.gguf F32, or use the file that it was made from',
  });
}

function bytesOf(type: BlockType | DType, shape: readonly number[], elements: number, where: string): number {
  if (typeof type === 'string') return storedBytes(type, elements);
  const row = shape.at(-1) ?? 1;
  if (row % type.elements !== 0) {
    throw inputError('GGUF_BLOCK', 'the rows of a quantised tensor are no whole number of blocks', {
      expected: `rows of a multiple of ${type.elements} for ${type.name}`,
      got: `[${shape.join(', ')}]`,
      where,
    });
  }
  return (elements / type.elements) * type.bytes;
}

export const up = (at: number, alignment: number): number => Math.ceil(at / alignment) * alignment;

/** As ggml reads them: one after the other, with padding to the alignment alone between, where nothing can be hidden. */
export function checkLayout(
  source: ByteSource,
  placed: readonly (Info & { readonly at: number })[],
  dataStart: number,
  alignment: number,
): void {
  let end = dataStart;
  let last = dataStart;
  for (const { at, bytes, where, name } of [...placed].sort((a, b) => a.at - b.at || a.bytes - b.bytes)) {
    if (at + bytes > source.byteLength) {
      throw inputError('GGUF_TRUNCATED', 'a tensor lies beyond the end of the file', {
        expected: `${at + bytes} bytes`,
        got: `${source.byteLength} bytes`,
        where,
        todo: 'the file is truncated or its header is false; fetch it again',
      });
    }
    if (at !== end) {
      throw inputError('GGUF_LAYOUT', at < end ? 'two tensors overlap' : 'there is a hole between tensors', {
        expected: `tensor ${name} at byte ${end}`,
        got: String(at),
        where,
      });
    }
    last = at + bytes;
    end = up(last, alignment);
  }
  if (placed.length > 0 && source.byteLength > end) {
    throw inputError('GGUF_LAYOUT', 'there are bytes after the last tensor', {
      expected: `${last} to ${end} bytes`,
      got: `${source.byteLength} bytes`,
      where: `${source.name} byte ${end}`,
    });
  }
}

export function tensorOf(
  source: ByteSource,
  { name, shape, type, at, bytes, where }: Info & { readonly at: number },
): StoredTensor {
  const stretch = { source, offset: at, length: bytes };
  if (typeof type === 'string') {
    return storedTensor('GGUF', name, type, shape, { kind: 'bytes', stretches: [stretch] }, where);
  }
  const tensor = storedTensor('GGUF', name, 'F32', shape, blockStorage(stretch, type), where);
  const { codes } = type;
  return {
    ...tensor,
    packed: { as: type.name, bits: (type.bytes * 8) / type.elements },
    ...(codes === undefined
      ? {}
      : { steps: (start: number, end: number) => stepsOf(stretch, type, codes, start, end) }),
  };
}

/** The blocks that hold elements [start, end): their bytes, and the element that the first begins with. */
async function blocksOf({ source, offset }: Stretch, type: BlockType, start: number, end: number) {
  const first = Math.floor(start / type.elements);
  const count = Math.ceil(end / type.elements) - first;
  const from = offset + first * type.bytes;
  const bytes = await source.slice(from, from + count * type.bytes);
  return { bytes, count, first: first * type.elements };
}

async function stepsOf(
  stretch: Stretch,
  type: BlockType,
  codes: Codes,
  start: number,
  end: number,
): Promise<Float64Array> {
  const { bytes, first } = await blocksOf(stretch, type, start, end);
  return Float64Array.from({ length: end - start }, (_, k) => {
    const element = start + k - first;
    const block = Math.floor(element / type.elements);
    return Math.abs(codes.grid(bytes, block * type.bytes, element % type.elements).scale);
  });
}

/** Every value that changed takes the nearest code of its block; scales stay, and so does every other bit. */
async function recoded(stretch: Stretch, type: BlockType, codes: Codes, values: Float64Array): Promise<Edit[]> {
  const { bytes: kept, count } = await blocksOf(stretch, type, 0, values.length);
  const bytes = Uint8Array.from(kept);
  const before = new Float64Array(type.elements);
  for (let block = 0; block < count; block++) {
    const at = block * type.bytes;
    type.expand(bytes, at, before, 0);
    for (let i = 0; i < type.elements; i++) {
      const value = values[block * type.elements + i]!;
      if (value === before[i]) continue;
      const { scale, shift } = codes.grid(bytes, at, i);
      const code = Math.round((value - shift) / scale);
      if (Number.isFinite(code)) codes.put(bytes, at, i, Math.min(codes.most, Math.max(codes.least, code)));
    }
  }
  return [{ ...stretch, bytes }];
}

/** Only the blocks that hold the elements asked for are read. */
function blockStorage(stretch: Stretch, type: BlockType): Storage {
  const { codes } = type;
  return {
    kind: 'values',
    async read(start, end) {
      const { bytes, count, first } = await blocksOf(stretch, type, start, end);
      const out = new Float64Array(count * type.elements);
      for (let i = 0; i < count; i++) type.expand(bytes, i * type.bytes, out, i * type.elements);
      const skip = start - first;
      return skip === 0 && out.length === end - start ? out : out.slice(skip, skip + end - start);
    },
    ...(codes === undefined ? {} : { edits: (values: Float64Array) => recoded(stretch, type, codes, values) }),
  };
}
