import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { buildOnnx } from '../formats/index.js';
import { FLEET_HEADER, fleetRows, simulateFleet } from '../plant/index.js';
import { tableFromRows, trainModel } from '../train/index.js';
import { outputDrift } from './index.js';

test('a model that takes logarithms of its columns is measured on values that its columns have', async () => {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'drift-'));
  try {
    const rows = fleetRows(simulateFleet({ rows: 400, seed: 5 })).map((row) => row.map(String));
    const table = tableFromRows('fleet', [...FLEET_HEADER], rows);
    const { model } = await trainModel({
      table,
      sha256: '0'.repeat(64),
      task: 'classify',
      target: 'failure',
      hidden: [8],
      epochs: 2,
      seed: 77,
    });
    const file = path.join(folder, 'net.onnx');
    await writeFile(file, model);
    assert.deepEqual(await outputDrift(file, file), { inputs: 64, largest: 0, rms: 0, sameClass: 1 });
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('where no answer is a number, nothing is measured', async () => {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'drift-'));
  try {
    const file = path.join(folder, 'log.onnx');
    const value = (name: string) => ({ name, dtype: 'F32' as const, shape: [1, 2] });
    const nodes = [
      { op: 'Neg', inputs: ['x'], outputs: ['n'] },
      { op: 'Abs', inputs: ['n'], outputs: ['a'] },
      { op: 'Neg', inputs: ['a'], outputs: ['m'] },
      { op: 'Log', inputs: ['m'], outputs: ['l'] },
      { op: 'Add', inputs: ['l', 'w'], outputs: ['y'] },
    ];
    const initialisers = [{ name: 'w', dtype: 'F32' as const, shape: [2], values: [1, 2] }];
    await writeFile(
      file,
      buildOnnx({ graph: { name: 'log', inputs: [value('x')], outputs: [value('y')], nodes, initialisers } }),
    );
    assert.equal(await outputDrift(file, file), null);
  } finally {
    await rm(folder, { recursive: true });
  }
});
