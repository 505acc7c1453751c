import assert from 'node:assert/strict';
import { test } from 'node:test';
import { memorySource, seededRandom } from '../base/index.js';
import { planNet } from '../compute/index.js';
import { openModel } from '../formats/index.js';
import { exportModel, type ModelCard } from '../train/index.js';
import { canonicalise } from './index.js';
import {
  assertGroups,
  canonicalNet,
  dense,
  floats,
  longs,
  type Net,
  node,
  positives,
  scalar,
  value,
} from './testing/nets.js';

const PREPARES = { kind: 'constant', what: 'input preparation' };
const natures = async (net: Net): Promise<Record<string, string>> =>
  Object.fromEntries(
    [...(await canonicalNet(net)).tensors.values()].map(({ name, nature }) => [
      name,
      nature.kind === 'learned' ? 'learned' : nature.what,
    ]),
  );
/** `nodes` turn x into z, which the first weight takes in. */
const prepared = (nodes: Net['nodes'], tensors: Net['tensors'], wide = 5): Net => ({
  inputs: [value('x', 'rows', 5)],
  outputs: [value('y', 'rows', 3)],
  nodes: [...nodes, node('MatMul', 'z w1', 'h'), node('Relu', 'h', 'g'), node('MatMul', 'g w2', 'y')],
  tensors: [floats('w1', wide, 6), floats('w2', 6, 3), ...tensors],
});

test('what meets an input number by number before the first product is preparation, by whatever name', async () => {
  const net = prepared(
    [
      node('IsNaN', 'x', 'missing'),
      node('Where', 'missing a x', 'known'),
      node('Sub', 'known a', 'centred'),
      node('Div', 'centred b', 'standard'),
      node('Gather', 'x picks', 'some', { axis: { int: 1 } }),
      node('Max', 'some c', 'least'),
      node('Log', 'least', 'logs'),
      node('Concat', 'standard logs', 'z', { axis: { int: 1 } }),
    ],
    [floats('a', 1, 5), positives('b', 5), longs('picks', 4, 0, 3), positives('c', 1, 3)],
    8,
  );
  const preparing = 'input preparation';
  assert.deepEqual(await natures(net), {
    a: preparing,
    b: preparing,
    c: preparing,
    picks: preparing,
    w1: 'learned',
    w2: 'learned',
  });
  await assertGroups(net, { groups: ['6 positive: w1.0 → w2.1'] });
});

test('behind the first product the same operators are learned', async () => {
  const net = dense([node('Sub', 'h a', 's'), node('Div', 's b', 'g')], [floats('a', 6), positives('b', 6)]);
  const found = await natures(net);
  assert.equal(found.a, 'learned');
  assert.equal(found.b, 'learned');
});

test('a tensor that is used a second time elsewhere is learned', async () => {
  const net = prepared([node('Mul', 'x a', 'z')], [floats('a', 1, 5)]);
  const again: Net = {
    ...net,
    nodes: [
      ...net.nodes.slice(0, -1),
      node('MatMul', 'g w2', 'o'),
      node('Slice', 'a zero three one', 's'),
      node('Add', 'o s', 'y'),
    ],
    tensors: [...net.tensors, longs('zero', 0), longs('three', 3), longs('one', 1)],
  };
  assert.equal((await natures(net)).a, 'input preparation');
  assert.equal((await natures(again)).a, 'learned');
});

test('a matrix product written as a stretched product and a sum is learned; so is a model that has no product at all', async () => {
  const written: Net = {
    inputs: [value('x', 4, 5)],
    outputs: [value('y', 4, 3)],
    nodes: [
      node('Unsqueeze', 'x one', 'u'),
      node('Mul', 'u w', 'm'),
      node('ReduceSum', 'm two', 's', { keepdims: { int: 0 } }),
      node('Relu', 's', 'g'),
      node('MatMul', 'g w2', 'y'),
    ],
    tensors: [floats('w', 1, 6, 5), floats('w2', 6, 3), longs('one', 1), longs('two', 2)],
  };
  assert.equal((await natures(written)).w, 'learned');
  // The same without the sum: six copies of the input, each weighed by its own row.
  const copied: Net = {
    ...written,
    outputs: [value('y', 4, 6, 3)],
    nodes: [node('Unsqueeze', 'x one', 'u'), node('Mul', 'u w', 'm'), node('MatMul', 'm w3', 'y')],
    tensors: [floats('w', 1, 6, 5), floats('w3', 5, 3), longs('one', 1)],
  };
  assert.equal((await natures(copied)).w, 'learned');
  const weighed: Net = {
    inputs: [value('x', 4, 5)],
    outputs: [value('y', 4, 1)],
    nodes: [node('Mul', 'x w', 'm'), node('ReduceSum', 'm one', 'y')],
    tensors: [floats('w', 1, 5), longs('one', 1)],
  };
  assert.equal((await natures(weighed)).w, 'learned');
});

test('what is looked up by an input, or stands beside it as numbers of its own, is learned', async () => {
  const looked: Net = {
    inputs: [{ name: 'words', dtype: 'I64', shape: [4] }],
    outputs: [value('y', 4, 3)],
    nodes: [node('Gather', 'table words', 'e'), node('MatMul', 'e w2', 'y')],
    tensors: [floats('table', 7, 6), floats('w2', 6, 3)],
  };
  assert.equal((await natures(looked)).table, 'learned');
  const beside: Net = {
    ...prepared([node('Concat', 'x token', 'z', { axis: { int: 0 } })], [floats('token', 1, 5)]),
    inputs: [value('x', 4, 5)],
  };
  assert.equal((await natures(beside)).token, 'learned');
});

test('a chain of preparations as long as the graph is given up, not copied node by node', async () => {
  const links = 2_000;
  const nodes = Array.from({ length: links }, (_, k) =>
    node('Add', `${k === 0 ? 'x' : `a${k}`} b${k}`, k === links - 1 ? 'z' : `a${k + 1}`),
  );
  const tensors = Array.from({ length: links }, (_, k) => floats(`b${k}`, 1, 5));
  const started = performance.now();
  assert.equal((await natures(prepared(nodes, tensors))).b0, 'learned');
  assert.ok(performance.now() - started < 5_000);
});

test('one factor for the whole input is preparation too', async () => {
  const net = prepared([node('Mul', 'x scale', 'z')], [scalar('scale', 'F32', 1 / 255)]);
  assert.equal((await natures(net)).scale, 'input preparation');
});

const parametersOf = (net: ModelCard['net']): Float32Array => {
  const random = seededRandom(4, 'parameters');
  return Float32Array.from({ length: planNet(net).size }, () => random.unit() - 0.5);
};
const card = (over: Partial<ModelCard>): ModelCard => ({
  version: 1,
  task: 'classify',
  target: 'failure',
  net: { input: [10], layers: [{ kind: 'dense', units: 8 }, { kind: 'relu' }, { kind: 'dense', units: 2 }] },
  columns: [
    ...['air', 'process', 'speed', 'torque'].map(
      (name, k) => ({ name, kind: 'number', mean: k + 0.5, scale: 1 + k / 7 }) as const,
    ),
    { name: 'type', kind: 'category', categories: ['H', 'L', 'M'] },
  ],
  derived: {
    logs: [{ column: 2, least: 0.5, shift: 0.1, mean: 0.3, scale: 2 }],
    pairs: [
      { a: 0, b: 1, sign: -1, scale: 0.7 },
      { a: 2, b: 4, sign: 1, scale: 0.9 },
    ],
  },
  missing: true,
  classes: ['0', '1'],
  threshold: 0.5,
  output: null,
  window: null,
  ...over,
});

test('of a model exported here only the layers are learned: tables with logarithms and pairs, windows of sensors', async () => {
  const table = card({});
  const windows = card({
    task: 'forecast',
    columns: table.columns.slice(0, 4),
    derived: { logs: [], pairs: [] },
    net: {
      input: [4, 16],
      layers: [
        { kind: 'conv', channels: 6, kernel: 3, stride: 1, padding: 1 },
        { kind: 'relu' },
        { kind: 'mean' },
        { kind: 'dense', units: 1 },
      ],
    },
    output: { mean: 3, scale: 2 },
    window: { unit: 'machine', time: 'hour', length: 16 },
  });
  for (const one of [table, windows]) {
    const bytes = exportModel(one, parametersOf(one.net));
    const { tensors, groups } = await canonicalise(await openModel(memorySource(bytes, 'exported.onnx')));
    const learned = [...tensors.values()].filter(({ nature }) => nature.kind === 'learned').map(({ name }) => name);
    // A single number, the forecast's last bias, is no tensor that could be told from a constant.
    const layers = planNet(one.net).parameters.filter(({ elements }) => elements > 1);
    assert.deepEqual(learned.sort(), layers.map(({ name }) => name).sort());
    for (const name of ['input_mean', 'input_scale']) assert.deepEqual(tensors.get(name)!.nature, PREPARES, name);
    assert.equal(groups.length, 1);
  }
});
