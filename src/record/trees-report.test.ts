import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { openModel } from '../formats/index.js';
import { inspectModel } from './inspect.js';

const vector = (name: string): string =>
  fileURLToPath(new URL(`../../vectors/formats/good/trees/${name}`, import.meta.url));

async function inspect(name: string) {
  const model = await openModel(vector(name));
  try {
    return await inspectModel(model);
  } finally {
    await model.close();
  }
}

test('trees are told as people ask for them', async () => {
  const { trees, parameters, weights, leftOut, layers } = await inspect('light-categories.txt');
  const [report] = trees;
  assert.equal(report!.trees, 4);
  // As the text says: num_leaves=6 four times, and splits are one fewer in each tree.
  assert.deepEqual([report!.leaves, report!.splits], [24, 20]);
  assert.equal(
    report!.used.reduce((sum, one) => sum + one.splits, 0),
    20,
  );
  assert.ok(report!.categoricalSplits > 0 && report!.categoricalSplits < 20);
  assert.equal(
    report!.used.every(({ name }) => /^Column_\d$/.test(name!)),
    true,
  );
  assert.ok(report!.depth.most >= report!.depth.mean && report!.depth.mean >= Math.log2(6));
  assert.equal(parameters, report!.parameters);
  assert.match(weights!, /^[0-9a-f]{64}$/);
  assert.deepEqual([leftOut, layers], [[], []]);
});

test('XGBoost’s JSON, its UBJSON and the ONNX conversion have one digest of their weights', async () => {
  for (const name of ['binary', 'multi', 'missing']) {
    const [json, ubj, onnx] = await Promise.all(
      ['json', 'ubj', 'onnx'].map(async (ending) => (await inspect(`${name}.${ending}`)).weights),
    );
    assert.deepEqual([ubj, onnx], [json, json], name);
  }
  assert.notEqual((await inspect('binary.json')).weights, (await inspect('missing.json')).weights);
});
