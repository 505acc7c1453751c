/**
 * Constants that prepare inputs: what meets a graph input number by number on its way into the first learned product
 * (means, scales, codes of categories, indices of the columns used). They hold the data's units, nothing that was trained.
 */
import type { GraphNode } from '../formats/index.js';
import { sizeOf, type Value } from './values.js';

/** Operators that act on each number by itself, with what stands beside it. */
const EACH = new Set(
  'Add Sub Mul Div Pow Max Min Where Equal Less Greater LessOrEqual GreaterOrEqual And Or Xor Clip'.split(' '),
);
/** Operators that hand on or move their first input, or each number of it. */
const PASSED = new Set(
  `Identity Cast Dropout Neg Abs Sqrt Exp Log Floor Ceil Round Sign Sin Cos IsNaN Not Reciprocal
  Reshape Flatten Transpose Squeeze Unsqueeze Slice Split Pad Expand
  BatchNormalization LayerNormalization InstanceNormalization MaxPool AveragePool
  QuantizeLinear DequantizeLinear DynamicQuantizeLinear`.split(/\s+/),
);

/** Tables have some dozens of such constants; a chain of many thousands would be copied node by node. */
const MAX_APPLIED = 1024;

export interface Preparation {
  /**
   * @param outputs as the operator's rule gives them
   * @param intoWeight whether the node multiplies by a stored weight
   * @returns the stored tensors applied to the outputs on their way from the inputs; undefined where they are no inputs any more
   */
  follow(
    node: GraphNode,
    inputs: readonly (Value | undefined)[],
    outputs: readonly Value[] | null,
    intoWeight: boolean,
  ): readonly string[] | undefined;
  /** Tensors whose every use prepares an input that then enters a learned product. @param used uses by name */
  constants(used: ReadonlyMap<string, number>): ReadonlySet<string>;
}

export function preparation(): Preparation {
  const preparing = new Map<string, number>();
  const confirmed = new Set<string>();
  return {
    follow(node, inputs, outputs, intoWeight) {
      const applied = [...new Set(inputs.flatMap((value) => value?.prepared ?? []))];
      if (!inputs.some((value) => value?.prepared)) return undefined;
      if (intoWeight) for (const name of applied) confirmed.add(name);
      const beside = appliedBy(node, inputs, outputs);
      if (beside === null || applied.length + beside.length > MAX_APPLIED) return undefined;
      for (const name of beside) preparing.set(name, (preparing.get(name) ?? 0) + 1);
      return [...applied, ...beside];
    },
    constants: (used) => new Set([...confirmed].filter((name) => preparing.get(name) === used.get(name))),
  };
}

/** Stored tensors that this node applies to prepared values; null where its outputs are prepared no longer. */
function appliedBy(
  { op, domain }: GraphNode,
  inputs: readonly (Value | undefined)[],
  outputs: readonly Value[] | null,
): readonly string[] | null {
  if (domain !== '' && domain !== 'ai.onnx' && domain !== 'com.microsoft') return null;
  const [first, second] = inputs;
  if (PASSED.has(op)) return first?.prepared ? [] : null;
  if (op === 'Concat') return inputs.every((value) => value?.prepared) ? [] : null;
  if (op === 'Gather') return first?.prepared ? (second?.stored ? [second.stored.tensor.name] : []) : null;
  if (!EACH.has(op)) return null;
  const given = inputs.filter((value) => value !== undefined);
  if (given.some((value) => !value.prepared && !value.stored)) return null;
  // A product that stretches the input, then a sum, is a matrix product written out: its factor is learned.
  const stretches = outputs?.[0]?.axes?.some((axis, at, all) => {
    const sizes = given.flatMap((value) =>
      value.prepared ? [sizeOf(value.axes?.[at - all.length + value.axes.length] ?? null)] : [],
    );
    return sizeOf(axis) !== 1 && !sizes.some((size) => size === sizeOf(axis));
  });
  if (stretches !== false) return null;
  return given.flatMap((value) => (value.prepared ? [] : value.stored!.tensor.name));
}
