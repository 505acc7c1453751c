import assert from 'node:assert/strict';
import { test } from 'node:test';
import { keyedStream } from '../base/index.js';
import { codeMoves } from './codes.js';
import { chips } from './index.js';

const drawn = chips(keyedStream(new Uint8Array(32).fill(9)), 200_000);

test('codes move by whole steps with the energy of the float mark, and follow the chips', () => {
  for (const [ratio, tolerance] of [
    [0.05, 0.15],
    [0.125, 0.06],
    [0.5, 0.02],
    [0.99, 0.01],
    [1.01, 0.01],
    [4, 0.01],
    [40, 0.01],
  ] as const) {
    const moves = codeMoves();
    let energy = 0;
    let product = 0;
    for (const chip of drawn) {
      const steps = moves(ratio * 0.25, 0.25, chip) / 0.25;
      assert.ok(Number.isInteger(steps) && steps * chip >= 0);
      energy += steps * steps;
      product += steps * chip;
    }
    const found = energy / drawn.length;
    assert.ok(Math.abs(found / ratio ** 2 - 1) < tolerance, `ratio ${ratio}: energy ${found} for ${ratio ** 2}`);
    assert.ok(product > 0);
  }
});

test('a row that a normalisation turns round is moved the other way; codes without a step stay', () => {
  const moves = codeMoves();
  assert.equal(moves(-3, 1, 1), -moves(3, 1, 1));
  assert.equal(moves(3, 0, 1), 0);
  assert.equal(moves(Number.NaN, 1, 1), 0);
});

test('the same amplitudes on every machine: pinned', () => {
  const moves = codeMoves();
  // The least chip that moves a code by one step is ½ / a.
  const least = (ratio: number): number => {
    let low = 0;
    let high = 40;
    for (let k = 0; k < 60; k++) {
      const middle = (low + high) / 2;
      if (moves(ratio, 1, middle) === 0) low = middle;
      else high = middle;
    }
    return high;
  };
  assert.deepEqual(
    [0.1, 0.5, 2].map((ratio) => least(ratio).toFixed(9)),
    ['2.575831337', '1.154255080', '0.252645576'],
  );
});
