import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { seededRandom } from '../base/index.js';
import { cnn, initialise, type Loss, mlp, type NetSpec, operationsOf, planNet } from './index.js';
import { netLoss } from './testing/reference.js';
import { gradientOf } from './trainer.js';

/** Central differences in float64: truncation error about step², rounding about 1e-16/step. */
const STEP = 1e-5;

function batchFor(net: NetSpec, loss: Loss, count: number, seed: number) {
  const stream = seededRandom(seed, 'batch');
  const outputs = planNet(net).output[0]!;
  const width = net.input.reduce((product, n) => product * n, 1);
  const inputs = Float32Array.from({ length: count * width }, () => 4 * stream.unit() - 2);
  const targets = new Float32Array(count * outputs);
  for (let i = 0; i < count; i++) {
    if (loss === 'mse') for (let k = 0; k < outputs; k++) targets[i * outputs + k] = 2 * stream.unit() - 1;
    else targets[i * outputs + stream.below(outputs)] = 1;
  }
  // Unequal weights, one of them zero, as class weights and padding make them.
  const weights = Float32Array.from({ length: count }, (_, i) => (i === 1 ? 0 : 0.5 + stream.unit() * 3));
  return { count, inputs, targets, weights };
}

const NETS: readonly [string, NetSpec, Loss][] = [
  ['perceptron, cross-entropy', mlp(5, [7, 6], 3), 'cross-entropy'],
  ['perceptron, squared error, two outputs', mlp(4, [6], 2), 'mse'],
  ['no hidden layer', mlp(4, [], 2), 'cross-entropy'],
  [
    'convolutions, flatten',
    cnn(
      [3, 9],
      [
        { channels: 4, kernel: 3 },
        { channels: 5, kernel: 3 },
      ],
      [6],
      1,
    ),
    'mse',
  ],
  [
    'strided convolutions whose stride leaves positions over',
    cnn(
      [2, 12],
      [
        { channels: 4, kernel: 3, stride: 2, padding: 0 },
        { channels: 3, kernel: 2, stride: 2, padding: 1 },
      ],
      [4],
      2,
    ),
    'cross-entropy',
  ],
  [
    'stride 3 with padding',
    cnn(
      [2, 11],
      [
        { channels: 3, kernel: 5, stride: 3 },
        { channels: 3, kernel: 3 },
      ],
      [],
      1,
    ),
    'mse',
  ],
  ['mean over positions', cnn([3, 8], [{ channels: 4, kernel: 3 }], [5], 2, 'mean'), 'cross-entropy'],
];

describe('every gradient agrees with finite differences of an independent float64 forward pass', () => {
  for (const [name, net, loss] of NETS) {
    test(name, async () => {
      const parameters = initialise(net, 11);
      const batch = batchFor(net, loss, 6, 3);
      const ours = await gradientOf(net, loss, parameters, batch);
      const base = Float64Array.from(parameters);
      assert.ok(Math.abs(ours.loss - netLoss(net, loss, base, batch)) < 1e-5);
      const scale = ours.gradient.reduce((max, g) => Math.max(max, Math.abs(g)), 0);
      assert.ok(scale > 1e-3, 'the gradient is not trivially zero');
      for (let i = 0; i < base.length; i++) {
        const held = base[i]!;
        base[i] = held + STEP;
        const up = netLoss(net, loss, base, batch);
        base[i] = held - STEP;
        const down = netLoss(net, loss, base, batch);
        base[i] = held;
        const numeric = (up - down) / (2 * STEP);
        assert.ok(
          Math.abs(numeric - ours.gradient[i]!) <= 2e-5 * scale + 2e-6,
          `parameter ${i}: ${ours.gradient[i]} against ${numeric}`,
        );
      }
    });
  }
});

test('a net that does not fit together is refused by layer', () => {
  const bad: NetSpec = { input: [3, 8], layers: [{ kind: 'dense', units: 2 }] };
  assert.throws(() => planNet(bad), { code: 'COMPUTE_NET_INVALID' });
  const kernel = cnn([3, 4], [{ channels: 2, kernel: 9, padding: 0 }], [], 1);
  assert.throws(() => planNet(kernel), { code: 'COMPUTE_NET_INVALID' });
});

test('operations are counted as multiply-accumulates per example', () => {
  assert.equal(operationsOf(mlp(8, [64, 64], 2)), 8 * 64 + 8 * 0 + 64 * 64 + 64 * 2);
  assert.equal(operationsOf(cnn([2, 10], [{ channels: 3, kernel: 3 }], [], 1)), 3 * 2 * 3 * 10 + 30);
});
