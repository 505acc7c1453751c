/** The process itself: what a shell sees. Everything else is tested in one process, beside the code. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { muniment } from '../src/cli/testing/io.js';
import { commandWords } from '../src/cli/testing/process.js';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const start = commandWords();
const run = (args: readonly string[], more: object = {}) =>
  spawnSync(process.execPath, [...start, ...args], { cwd: root, encoding: 'utf8', ...more });

test('exit codes and streams of a real process', () => {
  const good = run(['completion', 'bash', '--json']);
  assert.equal(good.status, 0, good.stderr);
  assert.equal(JSON.parse(good.stdout).shell, 'bash');
  const bad = run(['nosuch', '--json']);
  assert.equal(bad.status, 2);
  assert.equal(JSON.parse(bad.stdout).error.code, 'COMMAND_UNKNOWN');
  assert.match(bad.stderr, /COMMAND_UNKNOWN/);
});

test('a reader that goes away is no crash', async () => {
  const child = spawn(process.execPath, [...start, 'completion', 'zsh'], { cwd: root });
  child.stdout.destroy();
  let stderr = '';
  child.stderr.on('data', (chunk) => (stderr += String(chunk)));
  const code = await new Promise((resolve) => child.on('close', resolve));
  assert.equal(code, 0, stderr);
  assert.equal(stderr, '');
});

test('the bash completion is bash, and completes', {
  skip: spawnSync('bash', ['--version']).status !== 0,
}, async () => {
  const { stdout } = await muniment(['completion', 'bash']);
  const folder = await mkdtemp(path.join(os.tmpdir(), 'muniment-'));
  try {
    const file = path.join(folder, 'completion.bash');
    writeFileSync(file, stdout);
    const ask = (words: string): string[] => {
      const list = words.split(' ');
      const script = `source '${file}'; COMP_WORDS=(${list.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${list.length - 1}; _muniment; printf '%s\\n' "\${COMPREPLY[@]}"`;
      const ran = spawnSync('bash', ['-c', script], { encoding: 'utf8', cwd: folder });
      assert.equal(ran.stderr, '');
      return ran.stdout.trim().split('\n');
    };
    assert.deepEqual(ask('muniment compl'), ['completion']);
    assert.deepEqual(ask('muniment completion z'), ['zsh']);
    assert.deepEqual(ask('muniment completion --js'), ['--json']);
  } finally {
    await rm(folder, { recursive: true });
  }
});
