import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { muniment } from '../testing/io.js';

const cwd = await mkdtemp(path.join(os.tmpdir(), 'muniment-rights-command-'));
after(() => rm(cwd, { recursive: true, force: true }));
const env = { MUNIMENT_PASSPHRASE: 'a passphrase for this test' };
const world = { cwd, env };
const run = (...argv: string[]) => muniment(argv, world);

await writeFile(path.join(cwd, 'fleet.csv'), 'torque,failure\n1,0\n2,1\n');
await writeFile(path.join(cwd, 'nda.txt'), 'signed\n');
await writeFile(
  path.join(cwd, 'fleet.yaml'),
  'kind: training-set\npaths: [fleet.csv]\ncountry: NL\ncolumns: [torque, failure]\nhow: {way: own-sensors}\neffort: {obtaining: {hours: 120, cost: 5000, currency: EUR}}\nconfidentiality: {level: secret, shared: [{with: Delta Pumps}]}\n',
);
assert.equal((await run('init', '--owner', 'Example Works')).code, 0);
const recorded = await run('record', '--from', 'fleet.yaml');
assert.equal(recorded.code, 0, recorded.stderr);

interface Cell {
  readonly jurisdiction: string;
  readonly right: string;
  readonly answer: string;
  readonly range: readonly [string, string];
  readonly decides: readonly string[];
}
const cellOf = async (right: string, place: string, ...more: string[]): Promise<Cell> => {
  const ran = await run('rights', '--asset', 'fleet.csv', '--right', right, '--in', place, '--json', ...more);
  assert.equal(ran.code, 0, ran.stderr);
  const [row] = ran.json().rows as { cells: Cell[] }[];
  return row!.cells[0]!;
};

test('the matrix reads without a passphrase and says once that it is no advice', async () => {
  const ran = await muniment(['rights'], { cwd });
  assert.equal(ran.code, 0, ran.stderr);
  assert.match(ran.stdout, /fleet\.csv \(training-set, raw\)/);
  assert.equal(ran.stdout.split('not legal advice').length, 2);
  assert.match(ran.stdout, /Rules as of 2026-11-22/);
});

test('an answer moves the cell it is about, is corrected by a later one, and is taken back by unknown', async () => {
  assert.equal((await cellOf('database-right', 'EU')).answer, 'unknown');
  await run('rights', 'answer', 'investment-substantial', 'yes', '--asset', 'fleet.csv');
  const yes = await run(
    'rights',
    'answer',
    'connected-product',
    'yes',
    '--asset',
    'fleet.csv',
    '--reason',
    'telemetry',
    '--json',
  );
  assert.equal(yes.code, 0, yes.stderr);
  const moves = yes.json().moves as { to: string; places: string[] }[];
  assert.ok(moves.some((one) => one.to === 'no' && one.places.includes('EU')));
  const cell = await cellOf('database-right', 'EU');
  assert.deepEqual([cell.answer, cell.decides], ['no', ['not-connected-product']]);
  await run('rights', 'answer', 'connected-product', 'no', '--asset', 'fleet.csv');
  assert.equal((await cellOf('database-right', 'EU')).answer, 'likely');
  await run('rights', 'answer', 'connected-product', 'unknown', '--asset', 'fleet.csv');
  assert.equal((await cellOf('database-right', 'EU')).answer, 'unknown');
});

test('the law of another day, and a fact supposed, change the answer and record nothing', async () => {
  const before = (await run('log', '--json')).stdout;
  assert.equal((await cellOf('database-right', 'EU', '--what-if', 'connected-product=yes')).answer, 'no');
  assert.equal(
    (await cellOf('database-right', 'EU', '--what-if', 'connected-product=yes', '--as-of', '2025-09-11')).answer,
    'likely',
  );
  assert.equal((await run('log', '--json')).stdout, before);
});

test('why walks to the statute', async () => {
  const ran = await run('rights', 'why', '--asset', 'fleet.csv', '--right', 'database-right', '--in', 'EU');
  assert.match(ran.stdout, /Regulation \(EU\) 2023\/2854 \(Data Act\), art\. 43/);
  assert.match(ran.stdout, /investment-recorded = true \(shown, statement 1, effort\.obtaining\)/);
  const all = await run('rights', 'why');
  assert.equal(all.code, 2);
  assert.match(all.stderr, /RIGHTS_TOO_MANY/);
});

test('measures and terms raise the trade secret, step by step', async () => {
  await run('rights', 'answer', 'generally-known', 'no', '--asset', 'fleet.csv');
  const bare = await cellOf('trade-secret', 'EU');
  assert.equal(bare.answer, 'unlikely');
  for (const id of ['M03', 'M04', 'M11']) {
    const ran = await run('rights', 'measure', id, '--text', 'as written in the handbook', '--evidence', 'nda.txt');
    assert.equal(ran.code, 0, ran.stderr);
  }
  assert.equal((await cellOf('trade-secret', 'EU')).answer, 'unlikely', 'a recipient is still bound by nothing');
  const terms = await run(
    'terms',
    'add',
    'nda.txt',
    '--party',
    'Delta Pumps',
    '--signed',
    '2026-01-02',
    '--scope',
    'the fleet data',
    '--clause',
    'reverse-engineering',
    '--clause',
    'extraction',
    '--clause',
    'distillation',
    '--clause',
    'return-or-destroy',
  );
  assert.equal(terms.code, 0, terms.stderr);
  assert.match(terms.stdout, /nothing weak found/);
  const kept = await cellOf('trade-secret', 'EU');
  assert.ok(['likely', 'yes'].includes(kept.range[0]), JSON.stringify(kept.range));
  const list = await run('terms');
  assert.match(list.stdout, /in force +confidentiality: Delta Pumps/);
  const measures = await run('rights', 'measures');
  assert.match(measures.stdout, /M11\* met/);
  assert.match(measures.stdout, /M18 {2}missing/);
});

test('catch-all terms are called weak', async () => {
  const ran = await run(
    'terms',
    'add',
    'nda.txt',
    '--party',
    'Omega',
    '--signed',
    '2026-01-02',
    '--scope',
    'all information of any kind',
    '--json',
  );
  const findings = ran.json().findings as { measure: string }[];
  assert.deepEqual(
    findings.map((one) => one.measure),
    ['M06', 'M07'],
  );
});

test('the report is one page that asks for nothing from outside, and is never written over another file', async () => {
  const ran = await run('rights', '--out', 'rights.html');
  assert.equal(ran.code, 0, ran.stderr);
  const page = await readFile(path.join(cwd, 'rights.html'), 'utf8');
  assert.match(page, /not legal advice/);
  assert.doesNotMatch(page, /<script|<link|src="http|@import/);
  for (const [, id] of page.matchAll(/href="#([^"]+)"/g)) assert.ok(page.includes(`id="${id}"`), id);
  assert.notEqual((await run('rights', '--out', 'rights.html')).code, 0);
});

const refused: readonly [string, string[], number, RegExp][] = [
  ['a fact that does not exist', ['rights', 'answer', 'colour', 'yes'], 2, /RIGHTS_FACT/],
  ['a value that is none', ['rights', 'answer', 'connected-product', 'perhaps'], 2, /RIGHTS_VALUE/],
  ['what has to be shown', ['rights', 'answer', 'reasonable-measures', 'core'], 3, /RIGHTS_SHOWN/],
  ['an asset that is not there', ['rights', '--asset', 'ghost.csv'], 3, /RIGHTS_ASSET/],
  ['a part that it has not', ['rights', '--asset', 'fleet.csv/labels'], 3, /RIGHTS_ASSET/],
  ['a place without rules', ['rights', '--in', 'BR'], 2, /RIGHTS_PLACE/],
  ['a day that does not exist', ['rights', '--as-of', '2026-02-30'], 3, /RIGHTS_DAY/],
  ['a measure that does not exist', ['rights', 'measure', 'M99'], 2, /RIGHTS_MEASURE/],
  [
    'terms that end before they begin',
    ['terms', 'add', 'nda.txt', '--party', 'P', '--signed', '2026-01-02', '--until', '2025-01-01'],
    3,
    /RIGHTS_TERMS/,
  ],
  ['terms without a party', ['terms', 'add', 'nda.txt', '--signed', '2026-01-02'], 2, /ARGUMENT_MISSING/],
  ['a creation log of data', ['rights', 'independence', 'fleet.csv'], 3, /INDEPENDENCE_NOT_A_MODEL/],
  ['a day for the whole room', ['rights', 'answer', 'published-on', '2026-01-01'], 3, /RIGHTS_ASSET/],
];
for (const [name, argv, code, says] of refused) {
  test(`refused: ${name}`, async () => {
    const before = (await run('log', '--json')).stdout;
    const ran = await run(...argv);
    assert.equal(ran.code, code, ran.stderr);
    assert.match(ran.stderr, says);
    assert.equal((await run('log', '--json')).stdout, before);
  });
}
