import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { fromHex, MunimentError, sha256, toHex, utf8 } from '../../base/index.js';
import { checkPurpose, oneLine } from './chain.js';
import { type Element, elementIn, elementsIn } from './der.js';
import { askAuthority, newNonce } from './request.js';
import { hasOpenssl, testAuthority } from './testing/authority.js';
import { type VerifiedTimestamp, verifyTimestamp } from './timestamp.js';

const skip = hasOpenssl ? false : 'no openssl on this machine: the committed vectors below serve instead';
const DIGEST = sha256(utf8('a checkpoint'));
/** Every byte takes half a minute; a step that is prime to every structure reaches all kinds of places. */
const STEP = process.env.MUNIMENT_EVERY_BYTE === '1' ? 1 : 7;
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

interface Vector {
  readonly name: string;
  readonly digest: string;
  readonly time: string;
  readonly authority: string;
  readonly root: string;
}

/** [start, end) of an element in the bytes that it was cut from. */
const rangeOf = ({ raw }: Element, of: Uint8Array): readonly [number, number] => [
  raw.byteOffset - of.byteOffset,
  raw.byteOffset - of.byteOffset + raw.length,
];

/**
 * Parts of a token that nothing verified rests on: version and digest list of the signed data (the signer states its own
 * digest), certificates that the chain does not need (the copy of the pinned root), and the encoding of the signer's name and
 * algorithms, where it is read as the same.
 */
function looseParts(token: Uint8Array, needed: readonly string[]): readonly (readonly [number, number])[] {
  const inside = (element: Element): readonly Element[] => elementsIn(element.body)!;
  const response = elementIn(token, 0x30)!;
  const signed = inside(inside(inside(response)[1]!)[1]!)[0]!;
  const [version, digests, , certificates, signers] = inside(signed);
  const needless = inside(certificates!).filter(
    ({ raw }) => !needed.includes(oneLine(new X509Certificate(raw).subject)),
  );
  const [number, name, digest, , scheme] = inside(inside(signers!)[0]!);
  return [version!, digests!, ...needless, number!, name!, digest!, scheme!].map((element) => rangeOf(element, token));
}

for (const { name, digest: hex, time, authority, root } of JSON.parse(
  readFileSync(path.join(VECTORS, 'expected.json'), 'utf8'),
) as readonly Vector[]) {
  const token = Uint8Array.from(readFileSync(path.join(VECTORS, `${name}.tsr`)));
  const pem = readFileSync(path.join(VECTORS, `${name}-root.pem`), 'utf8');
  const digest = fromHex(hex);
  const factsOf = ({ token: _, ...facts }: VerifiedTimestamp) => facts;

  test(`the committed token ${name} verifies; cut anywhere it is refused`, () => {
    const stamp = verifyTimestamp(token, digest, [pem]);
    assert.deepEqual([stamp.time.toISOString(), stamp.authority, stamp.root], [time, authority, root]);
    for (let length = 0; length < token.length; length += 37) {
      assert.throws(() => verifyTimestamp(token.subarray(0, length), digest, [pem]), MunimentError);
    }
    assert.throws(() => verifyTimestamp(Uint8Array.of(...token, 0), digest, [pem]), { code: 'TIMESTAMP_MALFORMED' });
  });

  test(`${name}: a changed byte is refused, or lies where nothing verified rests on it`, (t) => {
    const facts = factsOf(verifyTimestamp(token, digest, [pem]));
    const loose = looseParts(token, [authority, 'O=Test authority, CN=Test intermediate RSA']);
    let [tried, unchanged] = [0, 0];
    for (let at = 0; at < token.length; at += STEP) {
      const changed = Uint8Array.from(token);
      changed[at] = changed[at]! ^ (1 + ((at * 7) % 255));
      tried++;
      try {
        assert.deepEqual(factsOf(verifyTimestamp(changed, digest, [pem])), facts, `byte ${at}`);
        assert.ok(
          loose.some(([start, end]) => start <= at && at < end),
          `byte ${at} can be changed unseen`,
        );
        unchanged++;
      } catch (error) {
        assert.ok(
          error instanceof MunimentError && !(error instanceof assert.AssertionError),
          `byte ${at}: ${String(error)}`,
        );
      }
    }
    t.diagnostic(`${tried} changes: ${tried - unchanged} refused, ${unchanged} where nothing rests on the byte`);
    assert.ok(tried - unchanged > unchanged);
  });
}
