/** Models that others trained, released and made again: LSTM gates, convolutions, depthwise layers, folded normalisations. */
import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { realModels } from '../formats/testing/files.js';
import { collect, recordAssets } from '../record/index.js';
import { commitmentsOf, getSecrets, recomputeRelease, release, releasesOf } from './index.js';
import { testRoom } from './testing/room.js';

/** One of each architecture, the small ones: a few seconds in all. */
const NAMES = ['silero_vad_v5.onnx', 'ch_ppocr_mobile_v2.0_cls_infer.onnx', 'embedding_model.onnx', 'alexa_v0.1.onnx'];

/** Two packages ship one of them, the same bytes. */
const files = new Map(realModels().map((file) => [path.basename(file), file]));

for (const model of NAMES.flatMap((name) => files.get(name) ?? [])) {
  test(`${path.basename(model)}: a release is made again bit for bit`, async () => {
    const room = await testRoom();
    try {
      await recordAssets(room, [{ kind: 'model', paths: [model], facts: { name: 'net' }, keep: 'full' }]);
      const made = await release(room, { model, recipient: 'acme', out: path.join(room.dir, 'copy.onnx') });
      const statements = await collect(room.ledger.statements());
      const again = await recomputeRelease(commitmentsOf(statements)[0]!, releasesOf(statements)[0]!, {
        original: model,
        opened: await getSecrets(room.vault, made.release),
      });
      assert.equal(again.files[0]!.sha256, made.sha256);
      assert.ok(made.groups > 0 && made.markedWeights > 0);
    } finally {
      await rm(room.dir, { recursive: true });
    }
  });
}

test('each of the named models is there', () => {
  assert.deepEqual(
    NAMES.filter((name) => !files.has(name)),
    [],
  );
});
