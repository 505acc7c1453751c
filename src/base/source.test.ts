import assert from 'node:assert/strict';
import { mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { countingSource, fileSource, memorySource } from './source.js';

const bytes = Uint8Array.from({ length: 100 }, (_, i) => i);
const OUTSIDE: readonly (readonly [number, number])[] = [
  [-1, 2],
  [0, 101],
  [60, 50],
  [0.5, 2],
  [0, Number.NaN],
  [101, 101],
];

test('a file and memory give the same bytes and refuse the same ranges', async () => {
  const dir = await mkdtemp(path.join(os.tmpdir(), 'source-'));
  const file = path.join(dir, 'bytes');
  await writeFile(file, bytes);
  for (const source of [memorySource(bytes), await fileSource(file)]) {
    assert.equal(source.byteLength, 100);
    for (const [start, end] of [
      [0, 100],
      [0, 0],
      [100, 100],
      [17, 43],
    ] as const)
      assert.deepEqual(Uint8Array.from(await source.slice(start, end)), bytes.slice(start, end));
    for (const [start, end] of OUTSIDE) await assert.rejects(source.slice(start, end), { code: 'SOURCE_RANGE' });
    await source.close();
  }
  await assert.rejects(
    fileSource(dir),
    (error: NodeJS.ErrnoException) => error.code === 'SOURCE_NOT_A_FILE' || error.code === 'EISDIR',
  );
  await rm(dir, { recursive: true });
});

test('a file that becomes shorter while it is read is said to be', async () => {
  const dir = await mkdtemp(path.join(os.tmpdir(), 'source-'));
  const file = path.join(dir, 'bytes');
  await writeFile(file, bytes);
  const source = await fileSource(file);
  const handle = await open(file, 'r+');
  await handle.truncate(10);
  await handle.close();
  await assert.rejects(source.slice(0, 100), { code: 'SOURCE_TRUNCATED' });
  assert.deepEqual([...(await source.slice(0, 3))], [0, 1, 2]);
  await source.close();
  await rm(dir, { recursive: true });
});

test('a counting source counts what is read, not what is refused', async () => {
  const source = countingSource(memorySource(bytes, 'model'));
  await source.slice(0, 10);
  await source.slice(5, 10);
  await assert.rejects(source.slice(0, 1000), { code: 'SOURCE_RANGE' });
  assert.deepEqual([source.bytesRead, source.byteLength, source.name], [15, 100, 'model']);
});
