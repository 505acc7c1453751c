/** What exactly is shared: tensors, and of which nature. */
import { spokenGroups, type WeightTable } from '../align/index.js';
import type { SharedConstant } from './constants.js';
import type { Explanation } from './explain.js';
import { hitGroups } from './order.js';
import { elementsOf } from './subject.js';
import type { Tested } from './tested.js';
import type { SharedTensor } from './types.js';

export interface Identical {
  readonly tensor: string;
  readonly elements: number;
}

/** Learned tensors equal in every value read. Shorter ones (a bias of zeros) say nothing. */
const MIN_IDENTICAL = 16;

export function identicalTensors(ours: WeightTable, theirs: WeightTable): readonly Identical[] {
  const found: Identical[] = [];
  for (const [tensor, { shape, values }] of ours.tensors) {
    const other = theirs.tensors.get(tensor)?.values;
    if (other === undefined || values.length < MIN_IDENTICAL) continue;
    if (new Set(values.subarray(0, 64)).size < 8) continue;
    if (values.every((value, k) => value === other[k])) found.push({ tensor, elements: elementsOf(shape) });
  }
  return found;
}

/** Cosine of two tensors in the same order beyond which a tensor without a unit group of its own counts as shared. */
const SAME_TENSOR = 0.5;

/** Tensors that speak for a group with hits, and others of the same pair whose values agree. */
export function relatedTensors(tested: Tested, any: boolean): readonly string[] {
  if (!any) return [];
  const groups = hitGroups(tested.order);
  return tested.plan.tensors
    .filter((tensor) => {
      if ([...spokenGroups([tensor])].some((group) => group !== null && groups.has(group))) return true;
      const ours = tested.ours.tensors.get(tensor.name)!.values;
      return ours.length >= MIN_IDENTICAL && cosine(ours, tested.theirs.tensors.get(tensor.name)!.values) > SAME_TENSOR;
    })
    .map((tensor) => tensor.name);
}

function cosine(a: Float64Array, b: Float64Array): number {
  let cross = 0;
  let aa = 0;
  let bb = 0;
  for (let k = 0; k < a.length; k++) {
    cross += a[k]! * b[k]!;
    aa += a[k]! ** 2;
    bb += b[k]! ** 2;
  }
  return aa > 0 && bb > 0 ? cross / Math.sqrt(aa * bb) : 0;
}

export function sharedList(
  tested: Tested,
  related: readonly string[],
  constants: readonly SharedConstant[],
  identical: readonly Identical[],
  explanation: Explanation | null,
): readonly SharedTensor[] {
  const other = (name: string): string => tested.pairing.names.get(name) ?? name;
  const same = new Set(identical.map(({ tensor }) => tensor));
  const learned = related.map(
    (name): SharedTensor => ({ a: name, b: other(name), nature: explanation?.kind ?? 'learned' }),
  );
  const components = identical
    .filter(({ tensor }) => !related.includes(tensor))
    .map(({ tensor }): SharedTensor => ({ a: tensor, b: other(tensor), nature: 'component' }));
  const onlyIdentical = related.length > 0 && related.every((name) => same.has(name));
  const partial = onlyIdentical && related.length < tested.plan.tensors.length;
  return [
    ...learned.map(
      (tensor): SharedTensor => (partial && tensor.nature === 'learned' ? { ...tensor, nature: 'component' } : tensor),
    ),
    ...components,
    ...constants.map(({ a, b }): SharedTensor => ({ a, b, nature: 'constant' })),
  ];
}
