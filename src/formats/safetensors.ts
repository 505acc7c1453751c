/**
 * safetensors: u64 header length, a JSON header, then the values, packed without holes.
 * Source: the format's README (huggingface/safetensors), whose rules on overlaps and holes are enforced here.
 */
import path from 'node:path';
import { type ByteSource, Cursor, inputError, type Json, utf8 } from '../base/index.js';
import { parseBoundedJson } from './bounded-json.js';
import { BITS, encodeElements, storedBytes } from './elements.js';
import { MAX_FILES, MAX_SAFETENSORS_HEADER, MAX_SHARD_INDEX, MAX_TENSORS } from './limits.js';
import type { DType, Model, Tensor } from './model.js';
import { type Found, type ModelFiles, modelOf } from './opened.js';
import { elementsOf, type StoredTensor, storedTensor } from './stored-tensor.js';

const isRecord = (value: Json | undefined): value is { readonly [name: string]: Json } =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const isDType = (value: Json | undefined): value is Exclude<DType, 'STRING'> =>
  typeof value === 'string' && Object.hasOwn(BITS, value);

/** True when the file begins as a safetensors file does: a plausible length, then `{`. A GGUF file of 14 GB has a longer one. */
export function looksLikeSafetensors(head: Uint8Array): boolean {
  if (head.length < 9 || head[8] !== 0x7b) return false;
  return new DataView(head.buffer, head.byteOffset, 8).getBigUint64(0, true) <= BigInt(MAX_SAFETENSORS_HEADER);
}

interface Header {
  readonly tensors: readonly StoredTensor[];
  readonly metadata: ReadonlyMap<string, string>;
}

async function readHeader(source: ByteSource): Promise<Header> {
  const head = new Cursor(await source.slice(0, Math.min(8, source.byteLength)), 'SAFETENSORS');
  const length = head.safeU64();
  if (length > MAX_SAFETENSORS_HEADER) {
    head.fail('HEADER_TOO_LONG', 'the header is longer than any real one', {
      expected: `at most ${MAX_SAFETENSORS_HEADER} bytes`,
      got: String(length),
      where: `${source.name} byte 0`,
    });
  }
  if (8 + length > source.byteLength) {
    head.fail('TRUNCATED', 'the file ends inside its header', {
      expected: `${8 + length} bytes`,
      got: `${source.byteLength} bytes`,
      where: `${source.name} byte ${source.byteLength}`,
      todo: 'the file is truncated; fetch it again',
    });
  }
  const where = `${source.name} byte 8`;
  const bytes = await source.slice(8, 8 + length);
  const header = bytes[0] === 0x7b ? parseBoundedJson(bytes, where) : undefined;
  if (!isRecord(header)) throw inputError('SAFETENSORS_HEADER', 'the header is not a JSON object', { where });
  return readEntries(source, header, 8 + length);
}

function readEntries(source: ByteSource, header: { readonly [name: string]: Json }, dataStart: number): Header {
  const metadata = new Map<string, string>();
  const placed: { begin: number; end: number; tensor: StoredTensor }[] = [];
  for (const [name, entry] of Object.entries(header)) {
    if (name === '__metadata__') {
      const pairs = isRecord(entry) ? Object.entries(entry) : [];
      if (!isRecord(entry) || pairs.some(([, value]) => typeof value !== 'string')) {
        throw inputError('SAFETENSORS_ENTRY', '__metadata__ is not a map of text to text', {
          where: `${source.name} byte 8`,
        });
      }
      for (const [key, value] of pairs) metadata.set(key, value as string);
      continue;
    }
    placed.push(readEntry(source, name, entry, dataStart));
    if (placed.length > MAX_TENSORS) {
      throw inputError('SAFETENSORS_TOO_MANY', `more than ${MAX_TENSORS} tensors`, { where: source.name });
    }
  }
  checkPacked(source, placed, dataStart);
  return { tensors: placed.map((p) => p.tensor), metadata };
}

function readEntry(source: ByteSource, name: string, entry: Json, dataStart: number) {
  const where = `${source.name}, tensor ${name}`;
  const bad = (what: string, got: unknown): never => {
    throw inputError('SAFETENSORS_ENTRY', `a header entry has no valid ${what}`, {
      got: JSON.stringify(got)?.slice(0, 80) ?? 'nothing',
      where,
    });
  };
  if (!isRecord(entry)) return bad('description', entry);
  const { dtype, shape, data_offsets: offsets } = entry;
  if (!isDType(dtype)) return bad('dtype', dtype);
  if (!Array.isArray(shape) || !shape.every((size) => typeof size === 'number')) return bad('shape', shape);
  if (!Array.isArray(offsets) || offsets.length !== 2) return bad('data_offsets', offsets);
  const [begin, end] = offsets as readonly Json[];
  if (
    typeof begin !== 'number' ||
    typeof end !== 'number' ||
    !Number.isSafeInteger(begin) ||
    !Number.isSafeInteger(end) ||
    begin < 0 ||
    begin > end
  ) {
    return bad('data_offsets', offsets);
  }
  if (dataStart + end > source.byteLength) {
    throw inputError('SAFETENSORS_TRUNCATED', 'a tensor lies beyond the end of the file', {
      expected: `${dataStart + end} bytes`,
      got: `${source.byteLength} bytes`,
      where: `${where}, byte ${dataStart + begin}`,
      todo: 'the file is truncated or its header is false; fetch it again',
    });
  }
  const storage = { kind: 'bytes', stretches: [{ source, offset: dataStart + begin, length: end - begin }] } as const;
  return {
    begin,
    end,
    tensor: storedTensor('SAFETENSORS', name, dtype, shape as number[], storage, `${where}, byte ${dataStart + begin}`),
  };
}

/** No overlaps (two names for the same bytes can hide one from a reader) and no holes (where anything may be hidden). */
function checkPacked(
  source: ByteSource,
  placed: readonly { begin: number; end: number; tensor: StoredTensor }[],
  dataStart: number,
): void {
  let at = 0;
  for (const { begin, end, tensor } of [...placed].sort((a, b) => a.begin - b.begin || a.end - b.end)) {
    if (begin !== at) {
      throw inputError('SAFETENSORS_LAYOUT', begin < at ? 'two tensors overlap' : 'there is a hole between tensors', {
        expected: `tensor ${tensor.name} to begin at ${at}`,
        got: String(begin),
        where: `${source.name} byte ${dataStart + begin}`,
      });
    }
    at = end;
  }
  if (dataStart + at !== source.byteLength) {
    throw inputError('SAFETENSORS_LAYOUT', 'there are bytes after the last tensor', {
      expected: `${dataStart + at} bytes`,
      got: `${source.byteLength} bytes`,
      where: `${source.name} byte ${dataStart + at}`,
    });
  }
}

export async function openSafetensors(source: ByteSource, files: ModelFiles): Promise<Model> {
  const { tensors, metadata } = await readHeader(source);
  return modelOf(files, { format: 'safetensors', tensors, graph: null, opset: null, metadata });
}

type Shard = Pick<Found, 'tensors' | 'metadata'>;

/**
 * A model in several files, listed by a `*.index.json`.
 * @param readShard what is in one of them
 */
export async function openSharded(
  index: ByteSource,
  files: ModelFiles,
  format: Model['format'] = 'safetensors',
  readShard: (source: ByteSource) => Promise<Shard> = readHeader,
): Promise<Model> {
  if (index.byteLength > MAX_SHARD_INDEX) {
    throw inputError('SAFETENSORS_INDEX', 'the shard index is too long', {
      expected: `at most ${MAX_SHARD_INDEX} bytes`,
      got: String(index.byteLength),
      where: index.name,
    });
  }
  const parsed = parseBoundedJson(await index.slice(0, index.byteLength), index.name);
  const map = isRecord(parsed) ? parsed.weight_map : undefined;
  if (!isRecord(map)) {
    throw inputError('SAFETENSORS_INDEX', 'the shard index has no weight_map', {
      expected: '{"weight_map": {tensor: file}}',
      where: index.name,
    });
  }
  const shards = new Map<string, { header: Shard; byName: ReadonlyMap<string, Tensor> }>();
  const tensors: Tensor[] = [];
  for (const [name, file] of Object.entries(map)) {
    if (typeof file !== 'string' || path.basename(file) !== file || shards.size > MAX_FILES) {
      throw inputError('SAFETENSORS_INDEX', 'a shard is not a plain file name', {
        got: String(file).slice(0, 100),
        where: `${index.name}, tensor ${name}`,
      });
    }
    let shard = shards.get(file);
    if (shard === undefined) {
      const header = await readShard(await files.beside(file));
      shard = { header, byName: new Map(header.tensors.map((tensor) => [tensor.name, tensor])) };
      shards.set(file, shard);
    }
    const tensor = shard.byName.get(name);
    if (tensor === undefined) {
      throw inputError('SAFETENSORS_INDEX', 'the index names a tensor that its shard does not hold', {
        expected: name,
        where: file,
      });
    }
    tensors.push(tensor);
  }
  const metadata = new Map([...shards.values()].flatMap((shard) => [...shard.header.metadata]));
  return modelOf(files, { format, tensors, graph: null, opset: null, metadata });
}

export interface SafetensorsEntry {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly values: ArrayLike<number>;
}

/** A safetensors file in memory; values are rounded once to their type. For trainers and tests. */
export function buildSafetensors(
  tensors: Readonly<Record<string, SafetensorsEntry>>,
  metadata?: Readonly<Record<string, string>>,
): Uint8Array {
  // Without a prototype: a tensor may be called `__proto__`.
  const header = Object.create(null) as Record<string, unknown>;
  if (metadata !== undefined) header.__metadata__ = metadata;
  const parts: Uint8Array[] = [];
  let at = 0;
  for (const [name, { dtype, shape, values }] of Object.entries(tensors)) {
    if (elementsOf(shape, 'SAFETENSORS', name) !== values.length) {
      throw inputError('SAFETENSORS_SIZE', 'values do not fill the shape', {
        expected: `[${shape}]`,
        got: String(values.length),
        where: name,
      });
    }
    const end = at + storedBytes(dtype, values.length);
    header[name] = { dtype, shape, data_offsets: [at, end] };
    parts.push(encodeElements(dtype, values));
    at = end;
  }
  const json = utf8(JSON.stringify(header));
  // The format aligns the values to 8 bytes by padding the header with spaces.
  const padded = new Uint8Array(Math.ceil(json.length / 8) * 8).fill(0x20);
  padded.set(json);
  const length = new Uint8Array(8);
  new DataView(length.buffer).setBigUint64(0, BigInt(padded.length), true);
  // Not as arguments: a call takes some 120,000 of them.
  return Uint8Array.from(Buffer.concat([length, padded, ...parts]));
}
