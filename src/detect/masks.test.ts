/** −∞ where attention must not look is a constant of the architecture: it poisons neither digest, groups, compare, release nor check. */
import assert from 'node:assert/strict';
import { copyFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, test } from 'node:test';
import { memorySource, type RandomStream, randomPermutation, seededRandom } from '../base/index.js';
import { runModel } from '../compute/index.js';
import { buildOnnx, buildSafetensors, openModel, roundTo, type TensorSpec, writeModel } from '../formats/index.js';
import { release } from '../mark/index.js';
import { type TestRoom, testRoom } from '../mark/testing/room.js';
import { inspectModel, recordAssets } from '../record/index.js';
import { canonicalise, permuteGroup, type UnitGroup } from '../structure/index.js';
import { node, value } from '../structure/testing/nets.js';
import { checkSuspect, compareFiles } from './index.js';

const TOKENS = 24;
const WIDTH = 16;
const HIDDEN = 64;
const LOWEST = -3.4028234663852886e38;

/** [tokens, tokens]: nothing is added where a token may look, `below` where it may not. */
const causal = (below: number): Float64Array =>
  Float64Array.from({ length: TOKENS * TOKENS }, (_, k) => (k % TOKENS <= Math.floor(k / TOKENS) ? 0 : below));
const maskOf = (below: number, shape: readonly number[] = [TOKENS, TOKENS]): TensorSpec => ({
  name: 'mask',
  dtype: 'F32',
  shape,
  values: causal(below),
});

const gaussian = (random: RandomStream): number =>
  Math.sqrt(-2 * Math.log(random.unit())) * Math.cos(2 * Math.PI * random.unit());

/** @param noise relative to the weights' own spread */
function weights(seed: number, noise = 0): readonly TensorSpec[] {
  const normal = (name: string, ...shape: readonly number[]): TensorSpec => {
    const [own, more] = [seededRandom(seed, name), seededRandom(seed, `noise on ${name}`)];
    const size = shape.reduce((all, one) => all * one, 1);
    const one = (): number => (gaussian(own) + noise * gaussian(more)) / Math.sqrt(shape[0]!);
    return { name, dtype: 'F32', shape, values: Float64Array.from({ length: size }, () => roundTo('F32', one())) };
  };
  return [
    ...['q', 'k', 'v', 'o'].map((name) => normal(name, WIDTH, WIDTH)),
    normal('fc1', WIDTH, HIDDEN),
    normal('b1', HIDDEN),
    normal('fc2', HIDDEN, HIDDEN),
    normal('b2', HIDDEN),
    normal('fc3', HIDDEN, 4),
  ];
}

/** One attention and a feed-forward stack; the mask is added before the softmax, as an initialiser or by a Constant node. */
function transformer(seed: number, mask: TensorSpec | null, { asNode = false, noise = 0 } = {}): Uint8Array {
  const constant = mask !== null && asNode ? [node('Constant', '', 'mask', { value: { tensor: mask } })] : [];
  return buildOnnx({
    graph: {
      name: 'net',
      inputs: [value('x', 'n', TOKENS, WIDTH)],
      outputs: [value('y', 'n', TOKENS, 4)],
      nodes: [
        ...constant,
        ...['q', 'k', 'v'].map((name) => node('MatMul', `x ${name}`, `x${name}`)),
        node('Transpose', 'xk', 'kt', { perm: { ints: [0, 2, 1] } }),
        node('MatMul', 'xq kt', 'scores'),
        mask === null ? node('Identity', 'scores', 'masked') : node('Add', 'scores mask', 'masked'),
        node('Softmax', 'masked', 'p', { axis: { int: -1 } }),
        node('MatMul', 'p xv', 'context'),
        node('MatMul', 'context o', 'attended'),
        node('Add', 'x attended', 'r'),
        node('MatMul', 'r fc1', 'h1'),
        node('Add', 'h1 b1', 'h1b'),
        node('Relu', 'h1b', 'a1'),
        node('MatMul', 'a1 fc2', 'h2'),
        node('Add', 'h2 b2', 'h2b'),
        node('Relu', 'h2b', 'a2'),
        node('MatMul', 'a2 fc3', 'y'),
      ],
      initialisers: [...weights(seed, noise), ...(mask === null || asNode ? [] : [mask])],
    },
  });
}

/** As PyTorch saves GPT-2 with its buffers: the causal mask of ones, the value that stands where it is zero, and one added. */
function checkpoint(seed: number, masked: number | null): Uint8Array {
  const buffers: readonly TensorSpec[] =
    masked === null
      ? []
      : [
          { name: 'h.0.attn.bias', dtype: 'F32', shape: [1, 1, TOKENS, TOKENS], values: causal(1).map((v) => 1 - v) },
          { name: 'h.0.attn.masked_bias', dtype: 'F32', shape: [], values: [masked] },
          { ...maskOf(masked, [1, 1, TOKENS, TOKENS]), name: 'h.0.attn.mask' },
        ];
  const names: Record<string, string> = {
    fc1: 'h.0.mlp.c_fc.weight',
    b1: 'h.0.mlp.c_fc.bias',
    fc3: 'h.0.mlp.c_proj.weight',
  };
  const own = weights(seed).filter(({ name }) => name in names);
  return buildSafetensors(
    Object.fromEntries(
      [...own.map((one) => ({ ...one, name: names[one.name]! })), ...buffers].map(({ name, shape, values }) => [
        name,
        { dtype: 'F32' as const, shape, values: values as ArrayLike<number> },
      ]),
    ),
  );
}

const inspected = async (bytes: Uint8Array, name: string) => {
  const model = await openModel(memorySource(bytes, name));
  return inspectModel(model, { digest: true });
};

/** Labels count nodes, and a Constant node is one. */
const unnamed = (groups: readonly UnitGroup[]) => groups.map(({ label: _, ...rest }) => rest);

const MASKS: readonly (readonly [string, number])[] = [
  ['−∞', Number.NEGATIVE_INFINITY],
  ['the lowest float32', LOWEST],
  ['−10000', -10_000],
  ['the lowest float16', -65_504],
];

for (const [what, below] of MASKS) {
  test(`a mask of ${what}: digest, groups and parameters are those of the model without it`, async () => {
    const plain = await inspected(transformer(1, null), 'm.onnx');
    for (const asNode of [false, true]) {
      const masked = await inspected(transformer(1, maskOf(below), { asNode }), 'm.onnx');
      assert.ok(
        masked.constants.some((one) => one.what === 'attention mask'),
        JSON.stringify(masked.constants),
      );
      assert.deepEqual([masked.weights, masked.parameters], [plain.weights, plain.parameters]);
      assert.deepEqual(unnamed(masked.groups), unnamed(plain.groups));
      assert.deepEqual(
        masked.groups.map(({ size, vouched }) => `${size} ${vouched}`),
        ['16 graph', '64 graph', '64 graph'],
      );
    }
    const bare = await inspected(checkpoint(1, null), 'm.safetensors');
    const buffered = await inspected(checkpoint(1, below), 'm.safetensors');
    assert.equal(buffered.constants.length, 3);
    assert.deepEqual([buffered.weights, buffered.parameters], [bare.weights, bare.parameters]);
    assert.deepEqual(buffered.groups, bare.groups);
  });
}

async function maskIn(file: string): Promise<Float64Array> {
  const model = await openModel(file);
  const { elements, read } = model.tensors.get('mask')!;
  return read(0, elements).finally(() => model.close());
}

/** One group after the other, since two may share a tensor. */
async function permuteAll(from: string, to: string): Promise<void> {
  await copyFile(from, to);
  const random = seededRandom(7);
  for (let k = 0; ; k++) {
    const model = await openModel(to);
    const canonical = await canonicalise(model);
    const group = canonical.groups[k];
    if (group === undefined) return model.close();
    const next = `${to}.${k}.onnx`;
    await writeModel(model, await permuteGroup(canonical, group, randomPermutation(group.size, random)), next);
    await model.close();
    await rename(next, to);
  }
}

let room: TestRoom;
after(() => rm(room.dir, { recursive: true, force: true }));

test('with a mask of −∞ a model is released, runs as before, and its permuted copy is found by check and by compare', async () => {
  room = await testRoom();
  const at = (name: string): string => path.join(room.dir, name);
  const masked = transformer(1, maskOf(Number.NEGATIVE_INFINITY));
  const rival = transformer(2, maskOf(Number.NEGATIVE_INFINITY));
  await writeFile(at('own.onnx'), masked);
  await writeFile(at('rival.onnx'), rival);
  await recordAssets(room, [{ kind: 'model', paths: [at('own.onnx')], facts: { name: 'net' }, keep: 'full' }]);
  const made = await release(room, { model: at('own.onnx'), recipient: 'first', out: at('copy.onnx') });
  assert.equal(made.units, 2 * HIDDEN + WIDTH, 'both hidden layers, and queries with keys');
  assert.deepEqual(await maskIn(at('copy.onnx')), causal(Number.NEGATIVE_INFINITY));
  await permuteAll(at('copy.onnx'), at('thief.onnx'));
  assert.deepEqual(await maskIn(at('thief.onnx')), causal(Number.NEGATIVE_INFINITY));
  const data = Float32Array.from({ length: TOKENS * WIDTH }, (_, k) => Math.sin(k));
  const feeds = { x: { dtype: 'F32' as const, shape: [1, TOKENS, WIDTH], data } };
  const [released, moved] = await Promise.all(
    ['copy.onnx', 'thief.onnx'].map(async (name) => (await runModel(at(name), feeds)).y!.data as Float32Array),
  );
  const apart = released!.reduce((most, one, k) => Math.max(most, Math.abs(one - moved![k]!)), 0);
  assert.ok(apart < 1e-4, `outputs differ by ${apart}`);

  await writeFile(at('tuned.onnx'), transformer(1, maskOf(Number.NEGATIVE_INFINITY), { noise: 0.1 }));
  const answer = await compareFiles(at('own.onnx'), at('tuned.onnx'));
  assert.equal(answer.verdict, 'related', answer.reason);
  assert.ok(answer.log10p! < -12, `${answer.log10p}`);
  const disguised = await compareFiles(at('own.onnx'), at('thief.onnx'));
  assert.match(disguised.reason, /permuted copy/);
  for (const { leftOut } of [answer, disguised]) {
    assert.ok(!leftOut.some(({ reason }) => /NaN|infinit/.test(reason)), JSON.stringify(leftOut));
  }
  const innocent = await compareFiles(at('own.onnx'), at('rival.onnx'));
  assert.notEqual(innocent.verdict, 'related', innocent.reason);

  const found = await checkSuspect(room, at('thief.onnx'), { keep: false });
  const [best] = found.candidates;
  assert.deepEqual([best!.verdict, best!.kind, best!.recipient], ['related', 'exact', 'first'], best!.reason);
});

test('checkpoints with buffers of −∞ are compared, and the buffers are named as constants', async () => {
  const at = (name: string): string => path.join(room.dir, name);
  await writeFile(at('a.safetensors'), checkpoint(1, Number.NEGATIVE_INFINITY));
  await writeFile(at('b.safetensors'), checkpoint(1, -10_000));
  await writeFile(at('c.safetensors'), checkpoint(2, Number.NEGATIVE_INFINITY));
  const same = await compareFiles(at('a.safetensors'), at('b.safetensors'));
  assert.equal(same.verdict, 'related', same.reason);
  const other = await compareFiles(at('a.safetensors'), at('c.safetensors'));
  assert.equal(other.verdict, 'no-evidence', other.reason);
  for (const { leftOut } of [same, other]) {
    assert.ok(!leftOut.some(({ reason }) => /NaN|infinit/.test(reason)), JSON.stringify(leftOut));
  }
});
