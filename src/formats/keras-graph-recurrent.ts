/**
 * Recurrent layers: Keras has sequences batch first. Masks of padded positions are left out: they choose positions, not
 * units. Sources: keras/src/layers/rnn (Keras 2 and 3), tfjs-layers/src/layers/recurrent.ts; ONNX LSTM, GRU and RNN.
 */

import { isKerasClass, isRecord, type JsonRecord } from './keras-config.js';
import {
  addNode,
  flagIn,
  impliedInts,
  type KerasValue,
  type LayerCall,
  type LayerRule,
  lastOutputs,
  plainOf,
  plainValue,
  rankOf,
  type Sizes,
  takenAs,
} from './keras-graph-build.js';
import { type Block, gateBlocks, viewOfBlocks } from './keras-graph-gates.js';
import type { Tensor } from './model.js';
import type { Attributes } from './onnx-terms.js';

interface Kind {
  readonly op: 'LSTM' | 'GRU' | 'RNN';
  /** ONNX's gates by their place among Keras' columns. */
  readonly gates: readonly number[];
  readonly states: 1 | 2;
}

const LSTM: Kind = { op: 'LSTM', gates: [0, 3, 1, 2], states: 2 };
const GRU: Kind = { op: 'GRU', gates: [0, 1, 2], states: 1 };
const RNN: Kind = { op: 'RNN', gates: [0], states: 1 };
const KINDS: Readonly<Record<string, Kind>> = {
  LSTM,
  LSTMCell: LSTM,
  GRU,
  GRUCell: GRU,
  SimpleRNN: RNN,
  SimpleRNNCell: RNN,
};

const FUNCTIONS: Readonly<Record<string, string>> = {
  tanh: 'Tanh',
  sigmoid: 'Sigmoid',
  relu: 'Relu',
  hard_sigmoid: 'HardSigmoid',
  softsign: 'Softsign',
  softplus: 'Softplus',
};

/** The layer's kind and its settings with those of its cell; null where it is none of these. */
function kindOf({ className, config }: LayerCall): { readonly kind: Kind; readonly config: JsonRecord } | null {
  const { cell } = config;
  const isCell = className === 'RNN' && isRecord(cell) && typeof cell.class_name === 'string';
  if (isCell && !isKerasClass(cell)) return null;
  const name = isCell ? (cell.class_name as string) : className;
  const inner = isCell && isRecord(cell.config) ? cell.config : {};
  return Object.hasOwn(KINDS, name) ? { kind: KINDS[name]!, config: { ...config, ...inner } } : null;
}

/** ONNX's activations of one direction: gates first, then what becomes the state. */
function activationsOf({ op }: Kind, config: JsonRecord, slope: number): Attributes | null {
  const name = (key: string, otherwise: string): string | null => {
    const given = config[key] ?? otherwise;
    return typeof given === 'string' && Object.hasOwn(FUNCTIONS, given) ? FUNCTIONS[given]! : null;
  };
  const state = name('activation', 'tanh');
  const gate = op === 'RNN' ? state : name('recurrent_activation', 'sigmoid');
  if (state === null || gate === null) return null;
  const activations = op === 'LSTM' ? [gate, state, state] : op === 'GRU' ? [gate, state] : [state];
  // Numbers are given for those functions alone that take any, in their order.
  const numbers = activations.filter((one) => one === 'HardSigmoid');
  if (numbers.length === 0) return { activations };
  return { activations, activation_alpha: numbers.map(() => slope), activation_beta: numbers.map(() => 0.5) };
}

/** W, R and B as ONNX has them, by the names of what is stored; null where a weight is missing or strange. */
function weightsOf(call: LayerCall, kind: Kind, config: JsonRecord, side: string): Taken | null {
  const [kernel, recurrent, bias] = ['kernel', 'recurrent_kernel', 'bias'].map((name) => call.weights.get(side + name));
  const isBiased = flagIn(config, 'use_bias', true);
  if (kernel?.shape.length !== 2 || recurrent?.shape.length !== 2 || (isBiased && bias === undefined)) return null;
  const units = recurrent.shape[0]!;
  const width = kind.gates.length * units;
  if (units < 1 || kernel.shape[1] !== width || recurrent.shape[1] !== width) return null;
  const given = bias?.shape.join();
  const isApart = kind.op === 'GRU' && given === `2,${width}`;
  if (isBiased && !isApart && given !== String(width)) return null;
  const columns = gateBlocks(kind.gates, units);
  const matrix = (tensor: Tensor): string | null => {
    const [rows] = tensor.shape as [number];
    const view = { ...viewOfBlocks(tensor, rows, width, columns, [1, rows, width]), outputsFirst: [2, 1] };
    return viewed(call, tensor, view);
  };
  const both: readonly Block[] = isApart ? [{ start: 0, size: 2 * width }] : [...columns, { zeros: width }];
  const biasName =
    isBiased && bias !== undefined
      ? viewed(call, bias, viewOfBlocks(bias, 1, isApart ? 2 * width : width, both, [1, 2 * width]))
      : '';
  const [w, r] = [matrix(kernel), matrix(recurrent)];
  if (w === null || r === null || biasName === null) return null;
  return { w, r, b: biasName, units, isApart };
}

interface Taken {
  readonly w: string;
  readonly r: string;
  /** '' for none. */
  readonly b: string;
  readonly units: number;
  /** A GRU that is reset after its product has a bias of its own for the state. */
  readonly isApart: boolean;
}

/** Null where the graph takes the weight in another form already. */
function viewed(call: LayerCall, tensor: Tensor, view: Tensor): string | null {
  const { views, used } = call.build;
  const before = views.get(tensor.name);
  if (before === undefined && used.has(tensor.name)) return null;
  if (before !== undefined) return before.shape.join() === view.shape.join() ? tensor.name : null;
  views.set(tensor.name, view);
  return takenAs(call, view);
}

interface Direction {
  /** Before the names of its weights. */
  readonly side: string;
  readonly isReverse: boolean;
  /** Whether what a reverse direction gives for each position is put into the order of the input. */
  readonly isAligned: boolean;
  readonly states: readonly KerasValue[];
}

/** The sequence or its end, then the states. */
function oneDirection(
  call: LayerCall,
  { side, isReverse, isAligned, states }: Direction,
): readonly KerasValue[] | null {
  const found = kindOf(call);
  const [x] = call.inputs;
  if (found === null || x === undefined || (x.sizes !== null && rankOf(x) !== 3)) return null;
  const { kind, config } = found;
  const activations = activationsOf(kind, config, call.build.dialect.hardSlope);
  if (activations === null || (states.length !== 0 && states.length !== kind.states)) return null;
  const taken = weightsOf(call, kind, config, side);
  if (taken === null) return null;
  const { units, b } = taken;
  const isTimeFirst = flagIn(config, 'time_major', false);
  const time = (name: string): string => (isTimeFirst ? name : addNode(call, 'Transpose', [name], { perm: [1, 0, 2] }));
  const turned = (name: string): string => addNode(call, 'Transpose', [name], { perm: [0, 2, 1] });
  const begin = states.map((state) => addNode(call, 'Unsqueeze', [plainOf(call, state)], { axes: [0] }));
  const inputs = [time(plainOf(call, x)), turned(taken.w), turned(taken.r), b, '', ...begin];
  const isReset = config.reset_after === true;
  addNode(
    call,
    kind.op,
    begin.length === 0 ? inputs.slice(0, b === '' ? 3 : 4) : inputs,
    {
      hidden_size: units,
      direction: isReverse ? 'reverse' : 'forward',
      ...activations,
      ...(kind.op === 'GRU' ? { linear_before_reset: taken.isApart || (b === '' && isReset) ? 1 : 0 } : {}),
    },
    1 + kind.states,
  );
  const [all, ...ends] = lastOutputs(call) as [string, ...string[]];
  const [batch, steps]: Sizes = x.sizes ?? [null, null];
  const last = ends.map((end) => plainValue(addNode(call, 'Squeeze', [end], { axes: [0] }), [batch!, units]));
  const given = flagIn(config, 'return_state', false) ? last : [];
  if (!flagIn(config, 'return_sequences', false)) return [last[0]!, ...given];
  const positions = addNode(call, 'Squeeze', [all], { axes: [1] });
  const inOrder = isReverse && !isAligned ? addNode(call, 'Slice', [positions, ...backwards(call)]) : positions;
  return [plainValue(time(inOrder), [batch!, steps!, units]), ...given];
}

/** Starts, ends, axes and steps of a slice that turns the first axis round. */
const backwards = (call: LayerCall): readonly string[] =>
  Object.entries({ starts: -1, ends: -(2 ** 31 - 1), axes: 0, steps: -1 }).map(([what, value]) =>
    impliedInts(call, what, [value]),
  );

/** States to begin with come by name, or behind the sequence. */
const beginOf = (call: LayerCall): readonly KerasValue[] => call.named.get('initial_state') ?? call.inputs.slice(1);

const recurrent: LayerRule = (call) =>
  oneDirection(call, {
    side: '',
    isReverse: flagIn(call.config, 'go_backwards', false),
    isAligned: false,
    states: beginOf(call),
  });

/** The layer that a wrapper holds; null where it is none of Keras' own. */
export function innerLayer(
  config: JsonRecord,
  key: string,
): { readonly className: string; readonly config: JsonRecord } | null {
  const inner = config[key];
  if (!isRecord(inner) || typeof inner.class_name !== 'string' || !isKerasClass(inner)) return null;
  return { className: inner.class_name, config: isRecord(inner.config) ? inner.config : {} };
}

const MERGED: Readonly<Record<string, string>> = { concat: 'Concat', sum: 'Add', mul: 'Mul', ave: 'Mean' };

/** One direction and the other, each with its own weights. */
const bidirectional: LayerRule = (call) => {
  const forward = innerLayer(call.config, 'layer');
  if (forward === null) return null;
  const backward = isRecord(call.config.backward_layer) ? innerLayer(call.config, 'backward_layer') : forward;
  if (backward === null) return null;
  const states = beginOf(call);
  const half = states.length / 2;
  const run = (inner: typeof forward, side: string, isReverse: boolean, given: readonly KerasValue[]) =>
    oneDirection({ ...call, ...inner }, { side, isReverse, isAligned: true, states: given });
  if (flagIn(forward.config, 'go_backwards', false) || !Number.isInteger(half)) return null;
  const there = run(forward, 'forward/', false, states.slice(0, half));
  const back = there && run(backward, 'backward/', true, states.slice(half));
  if (there === null || back === null) return null;
  const [x, y] = [there[0]!, back[0]!];
  const ends = [...there.slice(1), ...back.slice(1)];
  const mode = call.config.merge_mode === undefined ? 'concat' : call.config.merge_mode;
  if (mode === null) return [x, y, ...ends];
  if (typeof mode !== 'string' || !Object.hasOwn(MERGED, mode)) return null;
  const axis = x.sizes!.length - 1;
  const attributes = mode === 'concat' ? { axis } : {};
  const name = addNode(call, MERGED[mode]!, [plainOf(call, x), plainOf(call, y)], attributes);
  const units = x.sizes![axis]!;
  const wide = mode === 'concat' ? units! + y.sizes![axis]! : units;
  return [plainValue(name, [...x.sizes!.slice(0, -1), wide]), ...ends];
};

export const RECURRENT_LAYERS: Readonly<Record<string, LayerRule>> = {
  SimpleRNN: recurrent,
  LSTM: recurrent,
  GRU: recurrent,
  RNN: recurrent,
  Bidirectional: bidirectional,
};
