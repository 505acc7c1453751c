import assert from 'node:assert/strict';
import { test } from 'node:test';
import { memorySource } from '../base/index.js';
import { buildSafetensors, type GraphSpec, openModel } from '../formats/index.js';
import { canonicalise } from './index.js';
import {
  assertGroups,
  canonicalNet,
  dense,
  floats,
  groupText,
  image,
  longs,
  type Net,
  node,
  openNet,
  positives,
  scalar,
  value,
} from './testing/nets.js';

const OUT = 'an output of the model';
const IN = 'an input of the graph';

const branch = (
  name: string,
  nodes: GraphSpec['nodes'],
  initialisers: GraphSpec['initialisers'],
  output: string,
): GraphSpec => ({
  name,
  inputs: [],
  outputs: [value(output, 4, 6)],
  nodes,
  initialisers,
});

/** x → (sum of x above 0: x·wa, else x·wb) → relu → w2. */
function branching(otherwise: GraphSpec): Net {
  const then = branch('then', [node('MatMul', 'x wa', 'a')], [floats('wa', 5, 6)], 'a');
  return {
    inputs: [value('x', 4, 5)],
    outputs: [value('y', 4, 3)],
    nodes: [
      node('ReduceSum', 'x _', 'sum', { keepdims: { int: 0 } }),
      node('Greater', 'sum far', 'chosen'),
      node('If', 'chosen', 'h', { then_branch: { graph: then }, else_branch: { graph: otherwise } }),
      node('Relu', 'h', 'g'),
      node('MatMul', 'g w2', 'y'),
    ],
    tensors: [scalar('far', 'F32', -1000), floats('w2', 6, 3)],
  };
}

test('If: what both branches give are the same units', async () => {
  const otherwise = branch('else', [node('MatMul', 'x wb', 'b')], [floats('wb', 5, 6)], 'b');
  const { groups } = await canonicalNet(branching(otherwise));
  assert.equal(groups.length, 1);
  assert.match(groupText(groups[0]!), /^6 positive: \S*wa\.0 \S*wb\.0 → w2\.1$/);
  await assertGroups(branching(otherwise), { groups: groups.map(groupText) });
});

test('If: a branch that hands the input on pins what the other makes', async () => {
  const otherwise = branch(
    'else',
    [node('Concat', 'x first', 'b', { axis: { int: 1 } })],
    [floats('first', 4, 1)],
    'b',
  );
  const { groups, leftOut } = await canonicalNet(branching(otherwise));
  assert.deepEqual(groups, []);
  // Five of the six places are the input.
  assert.match(leftOut.find(({ tensor }) => tensor.endsWith('wa'))!.reason, /^axis 0: an input of the graph/);
});

test('a weight read inside a Loop is pinned', async () => {
  const body: GraphSpec = {
    name: 'body',
    inputs: [{ name: 'i', dtype: 'I64', shape: [] }, { name: 'more', dtype: 'BOOL', shape: [] }, value('state', 4, 6)],
    outputs: [{ name: 'again', dtype: 'BOOL', shape: [] }, value('next', 4, 6)],
    nodes: [node('Identity', 'more', 'again'), node('MatMul', 'state w', 'm'), node('Tanh', 'm', 'next')],
    initialisers: [],
  };
  const { groups, leftOut } = await canonicalNet(
    dense(
      [node('Loop', 'three _ h', 'g', { body: { graph: body } })],
      [{ ...longs('three', 3), shape: [] }, floats('w', 6, 6)],
    ),
  );
  assert.deepEqual(groups, []);
  assert.match(leftOut.find(({ tensor }) => tensor === 'w1')!.reason, /^axis 0: Loop is not proven/);
  assert.match(leftOut.find(({ tensor }) => tensor === 'w')!.reason, /used inside Loop/);
});

test('one weight used twice is one weight: its units must agree with themselves', async () => {
  // x → w1 → relu → w → relu → w → w2: the rows and the columns of w are the same units.
  await assertGroups(
    dense(
      [node('Relu', 'h', 'r'), node('MatMul', 'r w', 'm'), node('Relu', 'm', 'n'), node('MatMul', 'n w', 'g')],
      [floats('w', 6, 6)],
    ),
    { groups: ['6 none: w1.0 w.0 → w.1 w2.1'] },
  );
});

test('tied weights: the table that makes units and, turned, takes them in', async () => {
  await assertGroups(
    {
      inputs: [value('x', 4, 5)],
      outputs: [value('y', 4, 5)],
      nodes: [
        node('MatMul', 'x w', 'h'),
        node('Relu', 'h', 'g'),
        node('Transpose', 'w', 't', { perm: { ints: [1, 0] } }),
        node('MatMul', 'g t', 'y'),
      ],
      tensors: [floats('w', 5, 6)],
    },
    { groups: [], leftOut: { w: `axis 0: no stored weight takes these units in; axis 1: ${IN}` } },
  );
});

test('weights inside Constant nodes are weights', async () => {
  const net = dense([node('Relu', 'h', 'g')]);
  const { values, dtype, shape } = floats('w1', 5, 6);
  await assertGroups(
    {
      ...net,
      nodes: [
        { ...node('Constant', '', 'w1'), attributes: { value: { tensor: { name: '', dtype, shape, values } } } },
        ...net.nodes,
      ],
      tensors: net.tensors.filter(({ name }) => name !== 'w1'),
    },
    { groups: ['6 positive: w1.0 → w2.1'] },
  );
});

test('a hidden layer that is also an output is pinned; so is everything of an unknown domain', async () => {
  const net = dense([node('Relu', 'h', 'g')]);
  await assertGroups(
    { ...net, outputs: [...net.outputs, value('g', 4, 6)] },
    { groups: [], leftOut: { w1: `axis 0: ${OUT}; axis 1: ${IN}`, w2: `axis 0: ${OUT}; axis 1: ${OUT}` } },
  );
  const { groups, leftOut } = await canonicalNet(dense([node('Relu', 'h', 'g', {}, 'example.own')]));
  assert.deepEqual(groups, []);
  assert.match(leftOut[0]!.reason, /^axis 0: Relu is not proven/);
});

test('a tensor that no operator reads is said to be left out', async () => {
  const net = dense([node('Relu', 'h', 'g')], [floats('unread', 6, 6)]);
  const { leftOut } = await canonicalNet(net);
  assert.deepEqual(leftOut, [{ tensor: 'unread', reason: 'no operator uses it as numbers' }]);
});

test('a graph vouches for the tensors of another file, and only for those', async () => {
  const net = dense([node('Relu', 'h', 'g')]);
  const graph = await openNet(net);
  const weights = (rows: number) =>
    openModel(
      memorySource(
        buildSafetensors({
          w1: { dtype: 'F32', shape: [rows, 6], values: floats('w1', rows, 6).values as ArrayLike<number> },
          w2: { dtype: 'F32', shape: [6, 3], values: floats('w2', 6, 3).values as ArrayLike<number> },
        }),
        'w.safetensors',
      ),
    );
  const canonical = await canonicalise(await weights(5), { graph });
  assert.deepEqual(canonical.groups.map(groupText), ['6 positive: w1.0 → w2.1']);
  assert.equal(canonical.fromGraph, true);
  await assert.rejects(canonicalise(await weights(4), { graph }), { code: 'STRUCTURE_GRAPH_DIFFERS' });
});

test('BatchNormalization folds into the weight before it, where that is read once and by it alone', async () => {
  const norm = [positives('gamma', 6), floats('beta', 6), floats('mean', 6), positives('var', 6)];
  const net = image(
    [node('BatchNormalization', 'h gamma beta mean var', 'n', { epsilon: { float: 0.25 } }), node('Relu', 'n', 'g')],
    norm,
  );
  const factors = await (await canonicalNet(net)).foldFactors('k1');
  const [gamma, , , variance] = norm.map(({ values }) => Array.from(values as ArrayLike<number>, Math.fround));
  assert.deepEqual(
    [...factors!],
    gamma!.map((one, k) => one / Math.sqrt(variance![k]! + 0.25)),
  );
  assert.equal(await (await canonicalNet(net)).foldFactors('k2'), null);
  const twice = { ...net, nodes: [...net.nodes.slice(0, -2), node('Add', 'n h', 'g'), net.nodes.at(-1)!] };
  assert.equal(await (await canonicalNet(twice)).foldFactors('k1'), null);
  // A weight on the left of a product has its rows elsewhere than the channels that are normalised.
  const left: Net = {
    inputs: [value('x', 5, 6)],
    outputs: [value('y', 6, 6)],
    nodes: [node('MatMul', 'w x', 'h'), node('BatchNormalization', 'h gamma beta mean var', 'y')],
    tensors: [floats('w', 6, 5), ...norm],
  };
  assert.equal(await (await canonicalNet(left)).foldFactors('w'), null);
});
