/**
 * OpenVINO's operators as ONNX nodes, so that one set of rules reads every graph. Both lie channels first. What has no
 * counterpart keeps its name, in the domain `openvino`, and nothing is claimed of it. Source: OpenVINO operation
 * specifications, opset 1 to 16.
 */
import { type Attributes, lastNode, type NodeSink } from './onnx-terms.js';
import { isRecurrent, type RecurrentOperation, recurrent } from './openvino-recurrent.js';
import {
  concat,
  gather,
  interpolate,
  pad,
  reshape,
  slice,
  split,
  squeeze,
  stridedSlice,
  transpose,
  unsqueeze,
} from './openvino-reshaping.js';

/** One operator while it is translated. */
export interface Operation extends NodeSink, RecurrentOperation {
  /** Sizes of an input; null where they are not given. */
  shape(input: number): readonly (number | null)[] | null;
  /** Sizes of the first output. */
  readonly result: readonly (number | null)[] | null;
  /** Numbers of an input that is a small constant; null where it is computed. */
  ints(input: number): Promise<readonly number[] | null>;
  numbers(input: number): Promise<readonly number[] | null>;
  isConstant(input: number): boolean;
  /** Whether two inputs are constants of the same bytes. */
  isSame(a: number, b: number): boolean;
  /** Of a convolution in groups: its weight has all rows in one axis. */
  readonly hasRows: boolean;
  /** Whether anything takes an output. */
  isTaken(output: number): boolean;
  /** Values fused behind. */
  readonly scale: string | undefined;
  readonly bias: string | undefined;
  /** The scale behind lies along the channels, not along the last axis. */
  readonly isAlongChannels: boolean;
  text(name: string): string;
  flag(name: string): boolean;
  list(name: string): readonly number[];
  /** Null where it is no number. */
  number(name: string): number | null;
}
/** False: no counterpart here. */
export type Translation = (operation: Operation) => boolean | Promise<boolean>;

const simple =
  (op: string, attributes: Attributes = {}, inputs = Number.POSITIVE_INFINITY): Translation =>
  (operation) =>
    lastNode(operation, undefined, op, operation.inputs.slice(0, inputs), attributes);

/** Of two values that are broadcast as numpy does it. */
const arithmetic =
  (op: string): Translation =>
  (operation) =>
    ['', 'numpy', 'none'].includes(operation.text('auto_broadcast')) && simple(op)(operation);

const PADDING: Readonly<Record<string, string>> = {
  same_upper: 'SAME_UPPER',
  same_lower: 'SAME_LOWER',
  valid: 'VALID',
};

/** Strides, dilations and what lies around the images. */
function windowOf(operation: Operation): Attributes {
  const padding = operation.text('auto_pad');
  const auto = Object.hasOwn(PADDING, padding) ? PADDING[padding] : undefined;
  const lists: Attributes = { strides: operation.list('strides'), dilations: operation.list('dilations') };
  return {
    ...Object.fromEntries(Object.entries(lists).filter(([, sizes]) => Array.isArray(sizes) && sizes.length > 0)),
    ...(auto === undefined
      ? { pads: [...operation.list('pads_begin'), ...operation.list('pads_end')] }
      : { auto_pad: auto }),
  };
}

const convolution =
  (op: string, isGrouped: boolean): Translation =>
  (operation) => {
    const [x, w] = operation.inputs;
    const sizes = operation.shape(1);
    const spatial = sizes?.slice(isGrouped ? 3 : 2) ?? [];
    const group = isGrouped ? sizes?.[0] : 1;
    // A transposed convolution may be given the sizes of its output: these are no units.
    if (!x || !w || group == null || spatial.length === 0 || spatial.includes(null)) return false;
    if (isGrouped && !operation.hasRows) return false;
    const attributes: Attributes = { ...windowOf(operation), kernel_shape: spatial as readonly number[], group };
    return lastNode(
      operation,
      undefined,
      op,
      operation.bias === undefined ? [x, w] : [x, w, operation.bias],
      attributes,
    );
  };

const matMul: Translation = (operation) => {
  const factors = [0, 1].map((k): string | null => {
    const value = operation.inputs[k];
    if (value === undefined) return null;
    if (!operation.flag(k === 0 ? 'transpose_a' : 'transpose_b')) return value;
    const rank = operation.shape(k)?.length;
    if (rank === undefined || rank < 2) return null;
    const perm = [...Array.from({ length: rank - 2 }, (_, axis) => axis), rank - 1, rank - 2];
    return operation.node('Transpose', [value], { perm });
  });
  return !factors.includes(null) && lastNode(operation, undefined, 'MatMul', factors as string[]);
};

const pool =
  (op: string): Translation =>
  (operation) => {
    if (operation.isTaken(1)) return false;
    const ceil_mode = operation.text('rounding_type').startsWith('ceil') ? 1 : 0;
    const attributes = { ...windowOf(operation), kernel_shape: operation.list('kernel'), ceil_mode };
    return lastNode(operation, undefined, op, operation.inputs.slice(0, 1), attributes);
  };

/** Inputs: images, scale, offset, mean, variance; in the first set of operators the images come third. */
const batchNorm: Translation = (operation) => {
  const [a, b, c, mean, variance] = operation.inputs;
  if (!a || !b || !c || !mean || !variance) return false;
  const [x, gamma, beta] = operation.layer.version === 'opset1' ? [c, a, b] : [a, b, c];
  const epsilon = operation.number('epsilon') ?? operation.number('eps') ?? 1e-5;
  return lastNode(operation, undefined, 'BatchNormalization', [x, gamma, beta, mean, variance], { epsilon });
};

/** Mean and variance over the last axis are a layer's normalisation, over all behind the channels an instance's. */
const mvn: Translation = async (operation) => {
  const rank = operation.shape(0)?.length ?? 0;
  const axes = (await operation.ints(1))?.map((axis) => (axis < 0 ? axis + rank : axis)).sort((a, b) => a - b);
  const [x] = operation.inputs;
  const { scale, bias } = operation;
  if (!x || rank < 2 || axes === undefined || !operation.flag('normalize_variance')) return false;
  const epsilon = operation.number('eps') ?? 1e-5;
  const isLast = axes.length === 1 && axes[0] === rank - 1;
  const isSpatial = axes.join() === Array.from({ length: rank - 2 }, (_, k) => k + 2).join();
  // Where one axis is both, scale and bias lie along the one that they were found along.
  if (isLast && !(isSpatial && operation.isAlongChannels)) {
    const inputs = [x, ...(scale === undefined ? [] : [scale]), ...(bias === undefined ? [] : [bias])];
    return lastNode(operation, undefined, 'LayerNormalization', inputs, { axis: -1, epsilon });
  }
  if (!isSpatial || scale === undefined || bias === undefined || !operation.isAlongChannels) return false;
  return lastNode(operation, undefined, 'InstanceNormalization', [x, scale, bias], { epsilon });
};

const reduce =
  (op: string): Translation =>
  async (operation) => {
    const axes = await operation.ints(1);
    if (axes === null || axes.length === 0) return false;
    const keepdims = operation.flag('keep_dims') ? 1 : 0;
    return lastNode(operation, undefined, op, operation.inputs.slice(0, 1), { axes, keepdims });
  };

/** x · sigmoid(x), or with a factor on x inside. */
const swish: Translation = (operation) => {
  const [x, beta] = operation.inputs;
  if (x === undefined) return false;
  const inner = beta === undefined ? x : operation.node('Mul', [x, beta]);
  return lastNode(operation, undefined, 'Mul', [x, operation.node('Sigmoid', [inner])]);
};

const squaredDifference: Translation = (operation) => {
  const difference = operation.node('Sub', operation.inputs);
  return lastNode(operation, undefined, 'Mul', [difference, difference]);
};

/**
 * Of floating weights it is left out: what is stored are they. On its way a value is clipped; the rounding is left out.
 * Inputs: the value, lowest and highest before and after, single or one per channel.
 */
const fakeQuantize: Translation = (operation) => {
  const [x, low, high, outLow, outHigh] = operation.inputs;
  if (!x || !low || !high || !outLow || !outHigh) return false;
  if (operation.isConstant(0)) return lastNode(operation, undefined, 'Identity', [x]);
  const isSingle = [1, 2, 3, 4].every(
    (k) => operation.isConstant(k) && operation.shape(k)?.every((size) => size === 1),
  );
  if (isSingle) return lastNode(operation, undefined, 'Clip', [x]);
  if (!operation.isSame(1, 3) || !operation.isSame(2, 4)) return false;
  const above = operation.node('Max', [x, low, outLow]);
  return lastNode(operation, undefined, 'Min', [above, high, outHigh]);
};

/** Where each axis goes may be given apart: of that nothing is claimed. */
const broadcast: Translation = (operation) =>
  ['numpy', 'bidirectional'].includes(operation.text('mode')) &&
  operation.inputs.length === 2 &&
  lastNode(operation, undefined, 'Expand', operation.inputs);

/** ONNX TensorProto.DataType of the floating types; any other rounds. */
const FLOATING: Readonly<Record<string, number>> = { f32: 1, f16: 10, f64: 11, bf16: 16 };
const convert: Translation = (operation) => {
  const type = operation.text('destination_type');
  const to = Object.hasOwn(FLOATING, type) ? FLOATING[type]! : 0;
  return lastNode(operation, undefined, 'Cast', operation.inputs.slice(0, 1), { to });
};

const softmax =
  (op: string): Translation =>
  (operation) =>
    lastNode(operation, undefined, op, operation.inputs, { axis: operation.number('axis') ?? 1 });

/** Operators of one input that ONNX has by the same name; those that take constants beside it leave them out. */
const UNARY = 'Sigmoid Tanh Elu Selu Exp Log Sqrt Abs Erf Floor Sin Cos Sign Mish Gelu HardSigmoid Identity'.split(' ');

/** Operators that ONNX has by another name. */
const RENAMED = `
  ReLU Relu, Clamp Clip, HSwish HardSwish, HSigmoid HardSigmoid, SoftPlus Softplus, SoftSign Softsign, Negative Neg,
  Ceiling Ceil, Round Round, LogicalNot Not, ShapeOf Shape`;
/** Of two values. */
const PAIRS = `
  Add Add, Subtract Sub, Multiply Mul, Divide Div, Power Pow, Maximum Max, Minimum Min, Equal Equal, Less Less,
  Greater Greater, LessEqual LessOrEqual, GreaterEqual GreaterOrEqual, LogicalAnd And, LogicalOr Or, LogicalXor Xor,
  Select Where, PReLU PRelu`;
const pairsIn = (text: string): readonly (readonly [string, string])[] =>
  text.split(',').map((pair) => {
    const [name, op] = pair.trim().split(' ');
    return [name!, op!] as const;
  });

const TRANSLATIONS: Readonly<Record<string, Translation>> = {
  ...Object.fromEntries(UNARY.map((name) => [name, simple(name, {}, 1)])),
  ...Object.fromEntries(pairsIn(RENAMED).map(([name, op]) => [name, simple(op, {}, 1)])),
  ...Object.fromEntries(pairsIn(PAIRS).map(([name, op]) => [name, arithmetic(op)])),
  Convolution: convolution('Conv', false),
  GroupConvolution: convolution('Conv', true),
  ConvolutionBackpropData: convolution('ConvTranspose', false),
  GroupConvolutionBackpropData: convolution('ConvTranspose', true),
  MatMul: matMul,
  MaxPool: pool('MaxPool'),
  AvgPool: pool('AveragePool'),
  BatchNormInference: batchNorm,
  MVN: mvn,
  ReduceMean: reduce('ReduceMean'),
  ReduceSum: reduce('ReduceSum'),
  ReduceMax: reduce('ReduceMax'),
  ReduceMin: reduce('ReduceMin'),
  ReduceL1: reduce('ReduceL1'),
  ReduceL2: reduce('ReduceL2'),
  Reshape: reshape,
  Squeeze: squeeze,
  Unsqueeze: unsqueeze,
  Transpose: transpose,
  Concat: concat,
  Split: split,
  VariadicSplit: split,
  Slice: slice,
  StridedSlice: stridedSlice,
  Gather: gather,
  Pad: pad,
  Interpolate: interpolate,
  SoftMax: softmax('Softmax'),
  LogSoftmax: softmax('LogSoftmax'),
  Swish: swish,
  SquaredDifference: squaredDifference,
  FakeQuantize: fakeQuantize,
  Broadcast: broadcast,
  Convert: convert,
};

/** False, and no node, where the operator has no counterpart. */
export async function translate(operation: Operation): Promise<boolean> {
  const { type, version } = operation.layer;
  if (isRecurrent(operation.layer)) return recurrent(operation);
  const translation = Object.hasOwn(TRANSLATIONS, type) ? TRANSLATIONS[type] : undefined;
  if (translation === undefined || !/^opset\d+$/.test(version) || operation.inputs[0] === undefined) return false;
  return translation(operation);
}
