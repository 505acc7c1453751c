/** Trains on a CSV file with a checkpoint, for a test that kills it: `train-child.ts DATA CHECKPOINT`. */
import { readTable, trainModel } from '../index.js';

const [data = '', checkpoint = ''] = process.argv.slice(2);

export const CHILD_SETTINGS = {
  task: 'classify',
  target: 'failure',
  seed: 12,
  hidden: [32, 32],
  epochs: 400,
  patience: 1_000,
  folds: 2,
} as const;

if (data !== '') {
  await trainModel({
    ...CHILD_SETTINGS,
    ...(await readTable(data)),
    checkpoint,
    progress: { update: (done) => process.stdout.write(`${done}\n`) },
  });
}
