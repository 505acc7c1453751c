/** A weight of a Keras model with what is known of it, and the tensors made of them. */
import type { Hdf5, Hdf5Dataset, Hdf5Group } from './hdf5.js';
import { type KerasWeights, refuseKeras } from './keras-config.js';
import { MAX_TENSORS, MAX_TEXT } from './limits.js';
import type { Tensor } from './model.js';
import type { StoredTensor } from './stored-tensor.js';
import { layoutOfVariable } from './tfjs-layout.js';

export interface KerasWeight {
  readonly dataset: Hdf5Dataset;
  /** As Keras calls it: `dense/kernel`. */
  readonly name: string;
  /** With the names of all models and layers around it, for weights whose names are the same. */
  readonly fullName: string;
  /** The layer of the configuration, `outer/inner` for one of a nested model, and the weight's path in it. */
  readonly layer: string | null;
  readonly within: readonly string[];
  /** Classes of the layer and of those around it, the innermost first; empty where nothing tells. */
  readonly kinds: readonly string[];
}

/** Weights as they are found, and the characters of their names. */
export interface Gathered {
  readonly list: KerasWeight[];
  text: number;
}

/** @throws `KERAS_TOO_MANY` */
export function addWeight(found: Gathered, weight: KerasWeight): void {
  found.text += weight.name.length + weight.fullName.length;
  if (found.list.length >= MAX_TENSORS || found.text > MAX_TEXT) {
    refuseKeras('TOO_MANY', 'the weights have more names than those of any real model', {
      expected: `at most ${MAX_TENSORS} weights and ${MAX_TEXT} characters`,
      where: weight.dataset.path.slice(0, 200),
    });
  }
  found.list.push(weight);
}

/**
 * Every array of the file, the weights first and in their order.
 * @param isWritable false where the file itself cannot be changed in place
 * @throws `HDF5_DTYPE` for an array that is no number or text
 */
export async function tensorsOf(
  h5: Hdf5,
  weights: readonly KerasWeight[],
  isWritable = true,
): Promise<{ readonly tensors: readonly StoredTensor[]; readonly weights: KerasWeights }> {
  const counts = new Map<string, number>();
  for (const { name } of weights) counts.set(name, (counts.get(name) ?? 0) + 1);
  const taken = new Set<string>();
  const repeats = new Map<string, number>();
  const unique = (wanted: string): string => {
    let name = wanted;
    while (taken.has(name)) {
      const next = (repeats.get(wanted) ?? 0) + 1;
      repeats.set(wanted, next);
      name = `${wanted}#${next}`;
    }
    taken.add(name);
    return name;
  };
  const tensors: StoredTensor[] = [];
  const used = new Set<Hdf5Dataset>();
  for (const weight of weights) {
    used.add(weight.dataset);
    const name = unique(counts.get(weight.name) === 1 ? weight.name : weight.fullName);
    const plain = await tensorOf(h5, weight.dataset, name);
    const variable = weight.within.at(-1) ?? '';
    const part = weight.within.at(-2) ?? '';
    const isKnown = weight.kinds.length > 0 || plain.shape.length === 2;
    const outputsFirst = isKnown ? layoutOfVariable(weight.kinds, part, variable, plain.shape.length) : undefined;
    tensors.push(outputsFirst === undefined ? plain : { ...plain, outputsFirst });
  }
  for (const dataset of datasetsIn(h5.root)) {
    if (!used.has(dataset)) tensors.push(await tensorOf(h5, dataset, unique(dataset.path)));
  }
  const found = isWritable ? untied(h5, tensors) : tensors.map((tensor) => ({ ...tensor, writable: false }));
  return { tensors: found, weights: byLayer(weights.map((weight, k) => ({ weight, tensor: found[k]! }))) };
}

/** An array with several names cannot be changed under one of them alone. */
function untied(h5: Hdf5, tensors: readonly StoredTensor[]): readonly StoredTensor[] {
  const names = new Map<number, number>();
  for (const { dataset } of datasetsIn(h5.root)) names.set(dataset.at, (names.get(dataset.at) ?? 0) + 1);
  const places = new Set(
    datasetsIn(h5.root).flatMap(({ dataset }) =>
      dataset.stretch !== null && names.get(dataset.at) !== 1 ? [dataset.stretch.at] : [],
    ),
  );
  const isTied = ({ storage }: StoredTensor): boolean =>
    storage.kind === 'bytes' && storage.stretches.some(({ offset }) => places.has(offset));
  return tensors.map((tensor) => (isTied(tensor) ? { ...tensor, writable: false } : tensor));
}

/** Keras 3 stores bfloat16 as two bytes of no type, and says so beside them. */
async function tensorOf(h5: Hdf5, { dataset, attributes, path }: Hdf5Dataset, name: string): Promise<StoredTensor> {
  const { type } = dataset;
  if (type.kind === 'opaque' && type.size === 2) {
    const [dtype] = (await h5.texts(attributes, 'dtype')) ?? [];
    if (dtype === 'bfloat16') return dataset.tensor(name, 'BF16');
  }
  if (type.kind === 'opaque' || type.kind === 'other') {
    h5.fail('DTYPE', 'an array has elements of a type that is not read', dataset.at, {
      expected: 'integers, floats of 2, 4 or 8 bytes, text',
      got: `${path.slice(0, 200)}: ${type.kind === 'opaque' ? 'bytes of no type' : type.name} of ${type.size} bytes`,
      todo: 'copy the arrays of weights into a new file with h5py',
    });
  }
  return dataset.tensor(name);
}

export function datasetsIn(group: Hdf5Group): readonly Hdf5Dataset[] {
  return [...group.members.values()].flatMap((member) => (member.kind === 'group' ? datasetsIn(member) : [member]));
}

function byLayer(
  weights: readonly { readonly weight: KerasWeight; readonly tensor: Tensor }[],
): ReadonlyMap<string, ReadonlyMap<string, Tensor>> {
  const layers = new Map<string, { readonly path: readonly string[]; readonly tensor: Tensor }[]>();
  for (const { weight, tensor } of weights) {
    if (weight.layer === null) continue;
    const path = sided(weight.within);
    const known = layers.get(weight.layer);
    if (known === undefined) layers.set(weight.layer, [{ path, tensor }]);
    else known.push({ path, tensor });
  }
  return new Map([...layers].map(([layer, all]) => [layer, byShortestEnd(all)]));
}

/** `forward_lstm/lstm_cell/kernel` → `forward/kernel`. */
function sided(path: readonly string[]): readonly string[] {
  const side = path.length > 1 ? /^(forward|backward)(_|$)/.exec(path[0]!)?.[1] : undefined;
  return side === undefined ? path : [side, path.at(-1)!];
}

/** Ends of a path, the shortest first: a name, with what it belongs to, …; then the whole. */
const endsOf = (path: readonly string[]): readonly string[] =>
  [1, 2, 3, path.length].filter((length) => length <= path.length).map((length) => path.slice(-length).join('/'));

function byShortestEnd(
  all: readonly { readonly path: readonly string[]; readonly tensor: Tensor }[],
): ReadonlyMap<string, Tensor> {
  const counts = new Map<string, number>();
  for (const { path } of all) {
    for (const end of new Set(endsOf(path))) counts.set(end, (counts.get(end) ?? 0) + 1);
  }
  return new Map(
    all.map(({ path, tensor }) => [endsOf(path).find((end) => counts.get(end) === 1) ?? tensor.name, tensor]),
  );
}
