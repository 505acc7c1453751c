/** Small graphs made by hand: what groups they have, and whether onnxruntime agrees that these may be permuted. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { memorySource, randomPermutation, seededRandom } from '../../base/index.js';
import { type Feed, runModel } from '../../compute/index.js';
import {
  type AttributeSpec,
  buildOnnx,
  type DType,
  type Model,
  type NodeSpec,
  openModel,
  type TensorSpec,
  type ValueSpec,
  writeModel,
} from '../../formats/index.js';
import { type CanonicalModel, canonicalise, permuteGroup, type Segment, type UnitGroup } from '../index.js';

export interface Net {
  readonly inputs: readonly ValueSpec[];
  readonly outputs: readonly ValueSpec[];
  readonly nodes: readonly NodeSpec[];
  readonly tensors: readonly TensorSpec[];
  readonly opset?: number;
}

/** Seeded numbers between −1 and 1, another row for every name. */
export function floats(name: string, ...shape: readonly number[]): TensorSpec {
  const random = seededRandom(11, name);
  const values = Float64Array.from({ length: sizeOf(shape) }, () => 2 * random.unit() - 1);
  return { name, dtype: 'F32', shape, values };
}
/** Positive numbers, for variances and scales. */
export function positives(name: string, ...shape: readonly number[]): TensorSpec {
  const { values, ...rest } = floats(name, ...shape);
  return { ...rest, values: Float64Array.from(values as ArrayLike<number>, (value) => 1.1 + value) };
}
/** Seeded integers over most of the type. */
export function integers(name: string, dtype: 'I8' | 'U8', ...shape: readonly number[]): TensorSpec {
  const random = seededRandom(12, name);
  const least = dtype === 'I8' ? -100 : 20;
  return {
    name,
    dtype,
    shape,
    values: Float64Array.from({ length: sizeOf(shape) }, () => least + Math.floor(200 * random.unit())),
  };
}
export const longs = (name: string, ...values: readonly number[]): TensorSpec => ({
  name,
  dtype: 'I64',
  shape: [values.length],
  values,
});
export const scalar = (name: string, dtype: DType, value: number): TensorSpec => ({
  name,
  dtype,
  shape: [],
  values: [value],
});
/** `node('MatMul', 'x w', 'y')`; `_` is an input left out. */
export const node = (
  op: string,
  inputs: string,
  outputs: string,
  attributes: Readonly<Record<string, AttributeSpec>> = {},
  domain?: string,
): NodeSpec => ({
  op,
  inputs: inputs === '' ? [] : inputs.split(' ').map((name) => (name === '_' ? '' : name)),
  outputs: outputs.split(' ').map((name) => (name === '_' ? '' : name)),
  attributes,
  ...(domain === undefined ? {} : { domain }),
});
export const value = (name: string, ...shape: readonly (number | string)[]): ValueSpec => ({
  name,
  dtype: 'F32',
  shape,
});

const sizeOf = (shape: readonly number[]): number => shape.reduce((all, size) => all * size, 1);

export function openNet({ inputs, outputs, nodes, tensors, opset }: Net): Promise<Model> {
  const graph = { name: 'net', inputs, outputs, nodes, initialisers: tensors };
  return openModel(memorySource(buildOnnx({ graph, ...(opset === undefined ? {} : { opset }) }), 'net.onnx'));
}

export const canonicalNet = async (net: Net): Promise<CanonicalModel> => canonicalise(await openNet(net));

/** `w.0`, `w.0@8` from position 8 on, `w.1*4` with four positions a unit. */
const segmentText = ({ tensor, axis, start, repeat }: Segment): string =>
  `${tensor}.${axis}${start === 0 ? '' : `@${start}`}${repeat === 1 ? '' : `*${repeat}`}`;

/** `6 positive: w1.0 b1.0 → w2.1` */
export const groupText = ({ size, scaling, incoming, outgoing }: UnitGroup): string =>
  `${size} ${scaling}: ${incoming.map(segmentText).join(' ')} → ${outgoing.map(segmentText).join(' ')}`;

/** What a net must show: its groups, and why the tensors in none are left out. */
export interface Expected {
  readonly groups: readonly string[];
  readonly leftOut?: Readonly<Record<string, string>>;
}

/** Float32 sums in another order. */
const TOLERANCE = 1e-5;
const WRONG = 100 * TOLERANCE;

/**
 * Asserts groups and reasons, then that onnxruntime's outputs stay when a group is permuted, and change when only the
 * side that makes the units is.
 */
export async function assertGroups(net: Net, expected: Expected): Promise<void> {
  const model = await openNet(net);
  const canonical = await canonicalise(model);
  assert.deepEqual(canonical.groups.map(groupText), expected.groups);
  assert.deepEqual(
    Object.fromEntries(canonical.leftOut.map(({ tensor, reason }) => [tensor, reason])),
    expected.leftOut ?? {},
  );
  const folder = await mkdtemp(path.join(os.tmpdir(), 'muniment-net-'));
  try {
    const file = path.join(folder, 'net.onnx');
    await writeModel(model, new Map(), file);
    const feeds = feedsOf(net);
    const before = await runModel(file, feeds);
    const change = async (group: UnitGroup, order: ArrayLike<number>): Promise<number> => {
      await writeModel(model, await permuteGroup(canonical, group, order), file);
      const after = await runModel(file, feeds);
      let [worst, most] = [0, 0];
      for (const [name, { data }] of Object.entries(before)) {
        for (let k = 0; k < data.length; k++) {
          worst = Math.max(worst, Math.abs(Number(data[k]) - Number(after[name]!.data[k])));
          most = Math.max(most, Math.abs(Number(data[k])));
        }
      }
      return worst / most;
    };
    for (const group of canonical.groups) {
      const order = cycle(group.size, group.id);
      const kept = await change(group, order);
      assert.ok(kept <= TOLERANCE, `${groupText(group)}: outputs differ by ${kept}`);
      const half = await change({ ...group, outgoing: [] }, order);
      assert.ok(half >= WRONG, `${groupText(group)}: half moved, outputs differ by ${half} only`);
    }
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** A random permutation in which no unit stays. */
function cycle(size: number, label: string): Uint32Array {
  const ring = randomPermutation(size, seededRandom(1, label));
  const order = new Uint32Array(size);
  ring.forEach((unit, k) => {
    order[unit] = ring[(k + 1) % size]!;
  });
  return order;
}

/** Named axes are 3 long. */
export function feedsOf({ inputs }: Net): Record<string, Feed> {
  return Object.fromEntries(
    inputs.map(({ name, dtype, shape: given }) => {
      const shape = given.map((size) => (typeof size === 'number' ? size : 3));
      const random = seededRandom(13, name);
      const n = sizeOf(shape);
      if (dtype === 'I64') return [name, { data: BigInt64Array.from({ length: n }, () => 1n), shape }];
      if (dtype === 'BOOL') return [name, { data: Uint8Array.from({ length: n }, () => 1), shape }];
      return [name, { data: Float32Array.from({ length: n }, () => 4 * random.unit() - 2), shape }];
    }),
  );
}

/**
 * `x [rows, 5] → w1 → h [rows, 6] → … → g → w2 → y [rows, 3]`: what stands between h and g is under test.
 * @param wide columns of g that w2 takes
 */
export const dense = (nodes: readonly NodeSpec[], tensors: readonly TensorSpec[] = [], wide = 6): Net => ({
  inputs: [value('x', 4, 5)],
  outputs: [value('y', 4, 3)],
  nodes: [node('MatMul', 'x w1', 'h'), ...nodes, node('MatMul', 'g w2', 'y')],
  tensors: [floats('w1', 5, 6), floats('w2', wide, 3), ...tensors],
});

/** The same with convolutions: `x [2, 3, 8, 8] → k1 → h [2, 6, 8, 8] → … → g → k2 (1 × 1) → y`. */
export const image = (nodes: readonly NodeSpec[], tensors: readonly TensorSpec[] = []): Net => ({
  inputs: [value('x', 2, 3, 8, 8)],
  outputs: [value('y', 2, 4, 'height', 'width')],
  nodes: [
    node('Conv', 'x k1', 'h', { pads: { ints: [1, 1, 1, 1] } }),
    ...nodes,
    node('Conv', 'g k2', 'y', { kernel_shape: { ints: [1, 1] } }),
  ],
  tensors: [floats('k1', 6, 3, 3, 3), floats('k2', 4, 6, 1, 1), ...tensors],
});
