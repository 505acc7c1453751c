/** Matrix products and nearest rows over onnxruntime: the search side of alignment. Nothing that `verify` recomputes. */
import { inputError } from '../base/index.js';
import { buildOnnx } from '../formats/index.js';
import { graphBuilder } from './graph.js';
import { createSession, type Session } from './onnxruntime.js';

const OPSET = 17;

/** One session per orientation, kept: shapes are free, and building one costs more than most products. */
const sessions = new Map<string, Promise<Session>>();

function productSession(transA: boolean, transB: boolean): Promise<Session> {
  const key = `${transA} ${transB}`;
  let session = sessions.get(key);
  if (session === undefined) {
    const g = graphBuilder();
    // Gemm takes transposed operands without a copy.
    g.node('Gemm', ['a', 'b'], { transA: { int: transA ? 1 : 0 }, transB: { int: transB ? 1 : 0 } }, 'c');
    const free = (name: string) => ({ name, dtype: 'F32' as const, shape: [`${name} rows`, `${name} columns`] });
    const graph = g.build('product', [free('a'), free('b')], [free('c')]);
    session = createSession(buildOnnx({ graph, opset: OPSET }), { name: 'matrix product' });
    sessions.set(key, session);
    session.catch(() => sessions.delete(key));
  }
  return session;
}

export interface ProductOptions {
  /** `a` is stored k × m. */
  readonly transA?: boolean;
  /** `b` is stored n × k. */
  readonly transB?: boolean;
}

/**
 * c = a·b in float32: a is m × k, b k × n, row-major.
 * @throws `COMPUTE_SHAPE` when a length does not fit its shape
 */
export async function matmul(
  a: Float32Array,
  b: Float32Array,
  m: number,
  k: number,
  n: number,
  { transA = false, transB = false }: ProductOptions = {},
): Promise<Float32Array> {
  if (a.length !== m * k || b.length !== k * n) {
    throw inputError('COMPUTE_SHAPE', 'matrix sizes do not fit', {
      expected: `${m}×${k} and ${k}×${n}`,
      got: `${a.length} and ${b.length} elements`,
    });
  }
  if (m * k * n === 0) return new Float32Array(m * n);
  const session = await productSession(transA, transB);
  const { c } = await session.run({
    a: { data: a, shape: transA ? [k, m] : [m, k] },
    b: { data: b, shape: transB ? [n, k] : [k, n] },
  });
  return c!.data as Float32Array;
}

/** Float32 products of unit vectors of this many elements differ from float64 by less: nearer values are ties. */
export const COSINE_TOLERANCE = 1e-6;
/** Rows of `a` per product: bounds the similarity matrix held at once. */
const BLOCK = 1024;

/**
 * For every row of `a` the row of `b` of greatest cosine, or −1: a tie within the tolerance, a zero or non-finite row,
 * or no row at all is never a match (docs/theory.md §2: ties are misses).
 * @param a m × k @param b n × k, row-major
 */
export async function cosineArgmax(
  a: Float32Array,
  b: Float32Array,
  m: number,
  n: number,
  k: number,
  tolerance = COSINE_TOLERANCE,
): Promise<Int32Array> {
  const best = new Int32Array(m).fill(-1);
  if (n === 0 || k === 0) return best;
  const left = unitRows(a, m, k);
  const right = unitRows(b, n, k);
  for (let start = 0; start < m; start += BLOCK) {
    const rows = Math.min(BLOCK, m - start);
    const block = left.values.subarray(start * k, (start + rows) * k);
    const similar = await matmul(block, right.values, rows, k, n, { transB: true });
    for (let i = 0; i < rows; i++) {
      if (left.usable[start + i] === 0) continue;
      best[start + i] = strictMaximum(similar.subarray(i * n, (i + 1) * n), right.usable, tolerance);
    }
  }
  return best;
}

function strictMaximum(values: Float32Array, usable: Uint8Array, tolerance: number): number {
  let first = Number.NEGATIVE_INFINITY;
  let second = Number.NEGATIVE_INFINITY;
  let at = -1;
  for (let j = 0; j < values.length; j++) {
    if (usable[j] === 0) continue;
    const value = values[j]!;
    if (value > first) {
      second = first;
      first = value;
      at = j;
    } else if (value > second) second = value;
  }
  return first - second > tolerance ? at : -1;
}

/** Rows scaled to length 1 in float64 then rounded; zero and non-finite rows become zeros and are marked unusable. */
function unitRows(values: Float32Array, rows: number, width: number) {
  if (values.length !== rows * width) {
    throw inputError('COMPUTE_SHAPE', 'matrix sizes do not fit', {
      expected: `${rows}×${width}`,
      got: `${values.length} elements`,
    });
  }
  const out = new Float32Array(values.length);
  const usable = new Uint8Array(rows);
  for (let i = 0; i < rows; i++) {
    let square = 0;
    for (let j = i * width; j < (i + 1) * width; j++) square += values[j]! * values[j]!;
    const norm = Math.sqrt(square);
    if (!(norm > 0) || !Number.isFinite(norm)) continue;
    usable[i] = 1;
    for (let j = i * width; j < (i + 1) * width; j++) out[j] = values[j]! / norm;
  }
  return { values: out, usable };
}
