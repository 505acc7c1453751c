/** What a model file holds: layers, storage, unit groups, constants, and a digest of its weights that survives lossless conversion. */
import { createHash } from 'node:crypto';
import { noProgress, type Progress, sha256Hex, utf8 } from '../base/index.js';
import type { DType, Model } from '../formats/index.js';
import {
  type CanonicaliseOptions,
  type CanonicalModel,
  type CanonicalTensor,
  canonicalise,
  type UnitGroup,
} from '../structure/index.js';
import { type Architecture, architectureOf } from './architecture.js';
import { type TreesReport, treesReport } from './trees-report.js';

/** Up to so many bytes of weights the digest is made without being asked for: a second or two. */
export const DIGEST_BY_DEFAULT = 1024 ** 3;

export interface Layer {
  readonly tensor: string;
  readonly role: CanonicalTensor['role'];
  /** Canonical: outputs first. */
  readonly shape: readonly number[];
  readonly elements: number;
  readonly dtype: DType;
  readonly quantisation: CanonicalTensor['quantisation'];
  /** GGUF's blocks, TensorFlow.js' codes: their own name and bits per element, scales included. */
  readonly packed: CanonicalTensor['packed'];
  /** `learned`, or what kind of constant. */
  readonly nature: string;
}

export interface Inspection {
  readonly format: Model['format'];
  readonly files: number;
  readonly bytes: number;
  readonly tensors: number;
  /** Elements of learned tensors, and of the others. */
  readonly parameters: number;
  readonly constantElements: number;
  /** By type, or by coding. */
  readonly storage: Readonly<Record<string, { readonly tensors: number; readonly elements: number }>>;
  readonly architecture: Architecture;
  readonly layers: readonly Layer[];
  readonly groups: readonly UnitGroup[];
  readonly constants: readonly { readonly tensor: string; readonly what: string }[];
  readonly leftOut: CanonicalModel['leftOut'];
  /** Ensembles of decision trees; their numbers are among `parameters`. */
  readonly trees: readonly TreesReport[];
  /** SHA-256 over the learned tensors and trees in canonical layout, without names and order; null where it was not asked for. */
  readonly weights: string | null;
  readonly bytesRead: number;
}

export interface InspectOptions extends CanonicaliseOptions {
  /** Not given: up to `DIGEST_BY_DEFAULT`. */
  readonly digest?: boolean;
  readonly progress?: Progress;
}

/** @throws what `canonicalise` and reading throw */
export async function inspectModel(model: Model, options: InspectOptions = {}): Promise<Inspection> {
  const canonical = await canonicalise(model, { settings: true, ...options });
  const layers = [...canonical.tensors.values()].map(layerOf);
  const learned = layers.filter((one) => one.nature === 'learned');
  const trees = (model.trees ?? []).map(treesReport);
  const inLayers = learned.reduce((sum, one) => sum + one.elements, 0);
  const parameters = inLayers + trees.reduce((sum, one) => sum + one.parameters, 0);
  const bytes = model.sources.reduce((sum, source) => sum + source.byteLength, 0);
  return {
    format: model.format,
    files: model.sources.length,
    bytes,
    tensors: model.tensors.size,
    parameters,
    constantElements: layers.reduce((sum, one) => sum + one.elements, 0) - inLayers,
    storage: storageOf(model),
    architecture: architectureOf(model),
    layers,
    groups: canonical.groups,
    constants: layers.flatMap(({ tensor, nature }) => (nature === 'learned' ? [] : [{ tensor, what: nature }])),
    leftOut: canonical.leftOut,
    trees,
    weights:
      (options.digest ?? bytes <= DIGEST_BY_DEFAULT)
        ? await weightsDigest(
            canonical,
            options.progress,
            trees.map((one) => one.sha256),
          )
        : null,
    bytesRead: model.bytesRead,
  };
}

function storageOf(model: Model): Inspection['storage'] {
  const storage: Record<string, { tensors: number; elements: number }> = {};
  for (const { dtype, packed, elements } of model.tensors.values()) {
    const stored = packed?.as ?? dtype;
    const before = storage[stored] ?? { tensors: 0, elements: 0 };
    storage[stored] = { tensors: before.tensors + 1, elements: before.elements + elements };
  }
  return storage;
}

function layerOf({ name, role, shape, dtype, quantisation, packed, nature }: CanonicalTensor): Layer {
  const elements = shape.reduce((product, size) => product * size, 1);
  return {
    tensor: name,
    role,
    shape,
    elements,
    dtype,
    quantisation,
    packed,
    nature: nature.kind === 'learned' ? 'learned' : nature.what,
  };
}

/**
 * One digest for every lossless conversion of a model: each learned tensor is hashed over its canonical shape and its
 * values as little-endian float64 in canonical order, dequantised; the digests are sorted, so that names, order and
 * format do not matter. Scalars and shapes that exporters add are no learned tensors and stay out. Null where no tensor
 * is learned.
 * @param trees digests of the model's tree ensembles, which count as learned tensors do
 */
export async function weightsDigest(
  canonical: CanonicalModel,
  progress: Progress = noProgress,
  trees: readonly string[] = [],
): Promise<string | null> {
  const learned = [...canonical.tensors.values()].filter(isWeight);
  if (learned.length + trees.length === 0) return null;
  const digests = [...trees];
  for (const [index, tensor] of learned.entries()) {
    progress.update(index, learned.length, tensor.name);
    const hash = createHash('sha256').update(utf8(`${tensor.shape.join(',')}\n`));
    for await (const values of inBlocks(tensor)) hash.update(littleEndian(values));
    digests.push(hash.digest('hex'));
  }
  return sha256Hex(utf8(`${digests.sort().join('\n')}\n`));
}

/** A format without names for roles says nothing of them; then a learned array of numbers counts. */
const isWeight = ({ nature, role, dtype, shape }: CanonicalTensor): boolean =>
  nature.kind === 'learned' &&
  (role !== 'other' || (/^B?F/.test(dtype) && shape.reduce((product, size) => product * size, 1) > SCRAPS));

/** Axes, scales and the like that exporters leave behind hold no more. */
const SCRAPS = 16;

/** Elements read at once: 128 MB of float64. */
const BLOCK = 2 ** 24;

/** Canonical order. Minus zero and zero are one value: conversions do not keep them apart. */
async function* inBlocks(tensor: CanonicalTensor): AsyncGenerator<Float64Array> {
  const [rows = 1, ...rest] = tensor.shape;
  const width = rest.reduce((product, size) => product * size, 1);
  if (rows * width <= BLOCK) yield (await tensor.read()).map(plainZero);
  else {
    const step = Math.max(1, Math.floor(BLOCK / width));
    for (let at = 0; at < rows; at += step) {
      const block = Array.from({ length: Math.min(step, rows - at) }, (_, i) => at + i);
      yield (await tensor.readRows(block)).map(plainZero);
    }
  }
}

const plainZero = (value: number): number => (value === 0 ? 0 : value);

const IS_LITTLE = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

function littleEndian(values: Float64Array): Uint8Array {
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  if (IS_LITTLE) return bytes;
  const view = new DataView(new ArrayBuffer(values.byteLength));
  for (const [index, value] of values.entries()) view.setFloat64(index * 8, value, true);
  return new Uint8Array(view.buffer);
}
