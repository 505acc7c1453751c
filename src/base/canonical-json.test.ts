import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { toHex } from './bytes.js';
import { canonicalBytes, canonicalJson, type Json, parseStrictJson } from './canonical-json.js';

const vectors = (name: string): unknown =>
  JSON.parse(readFileSync(new URL(`../../vectors/ledger/${name}`, import.meta.url), 'utf8'));

test('RFC 8785 appendix B: numbers', () => {
  const numbers = vectors('rfc8785-numbers.json') as [string, string | null][];
  assert.equal(numbers.length, 26);
  for (const [bits, expected] of numbers) {
    const value = Buffer.from(bits, 'hex').readDoubleBE();
    if (expected === null) assert.throws(() => canonicalJson(value), { code: 'JSON_NOT_CANONICAL' }, bits);
    else assert.equal(canonicalJson(value), expected, bits);
  }
});

test('RFC 8785 §3.2.2 and §3.2.3: the sample, and the order of members by UTF-16 code units', () => {
  const [sample, sorting] = vectors('rfc8785-objects.json') as [
    { source: string; canonical: string },
    { source: string; values: string[] },
  ];
  assert.equal(canonicalJson(parseStrictJson(sample.source, 'sample')), sample.canonical);
  const sorted = canonicalJson(parseStrictJson(sorting.source, 'sorting'));

  assert.deepEqual(
    [...sorted.matchAll(/:"([^"]*)"/g)].map((match) => match[1]),
    sorting.values,
  );
  assert.equal(toHex(canonicalBytes('€')), '22e282ac22');
});

test('one form per value: whatever the order of members, and again after parsing', () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 4, noUnicodeString: false }), (value) => {
      // JSON text has no negative zero; a lone surrogate has no form.
      const clean = JSON.parse(JSON.stringify(value)) as Json;
      let text: string;
      try {
        text = canonicalJson(clean);
      } catch (error) {
        assert.equal((error as { code: string }).code, 'JSON_NOT_CANONICAL');
        return;
      }
      assert.deepEqual(parseStrictJson(text, 'text'), clean);
      assert.equal(canonicalJson(reversed(clean)), text);
    }),
  );
});

function reversed(value: Json): Json {
  if (Array.isArray(value)) return value.map(reversed);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([name, member]) => [name, reversed(member as Json)]),
  );
}

test('what JSON.stringify would drop or rewrite in silence is refused, with its place', () => {
  const circular: Record<string, unknown> = {};
  circular.self = circular;
  const bad: unknown[] = [
    undefined,
    () => 1,
    Symbol('s'),
    1n,
    Number.NaN,
    '\ud800',
    '\udc00x',
    new Date(0),
    new Map(),
    new Uint8Array(1),
    [undefined],
    new Array(1),
    circular,
  ];
  for (const value of bad) assert.throws(() => canonicalJson({ a: [value as Json] }), { code: 'JSON_NOT_CANONICAL' });
  assert.throws(
    () => canonicalJson({ a: [1, { b: Number.POSITIVE_INFINITY }] }),
    (error: { facts: { where: string } }) => error.facts.where === '$.a[1].b',
  );
  assert.throws(() => canonicalJson({ '\ud800': 1 }), { code: 'JSON_NOT_CANONICAL' });
  assert.equal(canonicalJson('\ud83d\ude00'), '"😀"');
});

test('untrusted text: duplicate members, also when escaped, and deep nesting are refused', () => {
  for (const text of [
    '{"a":1,"a":2}',
    '{"a":1,"\\u0061":2}',
    '[{"x":{"a":1 , "b":2, "a" : 3}}]',
    '{"__proto__":1,"__proto__":2}',
  ])
    assert.throws(() => parseStrictJson(text, 't'), { code: 'JSON_DUPLICATE_NAME' }, text);
  for (const text of ['', '{', '{"a":1,}', '01', '"\n"', '{"a":1}x', '\ufeff{}'])
    assert.throws(() => parseStrictJson(text, 't'), { code: 'JSON_INVALID' }, text);
  const nested = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth);
  assert.throws(() => parseStrictJson(nested(65), 't'), { code: 'JSON_TOO_DEEP' });
  assert.ok(Array.isArray(parseStrictJson(nested(64), 't')));
  assert.deepEqual(parseStrictJson('[{"a":"a"},{"a":"{\\"a\\":1,\\"a\\":2}"},"a","a"]', 't'), [
    { a: 'a' },
    { a: '{"a":1,"a":2}' },
    'a',
    'a',
  ]);
});
