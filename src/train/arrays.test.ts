import assert from 'node:assert/strict';
import { test } from 'node:test';
import { memorySource, seededRandom } from '../base/index.js';
import { cnn, mlp, runModel } from '../compute/index.js';
import { buildOnnx, openModel } from '../formats/index.js';
import { arrayTrainer, exportModel, fineTune, outputsOf, readNet, trainOnArrays } from './index.js';

/** Two raw columns on very different scales; the class is the sign of a product, so that a line cannot tell it. */
function saddle(count: number, seed: number) {
  const stream = seededRandom(seed, 'saddle');
  const inputs = new Float32Array(count * 3);
  const targets = Array.from({ length: count }, (_, i) => {
    const [a, b, c] = [2 * stream.unit() - 1, 2 * stream.unit() - 1, stream.unit()];
    inputs.set([300 + 2 * a, 1e-3 * b, 5 + c], 3 * i);
    return a * b > 0 ? 1 : 0;
  });
  return { inputs, targets };
}

async function accuracy(model: Uint8Array, data: ReturnType<typeof saddle>): Promise<number> {
  const { probabilities } = await runModel(model, { input: { data: data.inputs, shape: [data.targets.length, 3] } });
  const right = data.targets.filter((label, i) => Number(probabilities!.data[2 * i + 1]! > 0.5) === label);
  return right.length / data.targets.length;
}

const spec = { net: mlp(3, [32, 32], 2), task: 'classify', epochs: 30 } as const;

test('a classifier learns from raw columns, and the exported graph answers on raw columns', async () => {
  const trained = await trainOnArrays({ ...spec, seed: 1 }, saddle(1_500, 1));
  assert.ok((await accuracy(trained.model, saddle(500, 2))) > 0.95);
  const model = await openModel(memorySource(trained.model));
  assert.deepEqual(
    [...model.tensors.keys()].filter((name) => /^(fc|conv)/.test(name)),
    ['fc1.weight', 'fc1.bias', 'fc2.weight', 'fc2.bias', 'fc3.weight', 'fc3.bias'],
  );
  assert.deepEqual(
    model.graph!.nodes.map(({ op }) => op),
    ['Sub', 'Div', 'Gemm', 'Relu', 'Gemm', 'Relu', 'Gemm', 'Softmax'],
  );
  await model.close();
});

test('one trainer serves many seeds: the same seed gives the same bytes, another another model', async () => {
  const data = saddle(400, 1);
  const trainer = await arrayTrainer(spec);
  const [a, again, other] = [
    await trainOnArrays({ ...spec, seed: 5, trainer, epochs: 3 }, data),
    await trainOnArrays({ ...spec, seed: 5, trainer, epochs: 3 }, data),
    await trainOnArrays({ ...spec, seed: 6, trainer, epochs: 3 }, data),
  ];
  await trainer.close();
  assert.deepEqual(a.model, again.model);
  assert.notDeepEqual(a.parameters, other.parameters);
});

test('windows of raw sensors are forecast in units of the target', async () => {
  const stream = seededRandom(3, 'windows');
  const count = 600;
  const inputs = Float32Array.from({ length: count * 2 * 12 }, () => 80 + 10 * stream.unit());
  const targets = Array.from({ length: count }, (_, i) => 1_000 + 50 * (inputs[i * 24 + 3]! - 85));
  const net = cnn(
    [2, 12],
    [
      { channels: 8, kernel: 3 },
      { channels: 8, kernel: 3, stride: 2 },
    ],
    [16],
    1,
  );
  const { model } = await trainOnArrays({ net, task: 'forecast', seed: 1, epochs: 40 }, { inputs, targets });
  const { value } = await runModel(model, { input: { data: inputs, shape: [count, 2, 12] } });
  const rmse = Math.sqrt(targets.reduce((sum, truth, i) => sum + (truth - Number(value!.data[i])) ** 2, 0) / count);
  // The target's own deviation is 50·10/√12 = 144.
  assert.ok(rmse < 40, String(rmse));
});

test('fine-tuning moves the weights a little, keeps the card, and keeps pruned weights at zero', async () => {
  const data = saddle(800, 1);
  const base = await trainOnArrays({ ...spec, seed: 1 }, data);
  const tuned = await fineTune(base.model, saddle(800, 9), { epochs: 5, rate: 1e-4, seed: 2 });
  const read = await readNet(tuned);
  assert.deepEqual(read.card, base.card);
  const moved = read.parameters.map((value, i) => value - base.parameters[i]!);
  const size = (values: Float32Array): number => Math.hypot(...values);
  assert.ok(size(moved) > 0 && size(moved) < 0.1 * size(base.parameters));

  const pruned = base.parameters.map((value) => (Math.abs(value) < 0.1 ? 0 : value));
  const kept = await fineTune(exportModel(base.card, pruned), data, {
    epochs: 3,
    rate: 1e-2,
    seed: 2,
    keepZeros: true,
  });
  const after = await readNet(kept);
  assert.ok(pruned.some((value) => value === 0));
  assert.ok(pruned.every((value, i) => (value === 0) === (after.parameters[i] === 0)));
});

test('a model that was not trained here, or whose tensors and card disagree, is refused', async () => {
  const initialisers = [{ name: 'w', dtype: 'F32', shape: [2], values: [1, 2] }] as const;
  const empty = { name: 'g', inputs: [], outputs: [], nodes: [], initialisers };
  await assert.rejects(readNet(buildOnnx({ graph: empty })), { code: 'TRAIN_NOT_OURS' });
  const card = (await trainOnArrays({ ...spec, seed: 1, epochs: 1 }, saddle(50, 1))).card;
  const metadata = { 'muniment.model': JSON.stringify(card) };
  await assert.rejects(readNet(buildOnnx({ graph: empty, metadata })), { code: 'TRAIN_CARD_INVALID' });
  const spoilt: readonly object[] = [
    { version: 2 },
    { ...card, columns: [null] },
    { ...card, columns: [{ name: 'x', kind: 'category', categories: [1] }] },
    { ...card, classes: [{}] },
    { ...card, net: { input: ['a'], layers: [] } },
    { ...card, net: { ...card.net, layers: [{ kind: 'dense', units: 1e12 }] } },
    { ...card, derived: { logs: [{}], pairs: [] } },
    { ...card, window: { unit: 1 } },
  ];
  for (const one of spoilt) {
    const bytes = buildOnnx({ graph: empty, metadata: { 'muniment.model': JSON.stringify(one) } });
    await assert.rejects(readNet(bytes), (error: { code: string }) =>
      ['TRAIN_CARD_INVALID', 'COMPUTE_NET_INVALID'].includes(error.code),
    );
  }
});

test('a graph that does not answer as its card says is refused', async () => {
  const { model, card } = await trainOnArrays({ ...spec, seed: 1, epochs: 1 }, saddle(50, 1));
  const inputs = saddle(4, 2).inputs;
  assert.equal((await outputsOf(model, card, inputs, [4, 3])).length, 8);
  await assert.rejects(outputsOf(model, { ...card, classes: ['a', 'b', 'c'] }, inputs, [4, 3]), {
    code: 'TRAIN_CARD_INVALID',
  });
  await assert.rejects(outputsOf(model, { ...card, task: 'forecast' }, inputs, [4, 3]), { code: 'TRAIN_CARD_INVALID' });
});

test('a rate that diverges is reported, not exported', async () => {
  const data = saddle(200, 1);
  const inputs = data.inputs.map((value, i) => (i === 7 ? 3e38 : value));
  const net = mlp(3, [8], 1);
  const training = { net, task: 'forecast', seed: 1, rate: 1e30, epochs: 50 } as const;
  await assert.rejects(trainOnArrays(training, { inputs, targets: data.targets }), { code: 'TRAIN_DIVERGED' });
});
