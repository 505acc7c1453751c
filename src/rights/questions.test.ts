import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadLaw } from './load-law.js';
import { matrixOf } from './matrix.js';
import { loadMeasures } from './measures.js';
import { questionsOf } from './questions.js';
import { answer, ledgerOf, type Said } from './testing/statements.js';

const law = loadLaw();
const measures = loadMeasures();
const ASOF = '2026-11-22';

const fleet: Said = {
  kind: 'training-set',
  name: 'fleet.csv',
  predicate: { how: { way: 'own-sensors' }, columns: ['torque'], effort: { obtaining: { hours: 90 } } },
};
const matrix = (said: readonly Said[]) => matrixOf(law, measures, ledgerOf(said), { asOf: ASOF });
const asked = (said: readonly Said[]): readonly string[] => questionsOf(law, matrix(said)).map((one) => one.fact.id);

test('the questions that the law turns on are asked, the most valuable for its effort first', () => {
  const questions = questionsOf(law, matrix([fleet]));
  const ids = questions.map((one) => one.fact.id);
  for (const id of ['connected-product', 'published', 'generally-known', 'maker-place'])
    assert.ok(ids.includes(id), id);
  const worth = questions.map((one) => (one.change * Math.max(1, one.subjects.length)) / one.fact.effort);
  assert.deepEqual(
    worth,
    [...worth].sort((a, b) => b - a),
  );
});

test('every question can change a cell: some answer to it moves the matrix', () => {
  const before = matrix([fleet]);
  for (const question of questionsOf(law, before).filter((one) => !one.toShow)) {
    const ranges = (value: string | boolean): string => {
      const said = [fleet, answer(question.fact.id, value, question.subjects.length === 0 ? undefined : 'fleet.csv')];
      return JSON.stringify(matrix(said).rows.map((row) => row.cells.map((cell) => cell.range)));
    };
    const now = JSON.stringify(before.rows.map((row) => row.cells.map((cell) => cell.range)));
    assert.ok(
      question.values.some((value) => ranges(value) !== now),
      question.fact.id,
    );
  }
});

test('what is answered is not asked again, and what can no longer matter is not asked at all', () => {
  assert.ok(!asked([fleet, answer('connected-product', false, 'fleet.csv')]).includes('connected-product'));
  const published = { ...fleet, predicate: { ...fleet.predicate, published: '2025-01-01' } };
  assert.ok(!asked([published]).includes('generally-known'));
});

test('what the ledger has to show is asked for as something to record, never as an answer', () => {
  const questions = questionsOf(law, matrix([fleet]));
  for (const one of questions)
    assert.equal(one.toShow, one.fact.shownOrNot === true && one.fact.follows !== undefined, one.fact.id);
  assert.ok(questions.some((one) => one.fact.id === 'reasonable-measures' && one.toShow));
  const spent = questions.find((one) => one.fact.id === 'investment-recorded');
  assert.equal(spent, undefined, 'the effort is recorded');
});

test('a room with every fact known has no question', () => {
  const all = [...law.facts.values()].map((spec) =>
    answer(
      spec.id,
      spec.type === 'boolean'
        ? true
        : spec.type === 'choice'
          ? spec.values![0]!
          : spec.type === 'country'
            ? 'NL'
            : '2026-01-01',
    ),
  );
  const left = questionsOf(law, matrix([fleet, ...all])).filter((one) => !one.toShow);
  assert.deepEqual(
    left.map((one) => one.fact.id),
    [],
  );
});
