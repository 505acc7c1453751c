import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import {
  environmentError,
  evidenceError,
  exitCodeOf,
  inputError,
  MunimentError,
  toMunimentError,
  usageError,
} from './errors.js';

test('the exit code follows from the kind', () => {
  const codes = [evidenceError, usageError, inputError, environmentError].map((make) => exitCodeOf(make('A_B', 'm')));
  assert.deepEqual(codes, [1, 2, 3, 4]);
  assert.equal(exitCodeOf(new TypeError('a fault of ours')), 70);
  assert.equal(exitCodeOf('thrown text'), 70);
});

test('facts and cause are kept', () => {
  const cause = new Error('below');
  const error = inputError('SAFETENSORS_TRUNCATED', 'too short', { expected: '8', got: '3', where: 'x', cause });
  assert.ok(error instanceof MunimentError && error instanceof Error);
  assert.deepEqual(
    [error.code, error.facts.expected, error.facts.got, error.cause],
    ['SAFETENSORS_TRUNCATED', '8', '3', cause],
  );
  assert.equal(toMunimentError(error), error);
  assert.ok(!('cause' in usageError('A_B', 'm')));
});

test('conditions of the file system become errors with advice', async () => {
  const missing = await readFile(path.join(os.tmpdir(), 'no such file')).catch((error: unknown) => error);
  const folder = await readFile(os.tmpdir()).catch((error: unknown) => error);
  assert.deepEqual([toMunimentError(missing).code, exitCodeOf(missing)], ['FILE_NOT_FOUND', 3]);
  assert.match(toMunimentError(missing).facts.where ?? '', /no such file/);
  assert.deepEqual([toMunimentError(folder).code, exitCodeOf(folder)], ['FILE_EISDIR', 3]);
  for (const code of ['ENOSPC', 'EACCES', 'EROFS', 'EIO']) {
    const error = toMunimentError(Object.assign(new Error('x'), { code }));
    assert.deepEqual([error.code, error.kind], [`FILE_${code}`, 'environment']);
    assert.ok((error.facts.todo ?? '').length > 10);
  }
});
