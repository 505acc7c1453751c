import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type ByteSource, concatBytes, memorySource, seededRandom, utf8 } from '../base/index.js';
import { buildOnnx, buildSafetensors, type DType, type Model, openModel, roundTo } from '../formats/index.js';
import { canonicalise, natureOf } from './index.js';

type Table = readonly [what: string, shape: readonly number[], value: (row: number, column: number) => number];

const hann = (t: number, n: number): number => Math.sin((Math.PI * t) / n) ** 2;
/** Real parts, then negative imaginary parts, as torch's `stft` is exported: e^(−2πikt/n) = cos − i sin. */
const stft = (bins: number, n: number) => (row: number, t: number) =>
  row < bins
    ? hann(t, n) * Math.cos((2 * Math.PI * row * t) / n)
    : -hann(t, n) * Math.sin((2 * Math.PI * (row - bins) * t) / n);
/** The definition in Vaswani et al. 2017 §3.5, interleaved, and the halves that other code bases use. */
const positions = (width: number, interleaved: boolean) => (position: number, column: number) => {
  const pair = interleaved ? Math.floor(column / 2) : column % (width / 2);
  const angle = position / 10000 ** ((2 * pair) / width);
  return (interleaved ? column % 2 === 0 : column < width / 2) ? Math.sin(angle) : Math.cos(angle);
};

/** Filters between equal steps of mel = 2595 log10(1 + f/700), 16 kHz, each of one area (Slaney). */
const mel =
  (filters: number, bins: number): Table[2] =>
  (filter, bin) => {
    const hertz = (k: number): number => {
      const top = 2595 * Math.log10(1 + 8000 / 700);
      return 700 * (10 ** ((k * top) / (filters + 1) / 2595) - 1);
    };
    const [low, middle, high] = [hertz(filter), hertz(filter + 1), hertz(filter + 2)];
    const f = (bin * 8000) / (bins - 1);
    const height = Math.min((f - low) / (middle - low), (high - f) / (high - middle));
    return (2 / (high - low)) * Math.max(0, height);
  };

const SMALL: readonly Table[] = [
  ['one value', [6, 5], () => 0.25],
  ['identity', [12, 12], (row, column) => (row === column ? 1 : 0)],
  ['0/1 mask', [12, 12], (row, column) => (column <= row ? 1 : 0)],
  ['attention mask', [12, 12], (row, column) => (column <= row ? 0 : Number.NEGATIVE_INFINITY)],
  ['attention mask', [12, 12], (row, column) => (column <= row ? 0 : -10_000)],
  ['attention mask', [5], (_, column) => (column < 3 ? 0 : -65_504)],
  ['arithmetic range', [40], (_, k) => 3 + 0.5 * k],
  ['window', [400], (_, t) => hann(t, 400)],
  ['window', [64], (_, t) => 0.54 - 0.46 * Math.cos((2 * Math.PI * t) / 63)],
  ['window', [64], (_, t) => 0.42 - 0.5 * Math.cos((Math.PI * t) / 32) + 0.08 * Math.cos((Math.PI * t) / 16)],
  ['Fourier basis', [66, 64], stft(33, 64)],
  ['Fourier basis', [33, 64], (row, t) => stft(33, 64)(row, t)],
  ['Fourier basis', [33, 64], (row, t) => stft(33, 64)(33 + row, t)],
  ['filter bank', [20, 129], mel(20, 129)],
  ['filter bank', [129, 20], (bin, filter) => mel(20, 129)(filter, bin)],
  ['sinusoidal positions', [50, 32], positions(32, true)],
  ['sinusoidal positions', [50, 32], positions(32, false)],
];
/** Above 65,536 elements: sampled first. */
const LARGE: readonly Table[] = [
  ['one value', [300, 300], () => 0],
  ['identity', [300, 300], (row, column) => (row === column ? 1 : 0)],
  ['0/1 mask', [300, 300], (row, column) => (column <= row ? 1 : 0)],
  ['attention mask', [300, 300], (row, column) => (column <= row ? 0 : Number.NEGATIVE_INFINITY)],
  // The runs that are read first hold −∞ alone.
  ['attention mask', [257, 257], (row, column) => (row === 7 && column === 256 ? 0 : Number.NEGATIVE_INFINITY)],
  ['arithmetic range', [90_000], (_, k) => k],
  ['window', [80_000], (_, t) => hann(t, 80_000)],
  ['Fourier basis', [514, 512], stft(257, 512)],
  ['Fourier basis', [513, 1024], (row, t) => stft(513, 1024)(row, t)],
  ['Fourier basis', [513, 1024], (row, t) => stft(513, 1024)(513 + row, t)],
  ['Fourier basis', [1025, 2048], (row, t) => stft(1025, 2048)(1025 + row, t)],
  ['filter bank', [128, 1025], mel(128, 1025)],
  ['sinusoidal positions', [200, 512], positions(512, true)],
  ['sinusoidal positions', [200, 512], positions(512, false)],
];

const valuesOf = (shape: readonly number[], value: Table[2]): Float64Array => {
  const width = shape.length === 1 ? shape[0]! : shape[1]!;
  return Float64Array.from({ length: shape.reduce((all, size) => all * size, 1) }, (_, k) =>
    value(Math.floor(k / width), k % width),
  );
};

test('tables that everybody computes alike are constants, in float32 and float16', () => {
  for (const [what, shape, value] of SMALL) {
    for (const dtype of ['F32', 'F16'] as const) {
      if (what === 'arithmetic range' && dtype === 'F16') continue;
      const stored = valuesOf(shape, value).map((one) => roundTo(dtype, one));
      assert.deepEqual(natureOf(stored, shape), { kind: 'constant', what }, `${what} ${dtype}`);
    }
  }
});

test('one value changed by a tenth of the largest makes any table learned', () => {
  for (const [what, shape, value] of SMALL) {
    const values = valuesOf(shape, value);
    const at = Math.floor(values.length * 0.4);
    values[at] = values[at]! + 0.1 * values.reduce((most, one) => Math.max(most, Math.abs(one)), 0);
    assert.deepEqual(natureOf(values, shape), { kind: 'learned' }, what);
  }
});

test('noise, NaN and a tensor of infinities are learned; an attention mask of one −∞ is not', () => {
  const random = seededRandom(3, 'nature');
  for (const shape of [[4], [16], [40], [8, 8], [66, 64]]) {
    const values = valuesOf(shape, () => random.unit() - 0.5);
    assert.equal(natureOf(values, shape).kind, 'learned');
    values[1] = Number.NaN;
    assert.equal(natureOf(values, shape).kind, 'learned');
    assert.equal(natureOf(values.fill(Number.POSITIVE_INFINITY), shape).kind, 'learned');
  }
  assert.equal(natureOf(Float64Array.of(Number.NEGATIVE_INFINITY), []).kind, 'constant');
  assert.deepEqual(natureOf(new Float64Array(0), [0, 3]), { kind: 'constant', what: 'empty' });
});

const opened = (dtype: DType, shape: readonly number[], values: Float64Array): Promise<Model> =>
  openModel(memorySource(buildSafetensors({ table: { dtype, shape, values } }), 'table.safetensors'));

/** The same numbers behind a MatMul, so that the canonical form is the transpose of what is stored. */
function behindMatMul(shape: readonly number[], values: Float64Array): Promise<Model> {
  const [rows, width] = shape as readonly [number, number];
  const transposed = values.map((_, at) => values[(at % rows) * width + Math.floor(at / rows)]!);
  return openModel(
    memorySource(
      buildOnnx({
        graph: {
          name: 'one',
          inputs: [{ name: 'x', dtype: 'F32', shape: [1, width] }],
          outputs: [{ name: 'y', dtype: 'F32', shape: [1, rows] }],
          nodes: [{ op: 'MatMul', inputs: ['x', 'table'], outputs: ['y'] }],
          initialisers: [{ name: 'table', dtype: 'F32', shape: [width, rows], values: transposed }],
        },
      }),
      'one.onnx',
    ),
  );
}

async function natureIn(model: Model) {
  try {
    return (await canonicalise(model)).tensors.get('table')!.nature;
  } finally {
    await model.close();
  }
}

test('of large tensors the sample gives the answer that reading everything gives', async () => {
  for (const [what, shape, value] of LARGE) {
    const values = valuesOf(shape, value);
    const whole = { kind: 'constant', what };
    assert.deepEqual(natureOf(values, shape), whole);
    assert.deepEqual(await natureIn(await opened('F32', shape, values)), whole, what);
    if (what !== 'arithmetic range' && shape[0]! * 512 <= 2 ** 18) {
      assert.deepEqual(await natureIn(await opened('F16', shape, values)), whole, `${what} in half precision`);
    }
    if (shape.length === 2)
      assert.deepEqual(await natureIn(await behindMatMul(shape, values)), whole, `${what} turned`);
  }
});

test('what no sampled run sees is seen all the same: one number anywhere makes a large table learned', async () => {
  const tables = LARGE.map(([what, shape, value]) => ({ what, shape, values: valuesOf(shape, value) }));
  await fc.assert(
    fc.asyncProperty(fc.nat(LARGE.length - 1), fc.nat(10 ** 6), async (index, where) => {
      const { what, shape, values } = tables[index]!;
      const changed = Float64Array.from(values);
      const peak = values.reduce((most, one) => Math.max(most, Math.abs(one)), 0);
      changed[where % changed.length]! += 0.37 * (peak || 1);
      assert.deepEqual(await natureIn(await opened('F32', shape, changed)), { kind: 'learned' }, what);
    }),
    { seed: 5, numRuns: 24 },
  );
});

/** A file of any size whose bytes are made when read: numbers near 1, no two runs alike. */
function madeUp(head: Uint8Array, byteLength: number, name: string): ByteSource {
  return {
    byteLength,
    name,
    async slice(start, end) {
      const out = new Uint8Array(end - start);
      for (let k = 0; k < out.length; k++) {
        const at = start + k;
        // The float's exponent byte stays 0x3f, the others are a hash of their place.
        out[k] =
          at < head.length ? head[at]! : at % 4 === 3 ? 0x3f : (Math.imul(at ^ (at >>> 13), 0x9e3779b1) >>> 24) & 0xff;
      }
      return out;
    },
    async close() {},
  };
}

const COUNT = 256;
const SIDE = 2048;
const EACH = 4 * SIDE * SIDE;
const LAYERS = Array.from({ length: COUNT }, (_, k) => `layer${k}.weight`);

test('4 GiB of matrices in safetensors: less than 1 % is read to tell that they are learned', async () => {
  const entries = LAYERS.map((name, k) => [
    name,
    { dtype: 'F32', shape: [SIDE, SIDE], data_offsets: [k * EACH, (k + 1) * EACH] },
  ]);
  const json = JSON.stringify(Object.fromEntries(entries));
  const header = utf8(json.padEnd(Math.ceil(json.length / 8) * 8));
  const length = new Uint8Array(8);
  new DataView(length.buffer).setUint32(0, header.length, true);
  const head = concatBytes(length, header);
  const model = await openModel(madeUp(head, head.length + COUNT * EACH, 'large.safetensors'));
  const { tensors } = await canonicalise(model);
  assert.equal(tensors.size, COUNT);
  for (const { nature } of tensors.values()) assert.equal(nature.kind, 'learned');
  assert.ok(model.bytesRead / (COUNT * EACH) < 0.01, `${model.bytesRead} bytes`);
});

test('4 GiB of matrices beside an ONNX graph, stored turned: less than 1 % is read', async () => {
  const graph = buildOnnx({
    graph: {
      name: 'large',
      inputs: [{ name: 'v0', dtype: 'F32', shape: [1, SIDE] }],
      outputs: [{ name: `v${COUNT}`, dtype: 'F32', shape: [1, SIDE] }],
      nodes: LAYERS.map((name, k) => ({ op: 'MatMul', inputs: [`v${k}`, name], outputs: [`v${k + 1}`] })),
      initialisers: LAYERS.map((name, k) => ({
        name,
        dtype: 'F32',
        shape: [SIDE, SIDE],
        values: { location: 'large.bin', offset: k * EACH, length: EACH },
      })),
    },
  });
  const model = await openModel(memorySource(graph, 'large.onnx'), async () =>
    madeUp(new Uint8Array(0), COUNT * EACH, 'large.bin'),
  );
  const { tensors, groups } = await canonicalise(model);
  assert.equal(groups.length, COUNT - 1);
  for (const { nature } of tensors.values()) assert.equal(nature.kind, 'learned');
  assert.ok(model.bytesRead / (COUNT * EACH) < 0.01, `${model.bytesRead} bytes`);
});
