import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import { parse } from 'yaml';
import { MunimentError } from '../base/index.js';
import { readFacts } from './facts-file.js';
import { assetKinds } from './kinds.js';
import { buildPredicate, resolveFacts } from './predicate.js';
import { faultIn, type SchemaNode, schemaOf } from './schema.js';
import { templateOf } from './template.js';

const content = { method: 'file', files: 1, bytes: 3 };
const refusal = (act: () => unknown): MunimentError => {
  try {
    act();
  } catch (error) {
    assert.ok(error instanceof MunimentError, String(error));
    return error;
  }
  return assert.fail('not refused');
};
/** Takes the # off every line that is a field, as a person would. */
const uncommented = (text: string): string =>
  text
    .split('\n')
    .map((line) => line.replace(/^# /, ''))
    .join('\n');

test('every asset kind has a schema that says which kind it is', () => {
  const files = readdirSync(new URL('../../schemas/', import.meta.url));
  for (const kind of assetKinds) {
    assert.ok(files.includes(`${kind}.v1.json`));
    const schema = schemaOf(kind) as SchemaNode & { $id: string };
    assert.equal(schema.$id, `urn:muniment:${kind}:v1`);
    assert.equal(faultIn(kind, { name: 'x', content }), null);
  }
});

test('what the kinds share is word for word the same in every schema', () => {
  const model = schemaOf('model');
  for (const kind of assetKinds) {
    const schema = schemaOf(kind);
    for (const name of ['authors', 'how', 'effort', 'confidentiality', 'links', 'content', 'supersedes']) {
      assert.deepEqual(schema.properties![name], model.properties![name], `${kind}: ${name}`);
    }
    for (const [name, definition] of Object.entries(schema.$defs!))
      assert.deepEqual(definition, model.$defs![name], name);
  }
});

test('every template, uncommented, is a facts file that its schema takes', async () => {
  for (const kind of assetKinds) {
    const text = uncommented(templateOf(kind)).replaceAll('factual | judgement', 'factual');
    const [document] = readFacts(text, `${kind}.yaml`);
    assert.equal(document!.kind, kind);
    const digest = 'a'.repeat(64);
    const facts = await resolveFacts(document!.facts, async () => ({ sha256: digest, name: null }));
    const predicate = buildPredicate(kind, facts, null, { name: 'x' }, { content });
    for (const field of ['authors', 'effort', 'quality', 'links', 'confidentiality', 'how']) {
      assert.ok(predicate[field] !== undefined, `${kind}: ${field} is in the template`);
    }
  }
});

test('a template as printed states nothing but kind and paths', () => {
  for (const kind of assetKinds) assert.deepEqual(Object.keys(parse(templateOf(kind))), ['kind', 'paths']);
});

test('a wrong field is named with file, line and the fields there are', () => {
  const text = 'kind: model\npaths: m.onnx\neffort:\n  obtaining:\n    hors: 12\n';
  const [document] = readFacts(text, 'facts.yaml');
  const error = refusal(() =>
    buildPredicate('model', document!.facts as never, null, { name: 'm' }, { content }, document!.where),
  );
  assert.equal(error.code, 'FACTS_INVALID');
  assert.equal(error.facts.where, 'facts.yaml:5 (effort.obtaining.hors)');
  assert.match(error.facts.expected!, /hours, cost, currency/);
});

test('wrong values are refused', () => {
  const bad: [string, unknown][] = [
    ['made', { from: '2026-02-30' }],
    ['made', { from: '2026-03-02', to: '2026-03-01' }],
    ['made', { from: '2 March' }],
    ['published', '2026-13-01'],
    ['country', 'Netherlands'],
    ['effort', { obtaining: { cost: 5 } }],
    ['effort', { obtaining: { hours: -1 } }],
    ['effort', { learning: { hours: 1 } }],
    ['how', { way: 'stolen' }],
    ['authors', []],
    ['authors', [{ employer: 'x' }]],
    ['confidentiality', { level: 'hush' }],
    ['content', 'mine'],
    ['wieghts', 1],
  ];
  for (const [field, value] of bad) {
    const error = refusal(() =>
      buildPredicate('model', { [field]: value } as never, null, { name: 'm' }, field === 'content' ? {} : { content }),
    );
    assert.equal(error.code, 'FACTS_INVALID', field);
    assert.equal(error.kind, 'input');
  }
});

test('YAML faults carry line and column; hostile YAML is refused', () => {
  assert.equal(refusal(() => readFacts('kind: model\n  paths: [', 'f.yaml')).code, 'FACTS_NOT_YAML');
  assert.match(refusal(() => readFacts('kind: model\nname: "open', 'f.yaml')).facts.where!, /^f\.yaml:2:/);
  assert.equal(refusal(() => readFacts('kind: model\nkind: code', 'f.yaml')).code, 'FACTS_NOT_YAML');
  assert.equal(refusal(() => readFacts('', 'f.yaml')).code, 'FACTS_INVALID');
  assert.equal(refusal(() => readFacts('- a', 'f.yaml')).code, 'FACTS_INVALID');
  assert.equal(refusal(() => readFacts('kind: painting', 'f.yaml')).code, 'FACTS_INVALID');
  assert.equal(refusal(() => readFacts('kind: model\npaths: [1]', 'f.yaml')).code, 'FACTS_INVALID');
  const levels = Array.from({ length: 30 }, (_, i) => `l${i + 1}: &l${i + 1} [${`*l${i},`.repeat(9)}]`);
  assert.equal(refusal(() => readFacts(`l0: &l0 lol\n${levels.join('\n')}`, 'f.yaml')).code, 'FACTS_NOT_YAML');
  assert.equal(refusal(() => readFacts('x'.repeat(5_000_000), 'f.yaml')).code, 'FACTS_TOO_LONG');
});

test('several documents are several assets, and days stay text', () => {
  const read = readFacts(
    'kind: code\npath: src\nmade: {to: 2026-03-02}\n---\nkind: model\npaths: [a, b]\nkeep: none\n',
    'f',
  );
  assert.deepEqual(
    read.map(({ kind, paths, keep }) => ({ kind, paths, keep })),
    [
      { kind: 'code', paths: ['src'], keep: null },
      { kind: 'model', paths: ['a', 'b'], keep: 'none' },
    ],
  );
  assert.deepEqual(read[0]!.facts.made, { to: '2026-03-02' });
});

test('a correction carries on what it does not contradict; null takes away; links add up', () => {
  const link = (relation: string, digit: string) => ({ relation, sha256: digit.repeat(64) });
  const known = {
    name: 'm',
    notes: 'old',
    country: 'NL',
    content,
    links: [link('trained-on', 'a')],
    supersedes: 'b'.repeat(64),
    reason: 'r',
  };
  const facts = { notes: 'new', country: null, links: [link('evaluated-on', 'c'), link('trained-on', 'a')] };
  assert.deepEqual(buildPredicate('model', facts, known, { name: 'default' }, { content }), {
    name: 'm',
    notes: 'new',
    content,
    links: [link('trained-on', 'a'), link('evaluated-on', 'c')],
  });
});
