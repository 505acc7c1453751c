import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { layoutOf } from './layout.js';

const shapes = fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 5 });

test('stored and canonical positions are inverse to each other, and every place is taken once', () => {
  fc.assert(
    fc.property(shapes, fc.array(fc.nat(1000), { minLength: 5, maxLength: 5 }), (shape, keys) => {
      const perm = shape.map((_, axis) => axis).sort((a, b) => keys[a]! - keys[b]! || a - b);
      const layout = layoutOf(shape, perm);
      const n = shape.reduce((all, size) => all * size, 1);
      const places = Array.from({ length: n }, (_, at) => layout.stored(at));
      assert.deepEqual(
        [...places].sort((a, b) => a - b),
        Array.from({ length: n }, (_, at) => at),
      );
      for (const [at, place] of places.entries()) assert.equal(layout.canonical(place), at);
      const stored = Float64Array.from({ length: n }, (_, at) => at);
      assert.deepEqual([...layout.toCanonical(stored)], places);
      assert.deepEqual(layout.toStored(layout.toCanonical(stored)), stored);
      assert.equal(
        layout.isPlain,
        perm.every((axis, k) => axis === k),
      );
    }),
    { seed: 12 },
  );
});

test('a matrix of inputs × outputs is read turned; a leading axis of one is left out', () => {
  const turned = layoutOf([2, 3], [1, 0]);
  assert.deepEqual(turned.shape, [3, 2]);
  assert.deepEqual(
    Array.from({ length: 6 }, (_, at) => turned.stored(at)),
    [0, 3, 1, 4, 2, 5],
  );
  const direction = layoutOf([1, 8, 5], [1, 2]);
  assert.deepEqual([direction.shape, direction.isPlain, direction.stored(7)], [[8, 5], true, 7]);
});
