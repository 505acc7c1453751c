/** Graphs of Keras configurations: what is followed, what is not claimed, what is refused. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Json } from '../base/index.js';
import { readKerasConfig } from './keras-config.js';
import { graphOfKeras, type KerasGraph } from './keras-graph.js';
import type { Tensor } from './model.js';
import { storedTensor } from './stored-tensor.js';
import { refusal } from './testing/files.js';

type Shapes = Readonly<Record<string, readonly number[]>>;

const tensorOf = (name: string, shape: readonly number[]): Tensor =>
  storedTensor('KERAS', name, 'F32', shape, {
    kind: 'values',
    read: async (start, end) => new Float64Array(end - start),
  });

function graphOf(json: Json, weights: Readonly<Record<string, Shapes>> = {}): KerasGraph | null {
  const byLayer = Object.entries(weights).map(
    ([layer, shapes]) =>
      [
        layer,
        new Map(Object.entries(shapes).map(([name, shape]) => [name, tensorOf(`${layer}/${name}`, shape)])),
      ] as const,
  );
  const config = readKerasConfig(json, 'config');
  return graphOfKeras(config, new Map(byLayer), 'config', { hardSlope: 1 / 6, halfPixels: true });
}

/** Operators, those of layers that are not followed behind their domain. */
const told = (found: KerasGraph | null): string =>
  (found?.graph.nodes ?? []).map(({ op, domain }) => (domain === '' ? op : `${domain}.${op}`)).join(' ');

type Facts = Readonly<Record<string, Json>>;
const layer = (kind: string, config: Facts = {}, facts: Facts = {}): Facts => ({
  class_name: kind,
  config: { name: 'one', ...config },
  ...facts,
});
const stack = (...layers: readonly Facts[]): Json => ({
  class_name: 'Sequential',
  config: { name: 's', layers: [layer('InputLayer', { name: 'x', batch_shape: [null, 6, 4] }), ...layers] },
});

const DENSE = { one: { kernel: [4, 3], bias: [3] } };

test('classes of the author’s are not taken for Keras’ own of the same name', () => {
  assert.equal(told(graphOf(stack(layer('Dense')), DENSE)), 'MatMul Add');
  assert.equal(told(graphOf(stack(layer('Dense', {}, { module: 'keras.layers' })), DENSE)), 'MatMul Add');
  // As Keras 2 and .h5 files write a registered class; as Keras 3 does; one that is not registered.
  for (const [kind, facts] of [
    ['My>Dense', {}],
    ['Dense', { module: null, registered_name: 'My>Dense' }],
    ['Dense', { module: 'author.layers', registered_name: 'Dense' }],
    ['Dense', { module: 'keras_of_mine', registered_name: null }],
  ] as const) {
    assert.equal(told(graphOf(stack(layer(kind, {}, facts)), DENSE)), 'keras.Dense', JSON.stringify([kind, facts]));
  }
});

test('nor are those inside wrappers and cells, nor models that call their layers as they like', () => {
  const own = { class_name: 'My>Dense', config: { name: 'inner' } };
  const plain = { class_name: 'Dense', config: { name: 'inner' } };
  assert.equal(told(graphOf(stack(layer('TimeDistributed', { layer: plain })), DENSE)), 'MatMul Add');
  assert.equal(told(graphOf(stack(layer('TimeDistributed', { layer: own })), DENSE)), 'keras.TimeDistributed');
  const cell = (name: string): Json => ({ class_name: name, config: { name: 'c', units: 2 } });
  const gru = { one: { kernel: [4, 6], recurrent_kernel: [2, 6], bias: [2, 6] } };
  assert.match(told(graphOf(stack(layer('RNN', { cell: cell('GRUCell') })), gru)), /GRU/);
  assert.equal(told(graphOf(stack(layer('RNN', { cell: cell('My>GRUCell') })), gru)), 'keras.RNN');
  const both = (backward: string): Json =>
    stack(layer('Bidirectional', { layer: layer('GRU') as Json, backward_layer: layer(backward) as Json }));
  const sides = (side: string): Shapes =>
    Object.fromEntries(Object.entries(gru.one).map(([name, shape]) => [`${side}/${name}`, shape]));
  const two = { one: { ...sides('forward'), ...sides('backward') } };
  assert.match(told(graphOf(both('GRU'), two)), /GRU .*GRU .*Concat/);
  assert.equal(told(graphOf(both('My>GRU'), two)), 'keras.Bidirectional');
  assert.equal(graphOf({ ...(stack(layer('Dense')) as Facts), class_name: 'Mine' }, DENSE), null);
  const nested = { ...(stack(layer('Dense')) as Facts), class_name: 'My>Sequential' };
  assert.equal(told(graphOf(stack(nested), DENSE)), 'keras.Sequential');
});

/** A functional model of Keras 3: an input and a call with these arguments. */
function called(kind: string, args: Json, config: Facts = {}): Json {
  const call = { ...layer(kind, config), name: 'one', inbound_nodes: [{ args, kwargs: {} }] };
  const input = { ...layer('InputLayer', { name: 'x', batch_shape: [null, 4] }), name: 'x', inbound_nodes: [] };
  return {
    class_name: 'Functional',
    config: { name: 'm', layers: [input, call], input_layers: [['x', 0, 0]], output_layers: [['one', 0, 0]] },
  };
}
const X: Json = { class_name: '__keras_tensor__', config: { shape: [null, 4], keras_history: ['x', 0, 0] } };

test('operations of Keras 3 are followed where they act on values alone', () => {
  assert.equal(told(graphOf(called('Add', [X, X]))), 'Add');
  assert.equal(told(graphOf(called('Add', [[X, X]]))), 'Add');
  assert.equal(told(graphOf(called('Multiply', [X, 2]))), 'keras.Multiply');
  assert.equal(
    told(graphOf(called('Add', [X, { class_name: '__numpy__', config: { value: [1, 2, 3, 4] } }]))),
    'keras.Add',
  );
  // A weighted mean along an axis, and no mean of several values.
  assert.equal(told(graphOf(called('Average', [X, X], { axis: null }))), 'keras.Average');
});

test('weights that are not as the layer’s would be: nothing is claimed', () => {
  for (const [kind, weights] of [
    ['Dense', {}],
    ['Dense', { kernel: [4, 3] }],
    ['Dense', { kernel: [4, 3, 1], bias: [3] }],
    ['LSTM', { kernel: [4, 8], recurrent_kernel: [3, 8], bias: [8] }],
    ['LSTM', { kernel: [4, 0], recurrent_kernel: [0, 0], bias: [0] }],
    ['GRU', { kernel: [4, 6], recurrent_kernel: [2, 6], bias: [3, 6] }],
    ['Conv1D', { kernel: [3, 4], bias: [4] }],
    ['BatchNormalization', { gamma: [4], beta: [4], moving_mean: [4, 1], moving_variance: [4] }],
    ['constructor', { kernel: [4, 3] }],
    ['__proto__', {}],
  ] as const) {
    assert.equal(told(graphOf(stack(layer(kind)), { one: weights })), `keras.${kind}`, JSON.stringify([kind, weights]));
  }
});

/** Each model calls the one inside it four times. */
function doubled(depth: number): Json {
  let inner: Facts = { class_name: 'Dense', config: { name: 'inner' } };
  for (let level = 0; level < depth; level++) {
    const calls = Array.from({ length: 4 }, (_, k) => [[k === 0 ? 'x' : 'inner', Math.max(0, k - 1), 0, {}]]);
    const layers = [
      { class_name: 'InputLayer', name: 'x', config: { name: 'x' }, inbound_nodes: [] },
      { ...inner, name: 'inner', inbound_nodes: calls },
    ];
    const config = { name: 'inner', layers, input_layers: [['x', 0, 0]], output_layers: [['inner', 3, 0]] };
    inner = { class_name: 'Functional', config: config as unknown as Json };
  }
  return inner as Json;
}

test('models in models that multiply are refused in time', () => {
  const begun = performance.now();
  assert.throws(() => graphOf(doubled(14)), refusal('KERAS_TOO_MANY'));
  assert.ok(performance.now() - begun < 2000, `${performance.now() - begun} ms`);
  // Two levels of four calls.
  assert.equal(told(graphOf(doubled(2))), Array<string>(16).fill('keras.Dense').join(' '));
});

test('layers in a circle have a graph with an end', () => {
  const config = {
    name: 'm',
    layers: [
      { ...layer('Activation', { activation: 'relu' }), name: 'a', inbound_nodes: [[['b', 0, 0, {}]]] },
      { ...layer('Activation', { activation: 'tanh' }), name: 'b', inbound_nodes: [[['a', 0, 0, {}]]] },
    ],
    input_layers: [],
    output_layers: [['a', 0, 0]],
  };
  const { nodes } = graphOf({ class_name: 'Functional', config } as unknown as Json)!.graph;
  assert.equal(nodes.length, 2);
  assert.match(nodes[0]!.inputs[0]!, /^unknown/);
});
