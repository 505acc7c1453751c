/** From a model to a subject: canonical tensors and unit groups, and a digest of what was opened. */
import { sha256, utf8 } from '../base/index.js';
import type { Model } from '../formats/index.js';
import { type CanonicalModel, type CanonicalTensor, canonicalise } from '../structure/index.js';
import { elementsOf, type Subject, type SubjectTensor } from './subject.js';

/** First bytes of a file that bind the sample to it: a safetensors header, the beginning of a graph. */
const DIGEST_BYTES = 1 << 16;

/**
 * @param graph a model whose graph vouches for the unit groups of one without
 * @throws what `canonicalise` throws
 */
export async function subjectOfModel(model: Model, name: string, graph?: Model): Promise<Subject> {
  const canonical = await canonicalise(model, { settings: true, ...(graph === undefined ? {} : { graph }) });
  return subjectOfCanonical(canonical, name);
}

export async function subjectOfCanonical(canonical: CanonicalModel, name: string): Promise<Subject> {
  const { model } = canonical;
  return {
    name,
    format: model.format,
    tensors: new Map([...canonical.tensors].map(([key, tensor]) => [key, narrowed(tensor, model)])),
    groups: canonical.groups,
    leftOut: canonical.leftOut,
    fromGraph: canonical.fromGraph,
    digest: await headDigest(model),
    foldFactors: (tensor) => canonical.foldFactors(tensor),
  };
}

/**
 * Reads runs of columns straight from the stored tensor where it is stored as its canonical form is laid out: floats of
 * the same shape whose first row asked for reads the same both ways. Of a row of 8,192 values a sample needs 512.
 */
function narrowed(tensor: CanonicalTensor, model: Model): SubjectTensor {
  const stored = model.tensors.get(tensor.stored);
  const alike =
    stored !== undefined &&
    tensor.quantisation === null &&
    stored.shape.length >= 2 &&
    stored.shape.join() === tensor.shape.join();
  if (!alike) return tensor;
  const rowLength = elementsOf(tensor.shape.slice(1));
  const inner = elementsOf(tensor.shape.slice(2));
  return {
    ...tensor,
    read: () => tensor.read(),
    async readRows(rows, columns) {
      const first = rows[0];
      if (columns === undefined || first === undefined) return tensor.readRows(rows);
      const [start, end] = columns;
      const width = (end - start) * inner;
      const straight = (row: number) => stored.read(row * rowLength + start * inner, row * rowLength + end * inner);
      const check = (await tensor.readRows([first])).subarray(start * inner, end * inner);
      const once = await straight(first);
      if (!once.every((value, k) => Object.is(value, check[k]))) return tensor.readRows(rows);
      const out = new Float64Array(rows.length * width);
      await Promise.all(rows.map(async (row, k) => out.set(await straight(row), k * width)));
      return out;
    },
  };
}

async function headDigest(model: Model): Promise<Uint8Array> {
  const first = model.sources[0];
  if (first === undefined) return sha256(utf8(''));
  return sha256(utf8(String(first.byteLength)), await first.slice(0, Math.min(DIGEST_BYTES, first.byteLength)));
}

/** Whether a graph is at hand to vouch for another model's groups. */
export const hasGraph = (model: Model): boolean => model.graph !== null;
