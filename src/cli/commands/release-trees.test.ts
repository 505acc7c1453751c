/** `release` and `check` of decision trees by the commands alone. */
import assert from 'node:assert/strict';
import { copyFile, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { treeVector } from '../../mark/testing/trees.js';
import { muniment, type Ran } from '../testing/io.js';

const cwd = await mkdtemp(path.join(os.tmpdir(), 'muniment-release-trees-'));
after(() => rm(cwd, { recursive: true, force: true }));
const env = { MUNIMENT_PASSPHRASE: 'a passphrase for this test' };
const run = (...argv: readonly string[]): Promise<Ran> => muniment(argv, { cwd, env });
const good = async (...argv: readonly string[]): Promise<Ran> => {
  const ran = await run(...argv);
  assert.equal(ran.code, 0, `${argv.join(' ')}\n${ran.stderr}`);
  return ran;
};
const failed = (ran: Ran): { code: string; todo: string } =>
  (ran.json() as { error: { code: string; todo: string } }).error;

test('without data: exit code 2, what to give, and nothing committed; then released, named, explained', async () => {
  for (const name of ['fleet.txt', 'fleet-forest.onnx']) await copyFile(treeVector(name), path.join(cwd, name));
  await copyFile(treeVector('fleet.csv'), path.join(cwd, 'train.csv'));
  await good('init', '--owner', 'Example Works');
  await good('record', 'model', 'fleet.txt', '--keep', 'full');
  await good('record', 'model', 'fleet-forest.onnx', '--keep', 'full');
  const logged = async (): Promise<number> =>
    ((await good('log', '--json')).json() as { statements: unknown[] }).statements.length;
  const before = await logged();

  const bare = await run('release', 'fleet.txt', '--to', 'acme', '--out', 'a.txt', '--json');
  assert.equal(bare.code, 2);
  assert.equal(failed(bare).code, 'MARK_TREE_DATA');
  assert.match(failed(bare).todo, /--data train\.csv/);
  const unnamed = await run('release', 'fleet-forest.onnx', '--to', 'acme', '--data', 'train.csv', '--json');
  assert.equal(unnamed.code, 2);
  assert.equal(failed(unnamed).code, 'MARK_TREE_UNNAMED');
  assert.match(failed(unnamed).todo, /--columns/);
  await writeFile(path.join(cwd, 'other.csv'), 'a,b\n1,2\n3,4\n');
  const wrong = await run('release', 'fleet.txt', '--to', 'acme', '--data', 'other.csv', '--json');
  assert.equal(wrong.code, 3);
  assert.equal(failed(wrong).code, 'MARK_TREE_COLUMN');
  const study = await run('release', 'fleet.txt', '--study', '--json');
  assert.equal(study.code, 2);
  assert.equal(failed(study).code, 'MARK_TREE_STUDY');
  assert.equal(await logged(), before);
  assert.ok(!(await readdir(cwd)).includes('a.txt'));

  const made = await good('release', 'fleet.txt', '--to', 'acme', '--data', 'train.csv', '--out', 'a.txt');
  assert.match(made.stdout, /thresholds in \d+ gaps of the training data at strength 0\.6/);
  const check = await good('check', 'a.txt', '--json');
  const { candidates } = check.json() as {
    candidates: { verdict: string; recipient: string; lines: { test: string }[] }[];
  };
  assert.deepEqual([candidates[0]!.verdict, candidates[0]!.recipient], ['related', 'acme']);
  assert.deepEqual(
    candidates[0]!.lines.map((line) => line.test),
    ['threshold jitter'],
  );
  const columns = 'type,air_temperature_k,process_temperature_k,rotational_speed_rpm,torque_nm,tool_wear_min';
  await good(
    'release',
    'fleet-forest.onnx',
    '--to',
    'bolt',
    '--data',
    'train.csv',
    '--columns',
    columns,
    '--out',
    'b.onnx',
  );
  assert.notDeepEqual(await readFile(path.join(cwd, 'a.txt')), await readFile(path.join(cwd, 'fleet.txt')));
});
