/** Seeded splits: stratified over classes for rows, by whole machines for windows. */
import { inputError, randomPermutation, seededRandom, sha256Hex } from '../base/index.js';

export interface Split {
  readonly training: Uint32Array;
  readonly test: Uint32Array;
}

/**
 * Assigns every example to one of `folds` folds, each class spread evenly (counts differ by at most one per class).
 * @param labels class per example; give one constant for no stratification
 */
export function stratifiedFolds(labels: ArrayLike<number>, folds: number, seed: number): Uint8Array {
  const next = new Map<number, number>();
  const fold = new Uint8Array(labels.length);
  for (const index of randomPermutation(labels.length, seededRandom(seed, 'folds'))) {
    const label = labels[index]!;
    const turn = next.get(label) ?? 0;
    fold[index] = turn % folds;
    next.set(label, turn + 1);
  }
  return fold;
}

/**
 * Stratified training and test rows. At least one example of each class stays in the training part.
 * @param share of each class that goes to the test part, 0 < share < 1
 */
export function stratifiedSplit(labels: ArrayLike<number>, share: number, seed: number): Split {
  if (!(share > 0 && share < 1)) {
    throw inputError('TRAIN_SPLIT', 'the share of test data is out of range', {
      expected: 'more than 0 and less than 1',
      got: String(share),
    });
  }
  const order = randomPermutation(labels.length, seededRandom(seed, 'test set'));
  const counts = new Map<number, number>();
  for (const index of order) counts.set(labels[index]!, (counts.get(labels[index]!) ?? 0) + 1);
  const wanted = new Map([...counts].map(([label, count]) => [label, Math.round(count * share)]));
  const test: number[] = [];
  const training: number[] = [];
  for (const index of order) {
    const left = wanted.get(labels[index]!) ?? 0;
    if (left > 0) {
      test.push(index);
      wanted.set(labels[index]!, left - 1);
    } else training.push(index);
  }
  return { training: Uint32Array.from(training).sort(), test: Uint32Array.from(test).sort() };
}

/** SHA-256 over the row numbers (unsigned 32 bits, little-endian, ascending): what identifies a part of a data set. */
export function rowsDigest(rows: Uint32Array): string {
  const bytes = new DataView(new ArrayBuffer(4 * rows.length));
  for (const [index, row] of Uint32Array.from(rows).sort().entries()) bytes.setUint32(4 * index, row, true);
  return sha256Hex(new Uint8Array(bytes.buffer));
}
