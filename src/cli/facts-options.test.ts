import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Call } from './command.js';
import { factsFrom } from './facts-options.js';

const facts = (options: Call['options']) => factsFrom({ options } as Call);

test('options become facts', () => {
  assert.deepEqual(
    facts({
      name: 'gearbox',
      author: ['Ada Lovelace', 'Jan'],
      employer: 'Works',
      'made-to': '2026-03-02',
      how: 'own-sensors',
      source: 'bench 3',
      effort: ['obtaining=120h, 5000EUR,8xGPU A100', 'labelling=2.5h'],
      quality: ['f1=0.81@test.csv', 'rmse=1e-3'],
      confidentiality: 'secret',
      part: ['raw', 'labels'],
      parameter: ['epochs=50', 'rate=1e-3', 'shuffle=true', 'seed=0817', 'split=70/15/15'],
      link: ['trained-on=a=b.csv'],
    }),
    {
      name: 'gearbox',
      authors: [
        { name: 'Ada Lovelace', employer: 'Works' },
        { name: 'Jan', employer: 'Works' },
      ],
      made: { to: '2026-03-02' },
      how: { way: 'own-sensors', from: 'bench 3' },
      effort: {
        obtaining: { hours: 120, cost: 5000, currency: 'EUR', compute: { hours: 8, device: 'GPU A100' } },
        labelling: { hours: 2.5 },
      },
      quality: [
        { metric: 'f1', value: 0.81, on: 'test.csv' },
        { metric: 'rmse', value: 0.001 },
      ],
      confidentiality: { level: 'secret' },
      parts: { raw: {}, labels: {} },
      // A number with a leading zero is a name, not a number.
      parameters: { epochs: 50, rate: 0.001, shuffle: true, seed: '0817', split: '70/15/15' },
      links: [{ relation: 'trained-on', to: 'a=b.csv' }],
    },
  );
  assert.deepEqual(facts({}), {});
});

test('a form that is not met is a usage error that shows the form', () => {
  const bad: Call['options'][] = [
    { effort: ['120h'] },
    { effort: ['obtainig=120h'] },
    { effort: ['obtaining=120 hours'] },
    { effort: ['obtaining=5000'] },
    { effort: ['obtaining=5000eur'] },
    { quality: ['f1'] },
    { quality: ['f1=high@test'] },
    { quality: ['f1=0.8@'] },
    { link: ['trainedon=x'] },
    { parameter: ['epochs'] },
    { employer: 'Works' },
    { source: 'bench' },
  ];
  for (const options of bad) {
    assert.throws(() => facts(options), { code: 'OPTION_VALUE', kind: 'usage' }, JSON.stringify(options));
  }
});
