import { test } from 'node:test';
import { assertGroups, dense, floats, image, type Net, node, value } from './testing/nets.js';

test('MatMul: rows of one weight, bias, columns of the next', async () => {
  await assertGroups(dense([node('Add', 'h b1', 'a'), node('Relu', 'a', 'g')], [floats('b1', 6)]), {
    groups: ['6 positive: w1.0 b1.0 → w2.1'],
  });
});

test('a product of two activations makes no group: no stored weight takes the units in', async () => {
  const net: Net = {
    inputs: [value('x', 4, 5)],
    outputs: [value('y', 4, 4)],
    nodes: [
      node('MatMul', 'x q', 'a'),
      node('MatMul', 'x k', 'b'),
      node('Transpose', 'b', 't', { perm: { ints: [1, 0] } }),
      node('MatMul', 'a t', 'y'),
    ],
    tensors: [floats('q', 5, 6), floats('k', 5, 6)],
  };
  await assertGroups(net, {
    groups: [],
    leftOut: {
      q: 'axis 0: no stored weight takes these units in; axis 1: an input of the graph',
      k: 'axis 0: no stored weight takes these units in; axis 1: an input of the graph',
    },
  });
});

for (const [transA, transB] of [
  [0, 0],
  [0, 1],
  [1, 0],
  [1, 1],
] as const) {
  test(`Gemm with transA ${transA}, transB ${transB}`, async () => {
    const attributes = { transA: { int: transA }, transB: { int: transB }, alpha: { float: 0.5 } };
    const net: Net = {
      inputs: [value('x', ...(transA ? [5, 4] : [4, 5]))],
      outputs: [value('y', 4, 3)],
      nodes: [
        node('Gemm', 'x w1 b1', 'h', attributes),
        node('LeakyRelu', 'h', 'a'),
        ...(transA ? [node('Transpose', 'a', 'g', { perm: { ints: [1, 0] } })] : [node('Identity', 'a', 'g')]),
        node('Gemm', 'g w2 b2', 'y', attributes),
      ],
      tensors: [
        floats('w1', ...(transB ? [6, 5] : [5, 6])),
        floats('b1', 6),
        floats('w2', ...(transB ? [3, 6] : [6, 3])),
        floats('b2', 3),
      ],
    };
    await assertGroups(net, {
      groups: ['6 positive: w1.0 b1.0 → w2.1'],
      leftOut: { b2: 'axis 0: an output of the model' },
    });
  });
}

test('Gemm with the weight on the left: its rows are the units', async () => {
  const net: Net = {
    inputs: [value('x', 5, 4)],
    outputs: [value('y', 3, 4)],
    nodes: [node('Gemm', 'w1 x', 'h'), node('Relu', 'h', 'g'), node('Gemm', 'w2 g', 'y')],
    tensors: [floats('w1', 6, 5), floats('w2', 3, 6)],
  };
  await assertGroups(net, { groups: ['6 positive: w1.0 → w2.1'] });
});

test('Conv: output channels with their bias, input channels of the next', async () => {
  await assertGroups(
    image(
      [node('Conv', 'h k b', 'c', { pads: { ints: [1, 1, 1, 1] } }), node('Relu', 'c', 'g')],
      [floats('k', 6, 6, 3, 3), floats('b', 6)],
    ),
    { groups: ['6 any: k1.0 → k.1', '6 positive: k.0 b.0 → k2.1'] },
  );
});

test('Conv without static sizes of the image', async () => {
  const net: Net = {
    ...image([node('Relu', 'h', 'g')]),
    inputs: [value('x', 'batch', 3, 'height', 'width')],
  };
  await assertGroups(net, { groups: ['6 positive: k1.0 → k2.1'] });
});

test('a depthwise convolution carries its channels on', async () => {
  await assertGroups(
    image(
      [node('Conv', 'h d b', 'g', { group: { int: 6 }, pads: { ints: [1, 1, 1, 1] } })],
      [floats('d', 6, 1, 3, 3), floats('b', 6)],
    ),
    { groups: ['6 none: k1.0 d.0 b.0 → k2.1'] },
  );
});

test('a grouped convolution pins both sides: only blocks of channels may move, and only together', async () => {
  await assertGroups(
    image(
      [node('Conv', 'h k b', 'g', { group: { int: 2 }, pads: { ints: [1, 1, 1, 1] } })],
      [floats('k', 6, 3, 3, 3), floats('b', 6)],
    ),
    {
      groups: [],
      leftOut: {
        k1: 'axis 0: grouped convolution; axis 1: an input of the graph; axis 2: a spatial axis; axis 3: a spatial axis',
        k: 'axis 0: grouped convolution; axis 1: grouped convolution; axis 2: a spatial axis; axis 3: a spatial axis',
        b: 'axis 0: grouped convolution',
        k2: 'axis 0: an output of the model; axis 1: grouped convolution',
      },
    },
  );
});

test('ConvTranspose: inputs on the first axis, outputs on the second; grouped ones are pinned', async () => {
  const up = (attributes: Parameters<typeof node>[3]) =>
    image(
      [node('ConvTranspose', 'h t b', 'g', { strides: { ints: [2, 2] }, ...attributes })],
      [floats('t', 6, attributes?.group ? 3 : 6, 2, 2), floats('b', 6)],
    );
  await assertGroups(up({}), { groups: ['6 any: k1.0 → t.1', '6 any: t.0 b.0 → k2.1'] });
  const pinned = 'ConvTranspose is not proven to keep its units apart';
  await assertGroups(up({ group: { int: 2 } }), {
    groups: [],
    leftOut: {
      k1: `axis 0: ${pinned}; axis 1: an input of the graph; axis 2: a spatial axis; axis 3: a spatial axis`,
      t: `axis 0: ${pinned}; axis 1: ${pinned}; axis 2: ${pinned}; axis 3: ${pinned}`,
      b: `axis 0: ${pinned}`,
      k2: 'axis 0: an output of the model; axis 1: meets an axis of unknown size',
    },
  });
});

test('pooling keeps channels; a mean keeps signs too; global pooling, flattened, feeds a dense layer', async () => {
  const window = { kernel_shape: { ints: [2, 2] }, strides: { ints: [2, 2] } };
  await assertGroups(image([node('MaxPool', 'h', 'g', window)]), { groups: ['6 positive: k1.0 → k2.1'] });
  await assertGroups(image([node('AveragePool', 'h', 'g', window)]), { groups: ['6 any: k1.0 → k2.1'] });
  const net: Net = {
    ...image([]),
    outputs: [value('y', 2, 3)],
    nodes: [
      node('Conv', 'x k1', 'h'),
      node('GlobalAveragePool', 'h', 'p'),
      node('Flatten', 'p', 'f'),
      node('MatMul', 'f w', 'y'),
    ],
    tensors: [floats('k1', 6, 3, 3, 3), floats('w', 6, 3)],
  };
  await assertGroups(net, { groups: ['6 any: k1.0 → w.1'] });
});

test('indices beside a maximum would carry the units away', async () => {
  const net = image([
    node('MaxPool', 'h', 'g indices', { kernel_shape: { ints: [2, 2] } }),
    node('Cast', 'indices', 'as_float', { to: { int: 1 } }),
  ]);
  const outputs = [...net.outputs, value('as_float', 2, 6, 7, 7)];
  const pinned = 'an output of MaxPool is not proven to keep its units apart';
  await assertGroups(
    { ...net, outputs },
    {
      groups: [],
      leftOut: {
        k1: `axis 0: ${pinned}; axis 1: an input of the graph; axis 2: a spatial axis; axis 3: a spatial axis`,
        k2: `axis 0: an output of the model; axis 1: ${pinned}`,
      },
    },
  );
});

/** x [6 steps, 2, 5] → LSTM of 4 units → its last hidden state → w2. */
function recurrent(op: 'LSTM' | 'GRU' | 'RNN', states: 'none' | 'inputs' | 'outputs'): Net {
  const gates = { LSTM: 4, GRU: 3, RNN: 1 }[op];
  const cell = op === 'LSTM';
  const initial = states === 'inputs' ? (cell ? ' _ h0 c0' : ' _ h0') : '';
  return {
    inputs: [
      value('x', 6, 2, 5),
      ...(states === 'inputs' ? [value('h0', 1, 2, 4), ...(cell ? [value('c0', 1, 2, 4)] : [])] : []),
    ],
    outputs: [value('y', 2, 3), ...(states === 'outputs' ? [value('last', 1, 2, 4)] : [])],
    nodes: [
      node(op, `x w r b${initial}`, cell ? '_ last cell' : '_ last', { hidden_size: { int: 4 } }),
      node('Squeeze', 'last axis', 's'),
      node('MatMul', 's w2', 'y'),
    ],
    tensors: [
      floats('w', 1, gates * 4, 5),
      floats('r', 1, gates * 4, 4),
      floats('b', 1, gates * 8),
      { name: 'axis', dtype: 'I64', shape: [1], values: [0] },
      floats('w2', 4, 3),
    ],
  };
}

const repeated = (name: string, times: number): string =>
  Array.from({ length: times }, (_, k) => `${name}.0${k === 0 ? '' : `@${4 * k}`}`).join(' ');

for (const [op, gates] of [
  ['LSTM', 4],
  ['GRU', 3],
  ['RNN', 1],
] as const) {
  test(`${op}: the rows of every gate, both biases and the recurrence's columns are the hidden units`, async () => {
    await assertGroups(recurrent(op, 'none'), {
      groups: [`4 none: ${repeated('w', gates)} ${repeated('r', gates)} ${repeated('b', 2 * gates)} → r.1 w2.1`],
    });
  });
}

test('LSTM whose states are inputs or outputs of the graph: who calls it knows the order', async () => {
  const pinnedBy = (reason: string) => ({
    groups: [],
    leftOut: {
      w: `axis 0: ${reason}; axis 1: an input of the graph`,
      r: `axis 0: ${reason}; axis 1: ${reason}`,
      b: `axis 0: ${reason}`,
      w2: `axis 0: an output of the model; axis 1: ${reason}`,
    },
  });
  await assertGroups(recurrent('LSTM', 'inputs'), pinnedBy('an input of the graph'));
  await assertGroups(recurrent('LSTM', 'outputs'), pinnedBy('an output of the model'));
});

test('a bidirectional LSTM is not followed', async () => {
  const one = recurrent('LSTM', 'none');
  const net: Net = {
    ...one,
    nodes: [
      node('LSTM', 'x w r b', 'all', { hidden_size: { int: 4 }, direction: { string: 'bidirectional' } }),
      node('ReduceMean', 'all', 'm', { axes: { ints: [0, 1] }, keepdims: { int: 0 } }),
      node('MatMul', 'm w2', 'y'),
    ],
    tensors: [floats('w', 2, 16, 5), floats('r', 2, 16, 4), floats('b', 2, 32), floats('w2', 4, 3)],
  };
  const pinned = (op: string) => `axis 0: ${op} is not proven to keep its units apart`;
  const both = (op: string) => `${pinned(op)}; ${pinned(op).replace('0', '1')}`;
  await assertGroups(net, {
    groups: [],
    // Behind it not even the rank is known, so that the product after it proves nothing either.
    leftOut: { w: both('LSTM'), r: both('LSTM'), b: pinned('LSTM'), w2: both('MatMul') },
  });
});
