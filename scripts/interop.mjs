// Python's own libraries as outside clients: a virtual environment that is thrown away, pinned packages, the tests of
// files named *interop*. Without Python, pip or a package index it says so and passes; MUNIMENT_PYTHON names an
// environment that is at hand (one with torch runs its tests, too).
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const PACKAGES = ['numpy==2.4.6', 'ml_dtypes==0.6.0', 'safetensors==0.8.0', 'onnx==1.23.2', 'gguf==0.19.0'];

const tests = fileURLToPath(new URL('./test.mjs', import.meta.url));
const runTests = (python) =>
  spawnSync(process.execPath, [tests, 'interop'], {
    stdio: 'inherit',
    env: { ...process.env, MUNIMENT_INTEROP: '1', MUNIMENT_PYTHON: python },
  }).status ?? 70;

const skip = (why) => {
  console.log(`interoperability not run: ${why}`);
  process.exit(0);
};

if (process.env.MUNIMENT_PYTHON !== undefined) process.exit(runTests(process.env.MUNIMENT_PYTHON));

const folder = mkdtempSync(path.join(os.tmpdir(), 'interop-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
const created = spawnSync('python3', ['-m', 'venv', folder], { encoding: 'utf8' });
if (created.status !== 0) skip('no Python 3 with venv and pip');
const python = path.join(folder, process.platform === 'win32' ? 'Scripts/python.exe' : 'bin/python');
const installed = spawnSync(python, ['-m', 'pip', 'install', '--quiet', ...PACKAGES], { encoding: 'utf8' });
if (installed.status !== 0)
  skip(`pip could not install ${PACKAGES.join(', ')}: ${installed.stderr.trim().split('\n').at(-1)}`);
process.exit(runTests(python));
