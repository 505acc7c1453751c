/** A canonical model as what is committed, and as what is written. */
import type { NewValues } from '../formats/index.js';
import type { CanonicalModel, CanonicalTensor } from '../structure/index.js';
import type { CommittableTensor } from './commitment.js';
import { groupOrders, releasedTensor, touchedTensors } from './derive.js';
import type { OpenedKeys } from './keys.js';
import type { ReleasePlan } from './plan.js';
import { committableTrees } from './tree-commit.js';

const range = (start: number, end: number): readonly number[] =>
  Array.from({ length: end - start }, (_, k) => start + k);

/** Name under which a tensor's fold factors are committed, one per row: no tensor of a file is named so. */
export const foldName = (tensor: string): string => `${tensor}\u0000fold`;

/** Every canonical tensor, unfolded, beside it the fold factors of those that have some, and the arrays of tree ensembles. */
export async function committable(model: CanonicalModel): Promise<readonly CommittableTensor[]> {
  const out: CommittableTensor[] = [];
  for (const tensor of model.tensors.values()) {
    out.push({ name: tensor.name, shape: tensor.shape, rows: rowsOf(tensor) });
    const fold = await model.foldFactors(tensor.name);
    if (fold === null) continue;
    out.push({ name: foldName(tensor.name), shape: [fold.length], rows: async (s, e) => fold.subarray(s, e) });
  }
  return [...out, ...committableTrees(model.model)];
}

function rowsOf(tensor: CanonicalTensor): CommittableTensor['rows'] {
  // A vector's rows are its elements; reading it once is cheaper than row by row.
  if (tensor.shape.length > 1) return (start, end) => tensor.readRows(range(start, end));
  let whole: Promise<Float64Array> | null = null;
  return async (start, end) => {
    whole ??= tensor.read();
    return (await whole).subarray(start, end);
  };
}

/**
 * New stored values of every tensor that a release changes, each derived when the writer comes to it and let go after.
 */
export function releasedValues(
  model: CanonicalModel,
  plan: ReleasePlan,
  keys: OpenedKeys,
): ReadonlyMap<string, NewValues> {
  const orders = groupOrders(plan, keys);
  const touched = touchedTensors(plan);
  const changes = new Map<string, NewValues>();
  for (const tensor of model.tensors.values()) {
    if (!touched.has(tensor.name)) continue;
    const derive = async (): Promise<Float64Array> => {
      const values = await tensor.read();
      const fold = await model.foldFactors(tensor.name);
      const steps = await tensor.steps();
      const canonical = releasedTensor(plan, keys, orders, tensor.name, tensor.shape, values, fold, steps);
      return tensor.storedFromCanonical(tensor.encode(canonical));
    };
    let held: Promise<Float64Array> | null = null;
    const { elements } = model.model.tensors.get(tensor.stored)!;
    changes.set(tensor.stored, async (start, end) => {
      held ??= derive();
      const values = await held;
      if (end >= elements) held = null;
      return values.subarray(start, end);
    });
  }
  return changes;
}
