/** One model as its hub stores it and as llama.cpp's converter writes it: one digest, the same groups. */
import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { openModel } from '../formats/index.js';
import { inspectModel } from './index.js';

const folder = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../vectors/formats/good/transformers');

async function inspected(file: string) {
  const model = await openModel(path.join(folder, file));
  try {
    return await inspectModel(model, { digest: true });
  } finally {
    await model.close();
  }
}

/** Sizes of all unit groups; 4 heads of 4 dimensions, 6 hidden units, 16 places of the residual stream. */
const sizes: Readonly<Record<string, readonly number[]>> = {
  // Residual, 2 key heads, 2 query heads in each, dimensions, experts, hidden units.
  mixtral: [16, 2, 2, 2, 4, 4, 2, 6, 6],
  // Residual, 4 heads, value dimensions, query and key dimensions, hidden units.
  gpt2: [16, 4, 4, 4, 4, 4, 4, 4, 4, 4, 64],
  falcon: [16, 2, 2, 2, 4, 4, 6],
  neox: [16, 4, 4, 4, 4, 4, 6],
  // ALiBi: heads stay where they are.
  bloom: [16, 4, 4, 4, 4, 4, 4, 4, 4, 6],
};

for (const [name, expected] of Object.entries(sizes)) {
  test(`${name}: fused or split, permuted by a converter or not, it is one model`, async () => {
    const hub = await inspected(name);
    const gguf = await inspected(`${name}.gguf`);
    assert.ok(hub.weights !== null);
    assert.equal(hub.weights, gguf.weights);
    for (const found of [hub, gguf]) {
      assert.deepEqual(
        found.groups.map(({ size }) => size),
        expected,
      );
      assert.deepEqual(found.leftOut, []);
    }
    assert.equal(hub.parameters, gguf.parameters);
  });
}

test('an output layer that is the embedding under a second name is no second tensor; an equal one of its own is', async () => {
  const [hub, tied, untied] = [await inspected('tied'), await inspected('tied.pt'), await inspected('untied.pt')];
  assert.ok(hub.weights !== null);
  assert.equal(tied.weights, hub.weights);
  assert.equal(tied.parameters, hub.parameters);
  assert.equal(untied.parameters, hub.parameters + 160);
  assert.notEqual(untied.weights, hub.weights);
});
