/**
 * TFLite's operators as ONNX nodes, so that one set of rules reads every graph. Images lie channels last there:
 * convolutions, pooling and resizing stand between transpositions. What has no counterpart keeps its number, in the
 * domain `tflite`, and nothing is claimed of it. Numbers of operators and options: schema.fbs.
 */
import {
  ALL_OUTPUTS,
  type Attributes,
  lastNode,
  type NodeSink,
  onImages,
  packedNodes,
  paddedNodes,
  slicedNodes,
} from './onnx-terms.js';

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

const pack: Translation = async (operation) => packedNodes(operation, operation.inputs, await operation.integer(1));

const transpose: Translation = async (operation) => {
  const perm = await operation.ints(1);
  return perm !== null && last(operation, 0, 'Transpose', [operation.inputs[0]!], { perm });
};

const pad: Translation = async (operation) => paddedNodes(operation, operation.inputs[0]!, await operation.ints(1));

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
const stridedSlice: Translation = async (operation) => {
  const [begin, end, steps] = [await operation.ints(1), await operation.ints(2), await operation.ints(3)];
  const masks = await Promise.all([0, 1, 2, 3, 4].map((field) => operation.integer(field)));
  const [fromStart = 0, toEnd = 0, ellipsis = 0, newAxes = 0, dropped = 0] = masks;
  const slice = { begin, end, steps, fromStart, toEnd, dropped, others: ellipsis | newAxes };
  return slicedNodes(operation, operation.inputs[0]!, slice);
};

const gather: Translation = async (operation) =>
  last(operation, 0, 'Gather', operation.inputs, { axis: await operation.integer(0) });

/**
 * Operators that ONNX has, too. What DEQUANTIZE (6) takes is a float16 constant, or the integers of one that stands
 * behind its DequantizeLinear already; what DENSIFY (124) takes is read dense.
 */
const SAME = `
  6 Cast, 8 Floor, 14 Sigmoid, 19 Relu, 20 Clip, 21 Clip, 22 Reshape, 28 Tanh, 47 Exp, 53 Cast, 54 PRelu, 55 Max,
  57 Min, 58 Less, 59 Neg, 61 Greater, 62 GreaterOrEqual, 63 LessOrEqual, 64 Where, 66 Sin, 71 Equal, 73 Log,
  75 Sqrt, 77 Shape, 78 Pow, 84 Or, 86 And, 87 Not, 98 LeakyRelu, 101 Abs, 104 Ceil, 108 Cos, 111 Elu,
  114 Identity, 116 Round, 117 HardSwish, 123 Where, 124 Identity, 150 Gelu`;

/** By `BuiltinOperator`. */
export const TRANSLATIONS: Readonly<Record<number, Translation>> = {
  ...Object.fromEntries(
    SAME.split(',')
      .map((pair) => pair.trim().split(' '))
      .map(([code, op]) => [code!, simple(op!)]),
  ),
  0: arithmetic('Add'),
  1: pool('AveragePool'),
  2: concatenation,
  3: convolution([0, 3, 1, 2], { strides: [2, 1], activation: 3, dilations: [5, 4] }),
  4: convolution([3, 0, 1, 2], { strides: [2, 1], activation: 4, dilations: [6, 5] }, true),
  9: fullyConnected,
  17: pool('MaxPool'),
  18: arithmetic('Mul'),
  23: resize,
  25: simple('Softmax', { axis: -1 }),
  34: pad,
  36: gather,
  39: transpose,
  40: reduce('ReduceMean'),
  41: arithmetic('Sub'),
  42: arithmetic('Div'),
  43: squeeze,
  45: stridedSlice,
  49: split(0),
  50: simple('LogSoftmax', { axis: -1 }),
  60: pad,
  67: transposedConvolution,
  70: expand,
  74: reduce('ReduceSum'),
  76: async (operation) => last(operation, 0, 'Reciprocal', [operation.node('Sqrt', operation.inputs)]),
  82: reduce('ReduceMax'),
  83: pack,
  89: reduce('ReduceMin'),
  92: square,
  97: resize,
  99: async (operation) => {
    const difference = operation.node('Sub', operation.inputs);
    return last(operation, 0, 'Mul', [difference, difference]);
  },
  102: split(2),
  126: batchMatMul,
  132: convolution([4, 3, 0, 1, 2], { strides: [1, 3, 2], activation: 4, dilations: [5, 7, 6] }),
};
