/** Facts from statements: statements in, value and how it is known out. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FactValue } from './condition.js';
import { factOf } from './derive.js';
import type { Attribute } from './law.js';
import { loadLaw } from './load-law.js';
import { partsOf, settingOf } from './matrix.js';
import { loadMeasures } from './measures.js';
import { registerOf } from './register.js';
import { answer, digestOf, ledgerOf, type Said } from './testing/statements.js';

const law = loadLaw();
const measures = loadMeasures();

const set = (predicate: Said['predicate']): Said => ({ kind: 'training-set', name: 'fleet.csv', predicate });
const model = (predicate: Said['predicate']): Said => ({ kind: 'model', name: 'failure.onnx', predicate });
const release = (recipient: string): Said => ({
  kind: 'release',
  predicate: { recipient, model: { name: 'failure.onnx', sha256: digestOf('failure.onnx') } },
});
const terms = (predicate: Said['predicate']): Said => ({
  kind: 'terms',
  predicate: { kind: 'confidentiality', parties: ['Delta Pumps'], signed: '2026-01-01', clauses: {}, ...predicate },
});
const measure = (id: string, more: Said['predicate'] = {}): Said => ({
  kind: 'measure',
  predicate: { measure: id, state: 'in-force', on: '2026-10-01', ...more },
});

/** name, statements (the first is the asset), fact, value (null: not known), how, part of a data set */
const rows: readonly [string, readonly Said[], string, FactValue | null, string?, Attribute?][] = [
  [
    'a connected product by how it was obtained',
    [set({ how: { way: 'connected-product' } })],
    'connected-product',
    true,
    'stated',
  ],
  ['own sensors may be either', [set({ how: { way: 'own-sensors' } })], 'connected-product', null],
  [
    'an answer about the asset goes first',
    [set({ how: { way: 'connected-product' } }), answer('connected-product', false, 'fleet.csv')],
    'connected-product',
    false,
    'answered',
  ],
  [
    'a statement goes before an answer for the room',
    [set({ how: { way: 'connected-product' } }), answer('connected-product', false)],
    'connected-product',
    true,
    'stated',
  ],
  [
    'an answer for the room stands in',
    [set({}), answer('connected-product', false)],
    'connected-product',
    false,
    'answered',
  ],
  [
    'the later answer counts',
    [set({}), answer('connected-product', false), answer('connected-product', true)],
    'connected-product',
    true,
    'answered',
  ],
  [
    'null takes an answer back',
    [set({}), answer('connected-product', false), answer('connected-product', null)],
    'connected-product',
    null,
  ],
  [
    'a part says it for itself',
    [set({ how: { way: 'own-sensors' }, parts: { synthetic: { how: { way: 'simulated' } } } })],
    'data-origin',
    'simulated',
    'stated',
    'synthetic',
  ],
  [
    'investment in creation does not count',
    [set({ effort: { creation: { hours: 100 } } })],
    'investment-recorded',
    false,
    'not-shown',
  ],
  [
    'investment in verification does',
    [set({ effort: { verification: { hours: 1 } } })],
    'investment-recorded',
    true,
    'shown',
  ],
  [
    'nothing spent is no investment',
    [set({ effort: { verification: { hours: 0 } } })],
    'investment-recorded',
    false,
    'not-shown',
  ],
  [
    'what has to be shown cannot be answered',
    [set({}), answer('investment-recorded', true, 'fleet.csv')],
    'investment-recorded',
    false,
    'not-shown',
  ],
  ['effort of any kind has value', [set({ effort: { creation: { hours: 100 } } })], 'commercial-value', true, 'stated'],
  ['complete on the day it says', [set({ made: { to: '2026-02-01' } })], 'completed-on', '2026-02-01', 'stated'],
  ['else on the day of the first statement', [set({})], 'completed-on', '2026-03-01', 'stated'],
  [
    'labels that are judgements',
    [set({ parts: { labels: { nature: 'judgement' } } })],
    'labels-nature',
    'subjective',
    'stated',
    'labels',
  ],
  ['columns are an arrangement', [set({ columns: ['a'] })], 'systematic-arrangement', true, 'stated'],
  ['authors are named', [set({ authors: [{ name: 'A. Maker' }] })], 'human-authors-named', true, 'shown'],
  [
    'but what they chose is not said',
    [set({ authors: [{ name: 'A. Maker' }] })],
    'human-choices-recorded',
    false,
    'not-shown',
  ],
  [
    'a part of an author is a choice recorded',
    [set({ authors: [{ name: 'A. Maker', part: 'labels' }] })],
    'human-choices-recorded',
    true,
    'shown',
  ],
  [
    'employees are bound',
    [set({ authors: [{ name: 'A. Maker', relation: 'employee' }] })],
    'authors-bound',
    true,
    'stated',
  ],
  [
    'a contractor without a registered assignment is asked about',
    [set({ authors: [{ name: 'A. Maker', relation: 'contractor' }] })],
    'authors-bound',
    null,
  ],
  [
    'a contractor with one is bound',
    [
      set({ authors: [{ name: 'A.  maker', relation: 'contractor' }] }),
      terms({ kind: 'assignment', parties: ['A. Maker'] }),
    ],
    'authors-bound',
    true,
    'stated',
  ],
  ['a model is made by a machine', [model({})], 'made-by', 'machine', 'stated'],
  [
    'unless somebody says otherwise',
    [model({}), answer('made-by', 'human-with-ai', 'failure.onnx')],
    'made-by',
    'human-with-ai',
    'answered',
  ],
  ['public by its level', [set({ confidentiality: { level: 'public' } })], 'published', true, 'stated'],
  ['secret by its level', [set({ confidentiality: { level: 'secret' } })], 'published', false, 'stated'],
  ['internal says neither', [set({ confidentiality: { level: 'internal' } })], 'published', null],
  ['published on a day to come', [set({ published: '2027-01-01' })], 'published', false, 'stated'],
  ['published is generally known', [set({ published: '2026-01-01' })], 'generally-known', true, 'stated'],
  ['no one has it', [model({})], 'recipients-bound', 'not-shared', 'not-shown'],
  ['a copy without terms', [model({}), release('Delta Pumps')], 'recipients-bound', 'some-unbound', 'shown'],
  ['a copy under terms', [model({}), release('Delta Pumps'), terms({})], 'recipients-bound', 'all-bound', 'shown'],
  [
    'terms that have ended',
    [model({}), release('Delta Pumps'), terms({ until: '2026-02-01' })],
    'recipients-bound',
    'some-unbound',
    'shown',
  ],
  [
    'secrecy that outlasts them',
    [model({}), release('Delta Pumps'), terms({ until: '2026-02-01', secrecyUntil: '2030-01-01' })],
    'recipients-bound',
    'all-bound',
    'shown',
  ],
  [
    'terms about something else',
    [model({}), release('Delta Pumps'), terms({ assets: [digestOf('fleet.csv')] })],
    'recipients-bound',
    'some-unbound',
    'shown',
  ],
  [
    'one recipient of two',
    [model({}), release('Delta Pumps'), release('Omega'), terms({})],
    'recipients-bound',
    'some-unbound',
    'shown',
  ],
  [
    'shared by what the asset says',
    [set({ confidentiality: { level: 'secret', shared: [{ with: 'Omega' }] } })],
    'recipients-bound',
    'some-unbound',
    'shown',
  ],
  [
    'a clause in all terms',
    [model({}), terms({ clauses: { reverseEngineering: true } })],
    'reverse-engineering-clause',
    true,
    'shown',
  ],
  [
    'a clause in one of two',
    [model({}), terms({ clauses: { reverseEngineering: true } }), terms({})],
    'reverse-engineering-clause',
    false,
    'not-shown',
  ],
  [
    'terms that name their secrets',
    [model({}), terms({ scope: 'the failure model' })],
    'terms-specific',
    true,
    'stated',
  ],
  [
    'one catch-all among them',
    [model({}), terms({ scope: 'the failure model' }), terms({ scope: 'any and all information' })],
    'terms-specific',
    false,
    'stated',
  ],
  ['no terms, no answer', [model({})], 'terms-specific', null],
  [
    'what runs on own servers stays there',
    [model({}), answer('runs-where', 'own-servers')],
    'shipped-in-clear',
    false,
    'stated',
  ],
  ['released copies can be read', [model({}), release('Delta Pumps')], 'shipped-in-clear', true, 'stated'],
  ['no measure', [model({ confidentiality: { level: 'secret' } })], 'reasonable-measures', 'none', 'not-shown'],
  [
    'one measure',
    [model({ confidentiality: { level: 'secret' } }), measure('M03')],
    'reasonable-measures',
    'some',
    'shown',
  ],
  [
    'the core of them',
    [model({ confidentiality: { level: 'secret' } }), measure('M03'), measure('M04'), measure('M11')],
    'reasonable-measures',
    'core',
    'shown',
  ],
  [
    'one of them has ended',
    [
      model({ confidentiality: { level: 'secret' } }),
      measure('M03'),
      measure('M04'),
      measure('M11'),
      measure('M11', { state: 'ended', on: '2026-11-01' }),
    ],
    'reasonable-measures',
    'some',
    'shown',
  ],
  [
    'one of them is stale',
    [
      model({ confidentiality: { level: 'secret' } }),
      measure('M03'),
      measure('M04'),
      measure('M11', { on: '2019-01-01' }),
    ],
    'reasonable-measures',
    'some',
    'shown',
  ],
  ['encryption holds access back', [model({}), measure('M11')], 'electronic-access-control', true, 'shown'],
  ['a filing', [model({}), answer('patent-filed-on', '2026-05-05', 'failure.onnx')], 'patent-filed', true, 'shown'],
  [
    'a filing to come',
    [model({}), answer('patent-filed-on', '2027-05-05', 'failure.onnx')],
    'patent-filed',
    false,
    'not-shown',
  ],
  [
    'novelty is judged on the day of filing',
    [model({}), answer('patent-filed-on', '2026-05-05', 'failure.onnx')],
    'priority-date',
    '2026-05-05',
    'stated',
  ],
  ['or today', [model({})], 'priority-date', '2026-11-22', 'stated'],
];

for (const [name, said, fact, value, how, attribute] of rows) {
  test(`${fact}: ${name}`, () => {
    const register = registerOf(ledgerOf(said));
    const parts = partsOf(register.registry.assets[0]!);
    const subject = parts.find((one) => attribute === undefined || one.attribute === attribute)!;
    const known = factOf(law.facts.get(fact)!, subject, settingOf(measures, register, '2026-11-22'));
    assert.equal(known?.value ?? null, value);
    if (value !== null) assert.equal(known!.how, how);
    if (known !== null && (known.how === 'answered' || known.how === 'shown'))
      assert.ok(known.statements.length > 0 || value === 'some-unbound');
  });
}

test('a supposed fact goes before all others', () => {
  const register = registerOf(ledgerOf([set({ how: { way: 'connected-product' } })]));
  const setting = settingOf(measures, register, '2026-11-22', new Map([['connected-product', false]]));
  const known = factOf(law.facts.get('connected-product')!, partsOf(register.registry.assets[0]!)[0]!, setting);
  assert.deepEqual(known, { value: false, how: 'supposed', statements: [], field: null });
});

test('what is withdrawn says nothing any more', () => {
  const said = ledgerOf([set({}), answer('connected-product', false), { kind: 'withdrawal', predicate: {} }]);
  const withdrawal = { ...said[2]!, predicate: { withdraws: said[1]!.sha256, reason: 'wrong' } };
  const register = registerOf([said[0]!, said[1]!, withdrawal]);
  const setting = settingOf(measures, register, '2026-11-22');
  assert.equal(factOf(law.facts.get('connected-product')!, partsOf(register.registry.assets[0]!)[0]!, setting), null);
});
