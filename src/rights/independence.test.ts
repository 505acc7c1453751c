import assert from 'node:assert/strict';
import { test } from 'node:test';
import { independenceOf } from './independence.js';
import { registerOf } from './register.js';
import { digestOf, ledgerOf, type Said } from './testing/statements.js';

const link = (relation: string, name: string) => ({ relation, sha256: digestOf(name), name });
const said: readonly Said[] = [
  { kind: 'training-set', name: 'fleet.csv', predicate: { how: { way: 'own-sensors' }, made: { to: '2026-01-10' } } },
  { kind: 'code', name: 'train', predicate: { commit: 'a1b2c3d4e5f60718', made: { to: '2026-01-12' } } },
  { kind: 'training-parameters', name: 'run 1', predicate: { parameters: { seed: 7, epochs: 30 } } },
  {
    kind: 'model',
    name: 'failure.onnx',
    predicate: {
      made: { from: '2026-02-01', to: '2026-02-02' },
      authors: [{ name: 'A. Maker', relation: 'employee', part: 'ran it' }],
      links: [
        link('trained-on', 'fleet.csv'),
        link('made-with', 'train'),
        link('parameters', 'run 1'),
        link('derived-from', 'nobody knows'),
      ],
    },
  },
  { kind: 'model', name: 'other.onnx', predicate: {} },
  {
    kind: 'prior-search',
    predicate: {
      on: '2026-03-01',
      where: ['a database'],
      terms: ['bearing failure'],
      found: [],
      asset: digestOf('failure.onnx'),
    },
  },
];

const register = registerOf(ledgerOf(said));
const model = register.registry.byName('failure.onnx')[0]!;

test('the log leads from the model to what it was made from, oldest first, and to nothing else', () => {
  const { steps, dangling } = independenceOf(register, model, () => null);
  assert.deepEqual(
    steps.map((step) => [step.asset.name, step.path.join(' ')]),
    [
      ['fleet.csv', 'trained-on'],
      ['train', 'made-with'],
      ['failure.onnx', ''],
      ['run 1', 'parameters'],
    ],
  );
  assert.deepEqual(dangling, [{ from: 'failure.onnx', relation: 'derived-from', sha256: digestOf('nobody knows') }]);
});

test('a court’s questions are shown with the statement, or missing with what to do', () => {
  const { items, searches } = independenceOf(register, model, () => null);
  const state = Object.fromEntries(items.map((one) => [one.id, one.state]));
  assert.deepEqual(
    ['training-set', 'data-source', 'code', 'training-parameters', 'period', 'operator', 'choices'].map(
      (id) => state[id],
    ),
    Array(7).fill('shown'),
  );
  assert.deepEqual(
    ['environment', 'checkpoints', 'outside-time', 'custodian'].map((id) => state[id]),
    Array(4).fill('missing'),
  );
  for (const item of items) {
    assert.ok(item.says.length > 0 && item.authority.length > 0, item.id);
    assert.equal(item.statements.length > 0, item.state === 'shown', item.id);
  }
  assert.equal(searches.length, 1);
});

test('a stamp by someone else answers for the day', () => {
  const { items } = independenceOf(register, model, () => ({ time: '2026-03-02T10:00:00Z', authority: 'tsa' }));
  assert.equal(items.find((one) => one.id === 'outside-time')!.state, 'shown');
});

test('only a model has a creation log', () => {
  assert.throws(() => independenceOf(register, register.registry.byName('fleet.csv')[0]!, () => null), {
    code: 'INDEPENDENCE_NOT_A_MODEL',
  });
});

test('links that go round in a circle end', () => {
  const circle = registerOf(
    ledgerOf([
      { kind: 'model', name: 'a', predicate: { links: [link('derived-from', 'b')] } },
      { kind: 'model', name: 'b', predicate: { links: [link('derived-from', 'a')] } },
    ]),
  );
  assert.equal(independenceOf(circle, circle.registry.byName('a')[0]!, () => null).steps.length, 2);
});
