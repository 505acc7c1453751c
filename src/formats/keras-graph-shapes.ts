/**
 * Layers that reshape and join values. Sources: keras/src/layers/reshaping and /merging (Keras 2 and 3),
 * tfjs-layers/src/layers/{core,merge}.ts.
 */
import type { Json } from '../base/index.js';
import {
  addNode,
  axisOf,
  channelsFirst,
  impliedInts,
  type KerasValue,
  type LayerCall,
  type LayerRule,
  numberIn,
  plainOf,
  plainValue,
  product,
  rankOf,
  type Sizes,
  textIn,
  turnedOf,
  turnedValue,
} from './keras-graph-build.js';

/** The batch and everything else. */
const flatten: LayerRule = (call) => {
  const [x] = call.inputs;
  if (x === undefined) return null;
  const rank = rankOf(x);
  let name = plainOf(call, x);
  if (textIn(call.config, 'data_format') === 'channels_first' && rank !== null && rank > 2) {
    // Keras flattens in one order, whatever the layout.
    const perm = [0, ...Array.from({ length: rank - 2 }, (_, k) => k + 2), 1];
    name = addNode(call, 'Transpose', [name], { perm });
  }
  return [
    plainValue(addNode(call, 'Flatten', [name], { axis: 1 }), [
      x.sizes?.[0] ?? null,
      x.sizes ? product(x.sizes.slice(1)) : null,
    ]),
  ];
};

const reshape: LayerRule = (call) => {
  const [x] = call.inputs;
  const target = call.config.target_shape ?? call.config.dims;
  // TensorFlow.js writes null for −1.
  const isSize = (one: Json): boolean => one === null || (Number.isInteger(one) && (one as number) >= -1 && one !== 0);
  if (x === undefined || !Array.isArray(target) || !target.every(isSize)) return null;
  const wanted = (target as readonly (number | null)[]).map((size) => size ?? -1);
  const open = wanted.filter((size) => size === -1).length;
  if (open > 1) return null;
  const all = x.sizes === null ? null : product(x.sizes.slice(1));
  const rest = wanted.reduce((sizes, size) => (size === -1 ? sizes : sizes * size), 1);
  const found = all === null || all % rest !== 0 ? null : all / rest;
  const sizes: Sizes = wanted.map((size) => (size === -1 ? found : size));
  const shape = impliedInts(call, 'shape', [0, ...sizes.map((size) => size ?? -1)]);
  return [plainValue(addNode(call, 'Reshape', [plainOf(call, x), shape]), [x.sizes?.[0] ?? null, ...sizes])];
};

/** `dims` count the axes behind the batch, from 1. */
const permute: LayerRule = (call) => {
  const [x] = call.inputs;
  const { dims } = call.config;
  if (x === undefined || !Array.isArray(dims)) return null;
  const perm = [0, ...(dims as readonly number[])];
  if ([...perm].sort((a, b) => a - b).some((axis, k) => axis !== k)) return null;
  if (x.sizes !== null && x.sizes.length !== perm.length) return null;
  const name = addNode(call, 'Transpose', [plainOf(call, x)], { perm });
  return [plainValue(name, x.sizes && perm.map((axis) => x.sizes![axis]!))];
};

/** A vector at so many positions; more would be no sequence that a model unrolls. */
const MAX_REPEATED = 4096;

const repeatVector: LayerRule = (call) => {
  const [x] = call.inputs;
  const n = numberIn(call.config, 'n');
  if (x === undefined || rankOf(x) !== 2 || n === null || !Number.isInteger(n) || n < 1 || n > MAX_REPEATED)
    return null;
  const one = addNode(call, 'Unsqueeze', [plainOf(call, x)], { axes: [1] });
  const [batch, size] = x.sizes!;
  return [plainValue(addNode(call, 'Concat', Array<string>(n).fill(one), { axis: 1 }), [batch!, n, size!])];
};

/** Values of one rank in one form: channels first where one of them lies so alone. Null where the ranks are not one. */
function together(
  call: LayerCall,
): { readonly names: readonly string[]; readonly rank: number; readonly isTurned: boolean } | null {
  const { inputs } = call;
  const rank = inputs[0] === undefined ? null : rankOf(inputs[0]);
  if (rank === null || inputs.some((value) => rankOf(value) !== rank)) return null;
  const isTurned = inputs.some(({ turned }) => turned !== null);
  return {
    names: inputs.map((value) => (isTurned ? turnedOf(call, value, rank) : plainOf(call, value))),
    rank,
    isTurned,
  };
}

const valueIn = (isTurned: boolean, name: string, sizes: Sizes): KerasValue =>
  isTurned ? turnedValue(name, sizes) : plainValue(name, sizes);

function stretched(inputs: readonly KerasValue[]): Sizes {
  return inputs[0]!.sizes!.map((_, axis) => {
    const all = inputs.map(({ sizes }) => sizes![axis]!);
    const wide = all.filter((size) => size !== 1);
    return wide.length === 0 ? 1 : (wide.find((size) => size !== null) ?? null);
  });
}

/** @param several the operator that takes any number; null: two by two */
const merge =
  (two: string, several: string | null): LayerRule =>
  (call) => {
    const given = together(call);
    if (given === null) return null;
    const { names, isTurned } = given;
    const sizes = stretched(call.inputs);
    const [first, ...rest] = names;
    // `x + 1` is an Add of one value in Keras 3: the number stands among the arguments. Its mean has an axis.
    if (rest.length === 0 || 'axis' in call.config) return null;
    if (several !== null && (rest.length > 1 || several === two)) {
      return [valueIn(isTurned, addNode(call, several, names), sizes)];
    }
    return [
      valueIn(
        isTurned,
        rest.reduce((x, y) => addNode(call, two, [x, y]), first!),
        sizes,
      ),
    ];
  };

const subtract: LayerRule = (call) => (call.inputs.length === 2 ? merge('Sub', null)(call) : null);

const concatenate: LayerRule = (call) => {
  const given = together(call);
  const axis = given === null ? null : axisOf(numberIn(call.config, 'axis') ?? -1, given.rank);
  if (given === null || axis === null) return null;
  const { names, isTurned, rank } = given;
  const sizes = stretched(call.inputs).map((size, at) => {
    if (at !== axis) return size;
    const all = call.inputs.map((value) => value.sizes![at]!);
    return all.some((one) => one === null) ? null : all.reduce<number>((sum, one) => sum + one!, 0);
  });
  const at = isTurned ? channelsFirst(rank).indexOf(axis) : axis;
  return [valueIn(isTurned, addNode(call, 'Concat', names, { axis: at }), sizes)];
};

/** One layer of Keras 1 that did what the others do since. */
const merging: LayerRule = (call) => {
  const rules: Readonly<Record<string, LayerRule>> = {
    sum: merge('Add', 'Sum'),
    mul: merge('Mul', null),
    ave: merge('Mean', 'Mean'),
    max: merge('Max', 'Max'),
    concat: (inner) => concatenate({ ...inner, config: { axis: inner.config.concat_axis ?? -1 } }),
  };
  const mode = textIn(call.config, 'mode') ?? 'sum';
  return Object.hasOwn(rules, mode) ? rules[mode]!(call) : null;
};

export const SHAPE_LAYERS: Readonly<Record<string, LayerRule>> = {
  Flatten: flatten,
  Reshape: reshape,
  Permute: permute,
  RepeatVector: repeatVector,
  Add: merge('Add', 'Sum'),
  Subtract: subtract,
  Multiply: merge('Mul', null),
  Average: merge('Mean', 'Mean'),
  Maximum: merge('Max', 'Max'),
  Minimum: merge('Min', 'Min'),
  Concatenate: concatenate,
  Merge: merging,
};
