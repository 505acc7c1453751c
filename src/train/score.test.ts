import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { buildOnnx } from '../formats/index.js';
import { FLEET_HEADER, fleetRows, simulateFleet } from '../plant/index.js';
import { scoreTable, type Table, tableFromRows, trainModel } from './index.js';

let folder: string;
before(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'score-'));
});
after(() => rm(folder, { recursive: true }));

/** y = W x for one float input [rows, 2]. */
async function plainNet(name: string, rows: readonly (readonly number[])[]): Promise<string> {
  const file = path.join(folder, name);
  const bytes = buildOnnx({
    graph: {
      name: 'plain',
      inputs: [{ name: 'x', dtype: 'F32', shape: ['rows', 2] }],
      outputs: [{ name: 'y', dtype: 'F32', shape: ['rows', rows.length] }],
      nodes: [{ op: 'Gemm', inputs: ['x', 'w'], outputs: ['y'], attributes: { transB: { int: 1 } } }],
      initialisers: [{ name: 'w', dtype: 'F32', shape: [rows.length, 2], values: Float64Array.from(rows.flat()) }],
    },
  });
  await writeFile(file, bytes);
  return file;
}

const tableOf = (rows: readonly (readonly number[])[]): Table =>
  tableFromRows(
    't',
    ['a', 'b', 'truth'],
    rows.map((row) => row.map(String)),
  );

test('another model: the largest output is the class, the only one the value', async () => {
  const classes = await plainNet('classes.onnx', [
    [1, 0],
    [0, 1],
  ]);
  const rows = tableOf([
    [3, 1, 0],
    [1, 3, 1],
    [5, 2, 1],
    [0, 1, 1],
  ]);
  assert.deepEqual(await scoreTable(classes, rows), { metric: 'accuracy', value: 0.75, n: 4 });
  const value = await plainNet('value.onnx', [[1, 1]]);
  const sums = tableOf([
    [1, 1, 2],
    [2, 2, 7],
  ]);
  assert.deepEqual(await scoreTable(value, sums), { metric: 'rmse', value: Math.sqrt(9 / 2), n: 2 });
});

test('our own model: by its card, as `predict` answers', async () => {
  const rows = fleetRows(simulateFleet({ rows: 600, seed: 5 })).map((row) => row.map(String));
  const table = tableFromRows('fleet', [...FLEET_HEADER], rows);
  const settings = { table, sha256: '0'.repeat(64), task: 'classify', target: 'failure', hidden: [8] } as const;
  const { model } = await trainModel({ ...settings, epochs: 3, seed: 77 });
  const file = path.join(folder, 'fleet.onnx');
  await writeFile(file, model);
  const score = await scoreTable(file, table);
  assert.equal(score.metric, 'accuracy');
  assert.equal(score.n, 600);
  assert.ok(score.value > 0.5 && score.value <= 1, String(score.value));
});

test('a table that does not fit is refused with what would fit', async () => {
  const net = await plainNet('fits.onnx', [[1, 1]]);
  const narrow = tableFromRows('n', ['a', 'truth'], [['1', '2']]);
  await assert.rejects(scoreTable(net, narrow), { code: 'SCORE_UNFIT' });
  const texts = tableFromRows('n', ['a', 'b', 'truth'], [['1', 'x', '2']]);
  await assert.rejects(scoreTable(net, texts), { code: 'SCORE_UNFIT' });
  await assert.rejects(scoreTable(net, tableOf([[1, 2, 3]]), 'absent'), { code: 'TABLE_NO_COLUMN' });
});
