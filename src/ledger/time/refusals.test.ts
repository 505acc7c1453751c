/** Tokens that are wrong in one way each, truly signed, against this verifier and, where there is one, `openssl ts`. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { OctetString } from '@peculiar/asn1-schema';
import { KeyUsageFlags } from '@peculiar/asn1-x509';
import { RFC3161Timestamp } from '@sigstore/core';
import { sha256, toHex, utf8 } from '../../base/index.js';
import { newNonce } from './request.js';
import { hasOpenssl } from './testing/authority.js';
import { ecKeys, extension, mintCertificate, mintToken, TIME_STAMPING, type TokenFacts } from './testing/mint.js';
import { verifyTimestamp } from './timestamp.js';

const DATA = utf8('a checkpoint');
const imprint = sha256(DATA);
const root = mintCertificate({ name: 'root', ca: true });
const tsa = { usages: [TIME_STAMPING], ca: false } as const;
const signer = mintCertificate({ name: 'time stamps', issuer: root, ...tsa });
const token = (facts: Partial<TokenFacts>): Uint8Array => mintToken({ signer, imprint, ...facts });
const stranger = mintCertificate({ name: 'root', ca: true });
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const middle = mintCertificate({ name: 'middle', issuer: root, ca: true, pathLength: 0 });
const under = mintCertificate({ name: 'time stamps', issuer: middle, ...tsa });

interface Case {
  readonly token: Uint8Array;
  /** Null: verifies. */
  readonly code: string | null;
  /** Why `openssl ts -verify` may say otherwise. */
  readonly differs?: string;
  readonly roots?: readonly string[];
}
const refusedAs = (code: string, facts: Partial<TokenFacts>): Case => ({ code, token: token(facts) });
/** A token by a signer of its own, issued by the root. */
const bySigner = (code: string | null, facts: object, more: Partial<TokenFacts> = {}): Case => ({
  code,
  token: token({ signer: mintCertificate({ name: 'time stamps', issuer: root, ...tsa, ...facts }), ...more }),
});
const below = (code: string | null, issuer: object, digest = 'sha256'): Case => {
  const between = mintCertificate({ name: 'middle', issuer: root, ca: true, digest, ...issuer });
  const last = mintCertificate({ name: 'time stamps', issuer: between, ...tsa });
  return { code, token: token({ signer: last, certificates: [last, between] }) };
};
const nonPinned = 'openssl uses whatever time it is now unless told otherwise';

const CASES: Readonly<Record<string, Case>> = {
  'a good token': { code: null, token: token({}) },
  'certificate named by SHA-1, the older attribute': { code: null, token: token({ essVersion: 1 }) },
  'RSA keys': bySigner(null, { keys: rsa }),
  'SHA-384 with P-384': bySigner(null, { keys: ecKeys('P-384') }, { digest: 'sha384' }),
  'through an intermediate, certificates in another order': {
    code: null,
    token: token({ signer: under, certificates: [middle, under, stranger] }),
  },
  'of a fraction of a second': { code: null, token: token({ time: new Date('2026-01-02T03:04:05.678Z') }) },
  'two roots of one name, the wrong one first': {
    code: null,
    token: token({}),
    roots: [stranger.pem, root.pem],
    differs: 'openssl tells them apart by key identifiers, which these lack',
  },

  'no roots': { code: 'TIMESTAMP_CHAIN', token: token({}), roots: [] },
  'a root of the same name': { code: 'TIMESTAMP_CHAIN', token: token({}), roots: [stranger.pem] },
  'the stranger’s own root inside the token': {
    code: 'TIMESTAMP_CHAIN',
    token: token({
      ...(() => {
        const own = mintCertificate({ name: 'time stamps', issuer: stranger, ...tsa });
        return { signer: own, certificates: [own, stranger] };
      })(),
    }),
  },
  'changed after it was signed': refusedAs('TIMESTAMP_SIGNATURE', { tamper: true }),
  'over something else': refusedAs('TIMESTAMP_IMPRINT', { imprint: sha256(utf8('another')) }),
  'imprint by another hash': {
    ...refusedAs('TIMESTAMP_IMPRINT', { imprintDigest: 'sha384' }),
    differs: 'it is given the hash alone, and compares no algorithm',
  },
  'refused by the authority': refusedAs('TIMESTAMP_REFUSED', { status: 2 }),
  'signed with SHA-1': {
    ...refusedAs('TIMESTAMP_SIGNATURE', { digest: 'sha1' }),
    differs: 'openssl 3.0 accepts SHA-1 at its default security level',
  },
  'two signers': refusedAs('TIMESTAMP_SIGNATURE', { signers: 2 }),
  'signed as another content type': {
    ...refusedAs('TIMESTAMP_SIGNATURE', { contentType: '1.2.840.113549.1.7.1' }),
    differs: 'openssl ts does not compare the signed content type (RFC 5652 §11.1)',
  },
  'no signing certificate named': refusedAs('TIMESTAMP_CERTIFICATE', { essVersion: 0 }),
  'another certificate hashed': refusedAs('TIMESTAMP_CERTIFICATE', { hashed: stranger }),
  'another certificate named': refusedAs('TIMESTAMP_CERTIFICATE', { named: stranger }),
  'certificate not in the token': refusedAs('TIMESTAMP_CERTIFICATE', { certificates: [root] }),
  'no extended key usage': bySigner('TIMESTAMP_CERTIFICATE', { usages: undefined }),
  'extended key usage not critical': bySigner('TIMESTAMP_CERTIFICATE', { usagesCritical: false }),
  'extended key usage not alone': bySigner('TIMESTAMP_CERTIFICATE', { usages: [TIME_STAMPING, '1.3.6.1.5.5.7.3.3'] }),
  'code signing': {
    ...bySigner('TIMESTAMP_CERTIFICATE', { usages: ['1.3.6.1.5.5.7.3.3'] }),
  },
  'key usage without signing': bySigner('TIMESTAMP_CERTIFICATE', { keyUsage: KeyUsageFlags.keyEncipherment }),
  'a CA that stamps': bySigner('TIMESTAMP_CERTIFICATE', { ca: true }),
  'signer expired then': {
    ...bySigner('TIMESTAMP_CHAIN', { to: new Date('2025-12-31T00:00:00Z') }),
    differs: nonPinned,
  },
  'signer not yet valid then': {
    ...bySigner('TIMESTAMP_CHAIN', { from: new Date('2026-01-03T00:00:00Z') }),
    differs: nonPinned,
  },
  'signer’s certificate signed with SHA-1': {
    ...bySigner('TIMESTAMP_CHAIN', { digest: 'sha1' }),
    differs: 'openssl 3.0 accepts SHA-1 at its default security level',
  },
  'signer with RSA of 1024 bits': {
    ...bySigner('TIMESTAMP_SIGNATURE', { keys: generateKeyPairSync('rsa', { modulusLength: 1024 }) }),
    differs: 'security level 1 asks for 80 bits',
  },
  'an unknown critical extension': bySigner('TIMESTAMP_CHAIN', {
    extensions: [extension('1.3.6.1.4.1.99999.7', true, new OctetString(0))],
  }),
  'intermediate that is no CA': below('TIMESTAMP_CHAIN', { ca: false }),
  'intermediate that may not sign certificates': below('TIMESTAMP_CHAIN', { keyUsage: KeyUsageFlags.digitalSignature }),
  'intermediate for web servers alone': {
    ...below('TIMESTAMP_CHAIN', { usages: ['1.3.6.1.5.5.7.3.1'] }),
    differs: 'openssl ts looks at the extended key usage of the signer only',
  },
  'intermediate expired then': below('TIMESTAMP_CHAIN', { to: new Date('2025-12-31T00:00:00Z') }),
  'intermediate signed with SHA-1': {
    ...below('TIMESTAMP_CHAIN', {}, 'sha1'),
    differs: 'openssl 3.0 accepts SHA-1 at its default security level',
  },
  'more CAs than the path length allows': {
    code: 'TIMESTAMP_CHAIN',
    token: (() => {
      const deeper = mintCertificate({ name: 'deeper', issuer: middle, ca: true });
      const last = mintCertificate({ name: 'time stamps', issuer: deeper, ...tsa });
      return token({ signer: last, certificates: [last, deeper, middle] });
    })(),
  },
  'a leaf that issues': {
    code: 'TIMESTAMP_CHAIN',
    token: (() => {
      const last = mintCertificate({ name: 'again', issuer: signer, ...tsa });
      return token({ signer: last, certificates: [last, signer] });
    })(),
  },
  'a root without basic constraints': (() => {
    const old = mintCertificate({ name: 'old root', keyUsage: KeyUsageFlags.digitalSignature });
    const last = mintCertificate({ name: 'time stamps', issuer: old, ...tsa });
    return { code: 'TIMESTAMP_CHAIN', token: token({ signer: last }), roots: [old.pem] };
  })(),
};

const verdictOf = ({ token: bytes, roots = [root.pem] }: Case): string | null => {
  try {
    verifyTimestamp(bytes, imprint, roots);
    return null;
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  }
};

for (const [name, one] of Object.entries(CASES)) {
  test(`${one.code === null ? 'verifies' : `refused (${one.code})`}: ${name}`, () => {
    assert.equal(verdictOf(one), one.code);
  });
}

test('openssl ts -verify agrees on each of them, but for the differences named', {
  skip: hasOpenssl ? false : 'no openssl on this machine',
}, (t) => {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'ts-'));
  const wrong: string[] = [];
  const named: string[] = [];
  for (const [name, one] of Object.entries(CASES)) {
    writeFileSync(path.join(dir, 'answer.tsr'), one.token);
    writeFileSync(path.join(dir, 'ca.pem'), (one.roots ?? [root.pem]).join(''));
    const { stdout, stderr } = spawnSync(
      'openssl',
      ['ts', '-verify', '-digest', toHex(imprint), '-in', 'answer.tsr', '-CAfile', 'ca.pem'],
      { cwd: dir },
    );
    const accepts = stdout.toString().includes('Verification: OK');
    if (accepts === (one.code === null)) continue;
    if (one.differs === undefined) wrong.push(`${name}: ${stderr.toString()}`);
    else named.push(`${name} (openssl ${accepts ? 'accepts' : 'refuses'}: ${one.differs})`);
  }
  assert.deepEqual(wrong, []);
  t.diagnostic(
    `${Object.keys(CASES).length - named.length} of ${Object.keys(CASES).length} the same; not: ${named.join('; ')}`,
  );
  rmSync(dir, { recursive: true });
});

test('a second reader of tokens, which leaves chains to others, agrees on imprint, signature and time', () => {
  for (const [name, accepts] of [
    ['a good token', true],
    ['through an intermediate, certificates in another order', true],
    ['changed after it was signed', false],
    ['over something else', false],
  ] as const) {
    const one = CASES[name]!;
    const key = name.startsWith('through') ? under.publicKey : signer.publicKey;
    const check = (): void => RFC3161Timestamp.parse(Buffer.from(one.token)).verify(Buffer.from(DATA), key);
    if (!accepts) assert.throws(check, name);
    else {
      check();
      const { time } = verifyTimestamp(one.token, imprint, [root.pem]);
      assert.deepEqual(RFC3161Timestamp.parse(Buffer.from(one.token)).signingTime, time);
    }
  }
});

test('the nonce must come back', () => {
  const nonce = newNonce();
  const answered = token({ nonce });
  verifyTimestamp(answered, imprint, [root.pem], { nonce });
  for (const [bytes, asked] of [
    [answered, newNonce()],
    [token({}), nonce],
  ] as const) {
    assert.throws(() => verifyTimestamp(bytes, imprint, [root.pem], { nonce: asked }), { code: 'TIMESTAMP_NONCE' });
  }
});

test('what is verified is what the authority signed; qualified is its claim', () => {
  const plain = verifyTimestamp(token({ time: new Date('2026-01-02T03:04:05.678Z') }), imprint, [root.pem]);
  assert.equal(plain.time.toISOString(), '2026-01-02T03:04:05.678Z');
  assert.deepEqual([plain.authority, plain.root, plain.claimsQualified], ['CN=time stamps', 'CN=root', false]);
  assert.equal(verifyTimestamp(token({ qualified: true }), imprint, [root.pem]).claimsQualified, true);
});

test('a refusal says why; a bad root is told from a bad stamp', () => {
  assert.throws(() => verifyTimestamp(token({ status: 2 }), imprint, [root.pem]), /the authority refused: status 2/);
  assert.throws(() => verifyTimestamp(token({}), imprint, ['no certificate']), {
    code: 'TIMESTAMP_ROOT',
    kind: 'input',
  });
});

test('certificates that issue each other, and hundreds of them, cost no time', () => {
  const keys = ecKeys();
  const a = mintCertificate({ name: 'a', ca: true, keys });
  const ring = Array.from({ length: 28 }, () => mintCertificate({ name: 'a', issuer: a, ca: true, keys }));
  const last = mintCertificate({ name: 'time stamps', issuer: a, ...tsa });
  const started = process.cpuUsage();
  assert.throws(() => verifyTimestamp(token({ signer: last, certificates: [last, ...ring] }), imprint, [root.pem]), {
    code: 'TIMESTAMP_CHAIN',
  });
  assert.ok(process.cpuUsage(started).user < 5e6);
  assert.throws(
    () => verifyTimestamp(token({ signer: last, certificates: [last, ...ring, ...ring] }), imprint, [root.pem]),
    { code: 'TIMESTAMP_MALFORMED' },
  );
});
