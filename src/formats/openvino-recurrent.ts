/**
 * Recurrent layers: OpenVINO has sequences batch first, an LSTM's gates as f, i, c, o and one bias; ONNX has them time
 * first, as i, o, f, c, and a bias for the input beside one for the state. Weights are shown in ONNX's order; the nodes
 * stand between transpositions. Sources: OpenVINO operation specifications (sequence), ONNX LSTM, GRU and RNN.
 */
import { ALL_OUTPUTS, type Attributes, type NodeSink } from './onnx-terms.js';
import type { Constant, Form, Run } from './openvino-constants.js';
import type { Layer } from './openvino-ir.js';
import type { Requests, Uses } from './openvino-uses.js';

interface Kind {
  readonly op: 'LSTM' | 'GRU' | 'RNN';
  /** ONNX's gates by their place in OpenVINO's rows. */
  readonly gates: readonly number[];
  /** Inputs: weight, the recurrence's, bias, lengths (a cell has none), states. */
  readonly weight: number;
  readonly lengths: number | null;
  readonly states: readonly number[];
}

const kind = (op: Kind['op'], gates: readonly number[], states: number, isCell: boolean): Kind => ({
  op,
  gates,
  states: Array.from({ length: states }, (_, k) => k + 1),
  lengths: isCell ? null : states + 1,
  weight: states + (isCell ? 1 : 2),
});
const FICO: readonly number[] = [1, 3, 0, 2];

export const RECURRENT: Readonly<Record<string, Kind>> = {
  LSTMSequence: kind('LSTM', FICO, 2, false),
  GRUSequence: kind('GRU', [0, 1, 2], 1, false),
  RNNSequence: kind('RNN', [0], 1, false),
  LSTMCell: kind('LSTM', FICO, 2, true),
  GRUCell: kind('GRU', [0, 1, 2], 1, true),
  RNNCell: kind('RNN', [0], 1, true),
};

export const isRecurrent = ({ type }: Layer): boolean => Object.hasOwn(RECURRENT, type);

const hiddenOf = ({ data }: Layer): number => (/^\d{1,9}$/.test(data.hidden_size ?? '') ? Number(data.hidden_size) : 0);

/** Asks for the weights of a recurrent layer as ONNX has them. */
export function askRecurrent(layer: Layer, uses: Uses, { ask }: Requests): void {
  const { gates, weight } = RECURRENT[layer.type]!;
  const hidden = hiddenOf(layer);
  const isGivenOrder = layer.data.weights_format === undefined || layer.data.weights_format === 'fico';
  if (hidden < 1 || (gates === FICO && !isGivenOrder)) return;
  for (const input of [weight, weight + 1]) {
    const constant = uses.constant(layer, input);
    const rows = constant && rowsForm(constant, gates, hidden, layer);
    if (rows) ask(constant, rows);
  }
  const bias = uses.constant(layer, weight + 2);
  const form = bias && biasForm(bias, gates, hidden, layer);
  if (form) ask(bias, form);
}

/** Of a cell's constants the one direction is left out. */
const directionsOf = (layer: Layer, shape: readonly number[], rank: number): number | null =>
  layer.type.endsWith('Cell') ? (shape.length === rank - 1 ? 1 : null) : shape.length === rank ? shape[0]! : null;

const isWhole = ({ dtype }: Constant): boolean => !/^([IU]4|STRING)$/.test(dtype);

function rowsForm(constant: Constant, gates: readonly number[], hidden: number, layer: Layer): Form | null {
  const { shape, elements } = constant;
  const directions = directionsOf(layer, shape, 3);
  const [rows, columns] = shape.slice(-2);
  if (directions === null || directions < 1 || directions > 2 || rows !== gates.length * hidden || !isWhole(constant))
    return null;
  const gate = elements / directions / gates.length;
  const runs = Array.from({ length: directions }, (_, d) =>
    gates.map((at): Run => [(d * gates.length + at) * gate, (d * gates.length + at + 1) * gate]),
  ).flat();
  return { shape: [directions, rows, columns!], runs };
}

/** OpenVINO adds both biases up, but for the new gate of a GRU that is reset after its product. */
function biasForm(constant: Constant, gates: readonly number[], hidden: number, layer: Layer): Form | null {
  const directions = directionsOf(layer, constant.shape, 2);
  const rows = constant.shape.at(-1);
  const own = gates.length * hidden;
  const isApart = RECURRENT[layer.type]!.op === 'GRU' && layer.data.linear_before_reset === 'true';
  const stored = isApart ? own + hidden : own;
  if (directions === null || directions < 1 || directions > 2 || rows !== stored || !isWhole(constant)) return null;
  const runs = Array.from({ length: directions }, (_, d) => {
    const first = d * stored;
    const input = gates.map((at): Run => [first + at * hidden, first + (at + 1) * hidden]);
    const state: readonly Run[] = isApart
      ? [{ zeros: own - hidden }, [first + own, first + own + hidden]]
      : [{ zeros: own }];
    return [...input, ...state];
  }).flat();
  return { shape: [directions, 2 * own], runs };
}

export interface RecurrentOperation extends NodeSink {
  readonly layer: Layer;
  readonly inputs: readonly string[];
  /** Whether an input is a constant in ONNX's form. */
  isFormed(input: number): boolean;
  /** Whether an input is zeros, stretched to the sizes that the batch has. */
  isZeros(input: number): Promise<boolean>;
  /** Where nodes with these outputs go. */
  sinkOf(outputs: readonly string[]): NodeSink;
}

/** False where a weight is computed, or laid out otherwise. */
export async function recurrent(operation: RecurrentOperation): Promise<boolean> {
  const { layer, inputs, outputs } = operation;
  const { op, weight, lengths, states } = RECURRENT[layer.type]!;
  const [w, r, b] = [weight, weight + 1, weight + 2].map((k) => inputs[k]);
  if (!w || !r || !operation.isFormed(weight) || !operation.isFormed(weight + 1)) return false;
  if (b !== undefined && !operation.isFormed(weight + 2)) return false;
  const isCell = lengths === null;
  const enter = (value: string, axes: readonly number[]): string =>
    isCell ? operation.node('Unsqueeze', [value], { axes: [0] }) : operation.node('Transpose', [value], { perm: axes });
  const x = enter(inputs[0]!, [1, 0, 2]);
  const begin: string[] = [];
  // ONNX begins with zeros where nothing is given.
  for (const k of states) begin.push((await operation.isZeros(k)) ? '' : enter(inputs[k]!, [1, 0, 2]));
  const attributes: Attributes = {
    hidden_size: hiddenOf(layer),
    direction: layer.data.direction ?? 'forward',
    ...(op === 'GRU' ? { linear_before_reset: layer.data.linear_before_reset === 'true' ? 1 : 0 } : {}),
  };
  const raw = outputs.map((output) => `${output}/onnx`);
  const given = isCell ? [`${outputs[0]}/all`, ...raw] : raw;
  const taken = [x, w, r, b ?? '', isCell ? '' : inputs[lengths]!, ...begin];
  operation.sinkOf(given).node(op, taken, attributes, ALL_OUTPUTS);
  outputs.forEach((output, k) => {
    if (isCell) operation.node('Squeeze', [raw[k]!], { axes: [0] }, output);
    else operation.node('Transpose', [raw[k]!], { perm: k === 0 ? [2, 1, 0, 3] : [1, 0, 2] }, output);
  });
  return true;
}
