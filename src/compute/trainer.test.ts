import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '../base/index.js';
import { ADAM, createTrainer, type Examples, gradientOf, initialise, mlp, planNet, startOf } from './index.js';
import { netOutputs } from './testing/reference.js';

const net = mlp(3, [5], 2);

function examples(count: number): Examples {
  const stream = seededRandom(9, 'examples');
  const inputs = Float32Array.from({ length: count * 3 }, () => 2 * stream.unit() - 1);
  const targets = new Float32Array(count * 2);
  for (let i = 0; i < count; i++) targets[2 * i + (inputs[3 * i]! > 0 ? 1 : 0)] = 1;
  return { count, inputs, targets, weights: Float32Array.from({ length: count }, () => 0.5 + stream.unit()) };
}

test('steps of the graph are Adam of the paper, with bias correction, decay and a short last batch', async () => {
  const adam = { ...ADAM, rate: 0.02, decay: 0.1 };
  const all = examples(10);
  const trainer = await createTrainer({ net, loss: 'cross-entropy', batch: 4, adam });
  const order = Uint32Array.of(7, 2, 9, 0, 1, 3, 4, 8, 6, 5);
  const start = initialise(net, 1);
  const half = await trainer.run(startOf(start), all, order);
  const { state } = await trainer.run(half.state, all, order);
  await trainer.close();

  // Algorithm 1 of Kingma & Ba in float64, step by step, on the graph's gradients.
  const p = Float64Array.from(start);
  const m = new Float64Array(p.length);
  const v = new Float64Array(p.length);
  let t = 0;
  for (const batch of [0, 4, 8, 0, 4, 8]) {
    const rows = Array.from(order.subarray(batch, batch + 4));
    const pick = (values: Float32Array, width: number) =>
      Float32Array.from(rows.flatMap((row) => Array.from(values.subarray(row * width, (row + 1) * width))));
    const part = {
      count: rows.length,
      inputs: pick(all.inputs, 3),
      targets: pick(all.targets, 2),
      weights: pick(all.weights, 1),
    };
    const { gradient } = await gradientOf(net, 'cross-entropy', Float32Array.from(p), part);
    t += 1;
    for (let i = 0; i < p.length; i++) {
      const g = gradient[i]!;
      m[i] = adam.beta1 * m[i]! + (1 - adam.beta1) * g;
      v[i] = adam.beta2 * v[i]! + (1 - adam.beta2) * g * g;
      const corrected = m[i]! / (1 - adam.beta1 ** t) / (Math.sqrt(v[i]! / (1 - adam.beta2 ** t)) + adam.epsilon);
      p[i] = p[i]! * (1 - adam.rate * adam.decay) - adam.rate * corrected;
    }
  }
  assert.equal(state.step, 6);
  for (let i = 0; i < p.length; i++) assert.ok(Math.abs(p[i]! - state.parameters[i]!) < 2e-5, `parameter ${i}`);
});

test('training lowers the loss, and the same seed gives the same bits', async () => {
  const all = examples(200);
  const trainer = await createTrainer({ net, loss: 'cross-entropy', batch: 32, adam: { ...ADAM, rate: 0.02 } });
  const order = Uint32Array.from({ length: 2_000 }, (_, i) => i % 200);
  const first = await trainer.run(startOf(initialise(net, 4)), all, order);
  const again = await trainer.run(startOf(initialise(net, 4)), all, order);
  const other = await trainer.run(startOf(initialise(net, 5)), all, order);
  const outputs = await trainer.predict(first.state.parameters, all.inputs, all.count);
  await trainer.close();
  assert.ok(first.losses.at(-1)! < 0.5 * first.losses[0]!);
  assert.deepEqual(first.state.parameters, again.state.parameters);
  assert.notDeepEqual(first.state.parameters, other.state.parameters);
  for (const i of [0, 50, 199]) {
    const expected = netOutputs(net, first.state.parameters, Array.from(all.inputs.subarray(3 * i, 3 * i + 3)));
    for (const k of [0, 1]) assert.ok(Math.abs(expected[k]! - outputs[2 * i + k]!) < 1e-4);
  }
});

test('the initialiser is uniform within ±1/√fan-in, from one stream in the order of the parameters', () => {
  const wide = mlp(16, [400], 2);
  const flat = initialise(wide, 42);
  const [weight] = planNet(wide).parameters;
  const values = flat.subarray(0, weight!.elements);
  assert.ok(values.every((value) => Math.abs(value) <= 0.25));
  const variance = values.reduce((sum, value) => sum + value * value, 0) / values.length;
  assert.ok(Math.abs(variance - 0.25 ** 2 / 3) < 0.001);
  // A narrower net of the same seed begins with the same rows, as framework seeds do (docs/theory.md §6).
  assert.deepEqual(initialise(mlp(16, [300], 2), 42).subarray(0, 4_800), flat.subarray(0, 4_800));
});
