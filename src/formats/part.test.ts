import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { memorySource } from '../base/index.js';
import { buildSafetensors, openModel, type Part, partOfTensor, writeModel } from './index.js';

const count = (n: number) => Float64Array.from({ length: n }, (_, k) => k);
const model = (shape: readonly number[]) => {
  const values = count(shape.reduce((all, size) => all * size, 1));
  return openModel(memorySource(buildSafetensors({ whole: { dtype: 'F32', shape, values } }), 'm.safetensors'));
};

/** The definition, element by element. */
function expected(shape: readonly number[], { index, axis, positions }: Part): number[] {
  const left = index === null ? shape : shape.slice(1);
  const base = index === null ? 0 : index * left.reduce((all, size) => all * size, 1);
  const out: number[] = [];
  const walk = (k: number, at: number): void => {
    if (k === left.length) {
      out.push(base + at);
      return;
    }
    for (const p of k === axis ? Array.from(positions) : Array.from({ length: left[k]! }, (_, i) => i)) {
      walk(k + 1, at * left[k]! + p);
    }
  };
  walk(0, 0);
  return out;
}

const parts = fc
  .record({
    shape: fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 2, maxLength: 3 }),
    expert: fc.boolean(),
    pick: fc.array(fc.nat(), { minLength: 1, maxLength: 6 }),
    axis: fc.nat(),
  })
  .map(({ shape, expert, pick, axis }) => {
    const left = expert ? shape.slice(1) : shape;
    const along = axis % left.length;
    const positions = [...new Set(pick.map((p) => p % left[along]!))];
    const index = expert ? axis % shape[0]! : null;
    return { shape, part: { name: 'part', index, axis: along, positions } satisfies Part };
  });

test('a part holds what its definition says, read whole and in any range', async () => {
  await fc.assert(
    fc.asyncProperty(parts, fc.nat(), fc.nat(), async ({ shape, part }, a, b) => {
      const tensor = partOfTensor((await model(shape)).tensors.get('whole')!, part);
      const wanted = expected(shape, part);
      assert.equal(tensor.elements, wanted.length);
      assert.deepEqual([...(await tensor.read(0, tensor.elements))], wanted);
      const [start, end] = [a % (wanted.length + 1), b % (wanted.length + 1)].sort((x, y) => x - y) as [number, number];
      assert.deepEqual([...(await tensor.read(start, end))], wanted.slice(start, end));
    }),
    { numRuns: 300 },
  );
});

test('a few rows of a large tensor are read without what lies between them', async () => {
  const opened = await model([4096, 64]);
  const before = opened.bytesRead;
  const part = partOfTensor(opened.tensors.get('whole')!, { name: 'p', index: null, axis: 0, positions: [4000, 3, 2] });
  assert.deepEqual([...(await part.read(0, 2))], [256000, 256001]);
  assert.deepEqual((await part.read(64, 192))[64], 128);
  assert.ok(opened.bytesRead - before <= 4 * 64 * 4);
});

test('a read that leaves the part is refused', async () => {
  const part = partOfTensor((await model([4, 2])).tensors.get('whole')!, {
    name: 'p',
    index: null,
    axis: 0,
    positions: [1],
  });
  await assert.rejects(part.read(0, 3), { code: 'TENSOR_RANGE' });
});

test('a part is written where it lies, and nothing else changes', async () => {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'part-'));
  try {
    const opened = await model([3, 4]);
    const whole = opened.tensors.get('whole')!;
    const part = partOfTensor(whole, { name: 'columns', index: null, axis: 1, positions: [2, 0] });
    assert.ok(part.writable);
    const view = Object.defineProperties({} as typeof opened, {
      ...Object.getOwnPropertyDescriptors(opened),
      tensors: { value: new Map([['columns', part]]) },
    });
    const out = path.join(folder, 'm.safetensors');
    await writeModel(view, new Map([['columns', Float64Array.of(-1, -2, -3, -4, -5, -6)]]), out);
    const written = await openModel(out);
    assert.deepEqual(
      [...(await written.tensors.get('whole')!.read(0, 12))],
      [-2, 1, -1, 3, -4, 5, -3, 7, -6, 9, -5, 11],
    );
    await written.close();
  } finally {
    await rm(folder, { recursive: true });
  }
});
