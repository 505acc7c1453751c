import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Axis, axisSize, freshAxis, limitScaling, partsOf, pin, sliceAxis, unify } from './labels.js';

const reasons = (axis: Axis) => partsOf(axis).map(({ units }) => units.pinned);
const classes = (axis: Axis) => partsOf(axis).map(({ units }) => units);
const repeated = (axis: Axis, inner: number): Axis =>
  axis.map((part) => ({ units: part.units, inner: part.inner * inner }));

test('unified axes share classes, pins and the weaker scaling, whichever comes first', () => {
  for (const turned of [false, true]) {
    const [a, b] = [freshAxis(4), freshAxis(4)];
    limitScaling(a, 'positive');
    if (turned) unify(b, a);
    else unify(a, b);
    assert.deepEqual(classes(a), classes(b));
    assert.equal(classes(b)[0]!.scaling, 'positive');
    pin(b, 'why');
    assert.deepEqual(reasons(a), ['why']);
  }
});

test('the first reason stays', () => {
  const axis = freshAxis(3, 'first');
  pin(axis, 'second');
  assert.deepEqual(reasons(axis), ['first']);
});

test('an axis bound to repeated units carries them; what is bound later follows', () => {
  const [units, columns, again] = [freshAxis(3), freshAxis(12), freshAxis(12)];
  unify(columns, repeated(units, 4));
  assert.deepEqual(
    partsOf(columns).map(({ inner }) => inner),
    [4],
  );
  unify(again, columns);
  assert.deepEqual(partsOf(again), partsOf(columns));
  assert.equal(axisSize(columns), 12);
});

test('what is known of an axis when it is bound or cut goes to what it is made of', () => {
  const [units, columns] = [freshAxis(3), freshAxis(12, 'pinned before')];
  limitScaling(columns, 'none');
  unify(columns, repeated(units, 4));
  assert.deepEqual(reasons(units), ['pinned before']);
  assert.equal(classes(units)[0]!.scaling, 'none');
});

test('sizes that differ, units that overlap, an axis inside itself: pinned, not invented', () => {
  const [a, b] = [freshAxis(4), freshAxis(5)];
  unify(a, b);
  assert.deepEqual([...reasons(a), ...reasons(b)], ['sizes differ', 'sizes differ']);
  const [threes, twos] = [repeated(freshAxis(2), 3), repeated(freshAxis(3), 2)];
  unify(threes, twos);
  assert.ok([...reasons(threes), ...reasons(twos)].every((reason) => reason !== null));
  const [own, rest] = [freshAxis(4), freshAxis(4)];
  unify([...own, ...rest], repeated([...own], 2));
  assert.ok([...reasons(own), ...reasons(rest)].every((reason) => reason !== null));
});

test('a slice has its length, pieces of one cut join to the whole, and a pin on a piece stays on the piece', () => {
  fc.assert(
    fc.property(fc.integer({ min: 2, max: 40 }), fc.array(fc.nat(40), { maxLength: 5 }), (size, places) => {
      const axis = freshAxis(size);
      const cuts = [...new Set([0, ...places.map((place) => place % size), size])].sort((a, b) => a - b);
      const pieces = cuts.slice(1).map((end, k) => sliceAxis(axis, cuts[k]!, end)!);
      pieces.forEach((piece, k) => {
        assert.equal(axisSize(piece), cuts[k + 1]! - cuts[k]!);
      });
      assert.deepEqual(pieces.flatMap(classes), classes(axis));
      pin(pieces[0]!, 'only here');
      for (const piece of pieces.slice(1)) assert.ok(reasons(piece).every((reason) => reason === null));
      assert.equal(axisSize(axis), size);
    }),
    { seed: 10 },
  );
});

test('unification does not depend on the order of its equations', () => {
  // Axes of one size, made equal in random pairs, some cut: the same axes end up pinned or together either way.
  const equations = fc.array(fc.tuple(fc.nat(7), fc.nat(7)), { maxLength: 10 });
  fc.assert(
    fc.property(equations, fc.nat(7), fc.nat(1), (pairs, pinned, cut) => {
      const solve = (ordered: readonly (readonly [number, number])[]): string => {
        const axes = Array.from({ length: 8 }, () => freshAxis(6));
        pin(axes[pinned]!, 'pinned');
        if (cut === 1) sliceAxis(axes[(pinned + 1) % 8]!, 0, 2);
        for (const [a, b] of ordered) unify(axes[a]!, axes[b]!);
        const names = new Map<unknown, number>();
        return JSON.stringify(
          axes.map((axis) =>
            partsOf(axis).map(({ units, inner }) => {
              if (!names.has(units)) names.set(units, names.size);
              return [names.get(units), units.size, inner, units.pinned];
            }),
          ),
        );
      };
      assert.equal(solve(pairs), solve([...pairs].reverse()));
    }),
    { seed: 11 },
  );
});
