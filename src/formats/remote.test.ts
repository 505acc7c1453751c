import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, test } from 'node:test';
import { openModel } from './open-model.js';
import { buildSafetensors } from './safetensors.js';

const files: Readonly<Record<string, Uint8Array>> = {
  '/m/one.safetensors': buildSafetensors({ a: { dtype: 'F32', shape: [2], values: [1, 2] } }),
  '/m/two.safetensors': buildSafetensors({ b: { dtype: 'F32', shape: [1], values: [3] } }),
  '/m/model.safetensors.index.json': new TextEncoder().encode(
    JSON.stringify({ metadata: {}, weight_map: { a: 'one.safetensors', b: 'two.safetensors' } }),
  ),
};
const server = createServer((request, response) => {
  const bytes = files[new URL(request.url!, 'http://x').pathname];
  const range = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '');
  if (bytes === undefined || range === null) {
    response.writeHead(404).end();
    return;
  }
  const [start, end] = [Number(range[1]), Math.min(Number(range[2]) + 1, bytes.length)];
  response.writeHead(206, { 'content-range': `bytes ${start}-${end - 1}/${bytes.length}` });
  response.end(Buffer.from(bytes.subarray(start, end)));
});
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
after(() => server.close());
const at = (path: string): string => `http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`;

test('a model behind an address is opened like a file', async () => {
  const model = await openModel(at('/m/one.safetensors'));
  assert.deepEqual([...(await model.tensors.get('a')!.read(0, 2))], [1, 2]);
  await model.close();
});

test('its shards are found below the same folder', async () => {
  const model = await openModel(at('/m/model.safetensors.index.json'));
  assert.deepEqual([...model.tensors.keys()].sort(), ['a', 'b']);
  assert.deepEqual([...(await model.tensors.get('b')!.read(0, 1))], [3]);
  await model.close();
});

test('what is not there is said with its address', () =>
  assert.rejects(openModel(at('/m/none.safetensors')), { code: 'URL_STATUS' }));
