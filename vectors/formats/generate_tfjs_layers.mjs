// Writes good/tfjs-layers/ and expected-tfjs-layers.json: small layers models that @tensorflow/tfjs 4.22.0 makes and saves, and
// what it predicts for one input. Seeded; run in this folder: node generate_tfjs_layers.mjs
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import * as tf from '@tensorflow/tfjs';

await tf.setBackend('cpu');
const l = tf.layers;
const expected = {};
let seed = 20261201;
/** Numerical Recipes' generator: any fixed one will do. */
const uniform = () => {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
  return seed / 2 ** 32;
};
const numbers = (shape, from, to) =>
  tf.tensor(Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => from + (to - from) * uniform()), shape);
const isPositive = (name) => /variance|gamma/.test(name);
const short = (value) => Number(value.toPrecision(6));

rmSync('good/tfjs-layers', { recursive: true, force: true });
async function write(name, model, whole = null) {
  model.setWeights(model.weights.map((w) => numbers(w.shape, isPositive(w.name) ? 0.5 : -1, isPositive(w.name) ? 1.5 : 1)));
  const inputs = model.inputs.map(({ shape }) => {
    const sizes = shape.map((size) => size ?? 2);
    return whole === null ? numbers(sizes, -1, 1) : tf.floor(numbers(sizes, 0, whole));
  });
  const outputs = [model.predict(inputs, { batchSize: 2 })].flat();
  const list = (tensor) => ({ shape: tensor.shape, values: [...tensor.dataSync()].map(short) });
  expected[name] = { inputs: inputs.map(list), outputs: outputs.map(list) };
  const folder = `good/tfjs-layers/${name}`;
  mkdirSync(folder, { recursive: true });
  await model.save(
    tf.io.withSaveHandler(async ({ modelTopology, weightSpecs, weightData, format, generatedBy, convertedBy }) => {
      const weightsManifest = [{ paths: ['weights.bin'], weights: weightSpecs }];
      writeFileSync(`${folder}/model.json`, `${JSON.stringify({ format, generatedBy, convertedBy, modelTopology, weightsManifest })}\n`);
      writeFileSync(`${folder}/weights.bin`, Buffer.from(weightData));
      return { modelArtifactsInfo: tf.io.getModelArtifactsInfoForJSON({ modelTopology, weightSpecs, weightData }) };
    }),
  );
}
const stack = (inputShape, ...layers) => {
  const model = tf.sequential();
  layers.forEach((layer, k) => {
    if (k === 0) model.add(l.inputLayer({ inputShape }));
    model.add(layer);
  });
  return model;
};

// Products and activations.
await write(
  'dense',
  stack(
    [5],
    l.dense({ units: 6, activation: 'relu' }),
    l.dense({ units: 7, activation: 'hardSigmoid' }),
    l.dropout({ rate: 0.5 }),
    l.dense({ units: 8, activation: 'swish', useBias: false }),
    l.dense({ units: 6, activation: 'softplus' }),
    l.dense({ units: 5, activation: 'selu' }),
    l.dense({ units: 4, activation: 'softmax' }),
  ),
);
await write(
  'activations',
  stack(
    [6],
    l.dense({ units: 6 }),
    l.leakyReLU({ alpha: 0.2 }),
    l.dense({ units: 5, activation: 'elu' }),
    l.dense({ units: 5, activation: 'gelu' }),
    l.dense({ units: 5, activation: 'mish' }),
    l.dense({ units: 5, activation: 'relu6' }),
    l.dense({ units: 5 }),
    l.prelu(),
    l.dense({ units: 5 }),
    l.thresholdedReLU({ theta: 0.1 }),
    l.dense({ units: 7 }),
    l.reLU({ maxValue: 0.8 }),
    l.layerNormalization({ epsilon: 0.01 }),
    l.dense({ units: 6, activation: 'softsign' }),
    l.elu(),
    l.dense({ units: 4, activation: 'tanh' }),
    l.softmax(),
    l.dense({ units: 5 }),
    l.activation({ activation: 'sigmoid' }),
  ),
);

// Images.
await write(
  'images',
  stack(
    [9, 11, 3],
    l.rescaling({ scale: 0.5, offset: 0.25 }),
    l.conv2d({ filters: 6, kernelSize: [3, 2], strides: 2, padding: 'same', name: 'first' }),
    l.batchNormalization({ name: 'norm' }),
    l.reLU({ maxValue: 6 }),
    l.depthwiseConv2d({ kernelSize: 3, padding: 'same', useBias: false, name: 'depthwise' }),
    l.batchNormalization({ scale: false, name: 'unscaled' }),
    l.separableConv2d({ filters: 7, kernelSize: 2, activation: 'relu', name: 'separable' }),
    l.zeroPadding2d({ padding: [[1, 2], [0, 1]] }),
    l.maxPooling2d({ poolSize: 2, strides: 1, padding: 'same' }),
    l.conv2dTranspose({ filters: 5, kernelSize: 3, strides: 2, padding: 'same', name: 'wider' }),
    l.prelu({ sharedAxes: [1, 2], name: 'slopes' }),
    l.averagePooling2d({ poolSize: [2, 3], padding: 'same' }),
    l.upSampling2d({ size: [2, 3] }),
    l.cropping2D({ cropping: [[1, 0], [2, 1]] }),
    l.conv2dTranspose({ filters: 4, kernelSize: 2, strides: 3, name: 'gaps' }),
    l.upSampling2d({ size: [1, 2], interpolation: 'bilinear' }),
    l.conv2d({ filters: 5, kernelSize: 3, dilationRate: 2, name: 'wide' }),
    l.globalAveragePooling2d({}),
    l.dense({ units: 3, name: 'out' }),
  ),
);
await write(
  'several-a-channel',
  stack(
    [6, 6, 2],
    l.conv2d({ filters: 3, kernelSize: 1, name: 'first' }),
    l.depthwiseConv2d({ kernelSize: 2, depthMultiplier: 2, name: 'depthwise' }),
    l.separableConv2d({ filters: 4, kernelSize: 2, depthMultiplier: 3, name: 'separable' }),
    l.globalMaxPooling2d({}),
    l.dense({ units: 2, name: 'out' }),
  ),
);
await write(
  'flattened',
  stack(
    [5, 4, 2],
    l.conv2d({ filters: 6, kernelSize: 2, activation: 'relu', name: 'conv' }),
    l.flatten(),
    l.dense({ units: 5, activation: 'relu', name: 'hidden' }),
    l.dense({ units: 2, name: 'out' }),
  ),
);
await write(
  'volumes',
  stack(
    [4, 5, 6, 2],
    l.conv3d({ filters: 4, kernelSize: 2, activation: 'relu', name: 'conv' }),
    l.maxPooling3d({ poolSize: 2, strides: 1 }),
    l.averagePooling3d({ poolSize: 2 }),
    l.conv3d({ filters: 3, kernelSize: 1, name: 'last' }),
    l.reshape({ targetShape: [-1, 3] }),
    l.globalMaxPooling1d(),
    l.dense({ units: 2, name: 'out' }),
  ),
);

// Sequences.
await write(
  'waves',
  stack(
    [12, 3],
    l.conv1d({ filters: 5, kernelSize: 3, dilationRate: 2, activation: 'relu', name: 'dilated' }),
    l.batchNormalization({ center: false, name: 'norm' }),
    l.maxPooling1d({ poolSize: 2 }),
    l.conv1d({ filters: 4, kernelSize: 2, strides: 2, padding: 'same', name: 'strided' }),
    l.averagePooling1d({ poolSize: 2, strides: 1 }),
    l.permute({ dims: [2, 1] }),
    l.dense({ units: 3, activation: 'tanh', name: 'positions' }),
    l.permute({ dims: [2, 1] }),
    l.globalAveragePooling1d(),
    l.repeatVector({ n: 4 }),
    l.timeDistributed({ layer: l.dense({ units: 3, activation: 'relu', name: 'each' }), name: 'distributed' }),
    l.flatten(),
    l.dense({ units: 2, name: 'out' }),
  ),
);
await write(
  'recurrent',
  stack(
    [6],
    l.embedding({ inputDim: 9, outputDim: 4, name: 'words' }),
    l.lstm({ units: 5, returnSequences: true, recurrentActivation: 'sigmoid', name: 'lstm' }),
    l.gru({ units: 4, returnSequences: true, recurrentActivation: 'sigmoid', name: 'gru' }),
    l.simpleRNN({ units: 3, returnSequences: true, name: 'simple' }),
    l.lstm({ units: 4, returnSequences: true, useBias: false, goBackwards: true, name: 'backwards' }),
    l.bidirectional({ layer: l.lstm({ units: 3, returnSequences: true, name: 'inner' }), mergeMode: 'concat', name: 'both' }),
    l.bidirectional({ layer: l.gru({ units: 3, name: 'last' }), mergeMode: 'ave', name: 'end' }),
    l.dense({ units: 2, name: 'out' }),
  ),
  9,
);
{
  const x = tf.input({ shape: [5, 3] });
  const [, h, c] = l.lstm({ units: 4, returnState: true, name: 'encoder' }).apply(x);
  const y = l.lstm({ units: 4, returnSequences: true, activation: 'relu', name: 'decoder' }).apply(x, { initialState: [h, c] });
  const z = l.timeDistributed({ layer: l.dense({ units: 2, name: 'inner' }), name: 'each' }).apply(y);
  await write('states', tf.model({ inputs: x, outputs: z }));
}
{
  const model = stack(
    [3, 6, 5, 2],
    l.timeDistributed({ layer: l.conv2d({ filters: 4, kernelSize: 2, activation: 'relu', name: 'inner' }), name: 'frames' }),
    l.timeDistributed({ layer: l.flatten(), name: 'rows' }),
    l.gru({ units: 3, name: 'gru' }),
    l.dense({ units: 2, name: 'out' }),
  );
  await write('frames', model);
}

// Branches, shared layers, models in models.
{
  const x = tf.input({ shape: [6, 6, 3] });
  const conv = (name, filters = 4) => l.conv2d({ filters, kernelSize: 3, padding: 'same', activation: 'relu', name });
  const a = conv('a').apply(x);
  const b = l.batchNormalization({ name: 'norm' }).apply(conv('b').apply(a));
  const sum = l.add().apply([a, b]);
  const shared = conv('shared');
  const twice = l.average().apply([shared.apply(sum), shared.apply(a), b]);
  const most = l.maximum().apply([twice, conv('c').apply(sum)]);
  const least = l.minimum().apply([most, conv('d').apply(twice)]);
  const pooled = l.globalAveragePooling2d({}).apply(least);
  const gate = l.dense({ units: 4, activation: 'sigmoid', name: 'gate' }).apply(l.dense({ units: 3, activation: 'relu', name: 'squeeze' }).apply(pooled));
  const gated = l.multiply().apply([least, l.reshape({ targetShape: [1, 1, 4] }).apply(gate)]);
  const joined = l.concatenate().apply([gated, conv('e', 5).apply(a)]);
  const end = l.globalMaxPooling2d({}).apply(conv('f', 3).apply(joined));
  await write('branches', tf.model({ inputs: x, outputs: [l.dense({ units: 2, name: 'out' }).apply(end), l.dense({ units: 3, name: 'side' }).apply(pooled)] }));
}
{
  const inner = tf.sequential({
    name: 'inner',
    layers: [l.dense({ units: 5, activation: 'relu', inputShape: [4], name: 'one' }), l.dense({ units: 3, activation: 'tanh', name: 'two' })],
  });
  const [x, y] = [tf.input({ shape: [4], name: 'left' }), tf.input({ shape: [4], name: 'right' })];
  const z = l.concatenate().apply([inner.apply(x), inner.apply(y)]);
  await write('nested', tf.model({ inputs: [x, y], outputs: l.dense({ units: 2, name: 'out' }).apply(z) }));
}

writeFileSync('expected-tfjs-layers.json', `${JSON.stringify(expected)}\n`);
