/**
 * What the documents show works: every command of a `sh` block in README.md runs, in order, in one folder; every `ts`
 * block runs; every relative link leads somewhere.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { muniment } from '../src/cli/testing/io.js';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const read = (file: string): string => readFileSync(path.join(root, file), 'utf8');

interface Block {
  readonly language: string;
  readonly text: string;
}

const blocks = (markdown: string): Block[] =>
  [...markdown.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)].map((match) => ({ language: match[1]!, text: match[2]! }));

/** Command lines of a block: continued lines joined, comments and empty lines left out. */
const commandLines = (text: string): string[] =>
  text
    .replaceAll(/\\\n\s*/g, ' ')
    .split('\n')
    .map((line) => line.replace(/(^|\s)#.*$/, '').trim())
    .filter(Boolean);

const words = (line: string): string[] =>
  [...line.matchAll(/(?:[^\s"']+|"[^"]*"|'[^']*')+/g)].map((match) => match[0].replaceAll(/["']/g, ''));

test('the README shows commands', () => {
  const lines = blocks(read('README.md')).flatMap((block) => (block.language === 'sh' ? commandLines(block.text) : []));
  assert.ok(lines.includes('npm test') && lines.includes('npm run demo'));
  assert.ok(lines.some((line) => line.startsWith('npx muniment ')));
});

test('every command of the README runs, in order', async () => {
  const scripts = (JSON.parse(read('package.json')) as { scripts: Record<string, string> }).scripts;
  const folder = await mkdtemp(path.join(os.tmpdir(), 'muniment-readme-'));
  const env: NodeJS.ProcessEnv = {};
  await cp(path.join(root, 'examples'), path.join(folder, 'examples'), { recursive: true });
  try {
    for (const block of blocks(read('README.md'))) {
      if (block.language !== 'sh') continue;
      for (const line of commandLines(block.text)) {
        const [first, ...rest] = words(line);
        if (first === 'npm') {
          // Running them here would run this test again; that they exist is what can be checked.
          const script = rest[0] === 'run' ? rest[1] : rest[0];
          assert.ok(script !== undefined && script in scripts, `${line}: no such script`);
        } else if (first === 'export') {
          const [name, value] = rest.join(' ').split('=', 2);
          env[name!] = value;
        } else if (first === 'npx' && rest[0] === 'muniment') {
          const [target, redirected] =
            rest.indexOf('>') === -1 ? [null, rest] : [rest.at(-1)!, rest.slice(0, rest.indexOf('>'))];
          const ran = await muniment(redirected.slice(1), { cwd: folder, env });
          assert.equal(ran.code, 0, `${line}\n${ran.stderr}`);
          if (target !== null) await writeFile(path.join(folder, target), ran.stdout);
        } else assert.fail(`a reader cannot be asked to run this untested: ${line}`);
      }
    }
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('every ts block of the documents runs', async () => {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'muniment-docs-'));
  try {
    for (const file of markdownFiles()) {
      for (const [index, block] of blocks(read(file)).entries()) {
        if (block.language !== 'ts') continue;
        // `muniment/ledger` is `src/ledger` here, so that what runs is the source at hand.
        const text = block.text.replaceAll(/from 'muniment\/(\w+)'/g, (_all, room: string) => {
          return `from ${JSON.stringify(pathToFileURL(path.join(root, 'src', room, 'index.ts')).href)}`;
        });
        const script = path.join(folder, `block-${index}.mts`);
        await writeFile(script, text);
        const tsx = pathToFileURL(path.join(root, 'node_modules/tsx/dist/esm/index.mjs')).href;
        const ran = spawnSync(process.execPath, ['--import', tsx, script], { cwd: folder, encoding: 'utf8' });
        assert.equal(ran.status, 0, `${file}, block ${index}:\n${ran.stderr}`);
      }
    }
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('every relative link in a document leads to a file', () => {
  const broken: string[] = [];
  for (const file of markdownFiles()) {
    const text = read(file).replaceAll(/^```[\s\S]*?^```$/gm, '');
    for (const match of text.matchAll(/\]\(([^)\s#]+)(#[^)]*)?\)/g)) {
      const target = match[1]!;
      if (/^[a-z]+:/.test(target)) continue;
      if (!existsSync(path.join(root, path.dirname(file), target))) broken.push(`${file}: ${target}`);
    }
  }
  assert.deepEqual(broken, []);
});

test('files that the documents name in code exist', () => {
  const broken: string[] = [];
  for (const file of markdownFiles()) {
    for (const match of read(file).matchAll(/`((?:src|docs|test|scripts|schemas|vectors|benches|bin)\/[\w./-]+)`/g)) {
      if (!existsSync(path.join(root, match[1]!))) broken.push(`${file}: ${match[1]}`);
    }
  }
  assert.deepEqual(broken, []);
});

function markdownFiles(dir = ''): string[] {
  const skipped = new Set(['node_modules', 'dist', 'vectors', '.git', 'demo-out']);
  return readdirSync(path.join(root, dir), { withFileTypes: true }).flatMap((entry) => {
    const name = path.posix.join(dir, entry.name);
    if (entry.isDirectory()) return skipped.has(entry.name) ? [] : markdownFiles(name);
    return entry.name.endsWith('.md') ? [name] : [];
  });
}
