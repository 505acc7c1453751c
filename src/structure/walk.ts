/** Walks a graph once, from the inputs: labels every axis, and notes which operator uses which stored tensor, and how. */
import type { Graph, GraphNode, Tensor } from '../formats/index.js';
import { type Axis, freshAxis, limitScaling, pin, unify } from './labels.js';
import { withoutSingles } from './layout.js';
import { ruleOf } from './operators.js';
import { preparation } from './preparation.js';
import { followScales, type Scales } from './scales.js';
import { attributeOf, nothing, pinValue, type Value } from './values.js';

export type Role = 'weight' | 'bias' | 'norm' | 'recurrent' | 'other';

export interface Use {
  readonly tensor: Tensor;
  readonly role: Role;
  /** Canonical axis → stored axis; leading axes of size 1 of recurrent weights are left out. */
  readonly perm: readonly number[];
  readonly node: string;
}

export interface BatchNormFold {
  readonly gamma: Tensor;
  readonly variance: Tensor;
  readonly epsilon: number;
}

export interface Walked {
  /** Stored tensor name → labels of its stored axes. */
  readonly axes: ReadonlyMap<string, readonly Axis[]>;
  readonly uses: ReadonlyMap<string, Use>;
  readonly folds: ReadonlyMap<string, BatchNormFold>;
  /** Quantised tensors, by stored name. */
  readonly scales: ReadonlyMap<string, Scales>;
  /** Stored names of the tensors that only prepare inputs. */
  readonly preparing: ReadonlySet<string>;
}

/** @param ints values of the small integer tensors, by stored name */
export function walkGraph(graph: Graph, ints: ReadonlyMap<string, readonly number[]>): Walked {
  const axes = new Map<string, readonly Axis[]>();
  const uses = new Map<string, Use>();
  const folds = new Map<string, BatchNormFold>();
  const used = new Map<string, number>();
  const producers = new Map<string, string>();
  const reads = countReads(graph);
  const scales = new Map<string, Scales>();
  const prepare = preparation();

  const enter = (inner: Graph, outer: ReadonlyMap<string, Value>): ReadonlyMap<string, Value> => {
    const scope = new Map(outer);
    for (const input of inner.inputs) {
      scope.set(input.name, {
        axes:
          input.shape?.map((size) => (typeof size === 'number' ? freshAxis(size, 'an input of the graph') : null)) ??
          null,
        prepared: inner === graph ? [] : undefined,
      });
    }
    for (const [name, tensor] of inner.initialisers) {
      const own = axes.get(tensor.name) ?? tensor.shape.map((size) => freshAxis(size));
      axes.set(tensor.name, own);
      scope.set(name, {
        axes: own,
        ints: ints.get(tensor.name),
        ...(tensor.implied ? {} : { stored: { tensor, perm: tensor.shape.map((_, k) => k) } }),
      });
    }
    for (const node of inner.nodes) step(node, scope);
    return scope;
  };

  const step = (node: GraphNode, scope: Map<string, Value>): void => {
    const inputs = node.inputs.map((name) => (name === '' ? undefined : (scope.get(name) ?? nothing)));
    if (node.op === 'If' && node.domain === '') {
      note(node, inputs, true);
      branch(node, scope);
      return;
    }
    if (node.op === 'Constant' && node.domain === '') {
      for (const name of node.outputs) if (!scope.has(name)) scope.set(name, nothing);
      return;
    }
    const outputs = ruleOf(node)?.(node, inputs) ?? null;
    note(node, inputs, outputs !== null);
    // An output that the rule says nothing of (MaxPool's indices, a mean) would carry units away unseen.
    const unsaid = outputs !== null && node.outputs.some((name, k) => name !== '' && k >= outputs.length);
    if (unsaid)
      for (const input of inputs) pinValue(input, `an output of ${node.op} is not proven to keep its units apart`);
    if (outputs === null) {
      for (const input of inputs) pinValue(input, `${node.op} is not proven to keep its units apart`);
      for (const captured of subgraphsOf(node)) {
        for (const name of namesReadBy(captured)) pinValue(scope.get(name), `used inside ${node.op}`);
        enter(captured, scope);
        for (const tensor of captured.initialisers.values()) {
          for (const axis of axes.get(tensor.name) ?? []) pin(axis, `inside ${node.op}`);
        }
      }
    }
    const prepared = prepare.follow(node, inputs, outputs, weightOf(node, inputs) !== undefined);
    const trail = followScales(node, inputs, (tensor, found) => {
      if (!scales.has(tensor.name)) scales.set(tensor.name, found);
    });
    node.outputs.forEach((name, k) => {
      if (name !== '') scope.set(name, { ...(outputs?.[k] ?? nothing), ...(k === 0 ? trail : {}), prepared });
    });
  };

  const branch = (node: GraphNode, scope: Map<string, Value>): void => {
    const ends = subgraphsOf(node).map((inner) => {
      const end = enter(inner, scope);
      return inner.outputs.map((output) => end.get(output.name) ?? nothing);
    });
    node.outputs.forEach((name, k) => {
      const [first, ...rest] = ends.map((end) => end[k] ?? nothing);
      const agree = first?.axes && rest.every((other) => other.axes?.length === first.axes!.length);
      if (!agree) {
        for (const end of ends) pinValue(end[k], 'branches of unlike rank');
        scope.set(name, nothing);
        return;
      }
      for (const other of rest) {
        first.axes!.forEach((axis, at) => {
          const opposite = other.axes![at] ?? null;
          if (axis && opposite) unify(axis, opposite);
          else if (axis) pin(axis, 'branches of unlike size');
          else if (opposite) pin(opposite, 'branches of unlike size');
        });
      }
      scope.set(name, { axes: first.axes });
    });
  };

  /** Which stored tensors this node uses as what. */
  const note = (node: GraphNode, inputs: readonly (Value | undefined)[], proven: boolean): void => {
    inputs.forEach((value, k) => {
      const stored = value?.stored;
      if (!stored || (k === 0 && proven && PASSES.has(node.op))) return;
      const { tensor, perm } = stored;
      const times = (used.get(tensor.name) ?? 0) + 1;
      used.set(tensor.name, times);
      // A tensor used twice may be scaled one way by one use and another way by the other.
      if (times > 1) for (const axis of axes.get(tensor.name) ?? []) limitScaling(axis, 'none');
      const known = USES[node.op]?.[k];
      const [role, order] = known ?? ['other', null];
      const axesInOrder = order === null ? perm : order(perm, node);
      const layout = withoutSingles(tensor.shape, axesInOrder, role === 'weight' || role === 'recurrent');
      const before = uses.get(tensor.name);
      if (before !== undefined && (before.role !== 'other' || role === 'other')) return;
      uses.set(tensor.name, { tensor, role, perm: layout, node: node.name || (node.outputs[0] ?? node.op) });
    });
    // A weight on the left has its rows where the product has positions: no normalisation of channels folds into them.
    const weight = weightOf(node, inputs.slice(0, 1)) ? undefined : weightOf(node, inputs);
    if (weight && node.outputs[0]) producers.set(node.outputs[0], weight.name);
    if (node.op === 'BatchNormalization') {
      const producer = producers.get(node.inputs[0] ?? '');
      const [gamma, variance] = [inputs[1]?.stored?.tensor, inputs[4]?.stored?.tensor];
      if (producer !== undefined && gamma && variance && reads.get(node.inputs[0]!) === 1 && used.get(producer) === 1) {
        folds.set(producer, { gamma, variance, epsilon: attributeOf.number(node, 'epsilon', 1e-5) });
      } else {
        // Unfolded, its statistics take up the scale of what comes before: incoming and outgoing sides scale apart.
        for (const axis of inputs[0]?.axes ?? []) if (axis !== null) limitScaling(axis, 'none');
      }
    }
  };

  const scope = enter(graph, new Map());
  for (const output of graph.outputs) pinValue(scope.get(output.name), 'an output of the model');
  return { axes, uses, folds, scales, preparing: prepare.constants(used) };
}

const weightOf = (node: GraphNode, inputs: readonly (Value | undefined)[]): Tensor | undefined =>
  inputs.find((value, k) => value?.stored && USES[node.op]?.[k]?.[0] === 'weight')?.stored?.tensor;

/** Operators that hand their first input on: not yet a use of it. Scales and zero points beside it are used. */
const PASSES = new Set(['Identity', 'Cast', 'Transpose', 'DequantizeLinear', 'Shape']);

type Order = (perm: readonly number[], node: GraphNode) => readonly number[];
const turned: Order = (perm) => (perm.length === 2 ? [perm[1]!, perm[0]!] : perm);
/** Of fewer axes than two a hostile file alone makes a weight. */
const inOut: Order = (perm) => (perm.length < 2 ? perm : [perm[1]!, perm[0]!, ...perm.slice(2)]);
const gemmB: Order = (perm, node) => (attributeOf.number(node, 'transB', 0) ? perm : turned(perm, node));
const gemmA: Order = (perm, node) => (attributeOf.number(node, 'transA', 0) ? turned(perm, node) : perm);
const oneDirection: Order = (perm) => perm.slice(1);
const asIs: Order = (perm) => perm;

const recurrentUse: Readonly<Record<number, readonly [Role, Order]>> = {
  1: ['weight', oneDirection],
  2: ['recurrent', oneDirection],
  3: ['bias', oneDirection],
};
const norm: readonly [Role, Order] = ['norm', asIs];

const USES: Readonly<Record<string, Readonly<Record<number, readonly [Role, Order]>>>> = {
  MatMul: { 0: ['weight', asIs], 1: ['weight', turned] },
  MatMulInteger: { 0: ['weight', asIs], 1: ['weight', turned] },
  QLinearMatMul: { 0: ['weight', asIs], 3: ['weight', turned] },
  QGemm: { 3: ['weight', gemmB], 6: ['bias', asIs] },
  Gemm: { 0: ['weight', gemmA], 1: ['weight', gemmB], 2: ['bias', asIs] },
  Conv: { 1: ['weight', asIs], 2: ['bias', asIs] },
  ConvInteger: { 1: ['weight', asIs] },
  QLinearConv: { 3: ['weight', asIs], 8: ['bias', asIs] },
  ConvTranspose: { 1: ['weight', inOut], 2: ['bias', asIs] },
  Add: { 0: ['bias', asIs], 1: ['bias', asIs] },
  BatchNormalization: { 1: norm, 2: norm, 3: norm, 4: norm },
  LayerNormalization: { 1: norm, 2: norm },
  InstanceNormalization: { 1: norm, 2: norm },
  LSTM: recurrentUse,
  GRU: recurrentUse,
  RNN: recurrentUse,
};

export const subgraphsOf = (node: GraphNode): readonly Graph[] =>
  [...node.attributes.values()].flatMap((value) =>
    typeof value === 'object' && 'nodes' in value
      ? [value]
      : Array.isArray(value) && typeof value[0] === 'object' && 'nodes' in value[0]
        ? (value as readonly Graph[])
        : [],
  );

const namesReadBy = (graph: Graph): string[] => [
  ...graph.nodes.flatMap((node) => [...node.inputs, ...subgraphsOf(node).flatMap(namesReadBy)]),
  ...graph.outputs.map((output) => output.name),
];

function countReads(graph: Graph): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const name of namesReadBy(graph)) counts.set(name, (counts.get(name) ?? 0) + 1);
  return counts;
}
