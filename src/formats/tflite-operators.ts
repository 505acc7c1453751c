/**
 * TFLite's operators as ONNX nodes, so that one set of rules reads every graph. Images lie channels last there:
 * convolutions, pooling and resizing stand between transpositions. What has no counterpart keeps its number, in the
 * domain `tflite`, and nothing is claimed of it. Numbers of operators and options: schema.fbs.
 */
import { ALL_OUTPUTS, type Attributes, lastNode, type NodeSink, onImages } from './onnx-terms.js';

/** One operator while it is translated. */
export interface Operation extends NodeSink {
  /** Names of its inputs; '' for an absent one. */
  readonly inputs: readonly string[];
  /** Sizes of an input. */
  shape(input: number): readonly number[];
  /** Numbers of an input that is a small constant; null where it is computed. */
  ints(input: number): Promise<readonly number[] | null>;
  /** Options by their place in the operator's table; 0 where absent. */
  byte(field: number): Promise<number>;
  integer(field: number): Promise<number>;
  integers(field: number): Promise<readonly number[]>;
}
/** False: no counterpart here. */
type Translation = (operation: Operation) => Promise<boolean>;

const ACTIVATIONS: Readonly<Record<number, string>> = { 1: 'Relu', 2: 'Clip', 3: 'Clip', 4: 'Tanh', 5: 'Sign' };

const last = (
  operation: Operation,
  activation: number,
  op: string,
  inputs: readonly string[],
  attributes: Attributes = {},
): true => lastNode(operation, ACTIVATIONS[activation], op, inputs, attributes);

const simple =
  (op: string, attributes: Attributes = {}): Translation =>
  async (operation) =>
    last(operation, 0, op, operation.inputs, attributes);

const arithmetic =
  (op: string): Translation =>
  async (operation) =>
    last(operation, await operation.byte(0), op, operation.inputs);

const square: Translation = async (operation) =>
  last(operation, 0, 'Mul', [operation.inputs[0]!, operation.inputs[0]!]);

const padding = (code: number): Attributes => ({ auto_pad: code === 1 ? 'VALID' : 'SAME_UPPER' });
const atLeastOne = (size: number): number => Math.max(1, size);

/** @param perm the weight's axes, outputs first; @param fields places of strides, activation, dilations */
const convolution =
  (
    perm: readonly number[],
    fields: { strides: readonly number[]; activation: number; dilations: readonly number[] },
    isDepthwise = false,
  ): Translation =>
  async (operation) => {
    const [x, w, bias] = operation.inputs;
    const sizes = operation.shape(1);
    const rank = perm.length;
    if (x === undefined || !w || sizes.length !== rank || operation.shape(0).length !== rank) return false;
    const numbers = async (places: readonly number[]): Promise<readonly number[]> =>
      (await Promise.all(places.map((field) => operation.integer(field)))).map(atLeastOne);
    const attributes: Attributes = {
      ...padding(await operation.byte(0)),
      strides: await numbers(fields.strides),
      dilations: await numbers(fields.dilations),
      kernel_shape: perm.slice(2).map((axis) => sizes[axis]!),
      group: isDepthwise ? operation.shape(0).at(-1)! : 1,
    };
    const weight = operation.node('Transpose', [w], { perm });
    const others = bias ? [weight, bias] : [weight];
    return onImages(
      operation,
      x,
      rank,
      'Conv',
      others,
      attributes,
      ACTIVATIONS[await operation.byte(fields.activation)],
    );
  };

/** Inputs: sizes of the output, weight (O, H, W, I), images, perhaps a bias. */
const transposedConvolution: Translation = async (operation) => {
  const [, w, x, bias] = operation.inputs;
  if (!w || !x || operation.shape(1).length !== 4) return false;
  const weight = operation.node('Transpose', [w], { perm: [3, 0, 1, 2] });
  const others = bias ? [weight, bias] : [weight];
  return onImages(
    operation,
    x,
    4,
    'ConvTranspose',
    others,
    padding(await operation.byte(0)),
    ACTIVATIONS[await operation.byte(3)],
  );
};

const pool =
  (op: string): Translation =>
  async (operation) => {
    const [strideW, strideH, width, height] = await Promise.all([1, 2, 3, 4].map((field) => operation.integer(field)));
    const attributes = {
      ...padding(await operation.byte(0)),
      strides: [atLeastOne(strideH!), atLeastOne(strideW!)],
      kernel_shape: [atLeastOne(height!), atLeastOne(width!)],
    };
    return onImages(operation, operation.inputs[0]!, 4, op, [], attributes, ACTIVATIONS[await operation.byte(5)]);
  };

const resize: Translation = async (operation) => onImages(operation, operation.inputs[0]!, 4, 'Resize', [], {});

/** Inputs of more axes are flattened into rows as long as the weight's, unless all axes are kept. */
const fullyConnected: Translation = async (operation) => {
  const [x, w, bias] = operation.inputs;
  const [sizes, weight] = [operation.shape(0), operation.shape(1)];
  if (!x || !w || weight.length !== 2 || sizes.length < 2) return false;
  const activation = await operation.byte(0);
  const isKept = (await operation.byte(2)) !== 0 && sizes.length > 2;
  if (isKept) {
    const turned = operation.node('Transpose', [w], { perm: [1, 0] });
    if (!bias) return last(operation, activation, 'MatMul', [x, turned]);
    return last(operation, activation, 'Add', [operation.node('MatMul', [x, turned]), bias]);
  }
  const axis = sizes.at(-1) === weight[1] ? sizes.length - 1 : 1;
  const rows = sizes.length === 2 ? x : operation.node('Flatten', [x], { axis });
  return last(operation, activation, 'Gemm', bias ? [rows, w, bias] : [rows, w], { transB: 1 });
};

const batchMatMul: Translation = async (operation) => {
  const factors: string[] = [];
  for (const k of [0, 1]) {
    const rank = operation.shape(k).length;
    const turned = [...Array.from({ length: rank - 2 }, (_, axis) => axis), rank - 1, rank - 2];
    const isTurned = (await operation.byte(k)) !== 0;
    factors.push(
      isTurned ? operation.node('Transpose', [operation.inputs[k]!], { perm: turned }) : operation.inputs[k]!,
    );
  }
  return last(operation, 0, 'MatMul', factors);
};

const reduce =
  (op: string): Translation =>
  async (operation) =>
    last(operation, 0, op, operation.inputs, { keepdims: await operation.byte(0) });

const concatenation: Translation = async (operation) =>
  last(operation, await operation.byte(1), 'Concat', operation.inputs, { axis: await operation.integer(0) });

const pack: Translation = async (operation) => {
  const axis = await operation.integer(1);
  const parts = operation.inputs.map((input) => operation.node('Unsqueeze', [input], { axes: [axis] }));
  return last(operation, 0, 'Concat', parts, { axis });
};

const transpose: Translation = async (operation) => {
  const perm = await operation.ints(1);
  return perm !== null && last(operation, 0, 'Transpose', [operation.inputs[0]!], { perm });
};

const pad: Translation = async (operation) => {
  const given = await operation.ints(1);
  if (given === null) return false;
  const pads = [...given.filter((_, k) => k % 2 === 0), ...given.filter((_, k) => k % 2 === 1)];
  return last(operation, 0, 'Pad', [operation.inputs[0]!], { pads });
};

const expand: Translation = async (operation) => {
  const axes = await operation.ints(1);
  return axes !== null && last(operation, 0, 'Unsqueeze', [operation.inputs[0]!], { axes });
};

const squeeze: Translation = async (operation) => {
  const given = await operation.integers(0);
  const axes = given.length > 0 ? given : operation.shape(0).flatMap((size, axis) => (size === 1 ? [axis] : []));
  return last(operation, 0, 'Squeeze', [operation.inputs[0]!], { axes });
};

/** @param at the place of the axis among the inputs */
const split =
  (at: 0 | 2): Translation =>
  async (operation) => {
    const axis = (await operation.ints(at))?.[0];
    const sizes = at === 2 ? await operation.ints(1) : null;
    if (axis === undefined || (at === 2 && sizes === null)) return false;
    // A node of several outputs: the first is named here, the others follow.
    operation.node(
      'Split',
      [operation.inputs[at === 0 ? 1 : 0]!],
      { axis, ...(sizes ? { split: sizes } : {}) },
      ALL_OUTPUTS,
    );
    return true;
  };
const END = 2 ** 31 - 1;

/** Bits of the masks: from the start, to the end, and an axis of one position that is dropped. */
const stridedSlice: Translation = async (operation) => {
  const [begin, end, steps] = [await operation.ints(1), await operation.ints(2), await operation.ints(3)];
  const [fromStart, toEnd, ellipsis, newAxis, dropped] = await Promise.all(
    [0, 1, 2, 3, 4].map((field) => operation.integer(field)),
  );
  if (!begin || !end || !steps || steps.some((step) => step !== 1) || ellipsis !== 0 || newAxis !== 0) return false;
  const has = (mask: number | undefined, axis: number): boolean => (((mask ?? 0) >> axis) & 1) === 1;
  const starts = begin.map((at, axis) => (has(fromStart, axis) ? 0 : at));
  const ends = end.map((at, axis) => {
    if (has(dropped, axis)) return starts[axis] === -1 ? END : starts[axis]! + 1;
    return has(toEnd, axis) ? END : at;
  });
  const axes = begin.flatMap((_, axis) => (has(dropped, axis) ? [axis] : []));
  const slice = [operation.inputs[0]!];
  if (axes.length === 0) return last(operation, 0, 'Slice', slice, { starts, ends });
  return last(operation, 0, 'Squeeze', [operation.node('Slice', slice, { starts, ends })], { axes });
};

const gather: Translation = async (operation) =>
  last(operation, 0, 'Gather', operation.inputs, { axis: await operation.integer(0) });

/** By `BuiltinOperator`. */
export const TRANSLATIONS: Readonly<Record<number, Translation>> = {
  0: arithmetic('Add'),
  1: pool('AveragePool'),
  2: concatenation,
  3: convolution([0, 3, 1, 2], { strides: [2, 1], activation: 3, dilations: [5, 4] }),
  4: convolution([3, 0, 1, 2], { strides: [2, 1], activation: 4, dilations: [6, 5] }, true),
  // A dequantised constant is its DequantizeLinear already.
  6: simple('Cast'),
  8: simple('Floor'),
  9: fullyConnected,
  14: simple('Sigmoid'),
  17: pool('MaxPool'),
  18: arithmetic('Mul'),
  19: simple('Relu'),
  20: simple('Clip'),
  21: simple('Clip'),
  22: simple('Reshape'),
  23: resize,
  25: simple('Softmax', { axis: -1 }),
  28: simple('Tanh'),
  34: pad,
  36: gather,
  39: transpose,
  40: reduce('ReduceMean'),
  41: arithmetic('Sub'),
  42: arithmetic('Div'),
  43: squeeze,
  45: stridedSlice,
  47: simple('Exp'),
  49: split(0),
  50: simple('LogSoftmax', { axis: -1 }),
  53: simple('Cast'),
  54: simple('PRelu'),
  55: simple('Max'),
  57: simple('Min'),
  58: simple('Less'),
  59: simple('Neg'),
  60: pad,
  61: simple('Greater'),
  62: simple('GreaterOrEqual'),
  63: simple('LessOrEqual'),
  64: simple('Where'),
  66: simple('Sin'),
  67: transposedConvolution,
  70: expand,
  71: simple('Equal'),
  73: simple('Log'),
  74: reduce('ReduceSum'),
  75: simple('Sqrt'),
  76: async (operation) => last(operation, 0, 'Reciprocal', [operation.node('Sqrt', operation.inputs)]),
  77: simple('Shape'),
  78: simple('Pow'),
  82: reduce('ReduceMax'),
  83: pack,
  84: simple('Or'),
  86: simple('And'),
  87: simple('Not'),
  89: reduce('ReduceMin'),
  92: square,
  97: resize,
  98: simple('LeakyRelu'),
  99: async (operation) => {
    const difference = operation.node('Sub', operation.inputs);
    return last(operation, 0, 'Mul', [difference, difference]);
  },
  101: simple('Abs'),
  102: split(2),
  104: simple('Ceil'),
  108: simple('Cos'),
  111: simple('Elu'),
  114: simple('Identity'),
  116: simple('Round'),
  117: simple('HardSwish'),
  123: simple('Where'),
  126: batchMatMul,
  132: convolution([4, 3, 0, 1, 2], { strides: [1, 3, 2], activation: 4, dilations: [5, 7, 6] }),
  150: simple('Gelu'),
};
