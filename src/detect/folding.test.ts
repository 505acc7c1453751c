/** Batch normalisation folded into the convolution before it, as converters do: both ways round, one model. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { memorySource, seededRandom } from '../base/index.js';
import { buildOnnx, type NodeSpec, openModel, type TensorSpec } from '../formats/index.js';
import { compareSubjects, subjectOfModel } from './index.js';

const CHANNELS = 32;
const EPSILON = 1e-3;
/** Of the unfolded net. */
const PARAMETERS = CHANNELS * (4 * 3 + CHANNELS * 3 + 3 + 8);

const drawn = (seed: number, label: string, count: number, low: number, high: number): Float64Array => {
  const random = seededRandom(seed, label);
  return Float64Array.from({ length: count }, () => low + (high - low) * random.unit());
};

/** Two convolutions with normalisation and a dense layer. */
function net(seed: number, folded: boolean): Uint8Array {
  const tensors: TensorSpec[] = [];
  const nodes: NodeSpec[] = [];
  const put = (name: string, shape: readonly number[], values: Float64Array): string => {
    tensors.push({ name, dtype: 'F32', shape, values });
    return name;
  };
  let x = 'x';
  for (const [layer, inputs] of [
    ['c1', 4],
    ['c2', CHANNELS],
  ] as const) {
    const weight = drawn(seed, `${layer} weight`, CHANNELS * inputs * 3, -0.5, 0.5);
    const gamma = drawn(seed, `${layer} gamma`, CHANNELS, 0.2, 3);
    const beta = drawn(seed, `${layer} beta`, CHANNELS, -1, 1);
    const mean = drawn(seed, `${layer} mean`, CHANNELS, -1, 1);
    const variance = drawn(seed, `${layer} variance`, CHANNELS, 0.1, 2);
    const factor = gamma.map((value, k) => value / Math.sqrt(variance[k]! + EPSILON));
    const attributes = { pads: { ints: [1, 1] }, kernel_shape: { ints: [3] } };
    if (folded) {
      const scaled = weight.map((value, at) => value * factor[Math.floor(at / (inputs * 3))]!);
      const bias = beta.map((value, k) => value - mean[k]! * factor[k]!);
      const names = [x, put(`${layer}/w`, [CHANNELS, inputs, 3], scaled), put(`${layer}/b`, [CHANNELS], bias)];
      nodes.push({ op: 'Conv', inputs: names, outputs: [`${layer}.n`], attributes });
    } else {
      nodes.push({
        op: 'Conv',
        inputs: [x, put(`${layer}.weight`, [CHANNELS, inputs, 3], weight)],
        outputs: [`${layer}.y`],
        attributes,
      });
      const norm = Object.entries({ gamma, beta, mean, variance }).map(([name, values]) =>
        put(`${layer}.${name}`, [CHANNELS], values),
      );
      nodes.push({
        op: 'BatchNormalization',
        inputs: [`${layer}.y`, ...norm],
        outputs: [`${layer}.n`],
        attributes: { epsilon: { float: EPSILON } },
      });
    }
    nodes.push({ op: 'Relu', inputs: [`${layer}.n`], outputs: [`${layer}.r`] });
    x = `${layer}.r`;
  }
  nodes.push(
    { op: 'GlobalAveragePool', inputs: [x], outputs: ['pooled'] },
    { op: 'Flatten', inputs: ['pooled'], outputs: ['flat'] },
  );
  nodes.push({
    op: 'Gemm',
    inputs: ['flat', put('fc.weight', [3, CHANNELS], drawn(seed, 'fc', 3 * CHANNELS, -1, 1))],
    outputs: ['y'],
    attributes: { transB: { int: 1 } },
  });
  const value = (name: string, shape: readonly number[]) => ({ name, dtype: 'F32' as const, shape });
  return buildOnnx({
    graph: {
      name: 'net',
      inputs: [value('x', [1, 4, 16])],
      outputs: [value('y', [1, 3])],
      nodes,
      initialisers: tensors,
    },
  });
}

const subject = async (seed: number, folded: boolean) => {
  const name = `${seed}${folded ? ' folded' : ''}`;
  return subjectOfModel(await openModel(memorySource(net(seed, folded), `${name}.onnx`)), name);
};

test('folded on one side: related in all weights, called a conversion, either way round', async () => {
  for (const [first, second] of [
    [false, true],
    [true, false],
  ] as const) {
    const answer = await compareSubjects(await subject(1, first), await subject(1, second));
    assert.equal(answer.verdict, 'related', answer.reason);
    assert.ok(answer.log10p! < -60, String(answer.log10p));
    // All but the normalisations' own vectors, which the folded copy no longer has.
    assert.equal(answer.scope.related, 1 - (8 * CHANNELS) / PARAMETERS);
    assert.deepEqual(
      answer.tweaks.map(({ kind }) => kind),
      ['converted'],
    );
  }
});

test('two trainings, one of them folded: not related', async () => {
  assert.notEqual((await compareSubjects(await subject(1, false), await subject(2, true))).verdict, 'related');
});
