// Runs every *.test.ts beside the code and in test/ (or those whose path contains an argument) on Node's own test runner.
// What is beside the code runs as it was built, where the build is of these sources: a process then starts in half the time.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const testsIn = (dir) =>
  readdirSync(path.join(root, dir), { withFileTypes: true }).flatMap((entry) => {
    const name = path.posix.join(dir, entry.name);
    return entry.isDirectory() ? testsIn(name) : name.endsWith('.test.ts') ? [name] : [];
  });

const wanted = process.argv.slice(2);
const files = [...testsIn('src'), ...testsIn('test')].filter(
  (file) => wanted.length === 0 || wanted.some((part) => file.includes(part)),
);
if (files.length === 0) {
  console.error(`No test file matches ${wanted.join(' ')}.`);
  process.exit(2);
}

/** As setup.mjs decides whether to compile. */
function isBuilt() {
  const stamp = path.join(root, 'dist', '.built');
  if (!existsSync(stamp)) return false;
  const { mtimeMs } = statSync(stamp);
  return readdirSync(path.join(root, 'src'), { recursive: true })
    .filter((name) => /\.(ts|json|html|css|svg)$/.test(name))
    .every((name) => statSync(path.join(root, 'src', name)).mtimeMs <= mtimeMs);
}

const built = isBuilt();
const temporary = mkdtempSync(path.join(os.tmpdir(), 'muniment-test-'));
const translator = pathToFileURL(path.join(root, 'node_modules/tsx/dist/esm/api/index.mjs')).href;

/** What the runner starts: the compiled test, or a few lines that have the source translated. */
function entryOf(file) {
  if (built && file.startsWith('src/')) return path.join(root, file.replace(/^src/, 'dist').replace(/\.ts$/, '.js'));
  const entry = path.join(temporary, `${file.replaceAll('/', '.')}.mjs`);
  const source = pathToFileURL(path.join(root, file)).href;
  writeFileSync(
    entry,
    `import { register } from ${JSON.stringify(translator)};\nregister();\nawait import(${JSON.stringify(source)});\n`,
  );
  return entry;
}

const run = spawnSync(
  process.execPath,
  [
    '--enable-source-maps',
    '--test',
    '--test-reporter=spec',
    `--test-concurrency=${os.availableParallelism()}`,
    ...files.map(entryOf),
  ],
  { cwd: root, stdio: 'inherit' },
);
rmSync(temporary, { recursive: true });
process.exit(run.status ?? 70);
