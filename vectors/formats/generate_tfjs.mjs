// Writes good/tfjs/ and expected-tfjs.json: models that @tensorflow/tfjs 4.22.0 writes, and what it reads back.
// Seeded; run in this folder: node generate_tfjs.mjs
import { mkdirSync, writeFileSync } from 'node:fs';
import * as tf from '@tensorflow/tfjs';

await tf.setBackend('cpu');
const expected = {};
let seed = 20261123;
/** Numerical Recipes' generator: any fixed one will do. */
const uniform = () => {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
  return seed / 2 ** 32;
};
const random = (shape) => tf.tensor(Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => uniform() * 2 - 1), shape);

function write(folder, json, files) {
  mkdirSync(`good/tfjs/${folder}`, { recursive: true });
  for (const [name, bytes] of Object.entries(files)) writeFileSync(`good/tfjs/${folder}/${name}`, bytes);
  writeFileSync(`good/tfjs/${folder}/${Array.isArray(json) ? 'weights_manifest' : 'model'}.json`, `${JSON.stringify(json)}\n`);
}

/** Splits at sizes that no element ends at. */
function shards(data, size, stem) {
  const files = {};
  const count = Math.ceil(data.byteLength / size);
  for (let i = 0; i < count; i++) {
    files[`${stem}-shard${i + 1}of${count}.bin`] = Buffer.from(data.slice(i * size, (i + 1) * size));
  }
  return files;
}

function note(folder, specs, data) {
  const decoded = tf.io.decodeWeights(data, specs);
  expected[folder] = {};
  for (const spec of specs) {
    if (spec.dtype === 'string') continue;
    const tensor = decoded[spec.name];
    expected[folder][spec.name] = { shape: tensor.shape, values: [...tensor.dataSync()].map(Number) };
  }
}

const joined = (...arrays) => {
  const bytes = Buffer.concat(arrays.map((a) => Buffer.from(a.buffer, a.byteOffset, a.byteLength)));
  return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length);
};

// A Keras model, as model.save writes it, in shards of 301 bytes.
const layers = tf.sequential({
  layers: [
    tf.layers.conv2d({ inputShape: [8, 8, 3], filters: 4, kernelSize: [3, 2], name: 'conv', useBias: true }),
    tf.layers.batchNormalization({ name: 'norm' }),
    tf.layers.depthwiseConv2d({ kernelSize: 2, name: 'depthwise' }),
    tf.layers.separableConv2d({ filters: 5, kernelSize: 2, name: 'separable' }),
    tf.layers.conv2dTranspose({ filters: 2, kernelSize: 3, name: 'transposed' }),
    tf.layers.reshape({ targetShape: [4, 18], name: 'reshape' }),
    tf.layers.conv1d({ filters: 6, kernelSize: 2, name: 'conv1d' }),
    tf.layers.lstm({ units: 3, name: 'lstm' }),
    tf.layers.dense({ units: 2, name: 'dense' }),
  ],
});
layers.setWeights(layers.getWeights().map((w) => random(w.shape)));
await layers.save(
  tf.io.withSaveHandler(async ({ modelTopology, weightSpecs, weightData, format, generatedBy, convertedBy }) => {
    const files = shards(weightData, 301, 'group1');
    write('layers', { format, generatedBy, convertedBy, modelTopology, weightsManifest: [{ paths: Object.keys(files), weights: weightSpecs }] }, files);
    note('layers', weightSpecs, weightData);
    return { modelArtifactsInfo: tf.io.getModelArtifactsInfoForJSON({ modelTopology, weightSpecs, weightData }) };
  }),
);

// A graph model: two groups, quantised weights, texts; loaded and run by the library to show that it is one.
const f32 = (shape) => random(shape).dataSync();
const codes = (Type, length) => Type.from({ length }, () => Math.floor(uniform() * 2 ** (8 * Type.BYTES_PER_ELEMENT)));
const one = [
  [{ name: 'conv/w', shape: [3, 3, 2, 4], dtype: 'float32', quantization: { dtype: 'uint8', scale: 0.0123, min: -1.7 } }, codes(Uint8Array, 72)],
  [{ name: 'conv/depthwise', shape: [2, 2, 4, 1], dtype: 'float32', quantization: { dtype: 'uint16', scale: 3.1e-5, min: -0.9 } }, codes(Uint16Array, 16)],
  [{ name: 'dense/w', shape: [6, 5], dtype: 'float32', quantization: { dtype: 'float16' } }, Uint16Array.from({ length: 30 }, () => Math.floor(uniform() * 0x7c00) | (uniform() < 0.5 ? 0x8000 : 0))],
  [{ name: 'dense/turned', shape: [7, 5], dtype: 'float32' }, f32([7, 5])],
  [{ name: 'steps', shape: [9], dtype: 'int32', quantization: { dtype: 'uint8', scale: 2.5, min: -300 } }, codes(Uint8Array, 9)],
];
const words = ['a', '', 'ü✓', 'longer than the others'].map((word) => Buffer.from(word));
const text = Buffer.concat(words.flatMap((word) => [Buffer.from(Uint32Array.of(word.length).buffer), word]));
const two = [
  [{ name: 'words', shape: [2, 2], dtype: 'string' }, text],
  [{ name: 'flags', shape: [3], dtype: 'bool' }, Uint8Array.of(1, 0, 1)],
  [{ name: 'shape', shape: [2], dtype: 'int32' }, Int32Array.of(-1, 6)],
  [{ name: 'scalar', shape: [], dtype: 'float32' }, Float32Array.of(0.25)],
  [{ name: 'none', shape: [0, 4], dtype: 'float32' }, new Float32Array(0)],
  [{ name: 'both', shape: [5, 5], dtype: 'float32' }, f32([5, 5])],
];
const node = (name, op, input = [], attr = {}) => ({ name, op, input, attr: { dtype: { type: 'DT_FLOAT' }, T: { type: 'DT_FLOAT' }, ...attr } });
const image = { dilations: { list: { i: ['1', '1', '1', '1'] } }, strides: { list: { i: ['1', '1', '1', '1'] } }, padding: { s: Buffer.from('SAME').toString('base64') }, data_format: { s: Buffer.from('NHWC').toString('base64') } };
const graph = {
  node: [
    node('x', 'Placeholder', [], { shape: { shape: { dim: [{ size: '1' }, { size: '4' }, { size: '4' }, { size: '2' }] } } }),
    node('features', 'Placeholder', [], { shape: { shape: { dim: [{ size: '1' }, { size: '6' }] } } }),
    ...[...one, ...two].map(([spec]) => node(spec.name, 'Const', [], { dtype: { type: { float32: 'DT_FLOAT', int32: 'DT_INT32', bool: 'DT_BOOL', string: 'DT_STRING' }[spec.dtype] } })),
    node('conv/read', 'Identity', ['conv/w']),
    node('c', 'Conv2D', ['x', 'conv/read'], image),
    node('d', 'DepthwiseConv2dNative', ['c', 'conv/depthwise'], image),
    node('m', 'MatMul', ['features', 'dense/w'], { transpose_a: { b: false }, transpose_b: { b: false } }),
    node('n', 'MatMul', ['m', 'dense/turned'], { transpose_a: { b: false }, transpose_b: { b: true } }),
    node('o', 'MatMul', ['m', 'both'], { transpose_a: { b: false }, transpose_b: { b: false } }),
    node('p', 'MatMul', ['o', 'both'], { transpose_a: { b: false }, transpose_b: { b: true } }),
  ],
  versions: { producer: 27 },
};
const groups = [one, two].map((group) => ({ specs: group.map(([spec]) => spec), data: joined(...group.map(([, data]) => data)) }));
const parts = [shards(groups[0].data, 97, 'group1'), shards(groups[1].data, 1000, 'group2')];
const model = {
  format: 'graph-model',
  generatedBy: '1.15',
  convertedBy: 'by hand',
  modelTopology: graph,
  weightsManifest: groups.map(({ specs }, i) => ({ paths: Object.keys(parts[i]), weights: specs })),
};
write('graph', model, { ...parts[0], ...parts[1] });
const specs = groups.flatMap((group) => group.specs);
note('graph', specs, joined(...groups.map(({ data }) => new Uint8Array(data))));
const loaded = await tf.loadGraphModel({ load: async () => ({ ...model, modelTopology: graph, weightSpecs: specs, weightData: joined(...groups.map(({ data }) => new Uint8Array(data))) }) });
const outputs = loaded.execute({ x: random([1, 4, 4, 2]), features: random([1, 6]) }, ['d', 'n', 'p']);
if (outputs.some((output) => output.size === 0)) throw new Error('the graph does not run');

// The bare manifest of older converters: no topology.
const bare = [{ name: 'a/weights', shape: [2, 3], dtype: 'float32' }, { name: 'a/bias', shape: [3], dtype: 'float32', quantization: { dtype: 'uint8', scale: 0.5, min: -3 } }];
const bareData = joined(f32([2, 3]), codes(Uint8Array, 3));
write('bare', [{ paths: ['bare-shard1'], weights: bare }], { 'bare-shard1': Buffer.from(bareData) });
note('bare', bare, bareData);

writeFileSync('expected-tfjs.json', `${JSON.stringify(expected)}\n`);
