import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  averagePrecision,
  bestThreshold,
  binaryQuality,
  classQuality,
  forecastQuality,
  rowsDigest,
  stratifiedFolds,
  stratifiedSplit,
} from './index.js';

const near = (a: number, b: number): void => assert.ok(Math.abs(a - b) < 1e-12, `${a} ≠ ${b}`);

test('average precision as scikit-learn documents it', () => {
  // sklearn.metrics.average_precision_score, example of its documentation: 0.83…
  near(averagePrecision([0.1, 0.4, 0.35, 0.8], [false, false, true, true]), 0.8333333333333333);
  // All scores tied: the share of positives, in whatever order the examples stand.
  near(averagePrecision([1, 1, 1, 1], [true, false, false, false]), 0.25);
});

test('binary measures by hand: 3 hits, 1 false alarm, 2 missed, 4 right silences', () => {
  const scores = [0.9, 0.8, 0.7, 0.6, 0.4, 0.3, 0.2, 0.1, 0.05, 0.01];
  const positive = [true, true, false, true, true, true, false, false, false, false];
  const quality = binaryQuality(scores, positive, 0.5);
  near(quality.precision, 3 / 4);
  near(quality.recall, 3 / 5);
  near(quality.f1, 6 / 9);
  near(quality.accuracy, 7 / 10);
  near(bestThreshold(scores, positive), 0.25);
});

test('class and forecast measures by hand', () => {
  const quality = classQuality([0, 1, 1, 2], [0, 1, 2, 2], 3);
  assert.deepEqual(quality.confusion, [
    [1, 0, 0],
    [0, 1, 0],
    [0, 1, 1],
  ]);
  near(quality.macroF1, (1 + 2 / 3 + 2 / 3) / 3);
  const forecast = forecastQuality([1, 2, 3], [1, 4, 1]);
  near(forecast.rmse, Math.sqrt(8 / 3));
  near(forecast.mae, 4 / 3);
  near(forecast.r2, 1 - 8 / 6);
});

test('splits keep the shares of classes and depend on the seed alone', () => {
  const labels = Array.from({ length: 1_000 }, (_, i) => (i % 25 === 0 ? 1 : 0));
  const split = stratifiedSplit(labels, 0.2, 3);
  assert.equal(split.test.length, 200);
  assert.equal(Array.from(split.test).filter((row) => labels[row] === 1).length, 8);
  assert.equal(new Set([...split.test, ...split.training]).size, 1_000);
  assert.deepEqual(split, stratifiedSplit(labels, 0.2, 3));
  assert.notEqual(rowsDigest(split.test), rowsDigest(stratifiedSplit(labels, 0.2, 4).test));
  assert.equal(rowsDigest(Uint32Array.of(3, 1)), rowsDigest(Uint32Array.of(1, 3)));
  const folds = stratifiedFolds(labels, 5, 1);
  for (let fold = 0; fold < 5; fold++) {
    assert.equal(labels.filter((label, i) => label === 1 && folds[i] === fold).length, 8);
  }
});
