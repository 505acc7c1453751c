import assert from 'node:assert/strict';
import { test } from 'node:test';
import { randomPermutation, seededRandom } from '../base/index.js';
import { type Correspondent, correspond } from './index.js';

type Tensors = Readonly<Record<string, { readonly shape: readonly number[]; readonly values: Float64Array }>>;

function model(tensors: Tensors, fromGraph = false): Correspondent {
  return {
    tensors: new Map(
      Object.entries(tensors).map(([name, { shape, values }]) => [
        name,
        {
          shape,
          role: shape.length > 1 ? ('weight' as const) : ('bias' as const),
          nature: { kind: 'learned' as const },
          read: async () => values,
          readRows: async () => values,
        },
      ]),
    ),
    groups: [],
    fromGraph,
    foldFactors: async () => null,
  };
}

const drawn = (seed: string, ...shape: number[]): Tensors[string] => {
  const random = seededRandom(1, seed);
  const spread = 0.5 + random.unit();
  const elements = shape.reduce((all, size) => all * size, 1);
  return { shape, values: Float64Array.from({ length: elements }, () => spread * (random.unit() ** 2 - 0.4)) };
};

/** A decoder of `layers` blocks; `large` matrices are beyond what is read to be told apart. */
const decoder = (layers: readonly number[], renumber = (layer: number, _at: number) => layer): Tensors =>
  Object.fromEntries(
    layers.flatMap((layer, at) => {
      const block = `model.layers.${renumber(layer, at)}`;
      return [
        [`${block}.norm.weight`, drawn(`norm ${layer}`, 64)],
        [`${block}.up.weight`, drawn(`up ${layer}`, 32, 64)],
        [`${block}.large.weight`, { shape: [1024, 512], values: new Float64Array(0) }],
      ];
    }),
  );

const namesOf = async (a: Tensors, b: Tensors, fromGraph = false): Promise<Record<string, string>> =>
  Object.fromEntries((await correspond(model(a, fromGraph), model(b, fromGraph))).names);

test('layers removed and renumbered: by their values, and what is too large to read by its block', async () => {
  const pairs = await namesOf(
    decoder([0, 1, 2, 3, 4, 5]),
    decoder([1, 3, 4], (_, at) => at),
  );
  const expected = Object.fromEntries(
    [1, 3, 4].flatMap((layer, at) =>
      ['norm', 'up', 'large'].map((part) => [
        `model.layers.${layer}.${part}.weight`,
        `model.layers.${at}.${part}.weight`,
      ]),
    ),
  );
  assert.deepEqual(pairs, expected);
});

test('ten layers and more, other names: natural order of names keeps layer 10 behind layer 9', async () => {
  const layers = Array.from({ length: 12 }, (_, layer) => layer);
  const other = Object.fromEntries(
    Object.entries(decoder(layers)).map(([name, tensor]) => [name.replace('model.layers', 'blk'), tensor]),
  );
  // As a file sorted by text lists them: 0, 1, 10, 11, 2, …
  const sorted = Object.fromEntries(Object.entries(decoder(layers)).sort(([a], [b]) => (a < b ? -1 : 1)));
  for (const [name, paired] of Object.entries(await namesOf(sorted, other))) {
    assert.equal(paired, name.replace('model.layers', 'blk'));
  }
});

test('branches that another program lists in another order, and a head replaced', async () => {
  const branch = (name: string) => ({ [`${name}.w`]: drawn(name, 24, 16), [`${name}.b`]: drawn(`${name} bias`, 24) });
  const a: Tensors = { ...branch('left'), ...branch('right'), head: drawn('head', 5, 24) };
  const b: Tensors = {
    t1: drawn('right', 24, 16),
    t2: drawn('right bias', 24),
    t3: drawn('left', 24, 16),
    t4: drawn('left bias', 24),
    head: drawn('another head', 9, 24),
  };
  const { pairs } = await correspond(model(a, true), model(b, true));
  assert.deepEqual(
    pairs.map(({ a: from, b: to, by }) => `${from} ${to} ${by}`),
    ['left.w t3 values', 'left.b t4 values', 'right.w t1 values', 'right.b t2 values', 'head head name'],
  );
  assert.ok(pairs.slice(0, 4).every(({ likeness }) => likeness === 1));
  assert.ok(pairs[4]!.likeness! < 0.9);
});

test('the choice sees nothing of the order of values, so it cannot favour hits', async () => {
  const random = seededRandom(2, 'orders');
  const shuffled = ({ shape, values }: Tensors[string]): Tensors[string] => ({
    shape,
    values: Float64Array.from(randomPermutation(values.length, random), (at) => values[at]!),
  });
  const theirs = decoder([4, 0, 2], (_, at) => at);
  const expected = await namesOf(decoder([0, 1, 2, 3, 4]), theirs);
  assert.equal(expected['model.layers.4.large.weight'], 'model.layers.0.large.weight');
  for (let k = 0; k < 20; k++) {
    const moved = Object.fromEntries(
      Object.entries(decoder([0, 1, 2, 3, 4])).map(([name, tensor]) => [name, shuffled(tensor)]),
    );
    assert.deepEqual(await namesOf(moved, theirs), expected);
  }
});

test('values alike everywhere tell nothing: names and places stay as they are', async () => {
  const same = drawn('same', 16);
  const noisy = (seed: string): Tensors[string] => {
    const random = seededRandom(3, seed);
    return { shape: [4096], values: Float64Array.from({ length: 4096 }, () => random.unit()) };
  };
  const a = { one: same, two: same, x: noisy('x'), y: noisy('y') };
  const b = { two: same, one: same, y: noisy('y 2'), x: noisy('x 2') };
  assert.deepEqual(await namesOf(a, b), { one: 'one', two: 'two', x: 'x', y: 'y' });
  const broken = { ...a, x: { shape: [4], values: Float64Array.of(1, Number.NaN, 2, 3) } };
  const { pairs } = await correspond(model(broken), model({ x: broken.x }));
  assert.deepEqual(pairs, [{ a: 'x', b: 'x', by: 'name', likeness: null }]);
});
