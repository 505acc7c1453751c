/** Names out of files that JavaScript gives a meaning: as operators, tensors and attributes they are names like any other. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { memorySource } from '../base/index.js';
import { buildSafetensors, openModel } from '../formats/index.js';
import { canonicalise } from './index.js';
import { canonicalNet, floats, groupText, type Net, node, value } from './testing/nets.js';

const NAMES = Object.getOwnPropertyNames(Object.prototype);

test('operators and attributes of any name leave the groups beside them as they are', async () => {
  for (const name of NAMES) {
    const net = {
      inputs: [value('x', 'n', 6)],
      outputs: [value('y', 'n', 6)],
      nodes: [
        node('MatMul', 'x first', 'h'),
        node('Relu', 'h', 'r'),
        node('MatMul', 'r second', 'z'),
        node(name, 'z', 'y', { [name]: { int: 1 } }),
      ],
      tensors: [floats('first', 6, 5), floats('second', 5, 6)],
    };
    const { groups } = await canonicalNet(net);
    assert.deepEqual(groups.map(groupText), ['5 positive: first.0 → second.1'], name);
  }
});

test('tensors of any name are written, read and told apart', async () => {
  const entry = (size: number) => ({ dtype: 'F32' as const, shape: [size], values: new Float32Array(size) });
  const entries = Object.fromEntries(NAMES.map((name, k) => [name, entry(k + 1)]));
  const model = await openModel(memorySource(buildSafetensors(entries), 'm.safetensors'));
  assert.deepEqual([...model.tensors.keys()].sort(), [...NAMES].sort());
  const { tensors } = await canonicalise(model);
  for (const [k, name] of NAMES.entries()) assert.deepEqual(tensors.get(name)?.shape, [k + 1], name);
});

test('weights of fewer axes than their operator takes are told apart from real ones', async () => {
  for (const op of ['ConvTranspose', 'Conv', 'MatMul', 'Gemm', 'LSTM', 'GRU']) {
    for (const domain of ['', 'other']) {
      const net: Net = {
        inputs: [value('x', 1, 4)],
        outputs: [value('y', 1, 4)],
        nodes: [node(op, 'x w', 'y', {}, domain)],
        tensors: [floats('w', 4)],
      };
      assert.deepEqual((await canonicalNet(net)).groups, [], `${domain} ${op}`);
    }
  }
});
