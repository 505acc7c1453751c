import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '../base/index.js';
import { cosineArgmax, createSession, matmul, runModel } from './index.js';

const stream = seededRandom(5, 'matrix');
const random = (length: number): Float32Array => Float32Array.from({ length }, () => 2 * stream.unit() - 1);

test('products in every orientation agree with plain float64 loops', async () => {
  const [m, k, n] = [5, 7, 3];
  const a = random(m * k);
  const b = random(k * n);
  for (const transA of [false, true]) {
    for (const transB of [false, true]) {
      const c = await matmul(a, b, m, k, n, { transA, transB });
      for (let i = 0; i < m; i++) {
        for (let j = 0; j < n; j++) {
          let sum = 0;
          for (let p = 0; p < k; p++) sum += a[transA ? p * m + i : i * k + p]! * b[transB ? j * k + p : p * n + j]!;
          assert.ok(Math.abs(c[i * n + j]! - sum) < 1e-6);
        }
      }
    }
  }
  await assert.rejects(matmul(a, b, m, k, n + 1), { code: 'COMPUTE_SHAPE' });
});

test('a strict greatest cosine finds permuted, rescaled rows over several blocks', async () => {
  const [n, k] = [2_100, 16];
  const b = random(n * k);
  const order = Array.from({ length: n }, (_, i) => (i * 11) % n);
  const a = new Float32Array(n * k);
  for (const [i, from] of order.entries()) for (let j = 0; j < k; j++) a[i * k + j] = (1 + i) * b[from * k + j]!;
  assert.deepEqual(Array.from(await cosineArgmax(a, b, n, n, k)), order);
});

test('ties, zeros and non-finite rows never match', async () => {
  const b = Float32Array.of(1, 0, 2, 0, 0, 1, 0, 0, Number.NaN, 1);
  const a = Float32Array.of(1, 0, 0, 3, 0, 0, Number.POSITIVE_INFINITY, 1, Number.NaN, 2);
  // Rows 0 and 1 of b point the same way: a tie. Row 2 is unique. Rows 3 and 4 are unusable.
  assert.deepEqual(Array.from(await cosineArgmax(a, b, 5, 5, 2)), [-1, 2, -1, -1, -1]);
});

test('a model that onnxruntime refuses is an input error', async () => {
  await assert.rejects(createSession(new Uint8Array([1, 2, 3])), { code: 'COMPUTE_MODEL_REFUSED' });
  await assert.rejects(runModel('/no/such/model.onnx', {}), { code: 'COMPUTE_MODEL_REFUSED' });
});
