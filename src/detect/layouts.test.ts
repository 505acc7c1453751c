/** Releases of other layouts than a dense stack, through files: the marks are found where they were put. */
import assert from 'node:assert/strict';
import { rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { seededRandom } from '../base/index.js';
import { buildOnnx, buildSafetensors, type TensorSpec } from '../formats/index.js';
import { outputDrift, release } from '../mark/index.js';
import { type TestRoom, testRoom } from '../mark/testing/room.js';
import { recordAssets } from '../record/index.js';
import { checkSuspect } from './index.js';

let room: TestRoom;
before(async () => {
  room = await testRoom();
});
after(() => rm(room.dir, { recursive: true, force: true }));

const random = seededRandom(9, 'layouts');
const draw = (count: number, low = -0.5, high = 0.5): Float64Array =>
  Float64Array.from({ length: count }, () => low + (high - low) * random.unit());

const tensor = (name: string, shape: number[], values?: Float64Array, dtype: 'F32' | 'F16' = 'F32'): TensorSpec => ({
  name,
  dtype,
  shape,
  values: values ?? draw(shape.reduce((all, size) => all * size, 1)),
});

async function released(file: string, bytes: Uint8Array, more: { plainStack?: boolean; budget?: number } = {}) {
  const model = path.join(room.dir, file);
  await writeFile(model, bytes);
  await recordAssets(room, [{ kind: 'model', paths: [model], facts: { name: file }, keep: 'full' }]);
  const out = path.join(room.dir, `copy-${file}`);
  const made = await release(room, { model, recipient: file, out, ...more });
  const answer = await checkSuspect(room, out);
  const own = answer.candidates.find((candidate) => candidate.release === made.release)!;
  const [order, mark] = own.lines;
  return { model, out, made, own, order: order!, mark: mark! };
}

test('convolutions with batch normalisation: marked in folded space, outputs kept, both lines find it', async () => {
  const gamma = draw(32, 0.2, 3).map((value, k) => (k % 5 === 0 ? -value : value));
  const bytes = buildOnnx({
    graph: {
      name: 'cnn',
      inputs: [{ name: 'x', dtype: 'F32', shape: [1, 4, 16] }],
      outputs: [{ name: 'y', dtype: 'F32', shape: [1, 3] }],
      nodes: [
        {
          op: 'Conv',
          inputs: ['x', 'c1.weight', 'c1.bias'],
          outputs: ['a'],
          attributes: { pads: { ints: [1, 1] }, kernel_shape: { ints: [3] } },
        },
        { op: 'BatchNormalization', inputs: ['a', 'g', 'b', 'mean', 'var'], outputs: ['n'] },
        { op: 'Relu', inputs: ['n'], outputs: ['r'] },
        {
          op: 'Conv',
          inputs: ['r', 'c2.weight', 'c2.bias'],
          outputs: ['s'],
          attributes: { pads: { ints: [1, 1] }, kernel_shape: { ints: [3] } },
        },
        { op: 'Relu', inputs: ['s'], outputs: ['t'] },
        { op: 'GlobalAveragePool', inputs: ['t'], outputs: ['p'] },
        { op: 'Flatten', inputs: ['p'], outputs: ['f'] },
        { op: 'Gemm', inputs: ['f', 'fc.weight', 'fc.bias'], outputs: ['y'], attributes: { transB: { int: 1 } } },
      ],
      initialisers: [
        tensor('c1.weight', [32, 4, 3]),
        tensor('c1.bias', [32]),
        tensor('g', [32], gamma),
        tensor('b', [32]),
        tensor('mean', [32]),
        tensor('var', [32], draw(32, 0.05, 4)),
        tensor('c2.weight', [24, 32, 3]),
        tensor('c2.bias', [24]),
        tensor('fc.weight', [3, 24]),
        tensor('fc.bias', [3]),
      ],
    },
  });
  const { model, out, made, own, order, mark } = await released('cnn.onnx', bytes);
  assert.equal(made.groups, 2);
  assert.equal(order.statistic, 56);
  assert.equal(mark.n, 32 * 12 + 24 * 96 + 72);
  assert.ok(mark.statistic > 0.8 * Math.sqrt(mark.n), `z ${mark.statistic} of ${Math.sqrt(mark.n)}`);
  assert.equal(own.verdict, 'related');
  const drift = await outputDrift(model, out);
  assert.ok(drift!.rms < 0.2, `rms ${drift!.rms}`);
});

test('float16 safetensors without a graph: marked; permuted only where the owner vouches', async () => {
  const entries = () => ({
    'fc0.weight': { dtype: 'F16' as const, shape: [48, 16], values: Float32Array.from(draw(48 * 16)) },
    'fc0.bias': { dtype: 'F16' as const, shape: [48], values: Float32Array.from(draw(48)) },
    'fc1.weight': { dtype: 'F16' as const, shape: [40, 48], values: Float32Array.from(draw(40 * 48)) },
    'fc1.bias': { dtype: 'F16' as const, shape: [40], values: Float32Array.from(draw(40)) },
    'fc2.weight': { dtype: 'F16' as const, shape: [2, 40], values: Float32Array.from(draw(80)) },
    'fc2.bias': { dtype: 'F16' as const, shape: [2], values: Float32Array.from(draw(2)) },
  });
  const bare = await released('bare.safetensors', buildSafetensors(entries()));
  assert.equal(bare.made.groups, 0);
  assert.equal(bare.order.n, 0);
  assert.equal(bare.order.log10p, 0);
  assert.ok(bare.mark.statistic > 0.8 * Math.sqrt(bare.mark.n), `z ${bare.mark.statistic}`);
  assert.equal(bare.own.verdict, 'related');
  const stack = await released('stack.safetensors', buildSafetensors(entries()), { plainStack: true });
  assert.equal(stack.made.units, 88);
  assert.equal(stack.order.statistic, 88);
  assert.equal(stack.own.verdict, 'related');
});

test('an LSTM: its gates move together, outputs are kept, and it is told', async () => {
  const H = 24;
  const bytes = buildOnnx({
    graph: {
      name: 'lstm',
      inputs: [{ name: 'x', dtype: 'F32', shape: [5, 1, 6] }],
      outputs: [{ name: 'y', dtype: 'F32', shape: [1, 1, 2] }],
      nodes: [
        {
          op: 'LSTM',
          inputs: ['x', 'W', 'R', 'B'],
          outputs: ['', 'h'],
          attributes: { hidden_size: { int: H } },
        },
        { op: 'MatMul', inputs: ['h', 'out'], outputs: ['y'] },
      ],
      initialisers: [
        tensor('W', [1, 4 * H, 6]),
        tensor('R', [1, 4 * H, H]),
        tensor('B', [1, 8 * H]),
        tensor('out', [H, 2]),
      ],
    },
  });
  const { model, out, made, order, own } = await released('lstm.onnx', bytes);
  assert.equal(made.units, H);
  assert.equal(order.statistic, H);
  assert.equal(own.verdict, 'related');
  const drift = await outputDrift(model, out);
  assert.ok(drift!.rms < 0.2, `rms ${drift!.rms}`);
});

test('beyond the budget only the first tensors are tested, a keyed quarter of their rows is marked, and all groups move', async () => {
  const layer = (l: number, rows: number, width: number) => ({
    [`fc${l}.weight`]: { dtype: 'F32' as const, shape: [rows, width], values: Float32Array.from(draw(rows * width)) },
    [`fc${l}.bias`]: { dtype: 'F32' as const, shape: [rows], values: Float32Array.from(draw(rows)) },
  });
  const entries = { ...layer(0, 96, 32), ...layer(1, 80, 96), ...layer(2, 64, 80), ...layer(3, 2, 64) };
  const bytes = buildSafetensors(entries);
  const { made, order, mark, own } = await released('large.safetensors', bytes, { plainStack: true, budget: 12000 });
  assert.equal(made.units, 96 + 80 + 64);
  // The last group is spoken for by its two outgoing rows alone: it counts in the bound, and hits what it can.
  assert.equal(order.n, 96 + 80 + 64);
  assert.ok(order.statistic >= 96 + 80);
  assert.ok(mark.n < 0.3 * (96 * 32 + 80 * 96 + 128), `${mark.n} weights marked`);
  assert.ok(mark.statistic > 0.8 * Math.sqrt(mark.n), `z ${mark.statistic}`);
  assert.equal(own.verdict, 'related');
});
