import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { scriptWords } from '../base/testing/script.js';
import { FLEET_HEADER, fleetRows, RUN_HEADER, runRows, simulateFleet, simulateRuns, toCsv } from '../plant/index.js';
import { type RecordingRoom, recordAssets, type StatementView } from '../record/index.js';
import {
  type CrossFit,
  candidatesFor,
  chooseFit,
  parseCsv,
  predictionsCsv,
  predictTable,
  readTable,
  tableCsv,
  tableFromRows,
  trainingAssets,
  trainModel,
} from './index.js';
import { CHILD_SETTINGS } from './testing/train-child.js';

const folder = await mkdtemp(path.join(os.tmpdir(), 'muniment-train-'));
after(() => rm(folder, { recursive: true, force: true }));

const fleet = tableFromRows('fleet', FLEET_HEADER, fleetRows(simulateFleet({ rows: 4_000, seed: 1 })));

test('a failure classifier on the simulated fleet: chosen on held-out data, tested on rows never seen', async () => {
  const trained = await trainModel({
    table: fleet,
    sha256: 'f'.repeat(64),
    task: 'classify',
    target: 'failure',
    seed: 3,
    epochs: 30,
  });
  const { record, card } = trained;
  assert.equal(record.quality.kind, 'binary');
  // Always answering "no failure" has F1 0; the test part holds about 35 failures.
  assert.ok(record.quality.kind === 'binary' && record.quality.f1 > 0.5, JSON.stringify(record.quality));
  assert.equal(record.alternatives.length, 3);
  assert.equal(record.alternatives.filter((one) => one.chosen).length, 1);
  assert.ok(record.alternatives.every((one) => one.latency.milliseconds > 0 && one.reason !== ''));
  assert.deepEqual(card.classes, ['0', '1']);
  assert.deepEqual(record.inputs, FLEET_HEADER.slice(0, -1));
  assert.equal(record.split.training.examples + record.split.test.examples, 4_000);

  const answers = await predictTable(trained.model, fleet);
  assert.deepEqual(answers.header, ['row', 'failure', 'p(0)', 'p(1)']);
  const said = new Map(answers.rows.map((row) => [Number(row[0]) - 1, row[1]]));
  const truth = fleet.columns.at(-1)!.numbers;
  const test = Array.from(trained.testRows);
  const hits = test.filter((row) => said.get(row) === '1' && truth[row] === 1).length;
  const flagged = test.filter((row) => said.get(row) === '1').length;
  assert.ok(record.quality.kind === 'binary' && Math.abs(record.quality.precision - hits / flagged) < 1e-9);
  assert.match(predictionsCsv(answers), /^row,failure,p\(0\),p\(1\)\n1,/);
});

test('remaining life from windows: whole units are held out, life is capped', async () => {
  const runs = tableFromRows('runs', RUN_HEADER, runRows(simulateRuns({ units: 30, seed: 2, life: 120 })));
  const trained = await trainModel({
    table: runs,
    sha256: 'f'.repeat(64),
    task: 'forecast',
    target: 'remaining life',
    life: { cap: 80 },
    window: { unit: 'unit', time: 'cycle', length: 20 },
    seed: 1,
    hidden: [32],
    channels: [16, 16],
    epochs: 15,
  });
  const { quality, split } = trained.record;
  assert.equal(split.by, 'unit');
  // Answering the mean life has an RMSE of the deviation, about 27.
  assert.ok(quality.kind === 'forecast' && quality.rmse < 18, JSON.stringify(quality));
  const held = parseCsv(tableCsv(runs, trained.testRows), 'test.csv');
  assert.equal(new Set(held.columns[0]!.numbers).size, 6);
  const answers = await predictTable(trained.model, held);
  assert.deepEqual(answers.header, ['unit', 'cycle', 'remaining life']);
  assert.equal(answers.rows.length, 6);
  // The last reading of every unit is its failure.
  assert.ok(answers.rows.every((row) => Math.abs(Number(row[2])) < 25));
  const every = await predictTable(trained.model, held, { every: true });
  assert.equal(every.rows.length, split.test.examples);
});

test('missing readings, unknown categories and three classes', async () => {
  const rows = Array.from({ length: 600 }, (_, i) => {
    const x = Math.sin(i * 1.7) * 5;
    return [i % 9 === 0 ? null : x, ['a', 'b'][i % 2]!, x < -1.5 ? 'low' : x > 1.5 ? 'high' : 'mid'];
  });
  const table = tableFromRows('t', ['x', 'kind', 'level'], rows);
  const trained = await trainModel({
    table,
    sha256: '0'.repeat(64),
    task: 'classify',
    target: 'level',
    seed: 1,
    hidden: [16],
    epochs: 60,
    rate: 0.01,
  });
  assert.ok(trained.record.quality.kind === 'classes' && trained.record.quality.accuracy > 0.8);
  const answers = await predictTable(
    trained.model,
    tableFromRows(
      'u',
      ['x', 'kind'],
      [
        [null, 'a'],
        [4, 'new'],
        [-4, 'b'],
      ],
    ),
  );
  assert.deepEqual(answers.unknown, { kind: ['new'] });
  assert.deepEqual(
    answers.rows.slice(1).map((row) => row[1]),
    ['high', 'low'],
  );
  assert.ok(answers.rows.every((row) => row.slice(2).every((p) => typeof p === 'number' && p >= 0 && p <= 1)));
});

test('a training killed at any instant goes on from its checkpoint to the identical model', async () => {
  const data = path.join(folder, 'fleet.csv');
  await writeFile(data, toCsv(FLEET_HEADER, fleetRows(simulateFleet({ rows: 600, seed: 4 }))));
  const checkpoint = path.join(folder, 'training.checkpoint');
  const child = spawn(process.execPath, [...scriptWords('./testing/train-child', import.meta.url), data, checkpoint]);
  const ended = new Promise((resolve) => child.on('close', (_, signal) => resolve(signal)));
  let epochs = 0;
  child.stdout.on('data', (chunk: Buffer) => {
    epochs = Number(chunk.toString().trim().split('\n').at(-1));
    // Past the first fold: one fit is complete and another under way.
    if (epochs > 500) child.kill('SIGKILL');
  });
  assert.equal(await ended, 'SIGKILL', `ended after ${epochs} epochs`);
  assert.ok(existsSync(checkpoint));
  const settings = { ...CHILD_SETTINGS, ...(await readTable(data)) };
  await assert.rejects(trainModel({ ...settings, seed: 13, checkpoint }), { code: 'TRAIN_CHECKPOINT_OTHER' });
  let resumedEpochs = 0;
  let wholeEpochs = 0;
  const resumed = await trainModel({
    ...settings,
    checkpoint,
    progress: {
      update: () => {
        resumedEpochs += 1;
      },
    },
  });
  const whole = await trainModel({
    ...settings,
    progress: {
      update: () => {
        wholeEpochs += 1;
      },
    },
  });
  assert.ok(resumedEpochs + 400 <= wholeEpochs, `${resumedEpochs} of ${wholeEpochs} epochs after the kill`);
  assert.deepEqual(resumed.model, whole.model);
  assert.deepEqual(resumed.record.history, whole.record.history);
  assert.ok(!existsSync(checkpoint), 'a complete training leaves no checkpoint');

  await writeFile(checkpoint, (await readFile(data)).subarray(0, 100));
  await assert.rejects(trainModel({ ...settings, checkpoint }), (error: { code: string }) =>
    ['JSON_INVALID', 'TRAIN_CHECKPOINT_DAMAGED'].includes(error.code),
  );
});

test('of equally good candidates the faster is taken', () => {
  const candidates = candidatesFor([8], 2);
  const fit = (index: number, score: number): CrossFit => ({
    candidate: candidates[index]!,
    epochs: 1,
    score,
    metric: 'f1',
    threshold: 0.5,
    fits: [],
  });
  assert.equal(chooseFit([fit(0, 0.8), fit(1, 0.802), fit(2, 0.79)]).candidate.name, '32');
  assert.equal(chooseFit([fit(0, 0.7), fit(1, 0.8), fit(2, 0.801)]).candidate.name, '64-64');
  assert.equal(chooseFit([fit(0, -20), fit(1, -15), fit(2, -14)]).candidate.name, '128-64');
});

/** The ledger as `record` sees it: what is appended is kept, nothing is signed. */
function plainRoom(): { room: RecordingRoom; stated: StatementView[] } {
  const stated: StatementView[] = [];
  const ledger: RecordingRoom['ledger'] = {
    async append(inputs) {
      return inputs.map((input) => {
        const index = stated.length;
        stated.push({ ...input, index, sha256: String(index).padStart(64, '0'), time: '2026-03-01T00:00:00Z' });
        return { index, sha256: stated[index]!.sha256 };
      });
    },
    async *statements() {
      yield* stated;
    },
  };
  return { room: { ledger, vault: null }, stated };
}

test('a training is recorded in one go: five assets that point at one another, with every parameter', async () => {
  const data = path.join(folder, 'recorded.csv');
  await writeFile(data, toCsv(FLEET_HEADER, fleetRows(simulateFleet({ rows: 800, seed: 6 }))));
  const read = await readTable(data);
  const trained = await trainModel({ ...read, task: 'classify', target: 'failure', seed: 3, epochs: 2 });
  const [model, held] = [path.join(folder, 'recorded.onnx'), path.join(folder, 'recorded.test.csv')];
  await writeFile(model, trained.model);
  await writeFile(held, tableCsv(read.table, trained.testRows));
  const { room, stated } = plainRoom();
  const requests = trainingAssets(trained, { data, model, test: held, name: 'gearbox', machine: '2 cores' });
  // The reference in the vault is record's own matter.
  await recordAssets(
    room,
    requests.map((one) => (one.kind === 'model' ? { ...one, keep: 'none' as const } : one)),
  );
  const byKind = new Map(stated.map((one) => [one.kind, one]));
  assert.deepEqual([...byKind.keys()].sort(), [
    'architecture',
    'model',
    'test-set',
    'training-parameters',
    'training-set',
  ]);
  const digest = (kind: string): string => byKind.get(kind)!.subjects[0]!.sha256;
  assert.equal(digest('training-set'), read.sha256);
  const predicate = byKind.get('model')!.predicate as {
    links: { relation: string; sha256: string }[];
    quality: { metric: string; value: number; on: string }[];
    alternatives: { reason: string; milliseconds: number }[];
  };
  assert.deepEqual(Object.fromEntries(predicate.links.map(({ relation, sha256 }) => [relation, sha256])), {
    'trained-on': digest('training-set'),
    'evaluated-on': digest('test-set'),
    parameters: digest('training-parameters'),
    architecture: digest('architecture'),
  });
  assert.ok(predicate.quality.every(({ on }) => on === digest('test-set')));
  assert.equal(predicate.alternatives.length, 2);
  const { parameters } = byKind.get('training-parameters')!.predicate as { parameters: Record<string, unknown> };
  for (const name of ['seed', 'loss', 'epochs', 'batch', 'rate', 'threshold', 'testShare']) {
    assert.ok(name in parameters, name);
  }
});

test('tasks that cannot be are refused by name', async () => {
  const base = { table: fleet, sha256: '', seed: 1 } as const;
  const refused: readonly [Parameters<typeof trainModel>[0], string][] = [
    [{ ...base, task: 'classify', target: 'nothing' }, 'TABLE_NO_COLUMN'],
    [{ ...base, task: 'classify', target: 'torque_nm' }, 'TRAIN_TARGET'],
    [{ ...base, task: 'forecast', target: 'type' }, 'TRAIN_TARGET'],
    [{ ...base, task: 'forecast', target: 'life', life: { cap: null } }, 'TRAIN_TARGET'],
    [{ ...base, task: 'classify', target: 'failure', testShare: 1.5 }, 'TRAIN_SPLIT'],
    [{ ...base, task: 'classify', target: 'failure', ignore: FLEET_HEADER.slice(0, -1) }, 'TRAIN_NO_INPUTS'],
  ];
  for (const [settings, code] of refused) await assert.rejects(trainModel(settings), { code });
});

test('a reading beyond the training data, such as an idle machine, gets a number for an answer', async () => {
  const trained = await trainModel({
    table: fleet,
    sha256: 'f'.repeat(64),
    task: 'classify',
    target: 'failure',
    seed: 3,
    hidden: [8],
    epochs: 2,
  });
  assert.ok(trained.card.derived.logs.some(({ least, shift }) => least > 0 && shift === 0));
  const idle = [
    ['L', 300, 310, 1500, 0, 100, 0],
    ['L', 300, 310, 0, 0, 0, 0],
    ['L', 300, 310, -5, -1, -1, 0],
    ['L', 300, 310, 1500, 3, 100, 0],
  ];
  const { rows } = await predictTable(trained.model, tableFromRows('idle', FLEET_HEADER, idle));
  for (const row of rows) assert.ok(Number.isFinite(row[2]) && Number.isFinite(row[3]), JSON.stringify(row));
});
