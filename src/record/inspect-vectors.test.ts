/** Every model file among the vectors is inspected whole: what is text is told as such, and stops nothing. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { openModel } from '../formats/index.js';
import { inspectModel } from './inspect.js';

const good = fileURLToPath(new URL('../../vectors/formats/good', import.meta.url));
const MODEL = /\.(onnx|safetensors|pth?|np[yz]|gguf|tflite)$|model\.json$|manifest\.json$|index\.json$/;

test('each good vector has an inspection', async () => {
  const files = (readdirSync(good, { recursive: true }) as string[]).filter((name) => MODEL.test(name));
  assert.ok(files.length > 25, `${files.length} files`);
  for (const file of files) {
    const model = await openModel(path.join(good, file));
    try {
      const { tensors, constants, layers } = await inspectModel(model, { digest: true });
      assert.equal(tensors, model.tensors.size, file);
      for (const { name, dtype } of model.tensors.values()) {
        const text = constants.some(({ tensor, what }) => tensor === name && what === 'text');
        assert.equal(text, dtype === 'STRING' && layers.some(({ tensor }) => tensor === name), `${file}: ${name}`);
      }
    } finally {
      await model.close();
    }
  }
});
