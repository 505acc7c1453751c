import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { layoutOf, withoutSingles } from './layout.js';

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
        places.every((place, at) => place === at),
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

test('axes of size 1 are left out: a convolution along a sequence and one of pictures a pixel high are one', () => {
  const canonical = (shape: readonly number[], isWeight: boolean): readonly number[] =>
    layoutOf(
      shape,
      withoutSingles(
        shape,
        shape.map((_, axis) => axis),
        isWeight,
      ),
    ).shape;
  assert.deepEqual(canonical([8, 4, 1, 3], true), canonical([8, 4, 3], true));
  assert.deepEqual(canonical([8, 4, 1, 1], true), [8, 4]);
  // Of a weight outputs and inputs stay, be they one: depthwise, a single output.
  assert.deepEqual(
    [canonical([8, 1, 3, 3], true), canonical([1, 8, 1, 1], true)],
    [
      [8, 1, 3, 3],
      [1, 8],
    ],
  );
  assert.deepEqual([canonical([1, 8, 1, 1], false), canonical([1, 1], false), canonical([], false)], [[8], [1], []]);
});
