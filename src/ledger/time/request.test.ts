/** Authorities and relays that misbehave, each on a server of its own. */
import assert from 'node:assert/strict';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { AsnConvert } from '@peculiar/asn1-schema';
import { TimeStampReq } from '@peculiar/asn1-tsp';
import { sha256, toHex, utf8 } from '../../base/index.js';
import { fetchBeacon } from './beacon.js';
import { askAuthority, MAX_TOKEN_BYTES, newNonce, timestampRequest } from './request.js';

const DIGEST = sha256(utf8('a checkpoint'));

async function served<T>(listener: RequestListener, work: (url: string) => Promise<T>): Promise<T> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    return await work(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}

const reply = 'application/timestamp-reply';
const ask = (url: string, timeout = 5000): Promise<Uint8Array> => askAuthority(url, DIGEST, newNonce(), timeout);

test('a request says SHA-256, the digest, the nonce, and asks for certificates', () => {
  const nonce = newNonce();
  const request = AsnConvert.parse(timestampRequest(DIGEST, nonce), TimeStampReq);
  assert.equal(request.messageImprint.hashAlgorithm.algorithm, '2.16.840.1.101.3.4.2.1');
  assert.equal(toHex(new Uint8Array(request.messageImprint.hashedMessage.buffer)), toHex(DIGEST));
  assert.equal(toHex(new Uint8Array(request.nonce!)), toHex(nonce));
  assert.equal(request.certReq, true);
});

test('it is posted as RFC 3161 §3.4 asks, and the answer comes back byte for byte', async () => {
  const seen: string[] = [];
  const answer = await served((request, response) => {
    seen.push(request.method!, request.headers['content-type']!);
    response.writeHead(200, { 'content-type': `${reply}; charset=binary` }).end(Buffer.from([1, 2, 3]));
  }, ask);
  assert.deepEqual(
    [seen, [...answer]],
    [
      ['POST', 'application/timestamp-query'],
      [1, 2, 3],
    ],
  );
});

test('a server error, a page of HTML, an endless answer: refused, with what came', async () => {
  for (const [listener, got] of [
    [(_, response) => response.writeHead(503).end('busy'), /HTTP 503/],
    [(_, response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<p>Log in'), /text\/html/],
    [
      (_, response) => {
        response.writeHead(200, { 'content-type': reply });
        const more = (): void => {
          while (!response.destroyed && response.write(Buffer.alloc(65536)));
        };
        response.on('drain', more);
        more();
      },
      /too many bytes/,
    ],
    [
      (_, response) => response.writeHead(200, { 'content-type': reply }).end(Buffer.alloc(MAX_TOKEN_BYTES + 1)),
      /too many bytes/,
    ],
  ] as readonly (readonly [RequestListener, RegExp])[]) {
    await assert.rejects(served(listener, ask), (error: { code: string; kind: string; facts: { got: string } }) => {
      assert.deepEqual([error.code, error.kind], ['TSA_REFUSED', 'environment']);
      assert.match(error.facts.got, got);
      return true;
    });
  }
});

test('silence, an answer that stops half-way, nobody there, no address: unreachable, and soon', async () => {
  const unreachable = { code: 'TSA_UNREACHABLE', kind: 'environment' };
  const started = Date.now();
  await assert.rejects(
    served(
      () => undefined,
      (url) => ask(url, 100),
    ),
    unreachable,
  );
  await assert.rejects(
    served(
      (_, response) => void response.writeHead(200, { 'content-type': reply, 'content-length': '9' }).write('half'),
      (url) => ask(url, 100),
    ),
    unreachable,
  );
  await assert.rejects(
    served((_, response) => {
      response.writeHead(200, { 'content-type': reply, 'content-length': '9' }).write('half');
      setTimeout(() => response.destroy(), 20);
    }, ask),
    unreachable,
  );
  await assert.rejects(ask('http://127.0.0.1:9/'), unreachable);
  await assert.rejects(ask('no address'), unreachable);
  assert.ok(Date.now() - started < 5000);
});

test('a relay’s round is verified; anything else is refused within bounds', async () => {
  const round =
    '{"round":1000,"randomness":"fe290beca10872ef2fb164d2aa4442de4566183ec51c56ff3cd603d930e54fdd","signature":"b44679b9a59af2ec876b1a6b1ad52ea9b1615fc3982b19576350f93447cb1125e342b73a8dd2bacbe47e4b6b63ed5e39"}';
  const body = (status: number, text: string) => (url?: string) =>
    served(
      (_, response) => response.writeHead(status).end(text),
      (address) => fetchBeacon(url ?? address),
    );
  assert.equal((await body(200, round)()).round, 1000);
  await assert.rejects(body(200, round.replace('1000', '1001'))(), { code: 'BEACON_SIGNATURE' });
  await assert.rejects(body(404, '{}')(), { code: 'BEACON_UNREACHABLE' });
  await assert.rejects(body(200, `${round}${' '.repeat(5000)}`)(), { code: 'BEACON_UNREACHABLE' });
  await assert.rejects(body(200, '<p>')(), { code: 'JSON_INVALID' });
  await assert.rejects(fetchBeacon('http://127.0.0.1:9/'), { code: 'BEACON_UNREACHABLE' });
});
