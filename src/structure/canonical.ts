/** A model in one layout whatever wrote it: linear weights out × in, convolutions OIHW, dequantised. */
import { inputError } from '../base/index.js';
import type { DType, Graph, Model, Tensor } from '../formats/index.js';
import { groupsOf } from './groups.js';
import { layoutOf } from './layout.js';
import { groupsFromNames, roleFromName } from './names.js';
import { sampledNatureOf } from './sampled-nature.js';
import type { TensorNature, UnitGroup } from './types.js';
import { type BatchNormFold, type Role, subgraphsOf, type Use, walkGraph } from './walk.js';

export interface CanonicalTensor {
  /** Logical name: quantisation suffixes stripped. */
  readonly name: string;
  readonly stored: string;
  /** Canonical: axis 0 are the outputs. */
  readonly shape: readonly number[];
  readonly role: Role;
  readonly nature: TensorNature;
  readonly quantisation: { readonly bits: number; readonly granularity: 'tensor' | 'channel' } | null;
  /** Float storage, a learned weight, writable. */
  readonly markable: boolean;
  readonly dtype: DType;
  /** Canonical order, dequantised, not folded. */
  read(): Promise<Float64Array>;
  /** Canonical order, the stored numbers. */
  readRaw(): Promise<Float64Array>;
  /** Whole rows of canonical axis 0. */
  readRows(rows: readonly number[]): Promise<Float64Array>;
  /** Inverse of the layout alone, for writing. */
  storedFromCanonical(values: Float64Array): Promise<Float64Array>;
}

export interface CanonicalModel {
  readonly model: Model;
  readonly tensors: ReadonlyMap<string, CanonicalTensor>;
  readonly groups: readonly UnitGroup[];
  /** γ/√(var + ε) of the batch normalisation that follows, per canonical row. */
  foldFactors(name: string): Promise<Float64Array | null>;
  readonly leftOut: readonly { readonly tensor: string; readonly reason: string }[];
  readonly fromGraph: boolean;
}

export interface CanonicaliseOptions {
  /** A model of the same tensors whose graph vouches for the groups. */
  readonly graph?: Model;
  /** The owner vouches that layers follow each other by name, with no hidden residuals. */
  readonly plainStack?: boolean;
}

const MAX_INTS = 64;
const FLOATS: ReadonlySet<DType> = new Set<DType>(['F64', 'F32', 'F16', 'BF16']);
const BITS: Readonly<Partial<Record<DType, number>>> = { I4: 4, U4: 4, I8: 8, U8: 8 };

/** @throws `STRUCTURE_GRAPH_DIFFERS` where `graph` has not the same tensors */
export async function canonicalise(model: Model, options: CanonicaliseOptions = {}): Promise<CanonicalModel> {
  const graphModel = options.graph ?? model;
  if (graphModel.graph === null) return fromNames(model, options.plainStack === true);
  const walked = walkGraph(graphModel.graph, await smallInts(graphModel.graph));
  const names = new Map<string, string>();
  const tensors = new Map<string, CanonicalTensor>();
  for (const use of walked.uses.values()) {
    const tensor = model.tensors.get(use.tensor.name);
    if (tensor === undefined || tensor.shape.join() !== use.tensor.shape.join()) {
      throw inputError('STRUCTURE_GRAPH_DIFFERS', 'the graph given is of another model', {
        expected: `${use.tensor.name} ${use.tensor.shape.join(' × ')}`,
        got: tensor === undefined ? 'no such tensor' : tensor.shape.join(' × '),
      });
    }
    const plain = use.tensor.name.replace(/_quantized$/, '');
    const name = tensors.has(plain) ? use.tensor.name : plain;
    names.set(use.tensor.name, name);
    tensors.set(name, await canonicalTensor(model, tensor, use, name));
  }
  const folds = new Map([...walked.folds].map(([stored, fold]) => [names.get(stored) ?? stored, fold]));
  return {
    model,
    tensors,
    groups: groupsOf(walked, (stored) => names.get(stored)!),
    foldFactors: async (name) => {
      const fold = folds.get(name);
      return fold === undefined ? null : factors(model, fold);
    },
    leftOut: [...model.tensors.keys()]
      .filter((name) => !names.has(name))
      .map((tensor) => ({ tensor, reason: 'no operator uses it as numbers' })),
    fromGraph: true,
  };
}

async function factors(model: Model, { gamma, variance, epsilon }: BatchNormFold): Promise<Float64Array> {
  const g = await model.tensors.get(gamma.name)!.read(0, gamma.elements);
  const v = await model.tensors.get(variance.name)!.read(0, variance.elements);
  return g.map((value, k) => value / Math.sqrt(v[k]! + epsilon));
}

async function fromNames(model: Model, plainStack: boolean): Promise<CanonicalModel> {
  const tensors = new Map<string, CanonicalTensor>();
  for (const tensor of model.tensors.values()) {
    const use = { tensor, role: roleFromName(tensor), perm: tensor.shape.map((_, k) => k), node: tensor.name };
    tensors.set(tensor.name, await canonicalTensor(model, tensor, use, tensor.name));
  }
  return {
    model,
    tensors,
    groups: groupsFromNames([...model.tensors.values()], plainStack),
    foldFactors: async () => null,
    leftOut: [],
    fromGraph: false,
  };
}

async function canonicalTensor(model: Model, tensor: Tensor, use: Use, name: string): Promise<CanonicalTensor> {
  const { perm, role } = use;
  const layout = layoutOf(tensor.shape, perm);
  const { shape, isPlain } = layout;
  const quantisation = await quantisationOf(model, tensor);
  const width = shape.slice(1).reduce((all, size) => all * size, 1);
  const decode = quantisation === null ? (value: number) => value : quantisation.decoder(width);
  const readRaw = async () => {
    const values = await tensor.read(0, tensor.elements);
    return isPlain ? values : values.map((_, at) => values[layout.stored(at)]!);
  };
  const read = quantisation === null ? readRaw : async () => (await readRaw()).map(decode);
  const nature = await sampledNatureOf(tensor, layout, decode);
  return {
    name,
    stored: tensor.name,
    shape,
    role,
    nature,
    quantisation: quantisation && { bits: quantisation.bits, granularity: quantisation.granularity },
    markable: FLOATS.has(tensor.dtype) && role === 'weight' && nature.kind === 'learned' && tensor.writable,
    dtype: tensor.dtype,
    read,
    readRaw,
    async readRows(rows) {
      const out = new Float64Array(rows.length * width);
      if (isPlain && quantisation === null) {
        for (const [k, row] of rows.entries()) out.set(await tensor.read(row * width, (row + 1) * width), k * width);
        return out;
      }
      const values = await read();
      for (const [k, row] of rows.entries()) out.set(values.subarray(row * width, (row + 1) * width), k * width);
      return out;
    },
    async storedFromCanonical(values) {
      if (isPlain) return values;
      const out = new Float64Array(values.length);
      for (let at = 0; at < values.length; at++) out[layout.stored(at)] = values[at]!;
      return out;
    },
  };
}

interface Quantisation {
  readonly bits: number;
  readonly granularity: 'tensor' | 'channel';
  /** @param width elements of a canonical row */
  decoder(width: number): (value: number, at: number) => number;
}

/** As onnxruntime's quantiser names them: `X_quantized`, `X_scale`, `X_zero_point`; channels are the canonical rows. */
async function quantisationOf(model: Model, tensor: Tensor): Promise<Quantisation | null> {
  const bits = BITS[tensor.dtype];
  const base = tensor.name.replace(/_quantized$/, '');
  const scale = model.tensors.get(`${base}_scale`);
  const zero = model.tensors.get(`${base}_zero_point`);
  if (bits === undefined || base === tensor.name || scale === undefined) return null;
  const s = await scale.read(0, scale.elements);
  const z = zero === undefined ? new Float64Array(s.length) : await zero.read(0, zero.elements);
  return {
    bits,
    granularity: s.length > 1 ? 'channel' : 'tensor',
    decoder: (width) => (value, at) => {
      const k = s.length > 1 ? Math.floor(at / width) : 0;
      return (value - z[k]!) * s[k]!;
    },
  };
}

/** Shapes, axes and slices are given as small integer tensors; without them no Reshape could be followed. */
async function smallInts(graph: Graph): Promise<ReadonlyMap<string, readonly number[]>> {
  const found = new Map<string, readonly number[]>();
  for (const tensor of graph.initialisers.values()) {
    if (tensor.elements > MAX_INTS || tensor.shape.length > 1 || !/^[IU](32|64)$/.test(tensor.dtype)) continue;
    found.set(tensor.name, [...(await tensor.read(0, tensor.elements))]);
  }
  for (const inner of graph.nodes.flatMap(subgraphsOf)) {
    for (const [name, values] of await smallInts(inner)) found.set(name, values);
  }
  return found;
}
