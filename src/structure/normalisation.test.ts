import { test } from 'node:test';
import { assertGroups, dense, floats, image, longs, node, positives } from './testing/nets.js';

const OUT = 'an output of the model';
const IN = 'an input of the graph';

test('BatchNormalization: four numbers a channel move with it; behind a convolution it folds', async () => {
  const tensors = [positives('gamma', 6), floats('beta', 6), floats('mean', 6), positives('var', 6)];
  await assertGroups(
    image([node('BatchNormalization', 'h gamma beta mean var', 'n'), node('Relu', 'n', 'g')], tensors),
    { groups: ['6 positive: k1.0 gamma.0 beta.0 mean.0 var.0 → k2.1'] },
  );
  // Behind a sum it cannot fold: what comes before and what comes after scale apart.
  await assertGroups(
    dense(
      [node('Add', 'h b', 'a'), node('BatchNormalization', 'a gamma beta mean var', 'n'), node('Relu', 'n', 'g')],
      [floats('b', 6), ...tensors],
    ),
    { groups: ['6 none: w1.0 b.0 gamma.0 beta.0 mean.0 var.0 → w2.1'] },
  );
});

test('LayerNormalization over the units; another axis is not proven', async () => {
  const tensors = [positives('scale', 6), floats('bias', 6)];
  await assertGroups(dense([node('LayerNormalization', 'h scale bias', 'g')], tensors), {
    groups: ['6 none: w1.0 scale.0 bias.0 → w2.1'],
  });
  const reason = 'LayerNormalization is not proven to keep its units apart';
  const wide = [positives('scale', 6, 8, 8)];
  await assertGroups(image([node('LayerNormalization', 'h scale', 'g', { axis: { int: 1 } })], wide), {
    groups: [],
    leftOut: {
      k1: `axis 0: ${reason}; axis 1: ${IN}; axis 2: a spatial axis; axis 3: a spatial axis`,
      scale: `axis 0: ${reason}; axis 1: ${reason}; axis 2: ${reason}`,
      k2: `axis 0: ${OUT}; axis 1: meets an axis of unknown size`,
    },
  });
});

test('InstanceNormalization: two numbers a channel', async () => {
  await assertGroups(
    image([node('InstanceNormalization', 'h scale bias', 'g')], [positives('scale', 6), floats('bias', 6)]),
    { groups: ['6 none: k1.0 scale.0 bias.0 → k2.1'] },
  );
});

test('Softmax over the units keeps them apart, their scales not', async () => {
  await assertGroups(dense([node('Softmax', 'h', 'g', { axis: { int: 1 } })]), {
    groups: ['6 none: w1.0 → w2.1'],
  });
  await assertGroups(image([node('Softmax', 'h', 'g', { axis: { int: 1 } })]), {
    groups: ['6 none: k1.0 → k2.1'],
  });
});

test('ReduceMean over positions keeps the channels; over the units it leaves none to take in', async () => {
  await assertGroups(image([node('ReduceMean', 'h', 'g', { axes: { ints: [2, 3] } })]), {
    groups: ['6 none: k1.0 → k2.1'],
  });
  await assertGroups(dense([node('ReduceMean', 'h', 'g', { axes: { ints: [1] } })], [], 1), {
    groups: [],
    leftOut: {
      w1: `axis 0: no stored weight takes these units in; axis 1: ${IN}`,
      w2: `axis 0: ${OUT}; axis 1: no units`,
    },
  });
});

test('units divided by their own norm: permutation does not touch it, a scale would', async () => {
  await assertGroups(dense([node('ReduceL2', 'h', 'l', { axes: { ints: [1] } }), node('Div', 'h l', 'g')]), {
    groups: ['6 none: w1.0 → w2.1'],
  });
  await assertGroups(
    { ...dense([node('ReduceSum', 'h axis', 's'), node('Sub', 'h s', 'g')], [longs('axis', 1)]) },
    { groups: ['6 none: w1.0 → w2.1'] },
  );
});
