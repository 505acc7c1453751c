import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  type Circumstances,
  type Condition,
  type FactValue,
  factsIn,
  holds,
  moveMonths,
  type Truth,
} from './condition.js';

const at = (facts: Readonly<Record<string, FactValue>>): Circumstances => ({
  facts: new Map(Object.entries(facts)),
  sets: { EEA: ['NL', 'DE'] },
  today: '2026-11-23',
});

const rows: readonly [string, Condition, Readonly<Record<string, FactValue>>, Truth][] = [
  ['a yes', { fact: 'a' }, { a: true }, true],
  ['a no', { fact: 'a' }, { a: false }, false],
  ['not known', { fact: 'a' }, {}, null],
  ['one of several', { fact: 'a', is: ['x', 'y'] }, { a: 'y' }, true],
  ['none of several', { fact: 'a', is: ['x', 'y'] }, { a: 'z' }, false],
  ['in a set', { fact: 'a', in: 'EEA' }, { a: 'NL' }, true],
  ['outside a set', { fact: 'a', in: 'EEA' }, { a: 'US' }, false],
  ['no falls through what is not known', { all: [{ fact: 'a' }, { fact: 'b' }] }, { b: false }, false],
  ['yes does not', { all: [{ fact: 'a' }, { fact: 'b' }] }, { b: true }, null],
  ['one yes is enough', { any: [{ fact: 'a' }, { fact: 'b' }] }, { b: true }, true],
  ['one no is not', { any: [{ fact: 'a' }, { fact: 'b' }] }, { b: false }, null],
  ['the opposite of not known', { not: { fact: 'a' } }, {}, null],
  ['on the day itself', { fact: 'd', onOrBefore: { day: 'today' } }, { d: '2026-11-23' }, true],
  ['the day after', { fact: 'd', onOrBefore: { day: 'today' } }, { d: '2026-11-24' }, false],
  [
    'inside a year of grace',
    { fact: 'd', onOrAfter: { day: 'filed', months: -12 } },
    { d: '2025-03-02', filed: '2026-03-02' },
    true,
  ],
  [
    'a day too early',
    { fact: 'd', onOrAfter: { day: 'filed', months: -12 } },
    { d: '2025-03-01', filed: '2026-03-02' },
    false,
  ],
  ['against a day that is not known', { fact: 'd', onOrAfter: { day: 'filed' } }, { d: '2025-03-01' }, null],
];

for (const [name, condition, facts, truth] of rows) {
  test(`a condition: ${name}`, () => assert.equal(holds(condition, at(facts)), truth));
}

test('months are counted by the calendar', () => {
  assert.equal(moveMonths('2024-02-29', 12), '2025-02-28');
  assert.equal(moveMonths('2026-01-31', 1), '2026-02-28');
  assert.equal(moveMonths('2026-01-31', -2), '2025-11-30');
  assert.equal(moveMonths('2026-12-15', 1), '2027-01-15');
});

const names = ['a', 'b', 'c'];
const { condition } = fc.letrec<{ condition: Condition }>((tie) => ({
  condition: fc.oneof(
    { maxDepth: 4 },
    fc.record({ fact: fc.constantFrom(...names), is: fc.boolean() }),
    fc.record({ all: fc.array(tie('condition'), { minLength: 1, maxLength: 3 }) }),
    fc.record({ any: fc.array(tie('condition'), { minLength: 1, maxLength: 3 }) }),
    fc.record({ not: tie('condition') }),
  ),
}));

test('what holds, or fails, on part of the facts does so whatever the rest turns out to be', () => {
  fc.assert(
    fc.property(condition, fc.array(fc.option(fc.boolean()), { minLength: 3, maxLength: 3 }), (one, values) => {
      const known = Object.fromEntries(names.flatMap((name, i) => (values[i] === null ? [] : [[name, values[i]!]])));
      const truth = holds(one, at(known));
      const outcomes = new Set<Truth>();
      for (let mask = 0; mask < 8; mask++) {
        const whole = Object.fromEntries(names.map((name, i) => [name, known[name] ?? Boolean(mask & (1 << i))]));
        const outcome = holds(one, at(whole));
        assert.notEqual(outcome, null, 'nothing is open once every fact is known');
        outcomes.add(outcome);
      }
      if (truth !== null) assert.deepEqual([...outcomes], [truth]);
    }),
    { numRuns: 1000 },
  );
});

test('the facts of a condition are all that can change it', () => {
  assert.deepEqual(
    factsIn({ any: [{ fact: 'a' }, { not: { fact: 'd', onOrAfter: { day: 'filed', months: -12 } } }] }),
    ['a', 'd', 'filed'],
  );
});
