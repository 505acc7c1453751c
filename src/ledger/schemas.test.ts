import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { checkPredicate } from './schemas.js';

const root = fileURLToPath(new URL('../../', import.meta.url));
const schemas = readdirSync(path.join(root, 'schemas')).sort();

const sources = readdirSync(path.join(root, 'src'), { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts') && !file.includes('testing'))
  .map((file) => readFileSync(path.join(root, 'src', file), 'utf8'))
  .join('\n');

test('every schema is named after its kind, compiles strictly, closes its object and is used', () => {
  assert.ok(schemas.length > 0);
  for (const file of schemas) {
    const kind = /^([a-z][a-z0-9-]*)\.v1\.json$/.exec(file)?.[1];
    assert.ok(kind !== undefined, `${file} is not <kind>.v1.json`);
    const schema = JSON.parse(readFileSync(path.join(root, 'schemas', file), 'utf8')) as Record<string, unknown>;
    assert.deepEqual(
      [schema.$schema, schema.$id, schema.type],
      ['https://json-schema.org/draft/2020-12/schema', `urn:muniment:${kind}:v1`, 'object'],
      file,
    );
    assert.ok(
      schema.additionalProperties === false || schema.unevaluatedProperties === false,
      `${file} lets any member through`,
    );
    assert.throws(() => checkPredicate(kind, { 'no such member': 1 }), { code: 'STATEMENT_SCHEMA' }, file);
    assert.ok(new RegExp(`['"\`]${kind}['"\`]`).test(sources), `no source file names the kind ${kind}`);
  }
});

test('fields that are withheld may be missing; those that are shown must still be right', () => {
  const whole = { withdraws: 'b'.repeat(64), reason: 'a mistake' };
  checkPredicate('withdrawal', whole);
  checkPredicate('withdrawal', { reason: whole.reason }, false);
  for (const [predicate, complete] of [
    [{ reason: whole.reason }, true],
    [{ reason: 5 }, false],
    [{ ...whole, more: 1 }, false],
  ] as const)
    assert.throws(() => checkPredicate('withdrawal', predicate, complete), { code: 'STATEMENT_SCHEMA' });
});

test('kinds without a schema are refused, also those that look like paths', () => {
  for (const kind of ['gossip', '', '../package', 'withdrawal.v1.json', 'constructor', '__proto__'])
    assert.throws(() => checkPredicate(kind, {}), { code: 'STATEMENT_KIND_UNKNOWN' }, kind);
});
