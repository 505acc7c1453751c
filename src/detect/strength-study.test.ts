import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { seededRandom } from '../base/index.js';
import { buildOnnx, openModel } from '../formats/index.js';
import { canonicalise } from '../structure/index.js';
import { scoreTable, tableFromRows } from '../train/index.js';
import { studyStrength } from './index.js';

const IN = 6;
const HIDDEN = 40;

/** A random 6-40-40-2 net: what it answers is the truth of its own test set. */
async function netIn(folder: string): Promise<string> {
  const random = seededRandom(3, 'study');
  const draw = (n: number) => Float64Array.from({ length: n }, () => random.unit() * 2 - 1);
  const file = path.join(folder, 'net.onnx');
  const layer = (name: string, rows: number, width: number) => [
    { name: `${name}.w`, dtype: 'F32' as const, shape: [rows, width], values: draw(rows * width) },
    { name: `${name}.b`, dtype: 'F32' as const, shape: [rows], values: draw(rows) },
  ];
  const gemm = (name: string, from: string, to: string) => ({
    op: 'Gemm',
    inputs: [from, `${name}.w`, `${name}.b`],
    outputs: [to],
    attributes: { transB: { int: 1 } },
  });
  const graph = {
    name: 'net',
    inputs: [{ name: 'x', dtype: 'F32' as const, shape: ['rows', IN] }],
    outputs: [{ name: 'y', dtype: 'F32' as const, shape: ['rows', 2] }],
    nodes: [
      gemm('one', 'x', 'h1'),
      { op: 'Relu', inputs: ['h1'], outputs: ['a1'] },
      gemm('two', 'a1', 'h2'),
      { op: 'Relu', inputs: ['h2'], outputs: ['a2'] },
      gemm('three', 'a2', 'y'),
    ],
    initialisers: [...layer('one', HIDDEN, IN), ...layer('two', HIDDEN, HIDDEN), ...layer('three', 2, HIDDEN)],
  };
  await writeFile(file, buildOnnx({ graph }));
  return file;
}

test('the study shows what each strength costs and buys, takes one within the limit, and leaves nothing behind', async () => {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'study-'));
  const file = await netIn(folder);
  const model = await openModel(file);
  try {
    const canonical = await canonicalise(model);
    const workshop = path.join(folder, 'workshop');
    const free = await studyStrength(canonical, {}, { workshop });
    assert.equal(free.original, null);
    assert.deepEqual(await readdir(workshop), []);
    const powers = free.offers.map(({ power }) => power!.worst);
    assert.deepEqual(
      powers,
      [...powers].sort((a, b) => b - a),
      'louder marks are found more clearly',
    );
    const drifts = free.offers.map(({ drift }) => drift!.rms);
    assert.deepEqual(
      drifts,
      [...drifts].sort((a, b) => a - b),
      'and drift more',
    );
    assert.equal(free.offers.filter(({ verdict }) => verdict === 'chosen').length, 1);
    assert.equal(free.strengths?.size, 3);

    const random = seededRandom(4, 'rows');
    const inputs = Array.from({ length: 400 }, () => Array.from({ length: IN }, () => random.unit() * 2 - 1));
    const table = (truth: (row: number) => string) =>
      tableFromRows(
        'test',
        [...Array.from({ length: IN }, (_, k) => `x${k}`), 'truth'],
        inputs.map((row, index) => [...row.map(String), truth(index)]),
      );
    const said = await Promise.all(
      ['0', '1'].map((one) =>
        scoreTable(
          file,
          table(() => one),
        ),
      ),
    );
    assert.ok(
      said.every(({ value }) => value > 0),
      'the net says both classes',
    );

    const strict = await studyStrength(canonical, {}, { workshop, test: { table: table(() => '1') }, mostCost: -100 });
    assert.equal(strict.original?.metric, 'accuracy');
    assert.equal(strict.offers.length, 1, 'nothing louder is tried once the cost is passed');
    assert.match(strict.reason, /costs more than/);
    assert.equal(strict.offers[0]!.cost!.keys, 4);
  } finally {
    await model.close();
    await rm(folder, { recursive: true });
  }
});
