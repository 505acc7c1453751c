import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DType, Graph, GraphNode, Model, Tensor } from '../formats/index.js';
import { architectureOf } from './architecture.js';

const tensor = (name: string, shape: number[], dtype: DType = 'F32'): Tensor => ({
  name,
  dtype,
  shape,
  elements: shape.reduce((a, b) => a * b, 1),
  read: async () => new Float64Array(),
  writable: true,
});
const node = (op: string, inputs: string[], outputs: string[], attributes: [string, never][] = []): GraphNode => ({
  name: `${op}-${outputs[0]}`,
  op,
  domain: '',
  inputs,
  outputs,
  attributes: new Map(attributes),
});
const graph = (nodes: GraphNode[], weights: Tensor[], inputs: string[], outputs: string[]): Graph => ({
  name: 'g',
  inputs: inputs.map((name) => ({ name, dtype: 'F32' as const, shape: ['batch', 8] })),
  outputs: outputs.map((name) => ({ name, dtype: 'F32' as const, shape: null })),
  valueInfo: [],
  nodes,
  initialisers: new Map(weights.map((one) => [one.name, one])),
});
const model = (whole: Graph | null, tensors: Tensor[] = []): Model => ({
  format: whole === null ? 'safetensors' : 'onnx',
  tensors: new Map([...(whole?.initialisers.values() ?? []), ...tensors].map((one) => [one.name, one])),
  graph: whole,
  opset: 17,
  metadata: new Map(),
  sources: [],
  bytesRead: 0,
  close: async () => {},
});
const mlp = (prefix: string, dtype: DType = 'F32', width = 16): Model => {
  const p = (name: string): string => `${prefix}${name}`;
  return model(
    graph(
      [
        node('Gemm', [p('x'), p('w'), p('b')], [p('h')], [['transB', 1 as never]]),
        node('Relu', [p('h')], [p('r')]),
        node('MatMul', [p('r'), p('v')], [p('y')]),
      ],
      [tensor(p('w'), [width, 8], dtype), tensor(p('b'), [width], dtype), tensor(p('v'), [width, 2], dtype)],
      [p('x')],
      [p('y')],
    ),
  );
};

test('a graph is stated as nodes and the values that pass between them', () => {
  const found = architectureOf(mlp(''));
  assert.deepEqual(
    { source: found.source, nodes: found.nodes, edges: found.edges, operations: found.operations },
    { source: 'graph', nodes: 3, edges: 2, operations: { Gemm: 1, MatMul: 1, Relu: 1 } },
  );
  assert.deepEqual(found.graph, {
    inputs: [['batch', 8]],
    outputs: ['n2'],
    weights: [[16, 8], [16], [16, 2]],
    nodes: [
      { op: 'Gemm', in: ['i0', 'w0', 'w1'], attributes: { transB: 1 } },
      { op: 'Relu', in: ['n0'] },
      { op: 'MatMul', in: ['n1', 'w2'] },
    ],
  });
});

test('names and storage types do not move the digest; widths, operations and wiring do', () => {
  const base = architectureOf(mlp('')).sha256;
  assert.equal(architectureOf(mlp('other/')).sha256, base);
  assert.equal(architectureOf(mlp('', 'F16')).sha256, base);
  assert.notEqual(architectureOf(mlp('', 'F32', 17)).sha256, base);
});

test('subgraphs, absent inputs, infinite attributes and constants', () => {
  const branch = graph([node('Add', ['outer', 'k'], ['z'])], [tensor('k', [4])], [], ['z']);
  const whole = graph(
    [
      node('Constant', [], ['c']),
      node('Clip', ['x', '', 'c'], ['outer'], [['min', Number.NEGATIVE_INFINITY as never]]),
      node('If', ['x'], ['y'], [['then_branch', branch as never]]),
    ],
    [tensor('c', [])],
    ['x'],
    ['y'],
  );
  const found = architectureOf(model(whole));
  assert.deepEqual(found.operations, { Add: 1, Clip: 1, If: 1 });
  const stated = found.graph as { nodes: { in: string[]; attributes: Record<string, unknown> }[] };
  assert.deepEqual(stated.nodes[0]!.in, ['i0', '', 'w0']);
  assert.equal(stated.nodes[0]!.attributes.min, '-Infinity');
  const inner = stated.nodes[1]!.attributes.then_branch as { nodes: { in: string[] }[] };
  assert.deepEqual(inner.nodes[0]!.in, ['^n0', 'w0']);
});

test('without a graph: names and shapes, in an order of their own', () => {
  const [a, b] = [tensor('a.weight', [2, 3]), tensor('b.weight', [4])];
  const one = architectureOf(model(null, [a, b]));
  assert.equal(one.source, 'names');
  assert.equal(one.sha256, architectureOf(model(null, [b, a])).sha256);
  assert.deepEqual(one.graph, {
    weights: [
      { name: 'a.weight', shape: [2, 3] },
      { name: 'b.weight', shape: [4] },
    ],
  });
});

test('a graph too large for a statement is stated by digest and counts', () => {
  const nodes = Array.from({ length: 20_000 }, (_, i) => node('Relu', [i === 0 ? 'x' : `h${i - 1}`], [`h${i}`]));
  const found = architectureOf(model(graph(nodes, [], ['x'], ['h19999'])));
  assert.equal(found.graph, null);
  assert.equal(found.nodes, 20_000);
  assert.equal(found.edges, 19_999);
});
