/** Tree models that lie are refused, each by its code; changed at random they are models or refusals. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { inTemporaryFolder, vector } from './testing/files.js';
import { openedApart, refusalOf, refuseEveryCut, surviveMutants } from './testing/mutants.js';

const refused = JSON.parse(readFileSync(vector('bad/expected-trees.json'), 'utf8')) as Record<string, string>;

test('every lie about a tree has its refusal', async () => {
  const codes: Record<string, string | undefined> = {};
  for (const file of Object.keys(refused)) codes[file] = (await refusalOf(vector(`bad/${file}`)))?.code;
  assert.deepEqual(codes, refused);
});

test('a refusal names the tree and the node', async () => {
  const error = await refusalOf(vector('bad/trees-threshold-nan.json'));
  assert.match(error!.facts.where!, /tree 0, node 0$/);
});

const CODES = /^(XGBOOST|LIGHTGBM|TREES|ONNX|UBJ|JSON|UTF8|TFJS|MODEL|TENSOR)_[A-Z0-9_]+$/;
const files = ['binary.json', 'categories.ubj', 'vector.ubj', 'light-categories.txt', 'forest.onnx', 'five.onnx'];

for (const file of files) {
  test(`${file}: changed at random it is a model or a refusal`, async () => {
    const refusedMutants = await surviveMutants(readFileSync(vector(`good/trees/${file}`)), file, { codes: CODES });
    assert.ok(refusedMutants > 50, `${refusedMutants} of 500 refused`);
  });
}

test('cut short, a tree model is refused', async () => {
  await refuseEveryCut(readFileSync(vector('good/trees/pruned.json')), 'm.json', 29);
  await refuseEveryCut(readFileSync(vector('good/trees/pruned.ubj')), 'm.ubj', 29);
  const text = readFileSync(vector('good/trees/light.txt'));
  await refuseEveryCut(text.subarray(0, text.indexOf('end of trees') + 11), 'm.txt', 29);
});

test('tree models made to exhaust memory are refused soon, below 512 MiB', () =>
  inTemporaryFolder(async (folder) => {
    const made = async (name: string, text: string): Promise<string> => {
      await writeFile(path.join(folder, name), text);
      return path.join(folder, name);
    };
    const model = (inside: string): string => `{"learner":{"gradient_booster":{"model":{${inside}`;
    const head = 'tree\nnum_tree_per_iteration=1\nmax_feature_idx=0\n\n';
    const ubj = '{U\x07learner{U\x10gradient_booster{U\x05model{';
    const large = path.join(folder, 'large.txt');
    await writeFile(large, 'tree\n');
    await truncate(large, 300_000_000);
    const opened = await openedApart([
      await made('numbers.json', model(`"tree_info":[${'0,'.repeat(9_000_000)}0]`)),
      await made('trees.json', model(`"trees":[${'{},'.repeat(5_000_000)}{}]`)),
      await made('names.json', `{"learner":{"gradient_booster":{},"feature_names":[${'"",'.repeat(5_000_000)}""]}}`),
      await made('words.txt', `${head}Tree=0\nnum_leaves=1\nleaf_value=${'1 '.repeat(9_000_000)}1\nend of trees\n`),
      await made('list.ubj', `${ubj}U\x07weights[${'U0'.repeat(9_000_000)}]}}}}`),
      large,
    ]);
    assert.deepEqual(
      opened.map(({ code }) => code),
      ['JSON_TOO_LARGE', 'XGBOOST_FIELD', 'XGBOOST_TOO_LARGE', 'LIGHTGBM_TOO_LARGE', 'UBJ_COUNT', 'LIGHTGBM_TOO_LARGE'],
    );
    for (const { milliseconds, peak } of opened)
      assert.ok(milliseconds < 5000 && peak < 512, `${milliseconds} ms, ${peak} MiB`);
  }));
