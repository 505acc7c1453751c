// Called by generate_keras_pairs.py: a layers model of @tensorflow/tfjs 4.22.0 with the layers and weights given on standard
// input, saved into the folder named; its prediction, float32 in base64, is the last line of output.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import * as tf from '@tensorflow/tfjs';

await tf.setBackend('cpu');
const [folder] = process.argv.slice(2);
const { name, layers, weights, input } = JSON.parse(readFileSync(0, 'utf8'));
const model = await tf.models.modelFromJSON({ modelTopology: { class_name: 'Sequential', config: { name, layers } } });
const floats = (text) => new Float32Array(Uint8Array.from(Buffer.from(text, 'base64')).buffer);
const stored = model.layers.filter((layer) => layer.getClassName() !== 'InputLayer');
stored.forEach((layer, k) => {
  layer.setWeights(weights[k].map(({ shape, f32 }) => tf.tensor(floats(f32), shape)));
});
mkdirSync(folder, { recursive: true });
await model.save(
  tf.io.withSaveHandler(async ({ modelTopology, weightSpecs, weightData, format, generatedBy, convertedBy }) => {
    const weightsManifest = [{ paths: ['weights.bin'], weights: weightSpecs }];
    writeFileSync(`${folder}/model.json`, `${JSON.stringify({ format, generatedBy, convertedBy, modelTopology, weightsManifest })}\n`);
    writeFileSync(`${folder}/weights.bin`, Buffer.from(weightData));
    return { modelArtifactsInfo: tf.io.getModelArtifactsInfoForJSON({ modelTopology, weightSpecs, weightData }) };
  }),
);
const output = model.predict(tf.tensor(Float32Array.from(input.values), input.shape));
process.stdout.write(`\n${Buffer.from(output.dataSync().buffer).toString('base64')}\n`);
