/**
 * A trained net as a plain ONNX graph that takes raw readings: standardisation, categories and the output's scale are
 * nodes of the graph; the trained tensors are initialisers `fc1.weight`, … as MatMul-like nodes consume them.
 * Rejected: folding the standardisation into the first weights, which would spread their columns over decades.
 */
import { emitLayer, type GraphBuilder, graphBuilder, parameterView, planNet } from '../compute/index.js';
import { buildOnnx, type OnnxSpec } from '../formats/index.js';
import { type Column, cardMetadata, type ModelCard } from './card.js';

const OPSET = 17;
export const INPUT = 'input';
export const PROBABILITIES = 'probabilities';
export const VALUE = 'value';

type NumberColumn = Extract<Column, { kind: 'number' }>;

/** The ONNX bytes of a net with these parameters (layout of `planNet`). Opset 17, float32, free batch axis. */
export function exportModel(card: ModelCard, parameters: Float32Array): Uint8Array {
  return buildOnnx(modelSpec(card, parameters));
}

function modelSpec(card: ModelCard, parameters: Float32Array): OnnxSpec {
  const g = graphBuilder();
  const plan = planNet(card.net);
  let value =
    card.window === null ? emitTableFeatures(g, card) : emitStandardise(g, card, INPUT, [1, card.columns.length, 1]);
  const last = plan.layers.length - 1;
  for (const [index, planned] of plan.layers.entries()) {
    const tensor = (parameter: typeof planned.weight): string | null =>
      parameter === null ? null : g.floats(parameterView(parameters, parameter), parameter.shape, parameter.name);
    const output = index === last ? 'outputs' : undefined;
    value = emitLayer(g, planned, value, tensor(planned.weight), tensor(planned.bias), output);
  }
  if (card.task === 'classify') g.node('Softmax', [value], { axis: { int: 1 } }, PROBABILITIES);
  else {
    const { mean, scale } = card.output ?? { mean: 0, scale: 1 };
    const scaled = g.node('Mul', [value, g.floats([scale], [1], 'output_scale')]);
    g.node('Add', [scaled, g.floats([mean], [1], 'output_mean')], {}, VALUE);
  }
  const shape =
    card.window === null ? ['rows', card.columns.length] : ['rows', card.columns.length, card.window.length];
  const graph = g.build(
    'muniment',
    [{ name: INPUT, dtype: 'F32', shape }],
    [{ name: card.task === 'classify' ? PROBABILITIES : VALUE, dtype: 'F32', shape: ['rows', plan.output[0]!] }],
  );
  return { graph, opset: OPSET, metadata: cardMetadata(card) };
}

function emitStandardise(g: GraphBuilder, card: ModelCard, input: string, shape: readonly number[]): string {
  const columns = card.columns.filter((column): column is NumberColumn => column.kind === 'number');
  const mean = g.floats(
    columns.map((column) => column.mean),
    shape,
    'input_mean',
  );
  const known = card.missing ? g.node('Where', [g.node('IsNaN', [input]), mean, input]) : input;
  const scale = g.floats(
    columns.map((column) => column.scale),
    shape,
    'input_scale',
  );
  return g.node('Div', [g.node('Sub', [known, mean]), scale]);
}

function emitTableFeatures(g: GraphBuilder, card: ModelCard): string {
  const numbers = card.columns.flatMap((column, index) => (column.kind === 'number' ? [index] : []));
  const parts: string[] = [];
  if (numbers.length > 0) {
    const all = numbers.length === card.columns.length;
    const raw = all ? INPUT : g.node('Gather', [INPUT, g.integers(numbers)], { axis: { int: 1 } });
    const standard = emitStandardise(g, card, raw, [1, numbers.length]);
    parts.push(standard);
    const { logs, pairs } = card.derived;
    if (logs.length > 0) parts.push(emitLogs(g, card, raw));
    if (pairs.length > 0) {
      const base = parts.length === 1 ? standard : g.node('Concat', parts, { axis: { int: 1 } });
      const row = (values: readonly number[], name: string): string => g.floats(values, [1, values.length], name);
      const side = (which: 'a' | 'b'): string =>
        g.node('Gather', [base, g.integers(pairs.map((pair) => pair[which]))], { axis: { int: 1 } });
      const signs = row(
        pairs.map(({ sign }) => sign),
        'pair_sign',
      );
      const scales = row(
        pairs.map(({ scale }) => scale),
        'pair_scale',
      );
      const sum = g.node('Add', [side('a'), g.node('Mul', [side('b'), signs])]);
      parts.splice(0, parts.length, base, g.node('Mul', [sum, scales]));
    }
  }
  const codes = card.columns.flatMap((column, index) =>
    column.kind === 'category' ? column.categories.map((_, code) => [index, code] as const) : [],
  );
  if (codes.length > 0) {
    const spread = g.node('Gather', [INPUT, g.integers(codes.map(([index]) => index))], { axis: { int: 1 } });
    const wanted = g.floats(
      codes.map(([, code]) => code),
      [1, codes.length],
      'category_codes',
    );
    parts.push(g.node('Cast', [g.node('Equal', [spread, wanted])], { to: { int: 1 } }));
  }
  return parts.length === 1 ? parts[0]! : g.node('Concat', parts, { axis: { int: 1 } });
}

/** @param raw [rows, numeric columns] */
function emitLogs(g: GraphBuilder, card: ModelCard, raw: string): string {
  const { logs } = card.derived;
  const row = (values: readonly number[], name: string): string => g.floats(values, [1, values.length], name);
  const chosen = g.node('Gather', [raw, g.integers(logs.map(({ column }) => column))], { axis: { int: 1 } });
  const least = row(
    logs.map((one) => one.least),
    'log_least',
  );
  const shifts = logs.map(({ shift }) => shift);
  const shifted = g.node('Add', [g.node('Max', [chosen, least]), row(shifts, 'log_shift')]);
  const logarithm = g.node('Log', [shifted]);
  const mean = row(
    logs.map((one) => one.mean),
    'log_mean',
  );
  const scale = row(
    logs.map((one) => one.scale),
    'log_scale',
  );
  const standard = g.node('Div', [g.node('Sub', [logarithm, mean]), scale]);
  if (!card.missing) return standard;
  const zero = g.floats(new Float32Array(logs.length), [1, logs.length]);
  return g.node('Where', [g.node('IsNaN', [chosen]), zero, standard]);
}
