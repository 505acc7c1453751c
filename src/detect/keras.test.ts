/**
 * One model as Keras saves it in two ways, as TensorFlow.js holds it and as torch exports it to ONNX
 * (`generate_keras_pairs.py`): one canonical digest, and related, whole.
 */
import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { seededRandom } from '../base/index.js';
import { openModel, writeModel } from '../formats/index.js';
import { inTemporaryFolder } from '../formats/testing/files.js';
import { inspectModel } from '../record/index.js';
import { compareFiles } from './index.js';

const at = (file: string): string =>
  fileURLToPath(new URL(`../../vectors/formats/good/keras-pairs/${file}`, import.meta.url));

const PAIRS: Readonly<Record<string, readonly string[]>> = {
  dense: ['.h5', '', '.onnx'],
  images: ['.h5', '', '.onnx'],
  lstm: ['.h5', '', '.onnx'],
  gru: ['.h5', '.onnx'],
  'gru-reset-before': ['.h5', ''],
  blocks: ['.h5'],
  text: ['.h5'],
};

const FORMATS: Readonly<Record<string, string>> = { '': 'tfjs', '.onnx': 'onnx', '.h5': 'keras' };

async function digestOf(file: string): Promise<string> {
  const model = await openModel(file);
  try {
    const { weights } = await inspectModel(model, { digest: true });
    return weights!;
  } finally {
    await model.close();
  }
}

for (const [name, others] of Object.entries(PAIRS)) {
  test(`${name}: .keras${others.map((ending) => `, ${ending || 'TensorFlow.js'}`).join('')} are one model`, async () => {
    const keras = at(`${name}.keras`);
    const digest = await digestOf(keras);
    for (const ending of others) {
      const other = at(name + ending);
      assert.equal(await digestOf(other), digest, ending);
      const { verdict, log10p, scope, tweaks } = await compareFiles(keras, other);
      assert.equal(verdict, 'related', ending);
      assert.ok(log10p! < -10, `${ending}: ${log10p}`);
      assert.equal(scope.comparable, 1, ending);
      // All but biases of outputs, which are in no group, and what normalises.
      assert.ok(scope.related > 0.95, `${ending}: ${scope.related}`);
      const from = { kind: 'converted', from: 'keras F32', to: `${FORMATS[ending]} F32` };
      assert.deepEqual(tweaks, [ending === '.h5' ? { kind: 'exact-copy' } : from]);
    }
  });
}

test('models of one architecture and other weights have another digest and are not related', async () => {
  for (const name of ['dense', 'images', 'lstm']) {
    await inTemporaryFolder(async (folder) => {
      const model = await openModel(at(`${name}.keras`));
      const drawn = [...model.tensors.values()].map((tensor): [string, Float64Array] => {
        const random = seededRandom(9, tensor.name);
        return [tensor.name, Float64Array.from({ length: tensor.elements }, () => random.unit() - 0.5)];
      });
      const changed = new Map(drawn);
      // The bias for the state is in no file.
      for (const { name: bias } of [...model.tensors.values()].filter(({ shape }) =>
        /^1,(160|112)$/.test(shape.join()),
      )) {
        const values = changed.get(bias)!;
        values.fill(0, values.length / 2);
      }
      const out = path.join(folder, `${name}.keras`);
      await writeModel(model, changed, out);
      await model.close();
      assert.notEqual(await digestOf(out), await digestOf(at(`${name}.keras`)));
      assert.notEqual((await compareFiles(out, at(`${name}.h5`))).verdict, 'related', name);
    });
  }
});
