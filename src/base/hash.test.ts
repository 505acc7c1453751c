import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromHex, toHex, utf8 } from './bytes.js';
import { hkdf, hmacSha256, secretBytes, sha256, sha256Hex, sha256OfSource } from './hash.js';
import { memorySource } from './source.js';

test('FIPS 180-4: SHA-256 of "abc", whole and in parts', () => {
  const answer = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad';
  assert.equal(sha256Hex(utf8('abc')), answer);
  assert.equal(toHex(sha256(utf8('a'), utf8(''), utf8('bc'))), answer);
});

test('FIPS 180-4: a million times "a", streamed over chunk borders with progress', async () => {
  const seen: [number, number][] = [];
  const million = await sha256OfSource(memorySource(new Uint8Array(1_000_000).fill(0x61)), (...at) => seen.push(at));
  assert.equal(million, 'cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0');
  assert.deepEqual(seen, [[1_000_000, 1_000_000]]);
  const bytes = new Uint8Array(9 * 1024 * 1024).map((_, i) => i % 251);
  seen.length = 0;
  assert.equal(await sha256OfSource(memorySource(bytes), (...at) => seen.push(at)), sha256Hex(bytes));
  assert.deepEqual(
    seen.map(([done]) => done / 1024 / 1024),
    [4, 8, 9],
  );
});

test('RFC 4231 case 2: HMAC-SHA-256', () => {
  assert.equal(
    toHex(hmacSha256(utf8('Jefe'), utf8('what do ya want '), utf8('for nothing?'))),
    '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843',
  );
});

test('RFC 5869 case 3: HKDF-SHA-256 without salt and info', () => {
  assert.equal(
    toHex(hkdf(fromHex('0b'.repeat(22)), new Uint8Array(0), [], 42)),
    '8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8',
  );
});

test('contexts that read alike when joined give different keys', () => {
  const key = (...context: string[]): string => toHex(hkdf(utf8('secret'), utf8('salt'), context));
  const keys = [key('ab', 'c'), key('a', 'bc'), key('abc'), key('abc', ''), key('', 'abc'), key()];
  assert.equal(new Set(keys).size, keys.length);
  assert.equal(key('ab', 'c'), key('ab', 'c'));
});

test('secrets have their length and do not repeat', () => {
  assert.equal(secretBytes(16).length, 16);
  assert.notDeepEqual(secretBytes(16), secretBytes(16));
});
