/**
 * GGUF, the files of llama.cpp and its kin: typed metadata, tensor descriptions, then aligned values, many of them in
 * quantised blocks. Source: docs/gguf.md of ggml-org/ggml, versions 2 and 3, little-endian.
 */
import path from 'node:path';
import { type ByteSource, inputError } from '../base/index.js';
import { ForwardReader } from './forward-reader.js';
import { type GgufValue, readMetadata, textOf } from './gguf-metadata.js';
import { checkLayout, type Info, readInfo, tensorOf, up } from './gguf-tensors.js';
import { MAX_FILES, MAX_TENSORS } from './limits.js';
import type { Model } from './model.js';
import { type ModelFiles, modelOf } from './opened.js';
import type { StoredTensor } from './stored-tensor.js';

export const looksLikeGguf = (head: Uint8Array): boolean =>
  Buffer.from(head.subarray(0, 4)).toString('latin1') === 'GGUF';

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
