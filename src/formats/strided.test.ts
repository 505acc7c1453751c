/** Views over stored elements: any part read is the part of the whole, and little more is read than is asked for. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { countingSource, memorySource } from '../base/index.js';
import { encodeElements, storedBytes } from './elements.js';
import { storedTensor } from './stored-tensor.js';
import { boxesOf, packedStrides, reachOf, stridedStorage, swapped } from './strided.js';

const product = (sizes: readonly number[]): number => sizes.reduce((all, size) => all * size, 1);

/** The element at row-major position `at`, found by its indices alone. */
function placeOf(at: number, shape: readonly number[], strides: readonly number[], offset: number): number {
  let rest = at;
  let place = offset;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    place += (rest % shape[axis]!) * strides[axis]!;
    rest = Math.floor(rest / shape[axis]!);
  }
  return place;
}

const views = fc
  .record({
    axes: fc.array(fc.tuple(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 0, max: 40 })), { maxLength: 4 }),
    offset: fc.nat(20),
    dtype: fc.constantFrom('F32' as const, 'F64' as const, 'I16' as const, 'U8' as const),
    bigEndian: fc.boolean(),
    x: fc.nat(700),
    y: fc.nat(700),
  })
  .map(({ axes, ...rest }) => ({ ...rest, shape: axes.map(([size]) => size), strides: axes.map(([, step]) => step) }));

test('law: every part of every view is what its indices say', async () => {
  await fc.assert(
    fc.asyncProperty(views, async ({ shape, strides, offset, dtype, bigEndian, x, y }) => {
      const stored = Float64Array.from({ length: offset + reachOf(shape, strides) }, (_, i) => i % 251);
      const bytes = encodeElements(dtype, stored);
      const ordered = bigEndian ? swapped(bytes, storedBytes(dtype, 1)) : bytes;
      const stretch = {
        source: memorySource(Buffer.concat([Buffer.alloc(3), ordered])),
        offset: 3,
        length: bytes.length,
      };
      const storage = stridedStorage(stretch, { dtype, shape, strides, offset, bigEndian });
      const tensor = storedTensor('TORCH', 'w', dtype, shape, storage);
      const [start, end] = [x % (tensor.elements + 1), y % (tensor.elements + 1)].sort((a, b) => a - b) as [
        number,
        number,
      ];
      const wanted = Array.from({ length: end - start }, (_, i) => stored[placeOf(start + i, shape, strides, offset)]!);
      assert.deepEqual([...(await tensor.read(start, end))], wanted);
    }),
    { seed: 17, numRuns: 1000 },
  );
});

test('law: boxes cover a range once, in at most two per axis', () => {
  const ranges = fc.tuple(fc.array(fc.integer({ min: 1, max: 6 }), { maxLength: 4 }), fc.nat(2000), fc.nat(2000));
  fc.assert(
    fc.property(ranges, ([shape, x, y]) => {
      const [start, end] = [x % (product(shape) + 1), y % (product(shape) + 1)].sort((a, b) => a - b) as [
        number,
        number,
      ];
      const boxes = boxesOf(shape, start, end);
      assert.ok(boxes.length <= Math.max(1, 2 * shape.length));
      assert.equal(
        boxes.reduce((sum, { size }) => sum + product(size), 0),
        end - start,
      );
    }),
    { seed: 19, numRuns: 1000 },
  );
});

test('of a large transposed matrix, a row costs its elements and the whole costs little more than itself', async () => {
  const [rows, columns] = [3000, 1500] as const;
  const bytes = encodeElements(
    'F32',
    Float64Array.from({ length: rows * columns }, (_, i) => i),
  );
  const source = countingSource(memorySource(bytes));
  const layout = { dtype: 'F32', shape: [rows, columns], strides: [1, rows], offset: 0, bigEndian: false } as const;
  const storage = stridedStorage({ source, offset: 0, length: bytes.length }, layout);
  const tensor = storedTensor('TORCH', 'w', 'F32', [rows, columns], storage);
  assert.deepEqual(await tensor.read(7 * columns, 7 * columns + 3), Float64Array.of(7, 7 + rows, 7 + 2 * rows));
  assert.ok(source.bytesRead < 64 * 1024, String(source.bytesRead));
  const before = source.bytesRead;
  const row = await tensor.read(7 * columns, 8 * columns);
  assert.deepEqual([row[0], row[columns - 1]], [7, 7 + (columns - 1) * rows]);
  assert.ok(source.bytesRead - before < 4 * columns + 4096, String(source.bytesRead - before));
  const middle = source.bytesRead;
  const whole = await tensor.read(0, rows * columns);
  assert.deepEqual([whole[1], whole[columns]], [rows, 1]);
  assert.ok(source.bytesRead - middle < 1.1 * bytes.length, String((source.bytesRead - middle) / bytes.length));
});

test('packed arrays are plain stretches, also with axes of one element', () => {
  const stretch = { source: memorySource(new Uint8Array(100)), offset: 10, length: 48 };
  const kindOf = (shape: readonly number[], strides: readonly number[], bigEndian = false): string =>
    stridedStorage(stretch, { dtype: 'F32', shape, strides, offset: 0, bigEndian }).kind;
  assert.equal(kindOf([3, 4], [4, 1]), 'bytes');
  assert.equal(kindOf([3, 1, 4], [4, 99, 1]), 'bytes');
  assert.equal(kindOf([3, 4], [4, 1], true), 'values');
  assert.equal(kindOf([3, 4], [1, 3]), 'values');
  assert.deepEqual(packedStrides([2, 3, 4]), [12, 4, 1]);
  assert.deepEqual(packedStrides([2, 3, 4], true), [1, 2, 6]);
});
