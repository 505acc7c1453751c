/** A time-stamp authority for tests and the demo of the demo's own clock: `openssl ts` behind HTTP on 127.0.0.1. */
import { execFileSync, spawnSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';

export const hasOpenssl = spawnSync('openssl', ['version']).status === 0;

export interface TestAuthority {
  readonly url: string;
  /** PEM of the root. */
  readonly root: string;
  readonly signer: X509Certificate;
  /** Answers a request (DER) without HTTP. */
  answer(request: Uint8Array): Uint8Array;
  close(): Promise<void>;
}

const CONFIG = (dir: string, serial: string) => `
[ tsa ]
default_tsa = one
[ one ]
serial = ${path.join(dir, serial)}
crypto_device = builtin
signer_cert = ${path.join(dir, 'tsa.pem')}
certs = ${path.join(dir, 'ca.pem')}
signer_key = ${path.join(dir, 'tsa.key')}
signer_digest = sha256
default_policy = 1.3.6.1.4.1.99999.1
digests = sha256, sha384, sha512
accuracy = secs:1
ordering = yes
tsa_name = yes
ess_cert_id_chain = no
ess_cert_id_alg = sha256
`;

/**
 * @param purpose extended key usage of the signer; anything but `critical,timeStamping` must be refused
 * @param algorithm of the keys
 */
export async function testAuthority(
  purpose = 'critical,timeStamping',
  algorithm: 'ec' | 'rsa' = 'ec',
): Promise<TestAuthority> {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'tsa-'));
  const at = (name: string): string => path.join(dir, name);
  const openssl = (...args: readonly string[]): Buffer =>
    execFileSync('openssl', [...args], { cwd: dir, stdio: ['ignore', 'pipe', 'pipe'] });
  const newKey =
    algorithm === 'ec' ? ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'] : ['-newkey', 'rsa:2048'];
  openssl(
    'req',
    '-x509',
    ...newKey,
    '-nodes',
    '-keyout',
    at('ca.key'),
    '-out',
    at('ca.pem'),
    '-days',
    '3650',
    '-subj',
    '/O=Test authority/CN=Test root',
    '-addext',
    'basicConstraints=critical,CA:TRUE',
    '-addext',
    'keyUsage=critical,keyCertSign',
  );
  openssl(
    'req',
    ...newKey,
    '-nodes',
    '-keyout',
    at('tsa.key'),
    '-out',
    at('tsa.csr'),
    '-subj',
    '/O=Test authority/CN=Test time stamps',
  );
  writeFileSync(
    at('tsa.ext'),
    `basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\n${purpose === '' ? '' : `extendedKeyUsage=${purpose}\n`}`,
  );
  openssl(
    'x509',
    '-req',
    '-in',
    at('tsa.csr'),
    '-CA',
    at('ca.pem'),
    '-CAkey',
    at('ca.key'),
    '-CAcreateserial',
    '-days',
    '3650',
    '-extfile',
    at('tsa.ext'),
    '-out',
    at('tsa.pem'),
  );
  writeFileSync(at('serial'), '01\n');
  writeFileSync(at('tsa.cnf'), CONFIG(dir, 'serial'));
  const answer = (request: Uint8Array): Uint8Array => {
    writeFileSync(at('request.tsq'), request);
    openssl('ts', '-reply', '-config', at('tsa.cnf'), '-queryfile', at('request.tsq'), '-out', at('answer.tsr'));
    return Uint8Array.from(readFileSync(at('answer.tsr')));
  };
  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      response.writeHead(200, { 'content-type': 'application/timestamp-reply' });
      response.end(answer(Buffer.concat(parts)));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/tsr`,
    root: readFileSync(at('ca.pem'), 'utf8'),
    signer: new X509Certificate(readFileSync(at('tsa.pem'))),
    answer,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      rmSync(dir, { recursive: true });
    },
  };
}
