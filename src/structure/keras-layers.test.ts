/**
 * Keras' models and TensorFlow.js layers models: the graph in ONNX's terms predicts on onnxruntime what the library itself
 * predicts, and its unit groups may be permuted.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { randomPermutation, seededRandom } from '../base/index.js';
import { createSession, type Feed } from '../compute/index.js';
import { type Model, openModel } from '../formats/index.js';
import { canonicalise, permuteGroup, type UnitGroup } from './index.js';
import { groupText } from './testing/nets.js';
import { runnable } from './testing/runnable.js';

interface List {
  readonly shape: readonly number[];
  readonly values: readonly number[];
}
interface Case {
  readonly inputs: readonly List[];
  readonly outputs: readonly List[];
}

const vectors = new URL('../../vectors/formats/', import.meta.url).pathname;
const expectedIn = (file: string): Readonly<Record<string, Case>> =>
  JSON.parse(readFileSync(`${vectors}${file}`, 'utf8')) as Record<string, Case>;

const TFJS = expectedIn('expected-tfjs-layers.json');

/** Float32 sums in another order; expected numbers have six digits. */
const TOLERANCE = 2e-5;
/** One side left behind moves the outputs at least this much. */
const WRONG = 50 * TOLERANCE;

async function predict(model: Model, { inputs }: Case, changes?: ReadonlyMap<string, Float64Array>) {
  const session = await createSession(await runnable(model, changes), { threads: 1 });
  try {
    const feeds = Object.fromEntries(
      model.graph!.inputs.map(({ name, dtype }, k): [string, Feed] => {
        const { shape, values } = inputs[k]!;
        return [name, { data: dtype === 'I32' ? Int32Array.from(values) : Float32Array.from(values), shape }];
      }),
    );
    const outputs = await session.run(feeds);
    return model.graph!.outputs.map(({ name }) => outputs[name]!);
  } finally {
    await session.close();
  }
}

/** Largest difference of any output, relative to the largest number in it. */
function difference(outputs: readonly { readonly data: ArrayLike<unknown> }[], wanted: readonly List[]): number {
  let worst = 0;
  for (const [k, { values }] of wanted.entries()) {
    const most = Math.max(...values.map(Math.abs));
    values.forEach((value, at) => {
      worst = Math.max(worst, Math.abs(Number(outputs[k]!.data[at]) - value) / most);
    });
  }
  return worst;
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

async function assertPredicts(file: string, wanted: Case): Promise<readonly UnitGroup[]> {
  const model = await openModel(file);
  try {
    const outputs = await predict(model, wanted);
    assert.deepEqual(
      outputs.map(({ shape }) => shape),
      wanted.outputs.map(({ shape }) => shape),
    );
    const far = difference(outputs, wanted.outputs);
    assert.ok(far <= TOLERANCE, `outputs differ by ${far}`);
    const canonical = await canonicalise(model);
    assert.ok(canonical.fromGraph);
    for (const group of canonical.groups) {
      const order = cycle(group.size, group.id);
      const kept = difference(
        await predict(model, wanted, await permuteGroup(canonical, group, order)),
        wanted.outputs,
      );
      assert.ok(kept <= TOLERANCE, `${groupText(group)}: outputs differ by ${kept}`);
      const half = await permuteGroup(canonical, { ...group, outgoing: [] }, order);
      const wrong = difference(await predict(model, wanted, half), wanted.outputs);
      assert.ok(wrong >= WRONG, `${groupText(group)}: half moved, outputs differ by ${wrong} only`);
    }
    return canonical.groups;
  } finally {
    await model.close();
  }
}

for (const [name, wanted] of Object.entries(TFJS)) {
  test(`TensorFlow.js, ${name}: outputs are the library's, and stay when units are permuted`, async (t) => {
    const groups = await assertPredicts(`${vectors}good/tfjs-layers/${name}`, wanted);
    t.diagnostic(groups.map(groupText).join('\n'));
  });
}

/** Groups by size: those of the same model in every form. */
const KERAS_GROUPS: Readonly<Record<string, readonly number[]>> = {
  dense: [24, 20],
  images: [16, 14, 18],
  lstm: [20, 14],
  gru: [20, 14],
  'gru-reset-before': [22],
  blocks: [6, 8, 7],
  text: [8, 6, 6, 9, 5],
};
const { cases: KERAS } = JSON.parse(readFileSync(`${vectors}expected-keras-pairs.json`, 'utf8')) as {
  readonly cases: Readonly<Record<string, Case>>;
};

for (const [name, wanted] of Object.entries(KERAS)) {
  for (const ending of ['.keras', '.h5']) {
    test(`Keras, ${name}${ending}: outputs are the library's, and stay when units are permuted`, async () => {
      const groups = await assertPredicts(`${vectors}good/keras-pairs/${name}${ending}`, wanted);
      assert.deepEqual(
        groups.map(({ size }) => size),
        KERAS_GROUPS[name],
      );
    });
  }
}
