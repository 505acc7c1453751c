import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertGroups, canonicalNet, dense, floats, image, longs, type Net, node, value } from './testing/nets.js';

const OUT = 'an output of the model';
const IN = 'an input of the graph';
const SPACE = 'axis 2: a spatial axis; axis 3: a spatial axis';
const plain = { groups: ['6 any: w1.0 → w2.1'] };
const channels = { groups: ['6 any: k1.0 → k2.1'] };

test('Flatten: a channel becomes as many columns as it has pixels', async () => {
  const net: Net = {
    ...image([]),
    outputs: [value('y', 2, 3)],
    nodes: [node('Conv', 'x k1', 'h'), node('Relu', 'h', 'r'), node('Flatten', 'r', 'f'), node('MatMul', 'f w', 'y')],
    tensors: [floats('k1', 6, 3, 3, 3), floats('w', 6 * 36, 3)],
  };
  await assertGroups(net, { groups: ['6 positive: k1.0 → w.1*36'] });
});

test('Reshape to [rows, −1], [0, −1], [rows, all], and for rows of unknown number', async () => {
  for (const shape of [
    [2, -1],
    [0, -1],
    [2, 216],
  ]) {
    const net: Net = {
      ...image([]),
      outputs: [value('y', 2, 3)],
      nodes: [node('Conv', 'x k1', 'h'), node('Reshape', 'h shape', 'f'), node('MatMul', 'f w', 'y')],
      tensors: [floats('k1', 6, 3, 3, 3), longs('shape', ...shape), floats('w', 216, 3)],
    };
    await assertGroups(net, { groups: ['6 any: k1.0 → w.1*36'] });
    if (shape[0] === 0)
      await assertGroups({ ...net, inputs: [value('x', 'rows', 3, 8, 8)] }, { groups: ['6 any: k1.0 → w.1*36'] });
  }
});

test('Reshape to [−1, all]: rows of unknown number, steps of a sequence among the rows', async () => {
  const net: Net = {
    inputs: [value('x', 'rows', 3, 8, 8)],
    outputs: [value('y', 'rows', 3)],
    nodes: [node('Conv', 'x k1', 'h'), node('Reshape', 'h shape', 'f'), node('MatMul', 'f w', 'y')],
    tensors: [floats('k1', 6, 3, 3, 3), longs('shape', -1, 216), floats('w', 216, 3)],
  };
  await assertGroups(net, { groups: ['6 any: k1.0 → w.1*36'] });
  const sequence: Net = {
    inputs: [value('x', 'batch', 'steps', 5)],
    outputs: [value('y', 'all', 3)],
    nodes: [
      node('MatMul', 'x w1', 'h'),
      node('Reshape', 'h shape', 'f'),
      node('Relu', 'f', 'g'),
      node('MatMul', 'g w2', 'y'),
    ],
    tensors: [floats('w1', 5, 6), longs('shape', -1, 6), floats('w2', 6, 3)],
  };
  await assertGroups(sequence, { groups: ['6 positive: w1.0 → w2.1'] });
  // Half of the units of a row become a row of their own.
  const halves: Net = {
    ...sequence,
    tensors: [floats('w1', 5, 6), longs('shape', -1, 3), floats('w2', 3, 3)],
  };
  assert.deepEqual((await canonicalNet(halves)).groups, []);
});

test('Reshape to [as many rows as there were, all], computed from the shape', async () => {
  const net = (last: number): Net => ({
    inputs: [value('x', 'rows', 3, 8, 8)],
    outputs: [value('y', 'rows', 3)],
    nodes: [
      node('Conv', 'x k1', 'h'),
      node('Shape', 'h', 'sizes'),
      node('Cast', 'sizes', 'small', { to: { int: 6 } }),
      node('Slice', 'small zero one', 'rows'),
      node('Cast', 'rows', 'long', { to: { int: 7 } }),
      node('Concat', 'long last', 'shape', { axis: { int: 0 } }),
      node('Reshape', 'h shape', 'f'),
      node('MatMul', 'f w', 'y'),
    ],
    tensors: [floats('k1', 6, 3, 3, 3), longs('zero', 0), longs('one', 1), longs('last', last), floats('w', 216, 3)],
  });
  await assertGroups(net(216), { groups: ['6 any: k1.0 → w.1*36'] });
  // Two unknown sizes: nothing is proven.
  assert.deepEqual((await canonicalNet(net(-1))).groups, []);
});

test('Reshape that splits units into heads is not followed', async () => {
  const net = dense(
    [node('Reshape', 'h heads', 's'), node('Relu', 's', 'r'), node('Reshape', 'r back', 'g')],
    [longs('heads', 4, 2, 3), longs('back', 4, 6)],
  );
  const { groups, leftOut } = await canonicalNet(net);
  assert.deepEqual(groups, []);
  assert.match(leftOut.find(({ tensor }) => tensor === 'w1')!.reason, /^axis 0: Reshape is not proven/);
});

test('Transpose there and back, Squeeze, Unsqueeze', async () => {
  await assertGroups(
    dense([
      node('Transpose', 'h', 't'),
      node('Relu', 't', 'r'),
      node('Transpose', 'r', 'g', { perm: { ints: [1, 0] } }),
    ]),
    { groups: ['6 positive: w1.0 → w2.1'] },
  );
  await assertGroups(dense([node('Unsqueeze', 'h at', 'u'), node('Squeeze', 'u at', 'g')], [longs('at', 1)]), plain);
});

test('a stored weight behind Transpose is turned back', async () => {
  const net = dense([node('Relu', 'h', 'g')]);
  await assertGroups(
    {
      ...net,
      nodes: [node('Transpose', 'stored', 'w1', { perm: { ints: [1, 0] } }), ...net.nodes],
      tensors: [floats('stored', 6, 5), floats('w2', 6, 3)],
    },
    { groups: ['6 positive: stored.0 → w2.1'] },
  );
});

test('Concat: the parts are groups of their own, each at its place', async () => {
  await assertGroups(
    dense(
      [node('MatMul', 'x w', 'k'), node('Relu', 'k', 'r'), node('Concat', 'h r', 'g', { axis: { int: 1 } })],
      [floats('w', 5, 4)],
      10,
    ),
    { groups: ['6 any: w1.0 → w2.1', '4 positive: w.0 → w2.1@6'] },
  );
});

test('Concat of the same units twice moves both places at once', async () => {
  await assertGroups(dense([node('Relu', 'h', 'r'), node('Concat', 'h r', 'g', { axis: { int: 1 } })], [], 12), {
    groups: ['6 positive: w1.0 → w2.1 w2.1@6'],
  });
});

test('Concat doubled too often is pinned, not followed into exhaustion', async () => {
  const doublings = Array.from({ length: 40 }, (_, k) =>
    node('Concat', k === 0 ? 'h h' : `d${k - 1} d${k - 1}`, `d${k}`, { axis: { int: 1 } }),
  );
  const { groups, leftOut } = await canonicalNet(
    dense([...doublings, node('ReduceMean', 'd39', 'g', { axes: { ints: [1] } })], [], 1),
  );
  assert.deepEqual(groups, []);
  assert.match(leftOut[0]!.reason, /concatenated too often/);
});

test('Split and Slice cut the units in two groups', async () => {
  const halves = [node('Relu', 'b', 'r'), node('Mul', 'a r', 'm')];
  const tied = { groups: ['3 none: w1.0 w1.0@3 → w2.1'] };
  await assertGroups(
    dense(
      [node('Split', 'h sizes', 'a b', { axis: { int: 1 } }), ...halves, node('Identity', 'm', 'g')],
      [longs('sizes', 3, 3)],
      3,
    ),
    tied,
  );
  await assertGroups(
    dense(
      [
        node('Split', 'h sizes', 'a b', { axis: { int: -1 } }),
        node('Relu', 'b', 'r'),
        node('Concat', 'r a', 'g', { axis: { int: 1 } }),
      ],
      [longs('sizes', 2, 4)],
    ),
    {
      groups: ['2 any: w1.0 → w2.1@4', '4 positive: w1.0@2 → w2.1'],
    },
  );
  const sliced = [node('Slice', 'h zero three one', 'a'), node('Slice', 'h three six one', 'b')];
  await assertGroups(
    dense(
      [...sliced, ...halves, node('Identity', 'm', 'g')],
      [longs('zero', 0), longs('three', 3), longs('six', 6), longs('one', 1)],
      3,
    ),
    tied,
  );
});

test('Slice with steps, or one that cuts a flattened channel, is pinned', async () => {
  await assertGroups(
    dense(
      [node('Slice', 'h from to axis step', 'g')],
      [longs('from', 0), longs('to', 6), longs('axis', 1), longs('step', 2)],
      3,
    ),
    {
      groups: [],
      leftOut: { w1: `axis 0: sliced; axis 1: ${IN}`, w2: `axis 0: ${OUT}; axis 1: meets an axis of unknown size` },
    },
  );
  const net: Net = {
    ...image([]),
    outputs: [value('y', 2, 3)],
    nodes: [
      node('Conv', 'x k1', 'h'),
      node('Flatten', 'h', 'f'),
      node('Slice', 'f from to axis', 's'),
      node('MatMul', 's w', 'y'),
    ],
    tensors: [floats('k1', 6, 3, 3, 3), longs('from', 0), longs('to', 50), longs('axis', 1), floats('w', 50, 3)],
  };
  await assertGroups(net, {
    groups: [],
    leftOut: { k1: `axis 0: cut inside a unit; axis 1: ${IN}; ${SPACE}`, w: `axis 0: ${OUT}; axis 1: no units` },
  });
});

test('a chain of slices as long as the graph ends in a pin, not in an exhausted stack', async () => {
  const links = 20_000;
  const net: Net = {
    inputs: [value('x', 1, 2)],
    outputs: [value('y', 1, 2)],
    nodes: [
      node('MatMul', 'x w1', 's0'),
      ...Array.from({ length: links }, (_, k) => node('Slice', `s${k} one all axis`, `s${k + 1}`)),
      node('MatMul', `s${links} w2`, 'y'),
    ],
    tensors: [floats('w1', 2, links + 3), floats('w2', 3, 2), longs('one', 1), longs('all', 2 ** 31), longs('axis', 1)],
  };
  const { groups, leftOut } = await canonicalNet(net);
  assert.deepEqual(groups, []);
  assert.match(leftOut.find(({ tensor }) => tensor === 'w1')!.reason, /cut inside a unit/);
});

test('Gather: what is picked by index keeps its order; the rows of an embedding carry units', async () => {
  await assertGroups(dense([node('Gather', 'h picked', 'g', { axis: { int: 1 } })], [longs('picked', 0, 2, 5)], 3), {
    groups: [],
    leftOut: {
      w1: `axis 0: picked by index; axis 1: ${IN}`,
      w2: `axis 0: ${OUT}; axis 1: an index`,
    },
  });
  const net: Net = {
    inputs: [{ name: 'words', dtype: 'I64', shape: [4] }],
    outputs: [value('y', 4, 3)],
    nodes: [node('Gather', 'table words', 'e'), node('Relu', 'e', 'g'), node('MatMul', 'g w2', 'y')],
    tensors: [floats('table', 7, 6), floats('w2', 6, 3)],
  };
  await assertGroups(net, { groups: ['6 positive: table.1 → w2.1'] });
});

test('Pad of the picture leaves channels; channels of zeros stand behind them; Resize keeps them', async () => {
  await assertGroups(image([node('Pad', 'h pads', 'g')], [longs('pads', 0, 0, 1, 1, 0, 0, 1, 1)]), channels);
  await assertGroups(dense([node('Pad', 'h pads', 'g')], [longs('pads', 0, 1, 0, 1)], 8), {
    groups: ['6 any: w1.0 → w2.1@1'],
  });
  const reflected = dense(
    [node('Pad', 'h pads', 'g', { mode: { string: 'reflect' } })],
    [longs('pads', 0, 1, 0, 1)],
    8,
  );
  await assertGroups(reflected, {
    groups: [],
    leftOut: { w1: `axis 0: padded; axis 1: ${IN}`, w2: `axis 0: ${OUT}; axis 1: meets an axis of unknown size` },
  });
  await assertGroups(
    image(
      [node('Resize', 'h _ scales', 'g', { mode: { string: 'nearest' } })],
      [{ name: 'scales', dtype: 'F32', shape: [4], values: [1, 1, 2, 2] }],
    ),
    { ...channels, leftOut: { scales: 'axis 0: no stored weight takes these units in' } },
  );
});

test('a residual whose shorter side is filled with zeros ties what it adds to, and nothing else', async () => {
  const residual = (fill: Net['nodes'], ...more: Net['tensors']): Net => ({
    inputs: [value('x', 4, 5)],
    outputs: [value('y', 4, 3)],
    nodes: [
      node('MatMul', 'x w1', 'h'),
      ...fill,
      node('MatMul', 'h w2', 'm'),
      node('Add', 'm wide', 's'),
      node('Relu', 's', 'g'),
      node('MatMul', 'g w3', 'y'),
    ],
    tensors: [floats('w1', 5, 6), floats('w2', 6, 8), floats('w3', 8, 3), ...more],
  });
  const pads = longs('pads', 0, 0, 0, 2);
  const six = '6 positive: w1.0 w2.0 → w2.1 w3.1';
  const groups = [six, '2 positive: w2.0@6 → w3.1@6'];
  await assertGroups(residual([node('Pad', 'h pads', 'wide')], pads), { groups });
  const joined = [node('ConstantOfShape', 'two', 'zeros'), node('Concat', 'h zeros', 'wide', { axis: { int: 1 } })];
  await assertGroups(residual(joined, longs('two', 4, 2)), { groups });
  // Any number may fill the places; only a zero bears a scale.
  await assertGroups(residual([node('Pad', 'h pads one', 'wide')], pads, floats('one', 1)), {
    groups: [six, '2 none: w2.0@6 → w3.1@6'],
  });
});
