/** One rule per ONNX operator. No rule, no claim. */
import type { GraphNode } from '../formats/index.js';
import { cast, div, elementwise, prelu, same, unary } from './elementwise.js';
import { batchNorm, instanceNorm, layerNorm, reduce, softmax } from './normalisation.js';
import { conv, convTranspose, gemm, matmul, pool, recurrent } from './products.js';
import { dequantize, dynamicQuantize, integer, qgemm, qlinear } from './quantised.js';
import {
  concat,
  constantOfShape,
  flatten,
  gather,
  pad,
  reshape,
  resize,
  shapeOf,
  slice,
  split,
  squeeze,
  transpose,
  unsqueeze,
} from './reshaping.js';
import type { Rule } from './rule.js';
import { nothing } from './values.js';

const list = (names: string, rule: Rule): [string, Rule][] => names.split(' ').map((name) => [name, rule]);

const STANDARD: ReadonlyMap<string, Rule> = new Map([
  ...list('Relu LeakyRelu', unary('positive')),
  ...list('Neg', unary('any')),
  ...list(
    'Sigmoid Tanh Elu Selu Celu Gelu Softplus Softsign HardSigmoid HardSwish Mish Exp Log Sqrt Reciprocal Abs Erf Floor Ceil Round Sin Cos ThresholdedRelu Not Sign IsNaN',
    unary('none'),
  ),
  ...list('Clip', unary('none')),
  ...list('Identity', same),
  ...list('Cast', cast),
  ...list('Dropout', (node, inputs) => [...(same(node, inputs) ?? []), nothing]),
  ...list('Add Sub Sum', elementwise('together')),
  ['Mul', elementwise('product')],
  ['Div', div],
  ...list('Pow Max Min Mean Equal Less Greater LessOrEqual GreaterOrEqual And Or Xor Where', elementwise('none')),
  ...list('PRelu', prelu),
  ...list('MatMul', matmul),
  ...list('MatMulInteger', integer(matmul)),
  ...list('ConvInteger', integer(conv)),
  ...list('QLinearConv', qlinear(conv)),
  ...list('QLinearMatMul', qlinear(matmul)),
  ...list('Gemm', gemm),
  ...list('Conv', conv),
  ...list('ConvTranspose', convTranspose),
  ...list('BatchNormalization', batchNorm),
  ...list('LayerNormalization', layerNorm),
  ...list('InstanceNormalization', instanceNorm),
  ...list('MaxPool AveragePool GlobalAveragePool GlobalMaxPool LpPool', pool),
  ...list('Transpose', transpose),
  ...list('Flatten', flatten),
  ...list('Reshape', reshape),
  ...list('Squeeze', squeeze),
  ...list('Unsqueeze', unsqueeze),
  ...list('Concat', concat),
  ...list('Split', split),
  ...list('Slice', slice),
  ...list('Gather', gather),
  ...list('ReduceMean ReduceSum ReduceMax ReduceMin ReduceL2 ReduceL1 ReduceSumSquare', reduce),
  ...list('Softmax LogSoftmax', softmax),
  ...list('Pad', pad),
  ...list('ConstantOfShape', constantOfShape),
  ...list('Resize Upsample', resize),
  ...list('LSTM', recurrent(4)),
  ...list('GRU', recurrent(3)),
  ...list('RNN', recurrent(1)),
  ...list('Shape', shapeOf),
  ...list('DequantizeLinear QuantizeLinear', dequantize),
  ...list('DynamicQuantizeLinear', dynamicQuantize),
]);

/** onnxruntime's own domain: what its quantiser writes. */
const MICROSOFT: ReadonlyMap<string, Rule> = new Map([
  ['QGemm', qgemm],
  ...list('DequantizeLinear QuantizeLinear', dequantize),
]);

export const ruleOf = ({ op, domain }: GraphNode): Rule | undefined =>
  domain === '' || domain === 'ai.onnx' ? STANDARD.get(op) : domain === 'com.microsoft' ? MICROSOFT.get(op) : undefined;
