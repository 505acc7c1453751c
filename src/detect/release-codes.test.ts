/** Releases of models that hold integer codes: marked by whole steps, found in the copy and in what is made of it. */
import assert from 'node:assert/strict';
import { cp, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { seededRandom } from '../base/index.js';
import { buildSafetensors, openModel } from '../formats/index.js';
import { commitmentsOf, getSecrets, outputDrift, recomputeRelease, release, releasesOf } from '../mark/index.js';
import { type TestRoom, testRoom } from '../mark/testing/room.js';
import { collect, recordAssets } from '../record/index.js';
import { canonicalise } from '../structure/index.js';
import { checkSuspect } from './index.js';
import { addNoise } from './tweaks.js';

const rooms: TestRoom[] = [];
after(async () => {
  for (const room of rooms) await rm(room.dir, { recursive: true, force: true });
});
const folder = fileURLToPath(new URL('../../vectors/formats/good/release/', import.meta.url));

/** Dequantised, tuned further, and stored as float32: what a thief makes of a quantised copy. */
async function dequantised(file: string, out: string): Promise<void> {
  const model = await openModel(file);
  try {
    const random = seededRandom(8, 'dequantised');
    const tensors: Record<string, { dtype: 'F32'; shape: readonly number[]; values: Float64Array }> = {};
    for (const { name, shape, read, role } of (await canonicalise(model)).tensors.values()) {
      if (role !== 'weight') continue;
      const values = addNoise(await read(), 0.05, () => random.unit());
      tensors[name] = { dtype: 'F32', shape, values };
    }
    await writeFile(out, buildSafetensors(tensors));
  } finally {
    await model.close();
  }
}

for (const [name, most] of [
  ['codes-int8.onnx', -40],
  ['codes-q8_0.gguf', -40],
  ['codes-q4_0.gguf', -12],
] as const) {
  test(`${name}: only codes change, the mark is found in the copy and after dequantising and tuning, and made again`, async () => {
    const room = await testRoom();
    rooms.push(room);
    const model = path.join(room.dir, name);
    await cp(path.join(folder, name), model);
    await recordAssets(room, [{ kind: 'model', paths: [model], facts: { name }, keep: 'full' }]);
    const copy = path.join(room.dir, `copy-${name}`);
    const made = await release(room, { model, recipient: 'acme', out: copy });
    assert.equal(made.markedWeights, 9_472);
    const [before, after] = [await readFile(model), await readFile(copy)];
    assert.equal(after.length, before.length);
    assert.ok(!after.equals(before));

    const thief = path.join(room.dir, 'thief.safetensors');
    await dequantised(copy, thief);
    for (const suspect of [copy, thief]) {
      const [best] = (await checkSuspect(room, suspect)).candidates;
      assert.equal(best!.recipient, 'acme', best!.reason);
      assert.equal(best!.kind, 'exact');
      assert.ok(best!.log10p! < most, `${path.basename(suspect)}: ${best!.log10p}`);
    }

    const statements = await collect(room.ledger.statements());
    const [fact] = releasesOf(statements);
    const opened = await getSecrets(room.vault, fact!.release);
    const again = await recomputeRelease(commitmentsOf(statements)[0]!, fact!, { original: model, opened });
    assert.deepEqual(again.files, fact!.files);
    if (name.endsWith('.onnx')) {
      const drift = await outputDrift(model, copy);
      assert.ok(drift !== null && drift.rms > 0 && drift.rms < 0.15, JSON.stringify(drift));
    }
  });
}
