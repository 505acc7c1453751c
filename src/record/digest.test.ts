import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { digestPaths } from './digest.js';

let folder = '';
const at = (...parts: string[]): string => path.join(folder, ...parts);
before(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'muniment-digest-'));
  mkdirSync(at('data/a'), { recursive: true });
  mkdirSync(at('data/a-b'));
  mkdirSync(at('empty/inner'), { recursive: true });
  writeFileSync(at('data/a/x'), '1');
  writeFileSync(at('data/a-b/x'), '2');
  writeFileSync(at('data/config.json'), '{}');
  writeFileSync(at('data/odd\nname\\here'), 'odd');
  writeFileSync(at('data/ümlaut'), 'u');
});
after(() => rm(folder, { recursive: true }));

test('one file: its SHA-256', async () => {
  // FIPS 180-2, appendix B.1: SHA-256("abc").
  writeFileSync(at('abc'), 'abc');
  const { sha256, content } = await digestPaths([at('abc')]);
  assert.equal(sha256, 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
  assert.deepEqual(content, { method: 'file', files: 1, bytes: 3 });
});

const coreutils = spawnSync('bash', ['-c', 'sha256sum --version && sort --version && find --version']).status === 0;
test('a folder: what find, sort and sha256sum make of it', { skip: !coreutils }, async () => {
  const command = "find . -type f -printf '%P\\0' | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum";
  const oracle = spawnSync('bash', ['-c', command], { cwd: at('data'), encoding: 'utf8' }).stdout.split(' ')[0];
  const { sha256, content } = await digestPaths([at('data')]);
  assert.equal(sha256, oracle);
  assert.equal(content.method, 'manifest');
  assert.equal(content.files, 5);
  // Byte order, not the order of path components.
  assert.deepEqual(content.manifest!.map((file) => file.path).slice(0, 2), ['a-b/x', 'a/x']);
});

test('the digest moves with a name, a byte and a file, and not with the order of paths', async () => {
  const base = (await digestPaths([at('data')])).sha256;
  writeFileSync(at('data/new'), '');
  const more = (await digestPaths([at('data')])).sha256;
  await rm(at('data/new'));
  assert.notEqual(base, more);
  assert.equal((await digestPaths([at('data')])).sha256, base);
  const [one, other] = [at('data/config.json'), at('data/a')];
  assert.equal((await digestPaths([one, other])).sha256, (await digestPaths([other, one])).sha256);
});

test('refuses links, emptiness and two files of one name', async () => {
  mkdirSync(at('linked'));
  symlinkSync(at('abc'), at('linked/l'));
  await assert.rejects(digestPaths([at('linked')]), { code: 'RECORD_SYMLINK' });
  await assert.rejects(digestPaths([at('empty')]), { code: 'RECORD_EMPTY' });
  await assert.rejects(digestPaths([at('data/a/x'), at('data/a-b/x')]), { code: 'RECORD_SAME_NAME' });
  await assert.rejects(digestPaths([at('nowhere')]), { code: 'ENOENT' });
});

test('progress runs from 0 to the whole, once', async () => {
  const seen: number[] = [];
  await digestPaths([at('data')], { update: (done, total) => seen.push(done / total) });
  assert.deepEqual(
    seen,
    [...seen].sort((a, b) => a - b),
  );
  assert.equal(seen.at(-1), 1);
});
