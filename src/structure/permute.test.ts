import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { randomPermutation, seededRandom } from '../base/index.js';
import { permuteGroup, permuteUnits, type Segment } from './index.js';
import { canonicalNet, dense, floats, node } from './testing/nets.js';

const plain = (axis: number, over: Partial<Segment> = {}): Segment => ({
  tensor: 'w',
  axis,
  start: 0,
  unitStride: 1,
  repeat: 1,
  repeatStride: 1,
  ...over,
});
const numbered = (n: number): Float64Array => Float64Array.from({ length: n }, (_, k) => k);

test('new[u] = old[order[u]], on rows and on columns', () => {
  assert.deepEqual([...permuteUnits(numbered(6), [3, 2], [plain(0)], [2, 0, 1])], [4, 5, 0, 1, 2, 3]);
  assert.deepEqual([...permuteUnits(numbered(6), [2, 3], [plain(1)], [2, 0, 1])], [2, 0, 1, 5, 3, 4]);
  assert.deepEqual([...permuteUnits(numbered(3), [3], [plain(0)], [1, 2, 0])], [1, 2, 0]);
});

test('a flattened channel moves with all its pixels; a gate leaves the others in place', () => {
  const flattened = plain(1, { unitStride: 3, repeat: 3 });
  assert.deepEqual([...permuteUnits(numbered(6), [1, 6], [flattened], [1, 0])], [3, 4, 5, 0, 1, 2]);
  const gate = plain(0, { start: 2 });
  assert.deepEqual([...permuteUnits(numbered(6), [6], [gate], [1, 0])], [0, 1, 3, 2, 4, 5]);
  const interleaved = plain(0, { unitStride: 1, repeat: 2, repeatStride: 3 });
  assert.deepEqual([...permuteUnits(numbered(6), [6], [interleaved], [2, 0, 1])], [2, 0, 1, 5, 3, 4]);
});

test('both axes of one tensor: w[i][j] becomes w[order i][order j]', () => {
  const order = [2, 0, 1];
  const moved = permuteUnits(numbered(9), [3, 3], [plain(0), plain(1)], order);
  for (const [i, row] of order.entries())
    for (const [j, column] of order.entries()) assert.equal(moved[3 * i + j], 3 * row + column);
});

const cases = fc.record({
  units: fc.integer({ min: 1, max: 7 }),
  repeat: fc.integer({ min: 1, max: 4 }),
  start: fc.integer({ min: 0, max: 5 }),
  behind: fc.integer({ min: 0, max: 3 }),
  outer: fc.integer({ min: 1, max: 3 }),
  inner: fc.integer({ min: 1, max: 3 }),
  seed: fc.nat(1000),
});

test('permuting by an order and then by its inverse gives the tensor back; composing orders is one permutation', () => {
  fc.assert(
    fc.property(cases, ({ units, repeat, start, behind, outer, inner, seed }) => {
      const shape = [outer, start + units * repeat + behind, inner];
      const values = numbered(shape.reduce((all, size) => all * size, 1));
      const segments = [plain(1, { start, unitStride: repeat, repeat })];
      const [p, q] = ['p', 'q'].map((label) => randomPermutation(units, seededRandom(seed, label))) as [
        Uint32Array,
        Uint32Array,
      ];
      const inverse = new Uint32Array(units);
      p.forEach((from, to) => {
        inverse[from] = to;
      });
      const once = permuteUnits(values, shape, segments, p);
      assert.deepEqual(permuteUnits(once, shape, segments, inverse), values);
      assert.deepEqual(
        permuteUnits(once, shape, segments, q),
        permuteUnits(
          values,
          shape,
          segments,
          q.map((at) => p[at]!),
        ),
      );
      assert.deepEqual(
        [...once].sort((a, b) => a - b),
        [...values],
        'nothing is lost',
      );
    }),
    { seed: 9 },
  );
});

test('a group gives new stored values of every tensor that moves, in stored layout, and of no other', async () => {
  const canonical = await canonicalNet(
    dense([node('Add', 'h b1', 'a'), node('Relu', 'a', 'g')], [floats('b1', 6), floats('unread', 2)]),
  );
  const order = [5, 0, 1, 2, 3, 4];
  const changes = await permuteGroup(canonical, canonical.groups[0]!, order);
  assert.deepEqual([...changes.keys()].sort(), ['b1', 'w1', 'w2']);
  for (const [name, width, byRow] of [
    ['w1', 6, false],
    ['w2', 3, true],
    ['b1', 1, true],
  ] as const) {
    const before = await canonical.model.tensors.get(name)!.read(0, canonical.model.tensors.get(name)!.elements);
    const expected = before.map((_, at) => {
      const [row, column] = [Math.floor(at / width), at % width];
      return byRow ? before[order[row]! * width + column]! : before[row * width + order[column]!]!;
    });
    assert.deepEqual(changes.get(name), expected, name);
  }
});
