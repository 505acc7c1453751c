/** Configurations of Keras models: layers, what each call takes, and which weights each layer has. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileSource, type Json } from '../base/index.js';
import { openHdf5 } from './hdf5.js';
import { kerasTensors } from './keras.js';
import { type KerasConfig, type KerasWeights, readKerasConfig } from './keras-config.js';
import { vector } from './testing/files.js';
import { openZip } from './zip.js';

async function partsOf(file: string): Promise<{ readonly config: KerasConfig; readonly weights: KerasWeights }> {
  const source = await fileSource(vector(`good/keras/${file}`));
  try {
    if (file.endsWith('.keras')) {
      const archive = await openZip(source);
      const json = archive.open('config.json');
      const text = Buffer.from(await json.slice(0, json.byteLength)).toString();
      const config = readKerasConfig(JSON.parse(text) as Json, file);
      return {
        config,
        weights: (await kerasTensors(await openHdf5(archive.open('model.weights.h5')), config)).weights,
      };
    }
    const h5 = await openHdf5(source);
    const [text] = (await h5.texts(h5.root.attributes, 'model_config'))!;
    const config = readKerasConfig(JSON.parse(text!) as Json, file);
    return { config, weights: (await kerasTensors(h5, config)).weights };
  } finally {
    await source.close();
  }
}

const callsIn = ({ layers }: KerasConfig): Readonly<Record<string, readonly string[]>> =>
  Object.fromEntries(layers.map(({ name, calls }) => [name, calls.map(({ inbound }) => inbound.flat().join(' '))]));

const keysIn = (weights: KerasWeights): Readonly<Record<string, readonly string[]>> =>
  Object.fromEntries([...weights].map(([layer, all]) => [layer, [...all.keys()].sort()]));

for (const ending of ['.h5', '.keras']) {
  test(`nested${ending}: layers called twice, models in models, weights by layer`, async () => {
    const { config, weights } = await partsOf(`nested${ending}`);
    assert.deepEqual(callsIn(config), {
      x: [''],
      inner: ['x 0 0', 'inner 0 0'],
      line: ['inner 0 0'],
      sum: ['inner 1 0 line 0 0'],
      out: ['sum 0 0'],
    });
    assert.deepEqual(config.inputs, [['x', 0, 0]]);
    assert.deepEqual(config.outputs, [['out', 0, 0]]);
    const [inner, line] = ['inner', 'line'].map((name) => config.layers.find((layer) => layer.name === name)!.model!);
    assert.deepEqual([inner!.kind, callsIn(inner!)], ['Functional', { inner_input: [''], dense: ['inner_input 0 0'] }]);
    assert.equal(line!.kind, 'Sequential');
    assert.deepEqual(callsIn(line!), {
      [line!.layers[0]!.name]: [''],
      dense: [`${line!.layers[0]!.name} 0 0`],
      last: ['dense 0 0'],
    });
    assert.deepEqual(keysIn(weights), {
      'inner/dense': ['bias', 'kernel'],
      'line/dense': ['bias', 'kernel'],
      'line/last': ['bias', 'kernel'],
      out: ['bias', 'kernel'],
    });
    assert.equal(weights.get('inner/dense')!.get('kernel')!.name, 'dense/kernel');
    assert.equal(weights.get('line/dense')!.get('kernel')!.name, 'line/dense/kernel');
  });

  test(`sequences${ending}: parts of layers have the shortest names that tell them apart`, async () => {
    const { weights } = await partsOf(`sequences${ending}`);
    const cell = ['bias', 'kernel', 'recurrent_kernel'];
    assert.deepEqual(keysIn(weights), {
      embedding: ['embeddings'],
      attention: ['attention_output', 'key', 'query', 'value'].flatMap((part) => [`${part}/bias`, `${part}/kernel`]),
      norm: ['beta', 'gamma'],
      both: ['backward', 'forward'].flatMap((side) => cell.map((name) => `${side}/${name}`)),
      steps: ['bias', 'kernel'],
      stack: ['gru_cell', 'lstm_cell'].flatMap((part) => cell.map((name) => `${part}/${name}`)),
      gru: cell,
    });
  });
}

test('Keras 2: calls of nested models are counted from 0, tensors given by name are apart', async () => {
  const { config, weights } = await partsOf('keras2.h5');
  assert.deepEqual(callsIn(config).inner, ['input_2 0 0', 'inner 0 0']);
  const attention = config.layers.find(({ name }) => name === 'attention')!;
  assert.deepEqual(attention.calls[0]!.inbound, [['input_2', 0, 0]]);
  assert.deepEqual([...attention.calls[0]!.named], [['value', [['inner', 1, 0]]]]);
  assert.deepEqual(keysIn(weights), {
    'inner/dense': ['bias', 'kernel'],
    attention: ['attention_output/kernel', 'query/kernel'],
    dense_1: ['bias', 'kernel'],
  });
});

const layer = (name: string, config: object = {}): Json => ({ class_name: 'Dense', config: { name, ...config } });

test('Keras 1 lists the layers of a Sequential in place of its settings; a missing input is made', () => {
  const config = readKerasConfig(
    { class_name: 'Sequential', config: [layer('a', { batch_input_shape: [null, 3] }), layer('b')] },
    'm',
  );
  assert.deepEqual(callsIn(config), { a_input: [''], a: ['a_input 0 0'], b: ['a 0 0'] });
  assert.deepEqual(config.layers[0]!.config.batch_shape, [null, 3]);
  assert.deepEqual([config.inputs, config.outputs], [[['a_input', 0, 0]], [['b', 0, 0]]]);
});

test('constants among the arguments are no tensors; a class of the author’s tells no layers', () => {
  const call = {
    args: [[{ class_name: '__keras_tensor__', config: { keras_history: ['a', 0, 0] } }, ['b', 1, 2]]],
    kwargs: {},
  };
  const functional: Json = {
    class_name: 'Functional',
    config: {
      name: 'm',
      layers: [layer('a'), { ...(layer('c') as object), inbound_nodes: [call] }],
      input_layers: ['a', 0, 0],
      output_layers: [['c', 0, 0]],
    },
  };
  assert.deepEqual(callsIn(readKerasConfig(functional, 'm')), { a: [''], c: ['a 0 0'] });
  assert.equal(readKerasConfig({ class_name: 'My>Own', config: {} }, 'm').kind, 'subclassed');
});
