import { test } from 'node:test';
import { assertGroups, dense, floats, image, longs, type Net, node, positives, scalar, value } from './testing/nets.js';

const one = (scaling: string) => ({ groups: [`6 ${scaling}: w1.0 → w2.1`] });

for (const [op, scaling] of [
  ['Relu', 'positive'],
  ['LeakyRelu', 'positive'],
  ['Neg', 'any'],
  ['Identity', 'any'],
  ['Sigmoid', 'none'],
  ['Tanh', 'none'],
  ['Elu', 'none'],
  ['Softplus', 'none'],
  ['HardSwish', 'none'],
  ['Abs', 'none'],
  ['Erf', 'none'],
] as const) {
  test(`${op} acts on each unit alone; scale: ${scaling}`, async () => {
    await assertGroups(dense([node(op, 'h', 'g')]), one(scaling));
  });
}

test('Clip with stored bounds, Cast to integers and back, Dropout', async () => {
  const bounds = [scalar('low', 'F32', 0), scalar('high', 'F32', 6)];
  await assertGroups(dense([node('Clip', 'h low high', 'g')], bounds), one('none'));
  await assertGroups(
    dense([node('Cast', 'h', 'i', { to: { int: 7 } }), node('Cast', 'i', 'g', { to: { int: 1 } })]),
    one('none'),
  );
  await assertGroups(dense([node('Dropout', 'h', 'g')]), one('any'));
});

test('PRelu: one slope a channel moves with it', async () => {
  await assertGroups(image([node('PRelu', 'h slope', 'g')], [positives('slope', 6, 1, 1)]), {
    groups: ['6 none: k1.0 slope.0 → k2.1'],
  });
});

test('what is broadcast along the units moves with them; what is one number for all does not', async () => {
  await assertGroups(dense([node('Mul', 'h gain', 'g')], [floats('gain', 1, 6)]), {
    groups: ['6 none: w1.0 gain.0 → w2.1'],
  });
  await assertGroups(dense([node('Mul', 'h half', 'g')], [scalar('half', 'F32', 0.5)]), one('any'));
  await assertGroups(dense([node('Add', 'h half', 'g')], [scalar('half', 'F32', 0.5)]), one('none'));
  await assertGroups(dense([node('Div', 'h half', 'g')], [scalar('half', 'F32', 0.5)]), one('any'));
  await assertGroups(image([node('Add', 'h b', 'g')], [floats('b', 6, 1, 1)]), {
    groups: ['6 any: k1.0 b.0 → k2.1'],
  });
});

test('what stands below a division scales the other way: no scale is moved through', async () => {
  const half = [scalar('half', 'F32', 0.5)];
  await assertGroups(dense([node('Div', 'half h', 'g')], half), one('none'));
  await assertGroups(dense([node('MatMul', 'x w', 'm'), node('Div', 'm h', 'g')], [floats('w', 5, 6)]), {
    groups: ['6 none: w1.0 w.0 → w2.1'],
  });
});

test('a residual sum ties what it adds: both makers are incoming, what takes them in moves once', async () => {
  await assertGroups(
    dense([node('Relu', 'h', 'r'), node('MatMul', 'r w', 'm'), node('Add', 'h m', 'g')], [floats('w', 6, 6)]),
    { groups: ['6 positive: w1.0 w.0 → w.1 w2.1'] },
  );
});

test('a residual to the input pins the units: they are the input', async () => {
  const net: Net = {
    inputs: [value('x', 4, 6)],
    outputs: [value('y', 4, 3)],
    nodes: [
      node('MatMul', 'x w1', 'h'),
      node('Relu', 'h', 'r'),
      node('MatMul', 'r w', 'm'),
      node('Add', 'x m', 'g'),
      node('MatMul', 'g w2', 'y'),
    ],
    tensors: [floats('w1', 6, 8), floats('w', 8, 6), floats('w2', 6, 3)],
  };
  await assertGroups(net, {
    groups: ['8 positive: w1.0 → w.1'],
    leftOut: { w2: 'axis 0: an output of the model; axis 1: an input of the graph' },
  });
});

test('a gate of the same units, and one of one number a row', async () => {
  await assertGroups(
    dense([node('MatMul', 'x w', 'p'), node('Sigmoid', 'p', 's'), node('Mul', 'h s', 'g')], [floats('w', 5, 6)]),
    { groups: ['6 none: w1.0 w.0 → w2.1'] },
  );
  await assertGroups(
    dense([node('MatMul', 'x w', 'p'), node('Sigmoid', 'p', 's'), node('Mul', 'h s', 'g')], [floats('w', 5, 1)]),
    { groups: ['6 any: w1.0 → w2.1'], leftOut: { w: 'axis 1: an input of the graph' } },
  );
});

test('squeeze and excitation: the gate is of the same channels', async () => {
  await assertGroups(
    image(
      [
        node('GlobalAveragePool', 'h', 'p'),
        node('Conv', 'p down', 'd'),
        node('Relu', 'd', 'r'),
        node('Conv', 'r up', 'u'),
        node('HardSigmoid', 'u', 's'),
        node('Mul', 'h s', 'g'),
      ],
      [floats('down', 2, 6, 1, 1), floats('up', 6, 2, 1, 1)],
    ),
    { groups: ['6 none: k1.0 up.0 → down.1 k2.1', '2 positive: down.0 → up.1'] },
  );
});

test('Where, Max, Pow keep units apart without scales', async () => {
  await assertGroups(
    dense(
      [
        node('Greater', 'h level', 'c'),
        node('Where', 'c h level', 'a'),
        node('Max', 'a least', 'm'),
        node('Pow', 'm two', 'g'),
      ],
      [floats('level', 6), scalar('least', 'F32', -0.25), scalar('two', 'F32', 2)],
    ),
    { groups: ['6 none: w1.0 level.0 → w2.1'] },
  );
});

test('an operator without a rule pins its units', async () => {
  const reason = 'CumSum is not proven to keep its units apart';
  await assertGroups(dense([node('CumSum', 'h axis', 'g')], [{ ...longs('axis', 1), shape: [] }]), {
    groups: [],
    leftOut: {
      w1: `axis 0: ${reason}; axis 1: an input of the graph`,
      w2: 'axis 0: MatMul is not proven to keep its units apart; axis 1: MatMul is not proven to keep its units apart',
    },
  });
});
