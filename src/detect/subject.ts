/** What the tests need of a model: its canonical tensors and unit groups, whatever it was read from. */
import type { Loadable, LoadableTensor, Plannable, PlannableTensor } from '../align/index.js';
import type { UnitGroup } from '../structure/index.js';

export interface SubjectTensor extends PlannableTensor, LoadableTensor {
  readonly name: string;
  readonly dtype: string;
  /** Of the stored form: integers with scales. */
  readonly quantisation: { readonly bits: number; readonly granularity: 'tensor' | 'channel' } | null;
  /** Of the stored form: codes that are expanded on reading, by their own name. */
  readonly packed: { readonly as: string; readonly bits: number } | null;
}

export interface Subject extends Plannable, Loadable {
  /** A path, for messages. */
  readonly name: string;
  readonly format: string;
  readonly tensors: ReadonlyMap<string, SubjectTensor>;
  readonly groups: readonly UnitGroup[];
  readonly leftOut: readonly { readonly tensor: string; readonly reason: string }[];
  /** True where the unit groups come from a graph, not from names and shapes. */
  readonly fromGraph: boolean;
  /** Binds the sample to the file: its header, or its first bytes. */
  readonly digest: Uint8Array;
}

export const elementsOf = (shape: readonly number[]): number => shape.reduce((all, size) => all * size, 1);

/** Parameters that training set: everything but constants. */
export const learnedElements = (subject: Subject): number =>
  [...subject.tensors.values()]
    .filter((tensor) => tensor.nature.kind === 'learned')
    .reduce((sum, tensor) => sum + elementsOf(tensor.shape), 0);
