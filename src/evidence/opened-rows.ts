/** Rows of a committed model, opened with their salts and proofs: what an expert bundle shows of a model, and nothing more. */
import type { Loadable, LoadableTensor, TestPlan } from '../align/index.js';
import { evidenceError, fromBase64, toBase64 } from '../base/index.js';
import {
  type CommitmentTree,
  type CommittableTensor,
  checkRow,
  foldName,
  type ModelCommitment,
  openRow,
} from '../mark/index.js';

/** One tensor, whole. */
export interface OpenedTensor {
  readonly tensor: string;
  /** Base64 of float64 little-endian, rows × width: JSON has no NaN, and decimal digits could round. */
  readonly values: string;
  /** Per row: salt and audit path, hex. */
  readonly rows: readonly { readonly salt: string; readonly path: readonly string[] }[];
}

export interface OpenedModel {
  readonly root: string;
  readonly layout: ModelCommitment['layout'];
  readonly tensors: readonly OpenedTensor[];
}

const encode = (values: Float64Array): string =>
  toBase64(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));

function decode(text: string, expected: number, where: string): Float64Array {
  const bytes = fromBase64(text);
  if (bytes.length !== expected * 8) {
    throw evidenceError('BUNDLE_ROWS', 'an opened tensor has more or fewer values than were committed', {
      expected: `${expected} values`,
      got: `${bytes.length / 8}`,
      where,
    });
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return Float64Array.from({ length: expected }, (_, i) => view.getFloat64(i * 8, true));
}

/**
 * Opens whole tensors of a committed model.
 * @param valuesOf canonical values of a tensor, not folded; null where the model has no such tensor
 */
export async function openTensors(
  tree: CommitmentTree,
  secret: Uint8Array,
  names: readonly string[],
  valuesOf: (tensor: string) => Promise<Float64Array | null>,
): Promise<OpenedModel> {
  const tensors: OpenedTensor[] = [];
  for (const tensor of names) {
    const place = tree.layout.find((one) => one.tensor === tensor);
    const values = place === undefined ? null : await valuesOf(tensor);
    if (place === undefined || values === null) continue;
    const rows = Array.from({ length: place.rows }, (_, row) => {
      const { salt, path } = openRow(
        tree,
        secret,
        tensor,
        row,
        values.subarray(row * place.width, (row + 1) * place.width),
      );
      return { salt, path };
    });
    tensors.push({ tensor, values: encode(values), rows });
  }
  return { root: tree.root, layout: tree.layout, tensors };
}

/**
 * The opened tensors by name, every row checked against the committed root first.
 * @throws `MARK_ROW_NOT_COMMITTED`, `MARK_NO_SUCH_ROW`, `BUNDLE_ROWS`
 */
export function checkedValues(
  opened: OpenedModel,
  commitment: ModelCommitment,
  where: string,
): ReadonlyMap<string, Float64Array> {
  const values = new Map<string, Float64Array>();
  for (const tensor of opened.tensors) {
    const place = commitment.layout.find((one) => one.tensor === tensor.tensor);
    if (place === undefined || tensor.rows.length !== place.rows) {
      throw evidenceError('BUNDLE_ROWS', 'an opened tensor is not one that was committed whole', {
        got: tensor.tensor,
        where,
      });
    }
    const decoded = decode(tensor.values, place.rows * place.width, `${where}, ${tensor.tensor}`);
    for (const [row, { salt, path }] of tensor.rows.entries()) {
      const own = Array.from(decoded.subarray(row * place.width, (row + 1) * place.width));
      checkRow(commitment, { tensor: tensor.tensor, row, salt, values: own, path });
    }
    values.set(tensor.tensor, decoded);
  }
  return values;
}

/** The same as a model that the tests can load. @throws what `checkedValues` throws */
export function checkedModel(
  opened: OpenedModel,
  commitment: ModelCommitment,
  plan: TestPlan,
  nameOf: (tensor: string) => string,
  where: string,
): Loadable {
  const values = checkedValues(opened, commitment, where);
  const tensors = new Map<string, LoadableTensor>();
  for (const planned of plan.tensors) {
    const name = nameOf(planned.name);
    const own = values.get(name);
    if (own === undefined) continue;
    const width = own.length / (planned.full[0] ?? 1);
    tensors.set(name, {
      shape: planned.full,
      read: async () => Float64Array.from(own),
      readRows: async (rows) =>
        Float64Array.from(rows.flatMap((row) => Array.from(own.subarray(row * width, (row + 1) * width)))),
    });
  }
  return { tensors, foldFactors: async (tensor) => values.get(foldName(tensor)) ?? null };
}

/**
 * True when the opened tensors are those of a file, value for value.
 * @param parts of the file, as they are committed
 */
export async function sameValues(opened: OpenedModel, parts: readonly CommittableTensor[]): Promise<boolean> {
  const byName = new Map(parts.map((part) => [part.name, part]));
  for (const { tensor, values } of opened.tensors) {
    const part = byName.get(tensor);
    if (part === undefined || encode(await part.rows(0, part.shape[0] ?? 1)) !== values) return false;
  }
  return true;
}
