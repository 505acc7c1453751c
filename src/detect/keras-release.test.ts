/**
 * Releases of Keras files: changed where their arrays lie, in HDF5 and in the archive. The copy's graph predicts what Keras
 * predicted of the original while units alone move; a marked copy is found, and made again bit for bit.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { createSession, type Feed } from '../compute/index.js';
import { openModel } from '../formats/index.js';
import { commitmentsOf, getSecrets, recomputeRelease, releasesOf } from '../mark/index.js';
import type { TestRoom } from '../mark/testing/room.js';
import { collect } from '../record/index.js';
import { runnable } from '../structure/testing/runnable.js';
import { checkSuspect } from './index.js';
import { type KerasRelease, kerasRelease, NO_STRENGTH } from './testing/keras-release.js';

const vectors = fileURLToPath(new URL('../../vectors/formats/', import.meta.url));

interface List {
  readonly shape: readonly number[];
  readonly values: readonly number[];
}
interface Case {
  readonly inputs: readonly List[];
  readonly outputs: readonly List[];
}
const { cases } = JSON.parse(readFileSync(`${vectors}expected-keras-pairs.json`, 'utf8')) as {
  readonly cases: Readonly<Record<string, Case>>;
};

const rooms: TestRoom[] = [];
after(async () => {
  for (const room of rooms) await rm(room.dir, { recursive: true, force: true });
});

async function released(file: string, strength?: number): Promise<KerasRelease> {
  const found = await kerasRelease(path.join(vectors, 'good/keras-pairs', file), strength);
  rooms.push(found.room);
  return found;
}

/** Largest difference of the first output from Keras' own, relative to the largest number in it. */
async function farFromKeras(file: string, { inputs, outputs }: Case): Promise<number> {
  const model = await openModel(file);
  const session = await createSession(await runnable(model), { threads: 1 });
  try {
    const feeds = model.graph!.inputs.map(({ name, dtype }, k): [string, Feed] => {
      const { shape, values } = inputs[k]!;
      return [name, { data: dtype === 'I32' ? Int32Array.from(values) : Float32Array.from(values), shape }];
    });
    const found = (await session.run(Object.fromEntries(feeds)))[model.graph!.outputs[0]!.name]!.data;
    const wanted = outputs[0]!.values;
    const most = Math.max(...wanted.map(Math.abs));
    return Math.max(...wanted.map((value, k) => Math.abs(Number(found[k]) - value) / most));
  } finally {
    await session.close();
    await model.close();
  }
}

for (const file of [
  'dense.keras',
  'images.h5',
  'lstm.keras',
  'gru.h5',
  'gru-reset-before.h5',
  'blocks.keras',
  'text.h5',
]) {
  test(`${file}: units move, and it predicts as before`, async () => {
    const { model, out, made } = await released(file, NO_STRENGTH);
    assert.ok(made.units > 0);
    const [before, copy] = [await readFile(model), await readFile(out)];
    assert.equal(copy.length, before.length);
    assert.ok(!copy.equals(before));
    const far = await farFromKeras(out, cases[path.parse(file).name]!);
    assert.ok(far <= 1e-5, `outputs differ by ${far}`);
  });
}

for (const file of ['images.keras', 'lstm.h5']) {
  test(`${file}: marked, found in the copy, recomputed`, async () => {
    const { room, model, out, made } = await released(file);
    assert.ok(made.markedWeights > 100, `${made.markedWeights} weights marked`);
    const answer = await checkSuspect(room, out);
    const own = answer.candidates.find((candidate) => candidate.release === made.release)!;
    assert.equal(own.verdict, 'related', own.reason);
    assert.ok(own.log10p! < -15, String(own.log10p));
    const statements = await collect(room.ledger.statements());
    const opened = await getSecrets(room.vault, made.release);
    const again = await recomputeRelease(commitmentsOf(statements)[0]!, releasesOf(statements)[0]!, {
      original: model,
      opened,
    });
    assert.deepEqual(again.files, releasesOf(statements)[0]!.files);
  });
}
