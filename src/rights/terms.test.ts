import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Json } from '../base/index.js';
import { registerOf } from './register.js';
import { lintTerms } from './terms.js';
import { ledgerOf } from './testing/statements.js';

const all = { reverseEngineering: true, extraction: true, distillation: true, returnOrDestroy: true };

/** What the terms say, and the measures that the lint finds weak. */
const rows: readonly [string, Record<string, Json>, readonly string[]][] = [
  ['names its secrets and forbids what matters', { scope: 'the failure model and its training set', clauses: all }, []],
  ['everything, in English', { scope: 'all information of any kind that the parties exchange', clauses: all }, ['M06']],
  [
    'everything, in German',
    { scope: 'sämtliche internen Vorgänge und Angelegenheiten des Unternehmens', clauses: all },
    ['M06'],
  ],
  ['for ever', { scope: 'the failure model, in perpetuity', clauses: all }, ['M06']],
  ['everything, for ever', { scope: 'any and all data; unlimited in time', clauses: all }, ['M06', 'M06']],
  [
    'someone judged it specific',
    { scope: 'all information listed in annex 2', clauses: { ...all, specific: true } },
    [],
  ],
  ['someone judged it a catch-all', { scope: 'annex 2', clauses: { ...all, specific: false } }, ['M06']],
  ['no scope recorded', { clauses: all }, ['M06']],
  ['silent on reverse engineering', { scope: 'the model', clauses: { ...all, reverseEngineering: false } }, ['M07']],
  ['ends, and secrecy with it', { scope: 'the model', clauses: all, until: '2027-01-01' }, ['M05']],
  ['secrecy outlasts it', { scope: 'the model', clauses: all, until: '2027-01-01', secrecyUntil: '2032-01-01' }, []],
  ['US law without the notice', { scope: 'the model', clauses: all, governingLaw: 'US' }, ['M08']],
  ['US law with it', { scope: 'the model', clauses: { ...all, whistleBlowerNotice: true }, governingLaw: 'US' }, []],
  [
    'employment is asked for its scope only',
    { kind: 'employment', scope: 'all matters of the company', clauses: {} },
    ['M06'],
  ],
];

for (const [name, predicate, measures] of rows) {
  test(`terms: ${name}`, () => {
    const said = {
      kind: 'terms',
      predicate: { kind: 'confidentiality', parties: ['P'], signed: '2026-01-01', ...predicate },
    };
    const [terms] = registerOf(ledgerOf([said])).terms.all;
    assert.deepEqual(
      lintTerms(terms!).map((one) => one.measure),
      measures,
    );
  });
}
