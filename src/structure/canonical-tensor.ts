/** A stored tensor as everything above sees it: one layout, dequantised. */
import type { DType, Tensor } from '../formats/index.js';
import { layoutOf } from './layout.js';
import type { Quantisation } from './quantisation.js';
import { sampledNatureOf } from './sampled-nature.js';
import type { TensorNature } from './types.js';
import type { Role, Use } from './walk.js';

export interface CanonicalTensor {
  /** Logical name: quantisation suffixes stripped. */
  readonly name: string;
  readonly stored: string;
  /** Canonical: axis 0 are the outputs. */
  readonly shape: readonly number[];
  readonly role: Role;
  readonly nature: TensorNature;
  readonly quantisation: { readonly bits: number; readonly granularity: 'tensor' | 'channel' } | null;
  /** The coding that the file holds where only expansion makes numbers of it (`Tensor.packed`). */
  readonly packed: NonNullable<Tensor['packed']> | null;
  /** A learned weight whose changed values can be written: a float, or an integer code under a scale of its own. */
  readonly markable: boolean;
  readonly dtype: DType;
  /** Canonical order, dequantised, not folded. */
  read(): Promise<Float64Array>;
  /** Canonical order, the stored numbers. */
  readRaw(): Promise<Float64Array>;
  /** Whole rows of canonical axis 0. */
  readRows(rows: readonly number[]): Promise<Float64Array>;
  /** Distance between neighbouring codes at each value, canonical order; null for floats. */
  steps(): Promise<Float64Array | null>;
  /** The stored numbers of values, canonical order, not yet rounded: the values themselves where they are floats. */
  encode(values: Float64Array): Float64Array;
  /** Inverse of the layout alone, for writing. */
  storedFromCanonical(values: Float64Array): Promise<Float64Array>;
}

const FLOATS: ReadonlySet<DType> = new Set<DType>(['F64', 'F32', 'F16', 'BF16']);
const CODES: ReadonlySet<DType> = new Set<DType>(['I8', 'U8', 'I4', 'U4', 'I16', 'U16']);

/** @param constant what it is known to be besides what its numbers show; null: its numbers decide */
export async function canonicalTensor(
  tensor: Tensor,
  use: Use,
  name: string,
  quantisation: Quantisation | null,
  constant: string | null,
): Promise<CanonicalTensor> {
  const { perm, role } = use;
  const layout = layoutOf(tensor.shape, perm);
  const { shape, isPlain } = layout;
  const width = shape.slice(1).reduce((all, size) => all * size, 1);
  const decode = quantisation?.decode ?? ((value: number) => value);
  const readRaw = async () => layout.toCanonical(await tensor.read(0, tensor.elements));
  const read = quantisation === null ? readRaw : async () => (await readRaw()).map(decode);
  const nature: TensorNature =
    constant === null ? await sampledNatureOf(tensor, layout, decode) : { kind: 'constant', what: constant };
  return {
    name,
    stored: tensor.name,
    shape,
    role,
    nature,
    quantisation: quantisation && { bits: quantisation.bits, granularity: quantisation.granularity },
    packed: tensor.packed ?? null,
    markable:
      role === 'weight' &&
      nature.kind === 'learned' &&
      tensor.writable &&
      (quantisation === null ? FLOATS.has(tensor.dtype) : CODES.has(tensor.dtype)),
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
    async steps() {
      if (quantisation !== null) {
        return Float64Array.from({ length: tensor.elements }, (_, at) => quantisation.step(at));
      }
      return tensor.steps === undefined ? null : layout.toCanonical(await tensor.steps(0, tensor.elements));
    },
    encode: (values) => (quantisation === null ? values : values.map(quantisation.encode)),
    storedFromCanonical: async (values) => layout.toStored(values),
  };
}
