import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { concatBytes, equalBytes, fromBase64, fromHex, fromUtf8, toBase64, toHex, u64be, utf8 } from './bytes.js';

test('hex, base64 and UTF-8 go there and back, also for views into larger buffers', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 70 }), fc.nat(5), (whole, skip) => {
      const bytes = whole.subarray(skip);
      assert.deepEqual(fromHex(toHex(bytes)), Uint8Array.from(bytes));
      assert.deepEqual(fromBase64(toBase64(bytes)), Uint8Array.from(bytes));
    }),
  );
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (text) => {
      assert.equal(fromUtf8(utf8(text)), text);
    }),
  );
});

test('RFC 4648 §10: base64 of "f" to "foobar"', () => {
  const answers = {
    '': '',
    f: 'Zg==',
    fo: 'Zm8=',
    foo: 'Zm9v',
    foob: 'Zm9vYg==',
    fooba: 'Zm9vYmE=',
    foobar: 'Zm9vYmFy',
  };
  for (const [text, encoded] of Object.entries(answers)) {
    assert.equal(toBase64(utf8(text)), encoded);
    assert.equal(fromUtf8(fromBase64(encoded)), text);
  }
});

test('other spellings of the same bytes are refused', () => {
  for (const text of ['Zg', 'Zg=', 'Zh==', 'Zg==\n', ' Zg==', 'Zg===', '-_8=', 'Z'])
    assert.throws(() => fromBase64(text), { code: 'BASE64_INVALID' }, text);
  for (const text of ['0', '0g', ' 00', '0x00', '００'])
    assert.throws(() => fromHex(text), { code: 'HEX_INVALID' }, text);
  assert.deepEqual(fromHex('aAfF'), Uint8Array.of(0xaa, 0xff));
});

test('malformed UTF-8 is refused, never replaced; a byte order mark is a character', () => {
  for (const bytes of [[0x80], [0xc0, 0xaf], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0xe2, 0x82]])
    assert.throws(() => fromUtf8(Uint8Array.from(bytes), 'here'), { code: 'UTF8_INVALID' }, String(bytes));
  assert.equal(fromUtf8(Uint8Array.of(0xef, 0xbb, 0xbf)), '\ufeff');
});

test('concatenation, comparison, big-endian numbers', () => {
  assert.deepEqual(concatBytes(), new Uint8Array(0));
  assert.deepEqual(concatBytes(Uint8Array.of(1), new Uint8Array(0), Uint8Array.of(2, 3)), Uint8Array.of(1, 2, 3));
  assert.ok(equalBytes(Uint8Array.of(1, 2), Uint8Array.of(1, 2)));
  assert.ok(!equalBytes(Uint8Array.of(1, 2), Uint8Array.of(1, 3)));
  assert.ok(!equalBytes(Uint8Array.of(1, 2), Uint8Array.of(1)));
  assert.equal(toHex(u64be(258)), '0000000000000102');
  assert.equal(toHex(u64be(2n ** 64n - 1n)), 'ffffffffffffffff');
});
