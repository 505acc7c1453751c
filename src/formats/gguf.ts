/**
 * GGUF, the files of llama.cpp and its kin: typed metadata, tensor descriptions, then aligned values, many of them in
 * quantised blocks. Source: docs/gguf.md of ggml-org/ggml, versions 2 and 3, little-endian.
 */
import path from 'node:path';
import { type ByteSource, inputError } from '../base/index.js';
import { storedBytes } from './elements.js';
import { ForwardReader } from './forward-reader.js';
import { BLOCK_TYPES, type BlockType } from './gguf-blocks.js';
import { type GgufValue, readMetadata, readText, textOf } from './gguf-metadata.js';
import { MAX_FILES, MAX_GGUF_NAME, MAX_GGUF_RANK, MAX_TENSORS } from './limits.js';
import type { DType, Model } from './model.js';
import { type ModelFiles, modelOf } from './opened.js';
import { elementsOf, type Storage, type StoredTensor, type Stretch, storedTensor } from './stored-tensor.js';

export const looksLikeGguf = (head: Uint8Array): boolean =>
  Buffer.from(head.subarray(0, 4)).toString('latin1') === 'GGUF';

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

const DEFAULT_ALIGNMENT = 32;

interface Part {
  readonly tensors: readonly StoredTensor[];
  readonly values: ReadonlyMap<string, GgufValue>;
}

/**
 * A GGUF file, with the other parts of a split one beside it.
 * @throws `GGUF_VERSION`, `GGUF_BIG_ENDIAN`, `GGUF_TOO_MANY`, `GGUF_METADATA`, `GGUF_NESTED_LIST`, `GGUF_TEXT`,
 * `GGUF_ALIGNMENT`, `GGUF_DTYPE`, `GGUF_SHAPE`, `GGUF_BLOCK`, `GGUF_LAYOUT`, `GGUF_SPLIT`, `GGUF_TRUNCATED`
 */
export async function openGguf(source: ByteSource, files: ModelFiles): Promise<Model> {
  const main = await readPart(source);
  const parts = [main, ...(await otherParts(source, main, files))];
  const metadata = new Map<string, string>();
  for (const { values } of parts) {
    for (const [key, value] of values) if (!metadata.has(key)) metadata.set(key, textOf(value));
  }
  return modelOf(files, {
    format: 'gguf',
    tensors: parts.flatMap(({ tensors }) => tensors),
    graph: null,
    opset: null,
    metadata,
  });
}

async function readPart(source: ByteSource): Promise<Part> {
  const reader = new ForwardReader(source, 'GGUF');
  const head = await reader.take(24);
  head.skip(4);
  checkVersion(reader, head.u32());
  const count = head.safeU64();
  const keys = head.safeU64();
  if (count > MAX_TENSORS) {
    reader.fail('TOO_MANY', 'the header claims more tensors than any real one', {
      expected: `at most ${MAX_TENSORS}`,
      got: String(count),
    });
  }
  const values = await readMetadata(reader, keys);
  const alignment = alignmentOf(reader, values.get('general.alignment'));
  const infos: Info[] = [];
  for (let i = 0; i < count; i++) infos.push(await readInfo(reader, alignment));
  const dataStart = up(reader.offset, alignment);
  const placed = infos.map((info) => ({ ...info, at: dataStart + info.offset }));
  checkLayout(source, placed, dataStart, alignment);
  return { tensors: placed.map((info) => tensorOf(source, info)), values };
}

function checkVersion(reader: ForwardReader, version: number): void {
  if (version === 2 || version === 3) return;
  if (version !== 0 && (version & 0xffff) === 0) {
    reader.fail('BIG_ENDIAN', 'the file is for big-endian machines', {
      got: `version bytes of ${version >>> 24} in the other order`,
      todo: 'convert it: gguf-py/gguf/scripts/gguf_convert_endian.py FILE little',
    });
  }
  reader.fail('VERSION', 'the file is of a version that is not read', {
    expected: '2 or 3',
    got: String(version),
    todo: version === 1 ? 'convert the model again with a current llama.cpp' : 'is there a newer release of this tool?',
  });
}

function alignmentOf(reader: ForwardReader, value: GgufValue | undefined): number {
  if (value === undefined) return DEFAULT_ALIGNMENT;
  // ggml takes powers of two only; a page is the largest that any program writes.
  const fits = typeof value === 'number' && value >= 1 && value <= 2 ** 20 && Number.isInteger(Math.log2(value));
  if (fits) return value;
  return reader.fail('ALIGNMENT', 'general.alignment is impossible', {
    expected: 'a power of two up to 2^20, as uint32',
    got: textOf(value).slice(0, 80),
  });
}

interface Info {
  readonly name: string;
  /** Row-major: the file lists the fastest axis first. */
  readonly shape: readonly number[];
  readonly type: BlockType | DType;
  readonly offset: number;
  readonly elements: number;
  readonly bytes: number;
  readonly where: string;
}

async function readInfo(reader: ForwardReader, alignment: number): Promise<Info> {
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

const up = (at: number, alignment: number): number => Math.ceil(at / alignment) * alignment;

/** As ggml reads them: one after the other, with padding to the alignment alone between, where nothing can be hidden. */
function checkLayout(
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

function tensorOf(
  source: ByteSource,
  { name, shape, type, at, bytes, where }: Info & { readonly at: number },
): StoredTensor {
  const stretch = { source, offset: at, length: bytes };
  if (typeof type === 'string') {
    return storedTensor('GGUF', name, type, shape, { kind: 'bytes', stretches: [stretch] }, where);
  }
  const tensor = storedTensor('GGUF', name, 'F32', shape, blockStorage(stretch, type), where);
  return { ...tensor, packed: { as: type.name, bits: (type.bytes * 8) / type.elements } };
}

/** Only the blocks that hold the elements asked for are read. */
function blockStorage({ source, offset }: Stretch, type: BlockType): Storage {
  return {
    kind: 'values',
    async read(start, end) {
      const first = Math.floor(start / type.elements);
      const blocks = Math.ceil(end / type.elements) - first;
      const from = offset + first * type.bytes;
      const bytes = await source.slice(from, from + blocks * type.bytes);
      const out = new Float64Array(blocks * type.elements);
      for (let i = 0; i < blocks; i++) type.expand(bytes, i * type.bytes, out, i * type.elements);
      const skip = start - first * type.elements;
      return skip === 0 && out.length === end - start ? out : out.slice(skip, skip + end - start);
    },
  };
}

/** llama-gguf-split numbers the parts in their names, from 1, and in their metadata, from 0. */
const PART_NAME = /^(.*-)(\d{5})(-of-)(\d{5})(\.gguf)$/;

async function otherParts(source: ByteSource, main: Part, files: ModelFiles): Promise<readonly Part[]> {
  const count = main.values.get('split.count');
  if (typeof count !== 'number' || count <= 1) return [];
  const name = PART_NAME.exec(path.basename(source.name));
  const number = main.values.get('split.no');
  if (name === null || Number(name[4]) !== count || Number(name[2]) - 1 !== number || count > MAX_FILES) {
    throw inputError('GGUF_SPLIT', 'the file is a part of a model, but its name does not tell the others', {
      expected: `NAME-${String(Number(number) + 1).padStart(5, '0')}-of-${String(count).padStart(5, '0')}.gguf`,
      got: path.basename(source.name),
      where: source.name,
      todo: 'give all parts the names that llama-gguf-split gave them',
    });
  }
  const [, stem, , of, , ending] = name;
  const parts: Part[] = [];
  for (let i = 0; i < count; i++) {
    if (i === number) continue;
    const file = `${stem}${String(i + 1).padStart(5, '0')}${of}${name[4]}${ending}`;
    const part = await readPart(await files.beside(file));
    if (part.values.get('split.count') !== count || part.values.get('split.no') !== i) {
      throw inputError('GGUF_SPLIT', 'a part says that it is another', {
        expected: `part ${i} of ${count}`,
        got: `part ${textOf(part.values.get('split.no') ?? 'none')} of ${textOf(part.values.get('split.count') ?? 'none')}`,
        where: file,
      });
    }
    parts.push(part);
  }
  return parts;
}
