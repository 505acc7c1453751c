/** Powers of two are exact in every float: what they scale and unscale must come out bit for bit the same. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { runModel } from '../compute/index.js';
import { buildOnnx, type TensorSpec } from '../formats/index.js';
import type { CanonicalModel } from './index.js';
import { canonicalNet, dense, feedsOf, floats, image, type Net, node, positives } from './testing/nets.js';

const UNITS = 6;
/** Exponents, one a unit. */
const exponents = fc.array(fc.integer({ min: -20, max: 20 }), { minLength: UNITS, maxLength: UNITS });

/** Tensors `names` with their entries on an axis multiplied by 2^(sign · exponent of the unit). */
function scaled(
  net: Net,
  by: Readonly<Record<string, readonly [axis: number, sign: number]>>,
  powers: readonly number[],
): Net {
  const tensors = net.tensors.map((tensor): TensorSpec => {
    const how = by[tensor.name];
    if (how === undefined) return tensor;
    const [axis, sign] = how;
    const inner = tensor.shape.slice(axis + 1).reduce((all, size) => all * size, 1);
    const values = Float64Array.from(
      tensor.values as ArrayLike<number>,
      (one, at) => Math.fround(one) * 2 ** (sign * powers[Math.floor(at / inner) % UNITS]!),
    );
    return { ...tensor, values };
  });
  return { ...net, tensors };
}

const outputOf = async (net: Net) => {
  const { inputs, outputs, nodes, tensors } = net;
  const bytes = buildOnnx({ graph: { name: 'net', inputs, outputs, nodes, initialisers: tensors } });
  return (await runModel(bytes, feedsOf(net), { threads: 1 })).y!.data;
};

/** Canonical rows with the normalisation behind them multiplied in. */
async function folded(canonical: CanonicalModel, name: string): Promise<Float64Array> {
  const tensor = canonical.tensors.get(name)!;
  const [values, factors] = [await tensor.read(), await canonical.foldFactors(name)];
  const width = values.length / tensor.shape[0]!;
  return values.map((one, at) => one * (factors?.[Math.floor(at / width)] ?? 1));
}

async function assertSameStructure(a: CanonicalModel, b: CanonicalModel): Promise<void> {
  assert.deepEqual(a.groups, b.groups);
  assert.deepEqual(a.leftOut, b.leftOut);
  for (const [name, { nature, role, shape }] of a.tensors) {
    const other = b.tensors.get(name)!;
    assert.deepEqual([nature, role, shape], [other.nature, other.role, other.shape]);
  }
}

const norm = [positives('gamma', 6), floats('beta', 6), floats('mean', 6), positives('var', 6)];
const normalised = image([node('BatchNormalization', 'h gamma beta mean var', 'n'), node('Relu', 'n', 'g')], norm);
const layers = dense([node('Add', 'h b1', 'a'), node('Relu', 'a', 'g')], [floats('b1', 6)]);

test('γ and β times 2^e, the next columns times 2^−e: same groups, folded rows times exactly 2^e, same outputs', async () => {
  const before = await canonicalNet(normalised);
  assert.equal(before.groups[0]!.scaling, 'positive');
  const [rows, columns] = [await folded(before, 'k1'), await folded(before, 'k2')];
  const outputs = await outputOf(normalised);
  await fc.assert(
    fc.asyncProperty(exponents, async (powers) => {
      const net = scaled(normalised, { gamma: [0, 1], beta: [0, 1], k2: [1, -1] }, powers);
      const after = await canonicalNet(net);
      await assertSameStructure(before, after);
      const width = rows.length / UNITS;
      assert.deepEqual(
        await folded(after, 'k1'),
        rows.map((one, at) => one * 2 ** powers[Math.floor(at / width)]!),
      );
      assert.deepEqual(
        await folded(after, 'k2'),
        columns.map((one, at) => one * 2 ** -powers[at % UNITS]!),
      );
      assert.deepEqual(await outputOf(net), outputs);
    }),
    { seed: 6, numRuns: 20 },
  );
});

test('a row before the normalisation times 2^e, its mean too, γ times 2^−e: the folded weight is bit for bit the same', async () => {
  const before = await canonicalNet(normalised);
  const rows = await folded(before, 'k1');
  const outputs = await outputOf(normalised);
  await fc.assert(
    fc.asyncProperty(exponents, async (powers) => {
      const net = scaled(normalised, { k1: [0, 1], mean: [0, 1], gamma: [0, -1] }, powers);
      const after = await canonicalNet(net);
      await assertSameStructure(before, after);
      assert.deepEqual(await folded(after, 'k1'), rows);
      assert.deepEqual(await outputOf(net), outputs);
    }),
    { seed: 7, numRuns: 20 },
  );
});

test('a row and its bias times 2^e, the next columns times 2^−e, through a ReLU', async () => {
  const before = await canonicalNet(layers);
  const [rows, columns] = [await folded(before, 'w1'), await folded(before, 'w2')];
  const outputs = await outputOf(layers);
  await fc.assert(
    fc.asyncProperty(exponents, async (powers) => {
      // Stored as inputs × outputs.
      const net = scaled(layers, { w1: [1, 1], b1: [0, 1], w2: [0, -1] }, powers);
      const after = await canonicalNet(net);
      await assertSameStructure(before, after);
      assert.deepEqual(
        await folded(after, 'w1'),
        rows.map((one, at) => one * 2 ** powers[Math.floor(at / 5)]!),
      );
      assert.deepEqual(
        await folded(after, 'w2'),
        columns.map((one, at) => one * 2 ** -powers[at % UNITS]!),
      );
      assert.deepEqual(await outputOf(net), outputs);
    }),
    { seed: 8, numRuns: 20 },
  );
});
