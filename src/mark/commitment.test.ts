import assert from 'node:assert/strict';
import { createHash, createHmac } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { seededRandom, sha256, utf8 } from '../base/index.js';
import { type CommittableTensor, checkRow, commitModel, openRow } from './commitment.js';

const tensorOf = (name: string, shape: readonly number[], seed = 1): CommittableTensor & { values: Float64Array } => {
  const random = seededRandom(seed, name);
  const values = Float64Array.from({ length: shape.reduce((all, size) => all * size, 1) }, () => random.unit() - 0.5);
  const width = shape.slice(1).reduce((all, size) => all * size, 1);
  return { name, shape, values, rows: async (start, end) => values.subarray(start * width, end * width) };
};
const secret = sha256(utf8('commitment test'));

test('a known answer, from node:crypto alone', async () => {
  const a = tensorOf('a', [2, 3]);
  const b = tensorOf('b', []);
  const leaf = (name: string, row: number, values: Float64Array): Buffer => {
    const head = Buffer.alloc(8);
    head.writeBigUInt64BE(BigInt(name.length));
    const at = Buffer.alloc(8);
    at.writeBigUInt64BE(BigInt(row));
    const salt = createHmac('sha256', secret).update(head).update(name).update(at).digest();
    const body = Buffer.alloc(values.length * 8);
    values.forEach((value, k) => {
      body.writeDoubleLE(value, k * 8);
    });
    return createHash('sha256')
      .update(Buffer.from([0]))
      .update(salt)
      .update(head)
      .update(name)
      .update(at)
      .update(body)
      .digest();
  };
  const node = (x: Buffer, y: Buffer): Buffer =>
    createHash('sha256')
      .update(Buffer.from([1]))
      .update(x)
      .update(y)
      .digest();
  const expected = node(
    node(leaf('a', 0, a.values.subarray(0, 3)), leaf('a', 1, a.values.subarray(3, 6))),
    leaf('b', 0, b.values),
  ).toString('hex');
  assert.equal((await commitModel([b, a], secret)).root, expected);
});

test('every row of every tree opens, and only as it was committed', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 5 }), async (rows) => {
      const tensors = rows.map((count, t) => tensorOf(`t${t}`, [count, 2]));
      const tree = await commitModel(tensors, secret);
      for (const tensor of tensors) {
        for (let row = 0; row < tensor.shape[0]!; row++) {
          const values = tensor.values.slice(row * 2, row * 2 + 2);
          const opening = openRow(tree, secret, tensor.name, row, values);
          checkRow(tree, opening);
          assert.throws(() => checkRow(tree, { ...opening, values: [values[0]! + 1e-12, values[1]!] }));
          assert.throws(() => checkRow(tree, { ...opening, row: row + 1 }));
          assert.throws(() => checkRow(tree, { ...opening, salt: opening.salt.split('').reverse().join('') }));
          assert.throws(() => checkRow(tree, { ...opening, path: [...opening.path, opening.salt] }));
          if (opening.path.length > 0) {
            assert.throws(() => checkRow(tree, { ...opening, path: opening.path.slice(1) }));
          }
        }
      }
    }),
    { numRuns: 30 },
  );
});

test('equal rows have unequal leaves, and another secret another root', async () => {
  const zeros: CommittableTensor = { name: 'z', shape: [4, 2], rows: async (s, e) => new Float64Array((e - s) * 2) };
  const tree = await commitModel([zeros], secret);
  assert.equal(new Set(tree.leaves.map(String)).size, 4);
  assert.notEqual((await commitModel([zeros], sha256(secret))).root, tree.root);
});
