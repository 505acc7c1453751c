/** Tree ensembles written by XGBoost, LightGBM, onnxmltools and skl2onnx predict here what those libraries predict. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { memorySource } from '../base/index.js';
import { openModel, type TreeEnsemble } from './index.js';
import { refusal, vector } from './testing/files.js';
import { predictTrees } from './testing/predict-trees.js';
import { expectedTrees, probeRows } from './testing/trees.js';

const { models } = expectedTrees;
const open = (file: string) => openModel(memorySource(readFileSync(vector(`good/trees/${file}`)), file));

const logit = (p: number): number => Math.log(p / (1 - p));

/** [outputs]: what is added to the sums, by the objective's own link. */
function baseOf({ base, baseIs, outputs }: TreeEnsemble, link: string): readonly number[] {
  const given = base.length === 0 ? [0] : [...base];
  const margins = baseIs === 'response' && link === 'logit' ? given.map(logit) : given;
  return Array.from({ length: outputs }, (_, k) => margins[k] ?? margins[0]!);
}

for (const [file, { margins, outputs, link }] of Object.entries(models)) {
  test(`${file}: predictions are the library's`, async () => {
    const model = await open(file);
    const trees = model.trees![0]!;
    assert.equal(trees.outputs, outputs);
    const base = baseOf(trees, link);
    const sums = predictTrees(trees, probeRows);
    // Conversions from float64 round thresholds, so that a value between the two would go another way; none does here.
    for (const [k, wanted] of margins.entries()) {
      if (wanted === null) continue;
      const got = sums[k]! + base[k % outputs]!;
      assert.ok(
        Math.abs(got - wanted) <= 2e-6 * Math.max(1, Math.abs(wanted)),
        `row ${Math.floor(k / outputs)}: ${got}, ${wanted}`,
      );
    }
  });
}

test('every file of the vectors is expected', () => {
  assert.deepEqual(
    readdirSync(vector('good/trees'))
      .filter((name) => !/^(linear|boot|sub|eta)\b/.test(name))
      .sort(),
    Object.keys(models).sort(),
  );
});

test('JSON and UBJSON hold one ensemble, number for number, shown as tensors', async () => {
  for (const name of ['binary', 'multi', 'missing', 'dart', 'categories', 'vector', 'pruned']) {
    const json = await open(`${name}.json`);
    const ubj = await open(`${name}.ubj`);
    assert.deepEqual(json.trees, ubj.trees, name);
    assert.equal(json.format, 'xgboost');
    const { feature, threshold, left, right, leaf } = json.trees![0]!;
    for (const [part, values] of Object.entries({ feature, threshold, left, right, leaf })) {
      const tensor = json.tensors.get(`trees.${part}`)!;
      assert.deepEqual(await tensor.read(0, tensor.elements), Float64Array.from(values), `${name} ${part}`);
    }
  }
});

test('a left child is the next node, and each node but a root is one child', async () => {
  for (const file of Object.keys(models)) {
    const { feature, left, right, root } = (await open(file)).trees![0]!;
    const children = new Set(root);
    for (const [node, input] of feature.entries()) {
      if (input === -1) assert.deepEqual([left[node], right[node]], [-1, -1]);
      else {
        assert.equal(left[node], node + 1);
        children.add(left[node]!).add(right[node]!);
      }
    }
    assert.equal(children.size, feature.length, file);
  }
});

test('a linear booster is a matrix and a bias', async () => {
  for (const ending of ['json', 'ubj']) {
    const model = await open(`linear.${ending}`);
    const stored = JSON.parse(readFileSync(vector('good/trees/linear.json'), 'utf8')) as {
      learner: { gradient_booster: { model: { weights: number[] } } };
    };
    const { weights } = stored.learner.gradient_booster.model;
    assert.deepEqual([...model.tensors.keys()], ['weight', 'bias']);
    assert.deepEqual([...(await model.tensors.get('weight')!.read(0, 4))], weights.slice(0, 4).map(Math.fround));
    assert.deepEqual([...(await model.tensors.get('bias')!.read(0, 1))], weights.slice(4).map(Math.fround));
    assert.equal(model.trees, undefined);
  }
});

test('JSON of XGBoost is read however it is spaced and ordered', async () => {
  const text = readFileSync(vector('good/trees/binary.json'), 'utf8');
  const { learner, version } = JSON.parse(text) as Record<string, unknown>;
  const spaced = JSON.stringify({ version, learner }, null, 2);
  const [plain, other] = await Promise.all(
    [text, spaced].map((one) => openModel(memorySource(Buffer.from(one), 'm.json'))),
  );
  assert.deepEqual(other!.trees, plain!.trees);
});

test('LightGBM text with the line ends of Windows', async () => {
  const text = readFileSync(vector('good/trees/light.txt'), 'utf8');
  const [plain, other] = await Promise.all(
    [text, text.replaceAll('\n', '\r\n')].map((one) => openModel(memorySource(Buffer.from(one), 'm.txt'))),
  );
  assert.deepEqual(other!.trees, plain!.trees);
  assert.deepEqual(plain!.trees![0]!.featureNames, ['Column_0', 'Column_1', 'Column_2', 'Column_3']);
});

test('JSON that holds no model is no XGBoost', async () => {
  const bytes = Buffer.from('{"learning_rate": 0.1}');
  await assert.rejects(openModel(memorySource(bytes, 'config.json')), refusal('MODEL_FORMAT_NOT_READ'));
});
