/** Keras opens released copies and predicts by them as before. Only with MUNIMENT_INTEROP=1 and keras with torch at hand. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { type KerasRelease, kerasRelease, NO_STRENGTH } from './testing/keras-release.js';

const run = promisify(execFile);
const python = process.env.MUNIMENT_PYTHON ?? 'python3';
const env = { ...process.env, KERAS_BACKEND: 'torch' };

/** Of each pair of files: the largest difference of the predictions, relative to the largest number in them. */
const PREDICT = `
import json, sys, keras, numpy as np
rng = np.random.default_rng(7)
far = []
for original, copy in zip(sys.argv[1::2], sys.argv[2::2]):
    before, after = (keras.saving.load_model(file, compile=False) for file in (original, copy))
    shape = (4, *before.inputs[0].shape[1:])
    isText = before.inputs[0].dtype.startswith('int')
    x = rng.integers(0, 11, shape) if isText else rng.uniform(-1, 1, shape).astype('float32')
    y, z = (keras.ops.convert_to_numpy(model(x, training=False)) for model in (before, after))
    moved = any(not np.array_equal(a, b) for a, b in zip(before.get_weights(), after.get_weights()))
    far.append({'far': float(np.abs(y - z).max() / np.abs(y).max()), 'moved': moved})
print(json.dumps(far))
`;

/** Without blocks.h5: Keras takes the sum of two values, an operation, for its layer, and cannot open its own file. */
const FILES = ['dense', 'images', 'lstm', 'gru', 'gru-reset-before', 'blocks', 'text']
  .flatMap((name) => [`${name}.keras`, `${name}.h5`])
  .filter((file) => file !== 'blocks.h5');
const at = (file: string): string =>
  fileURLToPath(new URL(`../../vectors/formats/good/keras-pairs/${file}`, import.meta.url));

test('Keras predicts by released copies as by the originals, but for the marks', async (t) => {
  if (process.env.MUNIMENT_INTEROP !== '1') return t.skip('set MUNIMENT_INTEROP=1 to run');
  const present = await run(python, ['-c', 'import keras, torch'], { env }).then(
    () => true,
    () => false,
  );
  if (!present) return t.skip('no Python with keras and torch');
  const releases: KerasRelease[] = [];
  try {
    for (const strength of [NO_STRENGTH, undefined]) {
      for (const file of FILES) releases.push(await kerasRelease(at(file), strength));
    }
    const { stdout } = await run(python, ['-c', PREDICT, ...releases.flatMap(({ model, out }) => [model, out])], {
      env,
    });
    const found = JSON.parse(stdout.trim().split('\n').at(-1)!) as readonly { far: number; moved: boolean }[];
    assert.equal(found.length, releases.length);
    for (const [k, { far, moved }] of found.entries()) {
      const { out, made } = releases[k]!;
      const isMarked = k >= FILES.length;
      t.diagnostic(`${path.basename(out)}, strength ${made.strength}: outputs differ by ${far.toExponential(1)}`);
      assert.ok(moved, out);
      assert.ok(isMarked ? far > 1e-5 && far < 1 : far <= 1e-5, `${out}: outputs differ by ${far}`);
    }
  } finally {
    for (const { room } of releases) await rm(room.dir, { recursive: true, force: true });
  }
});
