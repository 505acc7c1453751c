import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, test } from 'node:test';
import { httpSource } from './http-source.js';
import { seededRandom } from './random.js';

const random = seededRandom(3, 'http');
const content = Uint8Array.from({ length: 3_000_001 }, () => random.below(256));

interface Behaviour {
  ranges?: boolean;
  /** Answers 503 so many times first. */
  busy?: number;
  tag?: () => string;
  status?: number;
  short?: boolean;
}
const served: { behaviour: Behaviour; requests: number; bytes: number } = { behaviour: {}, requests: 0, bytes: 0 };

function serve(request: IncomingMessage, response: ServerResponse): void {
  served.requests++;
  const { ranges = true, status, short = false, tag = () => '"v1"' } = served.behaviour;
  if ((served.behaviour.busy ?? 0) > 0) {
    served.behaviour.busy!--;
    response.writeHead(503).end();
    return;
  }
  if (status !== undefined) {
    response.writeHead(status).end();
    return;
  }
  const found = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '');
  const stale = request.headers['if-range'] !== undefined && request.headers['if-range'] !== tag();
  if (!ranges || found === null || stale) {
    response.writeHead(200, { etag: tag() }).end(Buffer.from(content));
    return;
  }
  const [start, end] = [Number(found[1]), Number(found[2]) + 1];
  const part = content.subarray(start, short ? end - 1 : end);
  served.bytes += part.length;
  response
    .writeHead(206, { etag: tag(), 'content-range': `bytes ${start}-${end - 1}/${content.length}` })
    .end(Buffer.from(part));
}

const server = createServer(serve);
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
after(() => server.close());
const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}/model.safetensors?token=secret`;
const open = (behaviour: Behaviour = {}) => {
  Object.assign(served, { behaviour, requests: 0, bytes: 0 });
  return httpSource(address, { retries: 2, pauseMs: 1 });
};

test('slices are the file’s own bytes, wherever they lie', async () => {
  const source = await open();
  assert.equal(source.byteLength, content.length);
  for (const [start, end] of [
    [0, 8],
    [262_140, 262_150],
    [5, 5],
    [1_000_000, 2_900_000],
    [content.length - 3, content.length],
  ] as const) {
    assert.deepEqual(await source.slice(start, end), content.slice(start, end), `${start}-${end}`);
  }
  await assert.rejects(source.slice(0, content.length + 1), { code: 'SOURCE_RANGE' });
});

test('many small reads are few requests, and little is fetched', async () => {
  const source = await open();
  for (let at = 0; at < 200_000; at += 500) await source.slice(at, at + 100);
  assert.equal(served.requests, 2);
  assert.ok(served.bytes <= 262_145, `${served.bytes} bytes`);
});

test('the name says where it is, and keeps the query to itself', async () => {
  const { name } = await open();
  assert.match(name, /^http:\/\/127\.0\.0\.1:\d+\/model\.safetensors$/);
});

test('a server that is busy in passing is asked again', async () => {
  const source = await open({ busy: 2 });
  assert.equal(source.byteLength, content.length);
});

const refused: readonly [string, Behaviour, string][] = [
  ['busy for good', { busy: 9 }, 'URL_UNREACHABLE'],
  ['without ranges', { ranges: false }, 'URL_NO_RANGES'],
  ['not found', { status: 404 }, 'URL_STATUS'],
  ['forbidden', { status: 403 }, 'URL_STATUS'],
];
for (const [name, behaviour, code] of refused) {
  test(`refused: ${name}`, () => assert.rejects(open(behaviour), { code }));
}

test('a file that changes while it is read is noticed', async () => {
  let version = 1;
  const source = await open({ tag: () => `"v${version}"` });
  await source.slice(0, 10);
  version = 2;
  await assert.rejects(source.slice(2_000_000, 2_000_010), { code: 'URL_CHANGED' });
});

test('an answer that is shorter than it says is refused', async () => {
  const source = await open();
  served.behaviour = { short: true };
  await assert.rejects(source.slice(500_000, 500_010));
});

test('an address that is not https is refused before anything is sent', async () => {
  for (const url of ['http://example.com/m.onnx', 'ftp://example.com/m', 'https://', 'file:///etc/passwd']) {
    await assert.rejects(httpSource(url), { code: 'URL_REFUSED' });
  }
});

test('nobody there', () =>
  assert.rejects(httpSource('http://127.0.0.1:9/x', { retries: 1, pauseMs: 1 }), { code: 'URL_UNREACHABLE' }));
