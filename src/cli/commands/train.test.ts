import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { FLEET_HEADER, fleetRows, RUN_HEADER, runRows, simulateFleet, simulateRuns, toCsv } from '../../plant/index.js';
import { muniment } from '../testing/io.js';

const cwd = await mkdtemp(path.join(os.tmpdir(), 'muniment-train-command-'));
after(() => rm(cwd, { recursive: true, force: true }));
await writeFile(path.join(cwd, 'fleet.csv'), toCsv(FLEET_HEADER, fleetRows(simulateFleet({ rows: 600, seed: 1 }))));
await writeFile(path.join(cwd, 'runs.csv'), toCsv(RUN_HEADER, runRows(simulateRuns({ units: 10, seed: 1, life: 60 }))));

const quick = ['--hidden', '8', '--epochs', '2', '--seed', '5', '--json'];

test('train says at once that there is no room, and how to go on', async () => {
  const ran = await muniment(['train', 'fleet.csv', '--target', 'failure', ...quick], { cwd });
  assert.equal(ran.code, 2);
  const { error } = ran.json() as { error: { code: string; todo: string } };
  assert.equal(error.code, 'ROOM_NOT_FOUND');
  assert.match(error.todo, /muniment init.*--no-record/);
});

test('in a room, train records five assets and leaves model, test set and report; predict answers', async () => {
  const env = { MUNIMENT_PASSPHRASE: 'a passphrase for this test' };
  const room = ['--room', path.join(cwd, 'titles')];
  assert.equal((await muniment(['init', '--owner', 'Example Works', ...room], { cwd, env })).code, 0);
  const ran = await muniment(
    ['train', 'fleet.csv', '--target', 'failure', '--out', 'failure.onnx', ...room, ...quick],
    { cwd, env },
  );
  assert.equal(ran.code, 0, ran.stderr);
  const { recorded } = ran.json() as { recorded: { kind: string; state: string }[] };
  assert.deepEqual(
    recorded.map(({ kind }) => kind),
    ['training-set', 'test-set', 'training-parameters', 'architecture', 'model'],
  );
  const made = (await readdir(cwd)).filter((name) => name.startsWith('failure.')).sort();
  assert.deepEqual(made, ['failure.onnx', 'failure.test.csv', 'failure.training.json']);
  const again = await muniment(
    ['train', 'fleet.csv', '--target', 'failure', '--out', 'failure.onnx', ...room, ...quick],
    { cwd, env },
  );
  assert.deepEqual([again.code, (again.json() as { error: { code: string } }).error.code], [2, 'TRAIN_OUT_EXISTS']);
  const answers = await muniment(['predict', 'failure.onnx', 'failure.test.csv', '--json'], { cwd });
  assert.equal((answers.json() as { rows: unknown[] }).rows.length, 120);
});

test('remaining life by unit and time, without a record', async () => {
  const windows = ['--run-to-failure', '--unit', 'unit', '--time', 'cycle', '--window', '10', '--life-cap', '50'];
  const ran = await muniment(
    ['train', 'runs.csv', '--task', 'forecast', '--target', 'life', ...windows, '--no-record', ...quick],
    { cwd },
  );
  assert.equal(ran.code, 0, ran.stderr);
  const answers = await muniment(['predict', 'runs.onnx', 'runs.test.csv', '--out', 'life.csv'], { cwd });
  assert.match(answers.stdout, /^2 answers in life\.csv/);
});

test('options that do not fit are refused before any work', async () => {
  const base = ['train', 'fleet.csv', '--no-record', '--json'];
  const refused: readonly [readonly string[], string][] = [
    [[], 'OPTION_MISSING'],
    [['--target', 'failure', '--unit', 'type'], 'OPTION_VALUE'],
    [['--target', 'failure', '--life-cap', '5'], 'OPTION_VALUE'],
    [['--target', 'failure', '--hidden', '64,0'], 'OPTION_VALUE'],
    [['--target', 'failure', '--rate', 'fast'], 'OPTION_VALUE'],
  ];
  for (const [options, code] of refused) {
    const ran = await muniment([...base, ...options], { cwd });
    assert.deepEqual([ran.code, (ran.json() as { error: { code: string } }).error.code], [2, code], options.join(' '));
  }
});
