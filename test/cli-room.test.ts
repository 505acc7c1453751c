/** From an empty folder to a log that verifies, by the commands alone. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type Ran, muniment as run } from '../src/cli/testing/io.js';
import { buildSafetensors } from '../src/formats/index.js';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const env = { MUNIMENT_PASSPHRASE: 'correct horse battery staple' };
let folder = '';
const at = (...parts: string[]): string => path.join(folder, ...parts);
const muniment = (...argv: string[]): Promise<Ran> => run(argv, { cwd: folder, env });
const good = async (...argv: string[]): Promise<Ran> => {
  const ran = await muniment(...argv);
  assert.equal(ran.code, 0, `${argv.join(' ')}\n${ran.stderr}`);
  return ran;
};
interface Listed {
  readonly statements: readonly { index: number; kind: string; name: string; status: string; who: string | null }[];
}

before(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'muniment-cli-'));
  mkdirSync(at('data'));
  writeFileSync(at('data/train.csv'), 'a,b\n1,2\n');
  writeFileSync(at('data/test.csv'), 'a,b\n3,4\n');
  writeFileSync(at('net.safetensors'), buildSafetensors({ w: { dtype: 'F32', shape: [2, 2], values: [1, 2, 3, 4] } }));
});
after(() => rm(folder, { recursive: true }));

test('without a room: a usage error that says how to make one', async () => {
  for (const argv of [['log'], ['log', 'verify'], ['record', 'code', 'data']]) {
    const ran = await muniment(...argv);
    assert.equal(ran.code, 2, argv.join(' '));
    assert.match(ran.stderr, /ROOM_NOT_FOUND[\s\S]*muniment init/);
  }
});

test('init needs something to lock the vault with, and never asks a script', async () => {
  const locked = await run(['init'], { cwd: folder, env: {} });
  assert.equal(locked.code, 4);
  assert.match(locked.stderr, /VAULT_LOCKED[\s\S]*MUNIMENT_PASSPHRASE/);
  assert.ok(!existsSync(at('.muniment')));
  const differ = await run(['init'], {
    cwd: folder,
    env: {},
    terminal: true,
    answers: ['a long passphrase', 'another one'],
  });
  assert.equal(differ.code, 2);
  assert.match(differ.stderr, /PASSPHRASE_MISMATCH/);
  assert.ok(!existsSync(at('.muniment')));
});

test('init, record, log: what was said is listed', async () => {
  await good('init', '--owner', 'Example Works');
  assert.ok(existsSync(at('.muniment')));
  assert.notEqual((await muniment('init')).code, 0, 'a room is not made twice');
  await good(
    'record',
    'training-set',
    'data/train.csv',
    '--author',
    'Ada Lovelace',
    '--effort',
    'obtaining=120h,5000EUR',
  );
  await good('record', 'test-set', 'data/test.csv');
  const model = await good(
    'record',
    'model',
    'net.safetensors',
    '--quality',
    'f1=0.81@data/test.csv',
    '--link',
    'trained-on=train.csv',
    '--json',
  );
  const { recorded } = model.json() as { recorded: { kind: string; keep: string | null }[] };
  assert.deepEqual(
    recorded.map((one) => one.kind),
    ['architecture', 'model'],
  );
  assert.equal(recorded[1]!.keep, 'full');
  assert.equal(model.stdout.trimEnd().split('\n').length, 1);

  const { statements } = (await good('log', '--json')).json() as unknown as Listed;
  const kinds = statements.map((one) => one.kind);
  for (const kind of ['training-set', 'test-set', 'architecture', 'model']) assert.ok(kinds.includes(kind), kind);
  assert.equal(statements.find((one) => one.kind === 'training-set')!.who, 'Ada Lovelace');
  const text = (await good('log')).stdout;
  assert.match(text, /training-set +train\.csv .*Ada Lovelace/);
});

test('nothing of a recorded model lies in the room in clear', () => {
  const weights = readFileSync(at('net.safetensors')).subarray(-16);
  for (const name of readdirSync(at('.muniment'), { recursive: true, withFileTypes: true })) {
    if (!name.isFile()) continue;
    assert.ok(!readFileSync(path.join(name.parentPath, name.name)).includes(weights), name.name);
  }
});

test('recording again, correcting, withdrawing', async () => {
  assert.match((await good('record', 'code', 'data')).stdout, /^recorded: code data/);
  assert.match((await good('record', 'code', 'data')).stdout, /^already recorded: code data/);
  assert.match((await good('record', 'code', 'data', '--notes', 'generator')).stdout, /^corrected: code data/);
  const listed = async (...more: string[]) =>
    ((await good('log', '--kind', 'code', '--json', ...more)).json() as unknown as Listed).statements;
  assert.equal((await listed()).length, 1);
  assert.deepEqual(
    (await listed('--all')).map((one) => one.status),
    ['corrected', 'in force'],
  );
  const { index } = (await listed())[0]!;
  assert.equal((await muniment('record', '--withdraw', String(index))).code, 2);
  await good('record', '--withdraw', String(index), '--reason', 'not generated after all');
  assert.equal((await listed())[0]!.index, index - 1);
  assert.deepEqual(
    (await listed('--all')).map((one) => one.status),
    ['in force', 'corrected'],
  );
});

test('record --template, filled in, is what record --from takes', async () => {
  const template = (await good('record', '--template', 'documentation')).stdout;
  const filled = template
    .replace('[path/to/file-or-folder]', '[data/train.csv]')
    .replace(/^# (notes:) .*/m, '$1 lab notes');
  writeFileSync(at('facts.yaml'), filled);
  assert.match((await good('record', '--from', 'facts.yaml')).stdout, /^recorded: documentation train\.csv/);
  writeFileSync(at('facts.yaml'), `${filled}\neffrot:\n  creation: {hours: 1}\n`);
  const wrong = await muniment('record', '--from', 'facts.yaml');
  assert.equal(wrong.code, 3);
  assert.match(wrong.stderr, /FACTS_INVALID[\s\S]*facts\.yaml:\d+ \(effrot\)/);
});

test('paths in a facts file are relative to it, paths in options to the working folder', async () => {
  writeFileSync(
    at('data/facts.yaml'),
    'kind: documentation\npaths: test.csv\nlinks: [{relation: documents, to: train.csv}]\n',
  );
  await good('record', '--from', 'data/facts.yaml', '--name', 'from the folder');
  await good('record', '--from', 'data/facts.yaml', '--link', 'documents=net.safetensors');
  const { statements } = (await good('log', '--json', '--kind', 'documentation')).json() as unknown as Listed;
  const shown = (await good('log', 'show', String(statements.at(-1)!.index), '--json')).json();
  const { name, links } = shown.predicate as { name: string; links: { name: string }[] };
  assert.equal(name, 'from the folder');
  assert.deepEqual(
    links.map((link) => link.name),
    ['train.csv', 'net.safetensors'],
  );
});

test('a wrong passphrase is exit 4 and a bad model exit 3, and neither is recorded', async () => {
  const size = async () => ((await good('log', '--all', '--json')).json() as unknown as Listed).statements.length;
  const was = await size();
  const ran = await run(['record', 'code', 'net.safetensors'], { cwd: folder, env: { MUNIMENT_PASSPHRASE: 'wrong' } });
  assert.equal(ran.code, 4, ran.stderr);
  writeFileSync(at('cut.safetensors'), readFileSync(at('net.safetensors')).subarray(0, 30));
  for (const file of ['cut.safetensors', 'nosuch.onnx', 'data']) {
    const bad = await muniment('record', 'model', file);
    assert.equal(bad.code, 3, `${file}: ${bad.stderr}`);
  }
  assert.equal(await size(), was);
});

test('log show prints one statement; log verify the state of the whole', async () => {
  const shown = (await good('log', 'show', '1', '--json')).json();
  assert.equal(shown.index, 1);
  assert.equal((await muniment('log', 'show', '999')).code, 3);
  assert.equal((await muniment('log', 'shwo')).code, 2);
  const whole = await good('log', 'verify');
  assert.match(whole.stdout, /^whole: \d+ statements/);
  assert.match(whole.stdout, /self-asserted/);
});

test('log verify: one changed byte is exit 1, and named', async () => {
  const { statement } = (await good('log', 'show', '1', '--json')).json() as { statement: string };
  const file = at('.muniment/statements', statement);
  const bytes = readFileSync(file);
  const changed = Uint8Array.from(bytes);
  changed[60]! ^= 1;
  writeFileSync(file, changed);
  const ran = await muniment('log', 'verify', '--json');
  assert.equal(ran.code, 1);
  const report = ran.json() as { ok: boolean; problems: { where: string }[] };
  assert.equal(report.ok, false);
  assert.ok(report.problems.some((one) => one.where.includes(statement)));
  writeFileSync(file, bytes);
  assert.equal((await muniment('log', 'verify')).code, 0);
});

test('Ctrl-C in the middle: exit 130, nothing recorded, and the room works on', { timeout: 60_000 }, async () => {
  // A sparse file: 64 GiB to hash, none on the disk.
  writeFileSync(at('large.bin'), '');
  truncateSync(at('large.bin'), 64 * 1024 ** 3);
  const was = (await good('log', '--all', '--json')).stdout;
  const child = spawn(
    process.execPath,
    [
      '--import',
      path.join(root, 'node_modules/tsx/dist/loader.mjs'),
      path.join(root, 'src/cli/main.ts'),
      'record',
      'code',
      'large.bin',
    ],
    {
      cwd: folder,
      env: { ...process.env, ...env },
    },
  );
  let stderr = '';
  child.stderr.on('data', (chunk) => (stderr += String(chunk)));
  while (!stderr.includes('hashing') && child.exitCode === null) await sleep(50);
  child.kill('SIGINT');
  const [code] = (await once(child, 'close')) as [number];
  assert.equal(code, 130, stderr);
  await rm(at('large.bin'));
  assert.equal((await good('log', '--all', '--json')).stdout, was);
  await good('record', 'creative-work', 'data/test.csv');
  await good('log', 'verify');
});
