/** `npm run bench:plant`: the trainer on public data, and its speed against TensorFlow.js. */
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { randomPermutation, seededRandom } from '../src/base/index.js';
import { ADAM, createTrainer, type Examples, initialise, mlp, startOf } from '../src/compute/index.js';
import {
  forecastQuality,
  outputsOf,
  readTable,
  stratifiedFolds,
  type Table,
  tableFromRows,
  trainModel,
  windowsOf,
} from '../src/train/index.js';
import { type BenchCall, dataFolder, type Figure, type Measurement, meanFigure, runBench } from './harness.js';

const AI4I_FOLDS = 5;
/** Columns of AI4I that are filled in from the failure itself. */
const MODES = ['TWF', 'HDF', 'PWF', 'OSF', 'RNF'];

/** Stratified five-fold mean; threshold, epochs and architecture from each fold's training data alone. */
async function ai4i(call: BenchCall): Promise<Readonly<Record<string, Figure>> | null> {
  const file = path.join(dataFolder(), 'ai4i', 'ai4i2020.csv');
  if (!existsSync(file)) return null;
  const data = await readTable(file);
  const labels = data.table.columns.find(({ name }) => name === 'Machine failure')!.numbers;
  const fold = stratifiedFolds(labels, AI4I_FOLDS, call.seed);
  const f1: number[] = [];
  const prAuc: number[] = [];
  for (let k = 0; k < AI4I_FOLDS; k++) {
    const { record } = await trainModel({
      ...data,
      task: 'classify',
      target: 'Machine failure',
      ignore: MODES,
      seed: 1_000 * call.seed + k,
      testRows: Uint32Array.from(labels, (_, row) => row).filter((row) => fold[row] === k),
      // Quick: one architecture instead of three to choose from.
      ...(call.quick ? { hidden: [64, 64] } : {}),
    });
    if (record.quality.kind !== 'binary') throw new TypeError('AI4I has two classes');
    f1.push(record.quality.f1);
    prAuc.push(record.quality.prAuc);
    call.say(`AI4I fold ${k + 1}: ${record.architecture.net}, F1 ${f1[k]!.toFixed(3)}, PR-AUC ${prAuc[k]!.toFixed(3)}`);
  }
  return { ai4i_f1: meanFigure(f1), ai4i_prauc: meanFigure(prAuc) };
}

const FD001_COLUMNS = ['unit', 'cycle', 'o1', 'o2', 'o3', ...Array.from({ length: 21 }, (_, i) => `s${i + 1}`)];
const LIFE_CAP = 125;
const WINDOW = { unit: 'unit', time: 'cycle', length: 30 };

function cmapss(file: string): Table {
  const lines = readFileSync(file, 'utf8').trim().split('\n');
  const rows = lines.map((line) => line.trim().split(/\s+/).map(Number));
  return tableFromRows(path.basename(file), FD001_COLUMNS, rows);
}

/** RMSE over the 100 test engines, lives capped at 125 on both sides; nothing of the test file is seen in training. */
async function fd001(call: BenchCall): Promise<Figure | null> {
  const folder = path.join(dataFolder(), 'cmapss');
  if (!existsSync(path.join(folder, 'train_FD001.txt'))) return null;
  const { model, card, record } = await trainModel({
    table: cmapss(path.join(folder, 'train_FD001.txt')),
    sha256: '',
    task: 'forecast',
    target: 'remaining life',
    life: { cap: LIFE_CAP },
    window: WINDOW,
    seed: call.seed,
    // The test engines are in a file of their own; a few training engines stay out for the trainer's own report.
    testShare: 0.05,
    ...(call.quick ? { hidden: [64], channels: [32, 32], epochs: 12 } : {}),
  });
  const sensors = card.columns.map(({ name }) => name);
  const windows = windowsOf(cmapss(path.join(folder, 'test_FD001.txt')), sensors, WINDOW, 'last');
  const said = await outputsOf(model, card, windows.values, [windows.count, sensors.length, WINDOW.length]);
  const lives = readFileSync(path.join(folder, 'RUL_FD001.txt'), 'utf8').trim().split('\n').map(Number);
  const truth = lives.map((life) => Math.min(LIFE_CAP, life));
  const { rmse } = forecastQuality(said, truth);
  call.say(`FD001: ${record.architecture.net}, RMSE ${rmse.toFixed(2)} in ${record.seconds.toFixed(1)} s`);
  return { value: rmse, n: truth.length, interval95: bootstrap(said, truth, call.seed) };
}

/** Percentile interval of the RMSE over test engines, 2,000 resamples. */
function bootstrap(said: Float32Array, truth: readonly number[], seed: number): [number, number] {
  const stream = seededRandom(seed, 'bootstrap');
  const draws = Float64Array.from({ length: 2_000 }, () => {
    const pick = truth.map(() => stream.below(truth.length));
    return forecastQuality(
      pick.map((i) => said[i]!),
      pick.map((i) => truth[i]!),
    ).rmse;
  }).sort();
  return [draws[50]!, draws[1_949]!];
}

const SPEED = { features: 24, hidden: [64, 64], classes: 2, rows: 8_192, batch: 64 };

function speedData(seed: number): Examples {
  const stream = seededRandom(seed, 'speed');
  const { rows, features, classes } = SPEED;
  const inputs = Float32Array.from({ length: rows * features }, () => 2 * stream.unit() - 1);
  const targets = new Float32Array(rows * classes);
  for (let i = 0; i < rows; i++) targets[i * classes + (inputs[i * features]! > 0 ? 1 : 0)] = 1;
  return { count: rows, inputs, targets, weights: new Float32Array(rows).fill(1) };
}

/** Samples per second of both trainers on the same net, data, batch and optimiser, alternating; ratio per round. */
async function againstTensorFlow(call: BenchCall): Promise<Figure> {
  const data = speedData(call.seed);
  const net = mlp(SPEED.features, SPEED.hidden, SPEED.classes);
  const trainer = await createTrainer({ net, loss: 'cross-entropy', batch: SPEED.batch, adam: ADAM, threads: 1 });
  // TensorFlow.js prints advice about its native backend on import.
  const tf = await import('@tensorflow/tfjs');
  await tf.setBackend('cpu');
  const model = tf.sequential({
    layers: [
      tf.layers.dense({ inputShape: [SPEED.features], units: SPEED.hidden[0]!, activation: 'relu' }),
      tf.layers.dense({ units: SPEED.hidden[1]!, activation: 'relu' }),
      tf.layers.dense({ units: SPEED.classes, activation: 'softmax' }),
    ],
  });
  model.compile({ optimizer: tf.train.adam(1e-3), loss: 'categoricalCrossentropy' });
  const theirRows = call.quick ? 1_024 : 4_096;
  const x = tf.tensor2d(data.inputs.slice(0, theirRows * SPEED.features), [theirRows, SPEED.features]);
  const y = tf.tensor2d(data.targets.slice(0, theirRows * SPEED.classes), [theirRows, SPEED.classes]);

  let state = startOf(initialise(net, call.seed));
  const ours = async (epochs: number): Promise<number> => {
    const start = performance.now();
    for (let epoch = 0; epoch < epochs; epoch++) {
      const order = randomPermutation(data.count, seededRandom(call.seed, `epoch ${epoch}`));
      ({ state } = await trainer.run(state, data, order));
    }
    return (epochs * data.count * 1000) / (performance.now() - start);
  };
  const theirs = async (): Promise<number> => {
    const start = performance.now();
    await model.fit(x, y, { epochs: 1, batchSize: SPEED.batch, shuffle: true, verbose: 0 });
    return (theirRows * 1000) / (performance.now() - start);
  };
  await ours(2);
  await theirs();
  const ratios: number[] = [];
  for (let round = 0; round < (call.quick ? 3 : 7); round++) {
    const [mine, other] = [await ours(8), await theirs()];
    ratios.push(mine / other);
    call.say(`speed: ${Math.round(mine)} samples/s, TensorFlow.js (cpu) ${Math.round(other)}`);
  }
  await trainer.close();
  return meanFigure(ratios);
}

async function measure(call: BenchCall): Promise<Measurement> {
  const figures: Record<string, Figure> = {};
  const notMeasured: { key: string; why: string }[] = [];
  const absent = `no public data in ${path.basename(dataFolder())}/; set MUNIMENT_DATA`;
  figures.train_vs_tfjs = await againstTensorFlow(call);
  const classes = await ai4i(call);
  if (classes === null) notMeasured.push({ key: 'ai4i_f1', why: absent }, { key: 'ai4i_prauc', why: absent });
  else Object.assign(figures, classes);
  const life = await fd001(call);
  if (life === null) notMeasured.push({ key: 'fd001_rmse', why: absent });
  else figures.fd001_rmse = life;
  return { figures, notMeasured };
}

await runBench(
  'plant',
  { ai4i_f1: { atLeast: 0.75 }, fd001_rmse: { atMost: 17 }, train_vs_tfjs: { atLeast: 5 } },
  measure,
);
