// Brings a fresh clone to the point where `npx muniment`, the tests and the demo run. Does only what is missing or stale.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const stampFile = path.join(root, 'node_modules', '.muniment-install');
const buildStamp = path.join(root, 'dist', '.built');

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  console.error(
    `muniment needs Node 20.19 or newer; this is ${process.versions.node}. Install it from https://nodejs.org and try again.`,
  );
  process.exit(4);
}

/** Everything goes to stderr: stdout belongs to the command that is set up for. */
function run(command, args, otherwise) {
  const { status } = spawnSync(command, args, {
    cwd: root,
    stdio: ['ignore', 2, 2],
    shell: process.platform === 'win32',
  });
  if (status === 0) return;
  console.error(otherwise);
  process.exit(4);
}

function digestOf(files) {
  const hash = createHash('sha256');
  for (const file of files) hash.update(file).update(readFileSync(path.join(root, file)));
  return hash.digest('hex');
}

function sources(dir) {
  return readdirSync(path.join(root, dir), { withFileTypes: true }).flatMap((entry) => {
    const name = path.posix.join(dir, entry.name);
    return entry.isDirectory() ? sources(name) : /\.(ts|json|html|css|svg)$/.test(name) ? [name] : [];
  });
}

const lockDigest = `${digestOf(['package-lock.json', 'package.json'])} ${process.platform}-${process.arch} ${major}`;
if (!existsSync(stampFile) || readFileSync(stampFile, 'utf8') !== lockDigest) {
  console.error('Installing dependencies (npm ci), about a minute on a fresh machine …');
  // npm itself is a script beside node on every platform; the shell resolves it.
  run(
    'npm',
    ['ci', '--ignore-scripts', '--no-audit', '--no-fund'],
    'The dependencies could not be installed; npm says why above. Is there a network?',
  );
  writeFileSync(stampFile, lockDigest);
}

const newest = Math.max(
  ...[...sources('src').map((file) => path.join(root, file)), path.join(root, 'tsconfig.json'), stampFile].map(
    (file) => statSync(file).mtimeMs,
  ),
);
if (!existsSync(buildStamp) || statSync(buildStamp).mtimeMs < newest) {
  console.error('Compiling …');
  run(
    process.execPath,
    [path.join(root, 'node_modules/typescript/bin/tsc'), '-p', 'tsconfig.json'],
    'The code does not compile; the compiler says where above.',
  );
  mkdirSync(path.dirname(buildStamp), { recursive: true });
  writeFileSync(buildStamp, '');
}
