import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { fromHex, MunimentError, sha256, toHex, utf8 } from '../../base/index.js';
import { askAuthority, newNonce } from './request.js';
import { hasOpenssl, testAuthority } from './testing/authority.js';
import { checkPurpose, verifyTimestamp } from './timestamp.js';

const skip = hasOpenssl ? false : 'no openssl on this machine: the committed vectors below serve instead';
const DIGEST = sha256(utf8('a checkpoint'));
const VECTORS = path.join(import.meta.dirname, '../../../vectors/time');

for (const algorithm of ['ec', 'rsa'] as const) {
  test(`a token from openssl ts (${algorithm}) over HTTP verifies here and there`, { skip }, async () => {
    const authority = await testAuthority('critical,timeStamping', algorithm);
    try {
      const nonce = newNonce();
      const response = await askAuthority(authority.url, DIGEST, nonce);
      const stamp = verifyTimestamp(response, DIGEST, [authority.root], { nonce });
      assert.ok(Math.abs(stamp.time.getTime() - Date.now()) < 120_000);
      assert.match(stamp.authority, /Test time stamps/);
      const dir = mkdtempSync(path.join(os.tmpdir(), 'ts-'));
      writeFileSync(path.join(dir, 'answer.tsr'), response);
      writeFileSync(path.join(dir, 'ca.pem'), authority.root);
      const said = execFileSync(
        'openssl',
        ['ts', '-verify', '-digest', toHex(DIGEST), '-in', 'answer.tsr', '-CAfile', 'ca.pem'],
        { cwd: dir, stdio: ['ignore', 'pipe', 'pipe'] },
      );
      assert.match(said.toString(), /Verification: OK/);
      assert.throws(() => verifyTimestamp(response, DIGEST, [authority.root], { nonce: newNonce() }), {
        code: 'TIMESTAMP_NONCE',
      });
      assert.throws(() => verifyTimestamp(response, sha256(DIGEST), [authority.root]), { code: 'TIMESTAMP_IMPRINT' });
      assert.throws(() => verifyTimestamp(response, DIGEST, []), { code: 'TIMESTAMP_CHAIN' });
      const stranger = await testAuthority();
      try {
        assert.throws(() => verifyTimestamp(response, DIGEST, [stranger.root]), { code: 'TIMESTAMP_CHAIN' });
      } finally {
        await stranger.close();
      }
    } finally {
      await authority.close();
    }
  });
}

test('a signer whose certificate is not for time stamping alone is refused', { skip }, async () => {
  // openssl refuses to stamp with such certificates, so the check is made on the certificates themselves.
  for (const purpose of ['critical,timeStamping,codeSigning', 'timeStamping', 'critical,codeSigning', '']) {
    const authority = await testAuthority(purpose);
    assert.throws(() => checkPurpose(authority.signer, 'test'), { code: 'TIMESTAMP_CERTIFICATE' }, purpose);
    await authority.close();
  }
  const good = await testAuthority();
  checkPurpose(good.signer, 'test');
  assert.throws(() => checkPurpose(new X509Certificate(good.root), 'test'), { code: 'TIMESTAMP_CERTIFICATE' });
  await good.close();
});

test('the committed token verifies; every single changed byte is refused or changes nothing that was verified', () => {
  const token = Uint8Array.from(readFileSync(path.join(VECTORS, 'token.tsr')));
  const root = readFileSync(path.join(VECTORS, 'root.pem'), 'utf8');
  const expected = JSON.parse(readFileSync(path.join(VECTORS, 'expected.json'), 'utf8')) as {
    digest: string;
    time: string;
    authority: string;
  };
  const digest = fromHex(expected.digest);
  const stamp = verifyTimestamp(token, digest, [root]);
  assert.deepEqual([stamp.time.toISOString(), stamp.authority], [expected.time, expected.authority]);
  let unchanged = 0;
  for (let at = 0; at < token.length; at += 2) {
    const changed = Uint8Array.from(token);
    changed[at] = changed[at]! ^ 1;
    try {
      const again = verifyTimestamp(changed, digest, [root]);
      // Only the signatures of certificates that the pinned root makes needless, and the answer's status text, may differ.
      assert.deepEqual(
        [again.time, again.authority, again.serial, again.policy],
        [stamp.time, stamp.authority, stamp.serial, stamp.policy],
      );
      unchanged++;
    } catch (error) {
      assert.ok(error instanceof MunimentError, `byte ${at}: ${String(error)}`);
    }
  }
  assert.ok(unchanged < token.length / 2, `${unchanged} of ${token.length} bytes lie outside what is verified`);
  for (let length = 0; length < token.length; length += 37) {
    assert.throws(() => verifyTimestamp(token.subarray(0, length), digest, [root]), MunimentError);
  }
});
