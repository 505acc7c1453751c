import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromHex } from './bytes.js';
import { Cursor } from './cursor.js';

test('little-endian numbers, one big-endian, text, positions', () => {
  const bytes = fromHex('ff' + '0102' + '01020304' + '0000803f' + '000000000000f0bf' + '0100000000000000' + 'e282ac');
  const cursor = new Cursor(bytes, 'TEST', 1000);
  assert.equal(cursor.u8(), 255);
  assert.equal(cursor.u16be(), 0x0102);
  assert.equal(cursor.u32(), 0x04030201);
  assert.equal(cursor.f32(), 1);
  assert.equal(cursor.f64(), -1);
  assert.equal(cursor.safeU64(), 1);
  assert.deepEqual([cursor.position, cursor.offset, cursor.remaining], [27, 1027, 3]);
  assert.equal(cursor.text(3), '€');
  assert.equal(cursor.remaining, 0);
});

test('no read leaves the data, whatever the length says', () => {
  const refused = { code: 'TEST_TRUNCATED' };
  for (const length of [3, -1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53]) {
    assert.throws(() => new Cursor(new Uint8Array(2), 'TEST').bytes(length), refused, String(length));
    assert.throws(() => new Cursor(new Uint8Array(2), 'TEST').skip(length), refused, String(length));
  }
  const short = new Cursor(new Uint8Array(1), 'TEST', 40);
  for (const read of [() => short.u16be(), () => short.u32(), () => short.f32(), () => short.f64(), () => short.u64()])
    assert.throws(read, { code: 'TEST_TRUNCATED' });
  assert.equal(short.position, 0);
  assert.throws(
    () => short.u32(),
    (error: { facts: { where: string } }) => error.facts.where === 'byte 40',
  );
});

test('a view into a larger buffer does not show what lies around it', () => {
  const cursor = new Cursor(Uint8Array.of(9, 1, 2, 9).subarray(1, 3), 'TEST');
  assert.equal(cursor.u16be(), 0x0102);
  assert.throws(() => cursor.u8(), { code: 'TEST_TRUNCATED' });
});

test('a size beyond 2^53 is refused instead of rounded', () => {
  assert.throws(() => new Cursor(fromHex('0000000000002000'), 'TEST').safeU64(), { code: 'TEST_SIZE_RANGE' });
  assert.equal(new Cursor(fromHex('ffffffffffff1f00'), 'TEST').safeU64(), Number.MAX_SAFE_INTEGER);
  assert.equal(new Cursor(fromHex('ffffffffffffffff'), 'TEST').u64(), 2n ** 64n - 1n);
});
