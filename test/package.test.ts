/** The packed tarball, unpacked into an empty folder without onnxruntime, records, lists and verifies. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const manifest = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as {
  files: string[];
  exports: Record<string, string>;
  dependencies: Record<string, string>;
};
let work = '';
let installed = '';

const must = (command: string, args: readonly string[], cwd: string): string => {
  const ran = spawnSync(command, args, { cwd, encoding: 'utf8' });
  assert.equal(ran.status, 0, `${command} ${args.join(' ')}\n${ran.stdout}${ran.stderr}`);
  return ran.stdout;
};

const run = (...args: readonly string[]) =>
  spawnSync(process.execPath, [path.join(installed, 'bin/muniment.js'), ...args], {
    cwd: path.join(work, 'empty'),
    encoding: 'utf8',
    env: { PATH: process.env.PATH, MUNIMENT_PASSPHRASE: 'correct horse battery staple' },
  });

before(async () => {
  work = await mkdtemp(path.join(os.tmpdir(), 'muniment-package-'));
  // Packed from a copy, compiled anew, so that what another run leaves in dist/ decides nothing.
  const stage = path.join(work, 'stage');
  mkdirSync(stage);
  for (const name of ['package.json', 'README.md', 'bin', 'schemas']) {
    cpSync(path.join(root, name), path.join(stage, name), { recursive: true });
  }
  const tsc = path.join(root, 'node_modules/typescript/bin/tsc');
  must(process.execPath, [tsc, '-p', path.join(root, 'tsconfig.json'), '--outDir', path.join(stage, 'dist')], root);
  const [packed] = JSON.parse(must('npm', ['pack', '--json', '--ignore-scripts', '--offline'], stage)) as [
    { filename: string },
  ];
  installed = path.join(work, 'empty/node_modules/muniment');
  mkdirSync(installed, { recursive: true });
  must('tar', ['-xzf', path.join(stage, packed.filename), '-C', installed, '--strip-components=1'], stage);
  // Exactly the declared dependencies, so no development package and no onnxruntime can be reached.
  for (const name of Object.keys(manifest.dependencies)) {
    const link = path.join(work, 'empty/node_modules', name);
    mkdirSync(path.dirname(link), { recursive: true });
    symlinkSync(path.join(root, 'node_modules', name), link);
  }
});
after(() => rm(work, { recursive: true, force: true }));

test('the tarball holds what is needed and no tests', () => {
  const all = readdirSync(installed, { recursive: true, encoding: 'utf8' });
  assert.ok(all.includes('README.md') && all.includes('bin/muniment.js'));
  assert.deepEqual(
    all.filter((name) => /\.test\.|(^|\/)testing(\/|$)|(^|\/)src(\/|$)/.test(name)),
    [],
  );
  const schemas = readdirSync(path.join(root, 'schemas'));
  assert.deepEqual(readdirSync(path.join(installed, 'schemas')).sort(), schemas.sort());
  for (const file of Object.values(manifest.exports)) assert.ok(existsSync(path.join(installed, file)), file);
});

test('every subpath export loads without onnxruntime', () => {
  const names = Object.keys(manifest.exports).map((name) => `muniment/${name.slice(2)}`);
  const script = `for (const name of ${JSON.stringify(names)}) await import(name); process.exit(0);`;
  must(process.execPath, ['--input-type=module', '-e', script], path.join(work, 'empty'));
});

test('verify, log and record run without onnxruntime', () => {
  assert.match(run('--version').stdout, /^muniment \d/);
  const help = run('verify', '--help');
  assert.equal(help.status, 0, help.stderr);
  writeFileSync(path.join(work, 'empty/notes.txt'), 'lab notes of 12 March');
  for (const args of [
    ['init', '--owner', 'Example Works'],
    ['record', 'documentation', 'notes.txt'],
    ['log'],
    ['log', 'verify'],
  ]) {
    const ran = run(...args);
    assert.equal(ran.status, 0, `${args.join(' ')}\n${ran.stdout}${ran.stderr}`);
  }
  const listed = JSON.parse(run('log', '--json').stdout) as { statements: { kind: string; name: string }[] };
  assert.ok(listed.statements.some((one) => one.kind === 'documentation' && one.name === 'notes.txt'));
});
