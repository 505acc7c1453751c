import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { MAX_STRENGTH, spreadStrength, type TensorHarm } from './index.js';

const harms = fc.array(
  fc.record({ weights: fc.integer({ min: 1, max: 1e6 }), harm: fc.double({ min: 1e-6, max: 1e3, noNaN: true }) }),
  { minLength: 1, maxLength: 12 },
);
const named = (list: readonly { weights: number; harm: number }[]): TensorHarm[] =>
  list.map((one, index) => ({ tensor: `t${index}`, ...one }));
const spent = (list: readonly TensorHarm[], strengths: ReadonlyMap<string, number>): number =>
  list.reduce((sum, { tensor, harm }) => sum + harm * strengths.get(tensor)! ** 2, 0);
/** z² of docs/theory.md §7 at a drift of 0.15. */
const power = (list: readonly TensorHarm[], strengths: ReadonlyMap<string, number>): number =>
  list.reduce((sum, { tensor, weights }) => {
    const square = strengths.get(tensor)! ** 2;
    return sum + (weights * square) / (square + 0.15 ** 2);
  }, 0);

test('spreading never drifts more than one strength for all, and never has less power', () => {
  fc.assert(
    fc.property(harms, fc.double({ min: 0.01, max: 0.12, noNaN: true }), (list, strength) => {
      const tensors = named(list);
      const even = new Map(tensors.map(({ tensor }) => [tensor, strength]));
      const found = spreadStrength(tensors, strength);
      // Three digits are kept of each strength.
      assert.ok(spent(tensors, found) <= spent(tensors, even) * 1.02);
      assert.ok(power(tensors, found) >= power(tensors, even) * 0.98);
      for (const one of found.values()) assert.ok(one > 0 && one <= MAX_STRENGTH);
    }),
  );
});

test('a tensor that the outputs do not feel is marked as loudly as is allowed, one that they feel least', () => {
  const found = spreadStrength(
    [
      { tensor: 'quiet', weights: 1000, harm: 0 },
      { tensor: 'felt', weights: 1000, harm: 10 },
    ],
    0.05,
  );
  assert.equal(found.get('quiet'), 0.2);
  assert.ok(Math.abs(found.get('felt')! - 0.05) < 1e-3);
});

test('equal tensors get one strength; without any harm it stays as asked', () => {
  const same = named([1, 2, 3].map(() => ({ weights: 500, harm: 2 })));
  for (const one of spreadStrength(same, 0.05).values()) assert.ok(Math.abs(one - 0.05) < 1e-3);
  assert.deepEqual([...spreadStrength(named([{ weights: 5, harm: 0 }]), 0.07).values()], [0.07]);
});
