/**
 * TensorFlow.js: a `model.json` whose `weightsManifest` lists groups of weights, each group the bytes of its files one
 * after the other; also the bare manifest that older converters wrote. Source: `io/types.ts` and `io_utils.ts` of
 * tensorflow/tfjs (`WeightsManifestConfig`, `decodeWeights`).
 */
import { type ByteSource, type ErrorFacts, inputError, type Json } from '../base/index.js';
import { parseBoundedJson } from './bounded-json.js';
import { storedBytes } from './elements.js';
import { ForwardReader } from './forward-reader.js';
import { graphOfTfjsLayers } from './keras-graph-tfjs.js';
import { MAX_TENSORS, MAX_TFJS_JSON, MAX_TFJS_STRINGS } from './limits.js';
import type { DType, Model } from './model.js';
import { type ModelFiles, modelOf } from './opened.js';
import { elementsOf, type StoredTensor, type Stretch, storedTensor } from './stored-tensor.js';
import { graphOfTfjs } from './tfjs-graph.js';
import { layoutsOf } from './tfjs-layout.js';

type JsonRecord = { readonly [name: string]: Json };
const isRecord = (value: Json | undefined): value is JsonRecord =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const refuse = (code: string, message: string, facts: ErrorFacts): never => {
  throw inputError(`TFJS_${code}`, message, facts);
};

const TYPES: Readonly<Record<string, DType>> = { float32: 'F32', int32: 'I32', bool: 'BOOL', string: 'STRING' };
const CODES: Readonly<Record<string, 'U8' | 'U16' | 'F16'>> = { uint8: 'U8', uint16: 'U16', float16: 'F16' };

/**
 * @returns null for JSON of something else
 * @throws `TFJS_MANIFEST`, `TFJS_DTYPE`, `TFJS_QUANTISATION`, `TFJS_SHAPE`, `TFJS_SIZE`, `TFJS_TRUNCATED`, `TFJS_TOO_MANY`,
 * `MODEL_PATH_ESCAPES`, `MODEL_PART_MISSING`, `JSON_…`, `KERAS_CONFIG`, `KERAS_TOO_MANY`, `KERAS_TOO_DEEP`
 */
export async function openTfjs(source: ByteSource, files: ModelFiles): Promise<Model | null> {
  if (source.byteLength > MAX_TFJS_JSON) return null;
  const bytes = await source.slice(0, source.byteLength);
  if (!Buffer.from(bytes).includes('"paths"')) return null;
  const json = parseBoundedJson(bytes, source.name);
  const manifest = isRecord(json) ? json.weightsManifest : json;
  if (!Array.isArray(manifest) || !manifest.some((group) => isRecord(group) && 'paths' in group)) return null;
  const layouts = layoutsOf(isRecord(json) ? json.modelTopology : undefined);
  const tensors: StoredTensor[] = [];
  const named = new Set<ByteSource>();
  for (const [index, group] of (manifest as readonly Json[]).entries()) {
    await readGroup(group, files, `${source.name}, group ${index}`, named, tensors);
  }
  const placed = tensors.map((tensor) => {
    const outputsFirst = layouts(tensor);
    return outputsFirst === undefined ? tensor : { ...tensor, outputsFirst };
  });
  const byName = new Map(placed.map((tensor) => [tensor.name, tensor]));
  const topology = isRecord(json) ? json.modelTopology : undefined;
  const graph = await graphOfTfjs(topology, byName, source.name);
  const layers = graph === null ? graphOfTfjsLayers(topology, byName, source.name) : null;
  return modelOf(files, {
    format: 'tfjs',
    tensors: placed.map((tensor) => layers?.views.get(tensor.name) ?? tensor),
    graph: graph ?? layers?.graph ?? null,
    opset: null,
    metadata: new Map(
      ['format', 'generatedBy', 'convertedBy'].flatMap((key) => {
        const value = isRecord(json) ? json[key] : undefined;
        return typeof value === 'string' ? [[key, value] as const] : [];
      }),
    ),
  });
}

/** @param named files of the groups before */
async function readGroup(
  group: Json,
  files: ModelFiles,
  where: string,
  named: Set<ByteSource>,
  tensors: StoredTensor[],
): Promise<void> {
  const { paths, weights } = isRecord(group) ? group : { paths: undefined, weights: undefined };
  if (!Array.isArray(paths) || !paths.every((path) => typeof path === 'string') || !Array.isArray(weights)) {
    return refuse('MANIFEST', 'a group of weights lacks its paths or its weights', {
      expected: '{"paths": [text, …], "weights": [{"name", "shape", "dtype"}, …]}',
      where,
    });
  }
  const parts: ByteSource[] = [];
  for (const path of paths as readonly string[]) {
    const part = await files.beside(path);
    if (named.has(part)) refuse('MANIFEST', 'the manifest names a file twice', { got: path.slice(0, 200), where });
    named.add(part);
    parts.push(part);
  }
  const all = joined(parts, where);
  let at = 0;
  for (const weight of weights as readonly Json[]) {
    if (tensors.length >= MAX_TENSORS) refuse('TOO_MANY', `more than ${MAX_TENSORS} weights`, { where });
    const entry = readEntry(weight, where);
    const length =
      entry.dtype === 'STRING' ? await lengthOfStrings(all, at, entry) : storedBytes(entry.code, entry.elements);
    if (at + length > all.byteLength) {
      refuse('TRUNCATED', 'the files of a group end before its weights do', {
        expected: `${at + length} bytes`,
        got: `${all.byteLength} bytes in ${paths.length} ${paths.length === 1 ? 'file' : 'files'}`,
        where: entry.where,
        todo: 'a file is truncated or missing from the manifest; fetch the model again',
      });
    }
    tensors.push(tensorOf(entry, all.pieces(at, at + length)));
    at += length;
  }
  if (at !== all.byteLength) {
    refuse('SIZE', 'the files of a group hold more than its weights', {
      expected: `${at} bytes`,
      got: `${all.byteLength} bytes`,
      where,
      todo: 'the manifest is of other files; fetch the model again',
    });
  }
}

interface Entry {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly elements: number;
  /** What is stored. */
  readonly code: DType;
  /** value = code · scale + min */
  readonly affine: { readonly scale: number; readonly min: number } | null;
  readonly where: string;
}

function readEntry(weight: Json, group: string): Entry {
  const { name, shape, dtype, quantization } = isRecord(weight) ? weight : ({} as JsonRecord);
  if (typeof name !== 'string' || !Array.isArray(shape) || !shape.every((size) => typeof size === 'number')) {
    return refuse('MANIFEST', 'a weight has no name or no shape', {
      got: JSON.stringify(weight).slice(0, 100),
      where: group,
    });
  }
  const where = `${group}, weight ${name.slice(0, 200)}`;
  const known = typeof dtype === 'string' && Object.hasOwn(TYPES, dtype) ? TYPES[dtype] : undefined;
  if (known === undefined) {
    return refuse('DTYPE', 'a weight has a type that is not read', {
      expected: Object.keys(TYPES).join(', '),
      got: JSON.stringify(dtype)?.slice(0, 40) ?? 'none',
      where,
      todo: 'convert the model to ONNX: python -m tf2onnx.convert --tfjs model.json --output MODEL.onnx',
    });
  }
  const facts = {
    name,
    shape: shape as readonly number[],
    elements: elementsOf(shape as number[], 'TFJS', where),
    where,
  };
  if (quantization === undefined) return { ...facts, dtype: known, code: known, affine: null };
  const { dtype: stored, scale, min } = isRecord(quantization) ? quantization : ({} as JsonRecord);
  const code = typeof stored === 'string' && Object.hasOwn(CODES, stored) ? CODES[stored] : undefined;
  if (code === 'F16' && known === 'F32') return { ...facts, dtype: 'F16', code, affine: null };
  const fits = code !== undefined && code !== 'F16' && (known === 'F32' || known === 'I32');
  if (!fits || typeof scale !== 'number' || typeof min !== 'number') {
    return refuse('QUANTISATION', 'a weight is quantised in a way that TensorFlow.js does not know', {
      expected: 'uint8 or uint16 with numbers scale and min for float32 and int32, or float16 for float32',
      got: `${JSON.stringify(quantization).slice(0, 100)} for ${dtype}`,
      where,
    });
  }
  return { ...facts, dtype: known, code, affine: { scale, min } };
}

function tensorOf({ name, dtype, code, shape, affine, where }: Entry, stretches: readonly Stretch[]): StoredTensor {
  const codes = storedTensor('TFJS', name, code, shape, { kind: 'bytes', stretches }, where);
  if (affine === null) return codes;
  const { scale, min } = affine;
  // As TensorFlow.js: a float64 product and sum, then one rounding into the typed array.
  const expand =
    dtype === 'I32'
      ? (value: number) => Math.round(value * scale + min) | 0
      : (value: number) => Math.fround(value * scale + min);
  const read = async (start: number, end: number) => (await codes.read(start, end)).map(expand);
  return {
    ...storedTensor('TFJS', name, dtype, shape, { kind: 'values', read }, where),
    packed: { as: code === 'U8' ? 'uint8' : 'uint16', bits: code === 'U8' ? 8 : 16 },
  };
}

/** The files of a group, as one. */
interface Group extends ByteSource {
  /** Bytes [start, end), as pieces of the files. */
  pieces(start: number, end: number): readonly Stretch[];
}

function joined(parts: readonly ByteSource[], name: string): Group {
  const starts: number[] = [];
  let byteLength = 0;
  for (const part of parts) {
    starts.push(byteLength);
    byteLength += part.byteLength;
  }
  const pieces = (start: number, end: number): readonly Stretch[] => {
    const found: Stretch[] = [];
    for (let i = lastAtOrBefore(starts, start); i < parts.length && starts[i]! < end; i++) {
      const from = Math.max(0, start - starts[i]!);
      const to = Math.min(parts[i]!.byteLength, end - starts[i]!);
      if (from < to) found.push({ source: parts[i]!, offset: from, length: to - from });
    }
    return found;
  };
  return {
    name,
    byteLength,
    pieces,
    async slice(start, end) {
      return Buffer.concat(
        await Promise.all(
          pieces(start, end).map(({ source, offset, length }) => source.slice(offset, offset + length)),
        ),
      );
    },
    close: async () => undefined,
  };
}

/** By halves: thousands of files times thousands of weights would take minutes one by one. */
function lastAtOrBefore(starts: readonly number[], at: number): number {
  let [low, high] = [0, starts.length];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (starts[middle]! <= at) low = middle;
    else high = middle;
  }
  return low;
}

/** Texts lie one after the other, each behind its length. */
async function lengthOfStrings(all: ByteSource, at: number, { elements, where }: Entry): Promise<number> {
  if (elements > MAX_TFJS_STRINGS) {
    refuse('TOO_MANY', 'a weight holds more texts than any vocabulary', {
      expected: `at most ${MAX_TFJS_STRINGS}`,
      got: String(elements),
      where,
    });
  }
  const reader = new ForwardReader(all, 'TFJS');
  reader.skip(at);
  await reader.skipRuns(elements, 4);
  return reader.offset - at;
}
