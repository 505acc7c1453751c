/**
 * TensorFlow Lite (LiteRT): a FlatBuffer of subgraphs, whose constant tensors name a buffer with bytes. Source:
 * tensorflow/lite/schema/schema.fbs, version 3 and its additions; field numbers below are its own.
 */
import type { ByteSource } from '../base/index.js';
import { Flatbuffer, type Table } from './flatbuffers.js';
import { MAX_TFLITE_GRAPHS } from './limits.js';
import type { Model } from './model.js';
import { type ModelFiles, modelOf } from './opened.js';
import type { StoredTensor, Stretch } from './stored-tensor.js';
import { graphOf, type Subgraph } from './tflite-graph.js';
import { layoutsIn, operatorCodes } from './tflite-layout.js';
import { type Entry, Names, readEntries, type SharedParts } from './tflite-tensors.js';

export const looksLikeTflite = (head: Uint8Array): boolean =>
  Buffer.from(head.subarray(4, 8)).toString('latin1') === 'TFL3';

const MODEL = { version: 0, operatorCodes: 1, subgraphs: 2, description: 3, buffers: 4 } as const;
const SUBGRAPH = { tensors: 0, operators: 3, name: 4 } as const;
const BUFFER = { data: 0, offset: 1, size: 2 } as const;

/**
 * @throws `TFLITE_MALFORMED`, `TFLITE_TRUNCATED`, `TFLITE_VERSION`, `TFLITE_TOO_MANY`, `TFLITE_BUFFER`, `TFLITE_LAYOUT`,
 * `TFLITE_DTYPE`, `TFLITE_SHAPE`, `TFLITE_SIZE`, `TFLITE_SPARSITY`, `TFLITE_SPARSE_TOO_LARGE`, `TFLITE_QUANTISATION`, `UTF8_INVALID`
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
  const codes = await operatorCodes(model, MODEL.operatorCodes);
  const parts: SharedParts = { buffers: await buffersOf(model), names: new Names(), expanded: { last: null } };
  const subgraphs: Subgraph[] = [];
  const tensors: StoredTensor[] = [];
  for await (const table of model.tables(MODEL.subgraphs)) {
    if (subgraphs.length >= MAX_TFLITE_GRAPHS)
      model.file.fail(`more than ${MAX_TFLITE_GRAPHS} graphs`, table.at, {}, 'TOO_MANY');
    const title = (await table.text(SUBGRAPH.name)) || `subgraph${subgraphs.length}`;
    const prefix = subgraphs.length === 0 ? '' : `${title}/`;
    const read = await readEntries(table, SUBGRAPH.tensors, parts, prefix);
    const layoutOf = await layoutsIn(table, SUBGRAPH.operators, codes);
    const entries = read.map((entry, index): Entry => {
      const outputsFirst = layoutOf(index, entry.shape.length);
      if (entry.constant === null || outputsFirst === undefined) return entry;
      return { ...entry, constant: { ...entry.constant, outputsFirst } };
    });
    for (const { constant, scales } of entries) {
      if (constant !== null) tensors.push(constant);
      if (scales !== null) tensors.push(scales.scale, ...(scales.zero === null ? [] : [scales.zero]));
    }
    subgraphs.push({ table, title, prefix, entries });
  }
  const description = await model.text(MODEL.description);
  return modelOf(files, {
    format: 'tflite',
    tensors,
    graph: await graphOf(subgraphs, codes, parts.names),
    opset: null,
    metadata: new Map(description ? [['description', description]] : []),
  });
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
