/** OpenVINO IR against the ONNX file that it was converted from: related, whatever was done to the numbers on the way. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { compareFiles } from './index.js';

const at = (name: string): string =>
  fileURLToPath(new URL(`../../vectors/formats/good/openvino/${name}`, import.meta.url));

for (const [a, b, least] of [
  ['image.xml', 'image.onnx', 0.99],
  ['image-f16.xml', 'image.onnx', 0.99],
  ['image-int8.xml', 'image.onnx', 0.9],
  ['encoder.onnx', 'encoder-int8.xml', 0.9],
  ['encoder-int4.xml', 'encoder.onnx', 0.9],
] as const) {
  test(`${a} and ${b} are related`, async () => {
    const { verdict, log10p, scope } = await compareFiles(at(a), at(b));
    assert.equal(verdict, 'related');
    assert.ok(log10p! < -20, String(log10p));
    assert.ok(scope.related > least, String(scope.related));
  });
}

test('an image model and a text model are not', async () => {
  assert.notEqual((await compareFiles(at('image.xml'), at('encoder.onnx'))).verdict, 'related');
});
