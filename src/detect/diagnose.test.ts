import assert from 'node:assert/strict';
import { test } from 'node:test';
import { alignTables, planGroups, type WeightTable } from '../align/index.js';
import { denseModel, initialDense, permuted, pruned, quantised, rescaled, table } from '../align/testing/dense.js';
import { randomPermutation, seededRandom } from '../base/index.js';
import { roundTo } from '../formats/index.js';
import { diagnose } from './diagnose.js';
import { gridOf, tensorGrid } from './grid.js';
import { addNoise } from './tweaks.js';

const WIDTHS = [16, 64, 64, 4];
const plan = planGroups(denseModel(WIDTHS));
const owner = initialDense(WIDTHS, seededRandom(1));
const random = seededRandom(2);
const kinds = (suspect: WeightTable, formats?: { reference: string; suspect: string }) =>
  diagnose({
    plan,
    reference: table(owner),
    stored: suspect,
    aligned: suspect,
    groups: [],
    ...(formats === undefined ? {} : { formats }),
  });
const each = (change: (values: Float64Array, width: number) => Float64Array): WeightTable => ({
  tensors: new Map(
    [...owner].map(([name, { shape, values }]) => [
      name,
      { shape, values: shape.length < 2 ? values : change(values, shape[1]!) },
    ]),
  ),
});

test('grids: symmetric, affine, per channel, and none in floats', () => {
  const values = Float64Array.from({ length: 1024 }, () => random.unit() - 0.5);
  for (const [bits, levels] of [
    [8, 127],
    [4, 7],
    [3, 3],
    [2, 1],
  ] as const) {
    const step = 0.5 / levels;
    const grid = gridOf(values.map((value) => Math.fround(Math.round(value / step) * Math.fround(step))));
    assert.equal(grid?.bits, bits);
    assert.ok(Math.abs(grid!.step - step) < 1e-3 * step);
  }
  // Unsigned with a zero point: 0 … 255 around 100.
  assert.equal(gridOf(values.map((value) => (Math.round((value + 0.5) * 255) - 100) * 0.01))?.bits, 8);
  assert.equal(gridOf(values), null);
  const channel = Float64Array.from(values);
  for (let row = 0; row < 16; row++) {
    const step = 0.004 * Math.exp(row / 7);
    for (let k = row * 64; k < (row + 1) * 64; k++) channel[k] = Math.round(values[k]! / step) * step;
  }
  assert.equal(tensorGrid(channel, 16)?.granularity, 'channel');
  // Few values of any float make no grid.
  for (let trial = 0; trial < 2000; trial++) {
    assert.equal(gridOf(Float64Array.from({ length: 12 }, () => random.unit() - 0.5)), null);
  }
});

test('exact copy, other container, half precision', () => {
  assert.deepEqual(kinds(table(owner)), [{ kind: 'exact-copy' }]);
  assert.deepEqual(kinds(table(owner), { reference: 'onnx F32', suspect: 'safetensors F32' }), [
    { kind: 'converted', from: 'onnx F32', to: 'safetensors F32' },
  ]);
  for (const dtype of ['F16', 'BF16'] as const) {
    assert.deepEqual(kinds(each((values) => values.map((value) => roundTo(dtype, value)))), [
      { kind: 'converted', precision: dtype },
    ]);
  }
});

test('pruned share, also under int4; noise is told from uneven drift', () => {
  for (const share of [0.3, 0.5, 0.8]) {
    const [tweak, ...more] = kinds(table(pruned(owner, share)));
    assert.equal(tweak!.kind, 'pruned');
    assert.ok(Math.abs(Number(tweak!.share) - share) < 0.02);
    assert.deepEqual(more, []);
  }
  assert.deepEqual(
    kinds(table(quantised(pruned(owner, 0.6), 4))).map((tweak) => tweak.kind),
    ['quantised', 'pruned'],
  );
  const uniform = () => random.unit();
  const [noise] = kinds(each((values) => addNoise(values, 0.2, uniform)));
  assert.equal(noise!.kind, 'noise');
  assert.ok(Math.abs(Number(noise!.drift) - 0.2) < 0.02);
  const [uneven] = kinds(each((values, width) => addNoise(values, width === 16 ? 0.05 : 0.3, uniform)));
  assert.equal(uneven!.kind, 'fine-tuned');
  assert.equal((uneven!.perLayer as readonly number[]).length, 3);
});

test('permuted and rescaled are read from the alignment, and nothing else is invented', () => {
  const orders = [randomPermutation(64, random), randomPermutation(64, random)];
  const stored = table(rescaled(permuted(owner, orders), 0.4, random));
  const { aligned, groups } = alignTables(plan, table(owner), stored, 1);
  const found = diagnose({ plan, reference: table(owner), stored, aligned, groups });
  assert.deepEqual(
    found.map((tweak) => tweak.kind),
    ['permuted', 'rescaled'],
  );
  assert.ok(Math.abs(Number(found[1]!.spread) - 0.4) < 0.1);
});
