/** Transformers whose projections are fused: released, marked in every part, and made again without the settings beside them. */
import assert from 'node:assert/strict';
import { cp, mkdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { openModel } from '../formats/index.js';
import { collect, recordAssets } from '../record/index.js';
import { commitmentsOf, getSecrets, recomputeRelease, release, releasesOf } from './index.js';
import { testRoom } from './testing/room.js';

const vectors = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../vectors/formats/good/transformers');

const fusedTensor: Readonly<Record<string, string>> = {
  gpt2: 'h.0.attn.c_attn.weight',
  neox: 'gpt_neox.layers.0.attention.query_key_value.weight',
};

for (const [name, tensor] of Object.entries(fusedTensor)) {
  test(`${name}: a fused projection is marked and the release made again from the weights alone`, async () => {
    const room = await testRoom();
    try {
      const original = path.join(room.dir, 'original');
      await cp(path.join(vectors, name), original, { recursive: true });
      const model = path.join(original, 'model.safetensors');
      await recordAssets(room, [{ kind: 'model', paths: [model], facts: { name }, keep: 'full' }]);
      const out = path.join(room.dir, 'copy.safetensors');
      const made = await release(room, { model, recipient: 'acme', out, plainStack: true });

      const [before, after] = [await openModel(model), await openModel(out)];
      const [old, now] = [before.tensors.get(tensor)!, after.tensors.get(tensor)!];
      const [a, b] = [await old.read(0, old.elements), await now.read(0, now.elements)];
      const moved = a.filter((value, k) => value !== b[k]).length;
      assert.ok(moved > 0.8 * a.length, `${moved} of ${a.length} values are marked`);
      await before.close();
      await after.close();

      const statements = await collect(room.ledger.statements());
      const alone = path.join(room.dir, 'alone');
      await mkdir(alone);
      await cp(model, path.join(alone, 'model.safetensors'));
      const again = await recomputeRelease(commitmentsOf(statements)[0]!, releasesOf(statements)[0]!, {
        original: path.join(alone, 'model.safetensors'),
        opened: await getSecrets(room.vault, made.release),
      });
      assert.deepEqual(again.files, releasesOf(statements)[0]!.files);
    } finally {
      await rm(room.dir, { recursive: true, force: true });
    }
  });
}
