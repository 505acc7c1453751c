/** Releases of the dense stacks of `align`'s test helpers: plan, keys and values, with no file and no ledger. */
import { planGroups } from '../../align/index.js';
import { type Dense, denseModel } from '../../align/testing/dense.js';
import { sha256, sha256Hex, utf8 } from '../../base/index.js';
import { groupOrders, type OpenedKeys, type ReleasePlan, releasedTensor } from '../index.js';

export function densePlan(widths: readonly number[], strength = 0.05, batches = 2): ReleasePlan {
  const model = denseModel(widths);
  return {
    version: 1,
    strength,
    batches,
    groups: model.groups.map(({ id, size, incoming, outgoing }, index) => ({
      id,
      size,
      batch: index % batches,
      segments: [...incoming, ...outgoing],
    })),
    marked: [...model.tensors]
      .filter(([, tensor]) => tensor.role === 'weight')
      .map(([tensor, { shape }]) => ({
        tensor,
        rows: shape[0]!,
        width: shape[1]!,
        perBatch: Math.ceil(shape[0]! / batches),
      })),
    test: planGroups(model),
  };
}

export const testKeys = (label: string, batches = 2): OpenedKeys => ({
  release: label,
  original: sha256Hex(utf8('original')),
  beacon: sha256Hex(utf8('beacon')),
  seeds: new Map(Array.from({ length: batches }, (_, b) => [b, sha256(utf8(`${label} batch ${b}`))])),
});

/** The release, rounded to float32 as a file would hold it. */
export function released(plan: ReleasePlan, keys: OpenedKeys, original: Dense): Dense {
  const orders = groupOrders(plan, keys);
  return new Map(
    [...original].map(([name, { shape, values }]) => {
      const out = releasedTensor(plan, keys, orders, name, shape, values, null);
      return [name, { shape, values: Float64Array.from(Float32Array.from(out)) }];
    }),
  );
}
