/** Where the law is monotone, so is the engine: a statement that only adds evidence never lowers an answer. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Json } from '../base/index.js';
import { loadLaw } from './load-law.js';
import { matrixOf } from './matrix.js';
import { loadMeasures } from './measures.js';
import { answer, digestOf, ledgerOf, type Said, statementOf } from './testing/statements.js';

const law = loadLaw();
const measures = loadMeasures();
const ASOF = '2026-11-22';
const NAMES = { set: 'fleet.csv', model: 'failure.onnx', work: 'melody.mid' };

const effort = fc.record(
  { obtaining: fc.constant({ hours: 10 }), creation: fc.constant({ cost: 900, currency: 'EUR' }) },
  { requiredKeys: [] },
);
const set: fc.Arbitrary<Record<string, Json>> = fc.record(
  {
    how: fc.record({ way: fc.constantFrom('own-sensors', 'connected-product', 'collected', 'simulated') }),
    effort,
    country: fc.constantFrom('NL', 'GB', 'US'),
    confidentiality: fc.record({ level: fc.constantFrom('secret', 'confidential', 'internal', 'public') }),
    published: fc.constantFrom('2020-01-01', '2026-09-01'),
    made: fc.constantFrom({ to: '2005-01-01' }, { to: '2026-01-01' }),
  },
  { requiredKeys: [] },
) as fc.Arbitrary<Record<string, Json>>;
const answers = fc.array(
  fc.constantFrom<Said>(
    answer('published', false),
    answer('generally-known', false),
    answer('investment-substantial', true, NAMES.set),
    answer('investment-substantial', false, NAMES.set),
    answer('commercial-value', true),
    answer('technical-contribution', 'technical-purpose', NAMES.model),
    answer('human-inventor', true, NAMES.model),
    answer('shipped-in-clear', true, NAMES.model),
    answer('made-by', 'human', NAMES.work),
    answer('maker-place', 'NL'),
    answer('shared-regularly-with-specific-persons', true, NAMES.set),
  ),
  { maxLength: 8 },
);

const bound: Record<string, Json> = {
  kind: 'confidentiality',
  parties: ['Delta Pumps'],
  signed: '2026-01-01',
  scope: 'the failure model and its training set',
  clauses: { reverseEngineering: true, extraction: true, distillation: true, returnOrDestroy: true, specific: true },
};

/** Each only adds evidence. `on`: the statement that it corrects, 0 the set, 1 the model, 2 the work. */
const evidence: readonly {
  readonly name: string;
  readonly on?: 0 | 1 | 2;
  readonly add: Record<string, Json> | Said;
}[] = [
  {
    name: 'hours spent on obtaining',
    on: 0,
    add: { effort: { obtaining: { hours: 100, cost: 5000, currency: 'EUR' } } },
  },
  { name: 'columns', on: 0, add: { columns: ['vibration', 'torque'] } },
  {
    name: 'authors and what they chose',
    on: 2,
    add: { authors: [{ name: 'A. Maker', relation: 'employee', part: 'composed it' }] },
  },
  {
    name: 'who made the set, and the choices',
    on: 0,
    add: { authors: [{ name: 'B. Maker', relation: 'founder', part: 'chose the machines' }] },
  },
  { name: 'encryption', add: { kind: 'measure', predicate: { measure: 'M11', state: 'in-force', on: '2026-10-01' } } },
  {
    name: 'need-to-know',
    add: { kind: 'measure', predicate: { measure: 'M03', state: 'in-force', on: '2026-10-01' } },
  },
  {
    name: 'acknowledgements',
    add: { kind: 'measure', predicate: { measure: 'M04', state: 'in-force', on: '2026-10-01' } },
  },
  { name: 'terms with the recipient', add: { kind: 'terms', predicate: bound } },
  { name: 'a judgement that the investment is substantial', add: answer('investment-substantial', true, NAMES.set) },
];

test('a statement that only adds evidence never lowers an answer', () => {
  fc.assert(
    fc.property(set, set, answers, fc.boolean(), fc.constantFrom(...evidence), (a, b, given, released, one) => {
      const model: Record<string, Json> = { ...b, confidentiality: { level: 'secret' } };
      const base: Said[] = [
        { kind: 'training-set', name: NAMES.set, predicate: a },
        { kind: 'model', name: NAMES.model, predicate: model },
        { kind: 'creative-work', name: NAMES.work, predicate: {} },
        ...given,
        ...(released
          ? [
              {
                kind: 'release',
                predicate: { recipient: 'Delta Pumps', model: { name: NAMES.model, sha256: digestOf(NAMES.model) } },
              } as Said,
            ]
          : []),
      ];
      const extra: Said =
        one.on === undefined
          ? (one.add as Said)
          : {
              kind: base[one.on]!.kind,
              name: base[one.on]!.name!,
              predicate: {
                ...base[one.on]!.predicate,
                ...(one.add as Record<string, Json>),
                supersedes: statementOf(one.on),
              },
            };
      const before = lows(base);
      const after = lows([...base, extra]);
      for (const [cell, low] of before) assert.ok(after.get(cell)! >= low, `${one.name} lowered ${cell}`);
    }),
    { numRuns: 150 },
  );
});

function lows(said: readonly Said[]): ReadonlyMap<string, number> {
  const matrix = matrixOf(law, measures, ledgerOf(said), { asOf: ASOF });
  return new Map(
    matrix.rows.flatMap((row) =>
      row.subjects.flatMap((subject) =>
        row.cells.map((cell): [string, number] => [
          `${subject.asset!.name} ${row.kind} ${cell.rule.jurisdiction} ${cell.rule.right}`,
          cell.range.low,
        ]),
      ),
    ),
  );
}

test('publication ends secrecy, and that is the rules’ word, not the engine’s', () => {
  const secret: Said[] = [
    {
      kind: 'model',
      name: NAMES.model,
      predicate: { confidentiality: { level: 'secret' }, effort: { creation: { hours: 5 } } },
    },
    answer('generally-known', false),
    ...['M03', 'M04', 'M11'].map(
      (measure): Said => ({ kind: 'measure', predicate: { measure, state: 'in-force', on: '2026-10-01' } }),
    ),
    answer('shipped-in-clear', false),
  ];
  const kept = lows(secret);
  const told = lows([...secret, answer('published', true, NAMES.model)]);
  const cells = [...kept.keys()].filter((cell) => cell.endsWith('trade-secret') && kept.get(cell)! > 0);
  assert.ok(cells.length > 0, 'some law protects the secret');
  for (const cell of cells) assert.equal(told.get(cell), 0, cell);
});
