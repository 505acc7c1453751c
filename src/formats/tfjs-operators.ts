/**
 * TensorFlow's operators, as `model.json` of a graph model names them, as ONNX nodes. What has no counterpart, or lies
 * channels first, keeps its name, in the domain `tensorflow`, and nothing is claimed of it. Sources: TensorFlow's op
 * definitions and the operation mappers of tfjs-converter.
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
export interface TfOperation extends NodeSink {
  readonly inputs: readonly string[];
  /** Sizes of an input that is a weight; null where it is computed. */
  shape(input: number): readonly number[] | null;
  /** Numbers of an input that is a small constant; null where it is computed. */
  ints(input: number): Promise<readonly number[] | null>;
  text(name: string): string;
  texts(name: string): readonly string[];
  flag(name: string): boolean;
  integer(name: string): number | null;
  integers(name: string): readonly number[];
  float(name: string): number | null;
}
/** False: no counterpart here. */
type Translation = (operation: TfOperation) => boolean | Promise<boolean>;

const simple =
  (op: string, attributes: Attributes = {}): Translation =>
  (operation) =>
    lastNode(operation, undefined, op, operation.inputs, attributes);

const ACTIVATIONS: Readonly<Record<string, string>> = {
  Relu: 'Relu',
  Relu6: 'Clip',
  Elu: 'Elu',
  LeakyRelu: 'LeakyRelu',
  Sigmoid: 'Sigmoid',
  Tanh: 'Tanh',
};

interface Fused {
  readonly bias: string | undefined;
  readonly activation: string | undefined;
  /** Slopes of a PRelu. */
  readonly slopes: string | undefined;
}

/** What is fused behind a product: a bias, then an activation. Null where it is something else. */
function fused(operation: TfOperation): Fused | null {
  const [first, activation, ...rest] = operation.texts('fused_ops');
  const [, , bias, slopes] = operation.inputs;
  if (first === undefined) return { bias: undefined, activation: undefined, slopes: undefined };
  if (first !== 'BiasAdd' || rest.length > 0 || bias === undefined) return null;
  if (activation === 'Prelu' && slopes !== undefined) return { bias, activation: undefined, slopes };
  if (activation === undefined) return { bias, activation, slopes: undefined };
  const known = Object.hasOwn(ACTIVATIONS, activation) ? ACTIVATIONS[activation] : undefined;
  return known === undefined ? null : { bias, activation: known, slopes: undefined };
}

/** Slopes come behind everything else. */
function withSlopes(operation: TfOperation, slopes: string | undefined, rest: (sink: NodeSink) => true): true {
  if (slopes === undefined) return rest(operation);
  const before = `${operation.outputs[0]}/before`;
  rest({ node: operation.node, outputs: [before] });
  return lastNode(operation, undefined, 'PRelu', [before, slopes]);
}

const isChannelsLast = (operation: TfOperation): boolean => ['', 'NHWC'].includes(operation.text('data_format'));

/** Strides, dilations and windows are given for all four axes. */
const spatial = (sizes: readonly number[]): readonly number[] => (sizes.length === 4 ? sizes.slice(1, 3) : [1, 1]);

const padding = (operation: TfOperation): Attributes | null => {
  const kind = operation.text('padding');
  return kind === 'SAME' || kind === 'VALID' ? { auto_pad: kind === 'SAME' ? 'SAME_UPPER' : 'VALID' } : null;
};

const convolution =
  (isDepthwise: boolean): Translation =>
  (operation) => {
    const [x, w] = operation.inputs;
    const sizes = operation.shape(1);
    const [pads, behind] = [padding(operation), fused(operation)];
    if (!x || !w || sizes?.length !== 4 || !pads || !behind || !isChannelsLast(operation)) return false;
    // Several filters a channel lie channel by channel: one axis of outputs only after a reshaping.
    if (isDepthwise && sizes[3] !== 1) return false;
    const weight = operation.node('Transpose', [w], { perm: isDepthwise ? [2, 3, 0, 1] : [3, 2, 0, 1] });
    const attributes = {
      ...pads,
      strides: spatial(operation.integers('strides')),
      dilations: spatial(operation.integers('dilations')),
      kernel_shape: sizes.slice(0, 2),
      group: isDepthwise ? sizes[2]! : 1,
    };
    const others = behind.bias === undefined ? [weight] : [weight, behind.bias];
    return withSlopes(operation, behind.slopes, (sink) =>
      onImages(sink, x, 4, 'Conv', others, attributes, behind.activation),
    );
  };

/** Inputs: sizes of the output, weight (H, W, O, I), images. */
const transposedConvolution: Translation = (operation) => {
  const [, w, x] = operation.inputs;
  const pads = padding(operation);
  if (!w || !x || operation.shape(1)?.length !== 4 || !pads || !isChannelsLast(operation)) return false;
  const weight = operation.node('Transpose', [w], { perm: [3, 2, 0, 1] });
  return onImages(operation, x, 4, 'ConvTranspose', [weight], pads);
};

const matMul: Translation = (operation) => {
  const [a, b] = operation.inputs;
  const behind = fused(operation);
  if (!a || !b || !behind) return false;
  const attributes = { transA: Number(operation.flag('transpose_a')), transB: Number(operation.flag('transpose_b')) };
  const inputs = behind.bias === undefined ? [a, b] : [a, b, behind.bias];
  return withSlopes(operation, behind.slopes, (sink) => lastNode(sink, behind.activation, 'Gemm', inputs, attributes));
};

const batchMatMul: Translation = (operation) => {
  if (operation.flag('adj_x') || operation.flag('adj_y')) return false;
  return lastNode(operation, undefined, 'MatMul', operation.inputs);
};

/** Inputs: images, scale, offset, mean, variance. */
const batchNorm: Translation = (operation) => {
  const [x, ...parameters] = operation.inputs;
  if (!x || parameters.length !== 4 || operation.flag('is_training') || !isChannelsLast(operation)) return false;
  return onImages(operation, x, 4, 'BatchNormalization', parameters, { epsilon: operation.float('epsilon') ?? 1e-4 });
};

const pool =
  (op: string): Translation =>
  (operation) => {
    const pads = padding(operation);
    const [x] = operation.inputs;
    if (!x || !pads || !isChannelsLast(operation)) return false;
    const attributes = {
      ...pads,
      strides: spatial(operation.integers('strides')),
      kernel_shape: spatial(operation.integers('ksize')),
    };
    return onImages(operation, x, 4, op, [], attributes);
  };

const resize: Translation = (operation) => onImages(operation, operation.inputs[0]!, 4, 'Resize', [], {});

const reduce =
  (op: string): Translation =>
  (operation) =>
    lastNode(operation, undefined, op, operation.inputs, { keepdims: Number(operation.flag('keep_dims')) });

const concat: Translation = async (operation) => {
  const axis = (await operation.ints(operation.inputs.length - 1))?.[0];
  return axis !== undefined && lastNode(operation, undefined, 'Concat', operation.inputs.slice(0, -1), { axis });
};

const pack: Translation = (operation) => packedNodes(operation, operation.inputs, operation.integer('axis') ?? 0);

const transpose: Translation = async (operation) => {
  const perm = await operation.ints(1);
  return perm !== null && lastNode(operation, undefined, 'Transpose', [operation.inputs[0]!], { perm });
};

const pad: Translation = async (operation) => paddedNodes(operation, operation.inputs[0]!, await operation.ints(1));

const expand: Translation = async (operation) => {
  const axes = await operation.ints(1);
  return axes !== null && lastNode(operation, undefined, 'Unsqueeze', [operation.inputs[0]!], { axes });
};

const squeeze: Translation = (operation) => {
  const axes = operation.integers('squeeze_dims');
  return axes.length > 0 && lastNode(operation, undefined, 'Squeeze', operation.inputs, { axes });
};

const split: Translation = async (operation) => {
  const axis = (await operation.ints(0))?.[0];
  if (axis === undefined || !operation.inputs[1]) return false;
  operation.node('Split', [operation.inputs[1]], { axis }, ALL_OUTPUTS);
  return true;
};

const gather: Translation = async (operation) => {
  const [x, index] = operation.inputs;
  const axis = operation.inputs.length > 2 ? (await operation.ints(2))?.[0] : 0;
  if (!x || !index || axis === undefined) return false;
  return lastNode(operation, undefined, 'Gather', [x, index], { axis });
};

const stridedSlice: Translation = async (operation) => {
  const [begin, end, steps] = [await operation.ints(1), await operation.ints(2), await operation.ints(3)];
  const mask = (name: string): number => operation.integer(`${name}_mask`) ?? 0;
  return slicedNodes(operation, operation.inputs[0]!, {
    begin,
    end,
    steps,
    fromStart: mask('begin'),
    toEnd: mask('end'),
    dropped: mask('shrink_axis'),
    others: mask('ellipsis') | mask('new_axis'),
  });
};

/** Operators that ONNX has by the same name. */
const SAME =
  `Reshape Shape Add Sub Mul Div Pow Relu LeakyRelu Elu Selu Sigmoid Tanh Softplus Exp Log Sqrt Neg Abs Reciprocal
  Floor Ceil Round Sin Cos Erf Cast Identity Equal Less Greater`.split(/\s+/);

/** Operators that ONNX has by another name. */
const RENAMED = `
  AddV2 Add, AddN Sum, RealDiv Div, DivNoNan Div, Maximum Max, Minimum Min, Prelu PRelu, Relu6 Clip,
  ClipByValue Clip, StopGradient Identity, LessEqual LessOrEqual, GreaterEqual GreaterOrEqual, LogicalAnd And,
  LogicalOr Or, LogicalNot Not, Select Where, SelectV2 Where`;

export const TF_TRANSLATIONS: Readonly<Record<string, Translation>> = {
  ...Object.fromEntries(SAME.map((name) => [name, simple(name)])),
  ...Object.fromEntries(
    RENAMED.split(',')
      .map((pair) => pair.trim().split(' '))
      .map(([name, op]) => [name!, simple(op!)]),
  ),
  Conv2D: convolution(false),
  _FusedConv2D: convolution(false),
  DepthwiseConv2dNative: convolution(true),
  FusedDepthwiseConv2dNative: convolution(true),
  Conv2DBackpropInput: transposedConvolution,
  MatMul: matMul,
  _FusedMatMul: matMul,
  BatchMatMul: batchMatMul,
  BatchMatMulV2: batchMatMul,
  FusedBatchNorm: batchNorm,
  FusedBatchNormV2: batchNorm,
  FusedBatchNormV3: batchNorm,
  MaxPool: pool('MaxPool'),
  AvgPool: pool('AveragePool'),
  ResizeBilinear: resize,
  ResizeNearestNeighbor: resize,
  Mean: reduce('ReduceMean'),
  Sum: reduce('ReduceSum'),
  Max: reduce('ReduceMax'),
  Min: reduce('ReduceMin'),
  ConcatV2: concat,
  Pack: pack,
  Transpose: transpose,
  Pad: pad,
  PadV2: pad,
  MirrorPad: pad,
  ExpandDims: expand,
  Squeeze: squeeze,
  Split: split,
  GatherV2: gather,
  Gather: gather,
  StridedSlice: stridedSlice,
  Softmax: simple('Softmax', { axis: -1 }),
  LogSoftmax: simple('LogSoftmax', { axis: -1 }),
  // A bias of the last axis, as broadcasting has it.
  BiasAdd: (operation) => isChannelsLast(operation) && lastNode(operation, undefined, 'Add', operation.inputs),
  Square: (operation) => lastNode(operation, undefined, 'Mul', [operation.inputs[0]!, operation.inputs[0]!]),
  SquaredDifference: (operation) => {
    const difference = operation.node('Sub', operation.inputs);
    return lastNode(operation, undefined, 'Mul', [difference, difference]);
  },
  Rsqrt: (operation) => lastNode(operation, undefined, 'Reciprocal', [operation.node('Sqrt', operation.inputs)]),
};
