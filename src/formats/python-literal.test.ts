import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Literal, parseLiteral } from './python-literal.js';
import { refusal } from './testing/files.js';

/** Python's own spelling. */
const spell = (value: Literal): string => {
  if (value === null) return 'None';
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  if (typeof value === 'number') return String(value);
  if (typeof value === 'string') return `'${value}'`;
  if (value instanceof Map) return `{${[...value].map(([key, item]) => `'${key}': ${spell(item)}`).join(', ')}}`;
  const items = (value as readonly Literal[]).map(spell);
  return `(${items.join(', ')}${items.length === 1 ? ',' : ''})`;
};
const plain = fc.string({ maxLength: 8 }).filter((text) => !/['\\\n]/.test(text));
const { literal } = fc.letrec<{ literal: Literal }>((tie) => ({
  literal: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constantFrom(null, true, false),
    fc.maxSafeInteger(),
    plain,
    fc.array(tie('literal'), { maxLength: 4 }),
    fc.array(fc.tuple(plain, tie('literal')), { maxLength: 4 }).map((pairs) => new Map(pairs)),
  ),
}));
const depth = (value: Literal): number =>
  typeof value !== 'object' || value === null
    ? 0
    : 1 + Math.max(0, ...[...(value instanceof Map ? value.values() : (value as readonly Literal[]))].map(depth));

test('law: what is spelt as Python spells it is read back', () => {
  fc.assert(
    fc.property(
      literal.filter((value) => depth(value) < 8),
      (value) => assert.deepEqual(parseLiteral(spell(value), 'text'), value),
    ),
    { seed: 23, numRuns: 1000 },
  );
});

test('Python 2’s long integers, double quotes, spaces and a trailing comma are read', () => {
  assert.deepEqual(
    parseLiteral(' {"descr": "<f4" , \'shape\': (3L, [ ] ,), } \n', 'text'),
    new Map<string, Literal>([
      ['descr', '<f4'],
      ['shape', [3, []]],
    ]),
  );
});

test('anything that would have to be evaluated is refused, with its place', () => {
  const bad = [
    '',
    '1 + 1',
    '(1',
    '(1 2)',
    '{1: 2}',
    "{'a' 1}",
    "{'a': 1, 'a': 2}",
    "'a' 'b'",
    "'\\x41'",
    '1.5',
    '0x10',
    '99999999999999999999',
    'nan',
    'f(1)',
    '__import__("os")',
    '[',
    ']',
    '(1,)x',
    '('.repeat(20),
  ];
  for (const text of bad) {
    assert.throws(() => parseLiteral(text, 'm.npy'), refusal('NUMPY_HEADER', { where: /m\.npy, character \d+/ }), text);
  }
});
