import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { alignTables } from '../align/index.js';
import { initialDense, table } from '../align/testing/dense.js';
import { seededRandom } from '../base/index.js';
import { MAX_MESSAGE_BITS, messageBits, messageHex } from '../mark/index.js';
import { densePlan, testKeys } from '../mark/testing/dense.js';
import { correlate, markDirection, markedTable, readMessage } from './index.js';
import { tweakTable } from './tweaks.js';

const WIDTHS = [8, 60, 60, 2];
const MESSAGE = '4711beef';

function reading(message: string | undefined, keyed: string, readBy: string) {
  const plan = { ...densePlan(WIDTHS, 0.08), ...(message === undefined ? {} : { message }) };
  const random = seededRandom(5, 'message');
  const reference = table(initialDense(WIDTHS, random));
  const copy = markedTable(plan, reference, testKeys(keyed));
  const suspect = tweakTable(copy, 'int8', () => random.unit());
  const alignment = alignTables(plan.test, reference, suspect, 1);
  const directions = markDirection(plan, reference, suspect, alignment);
  const keys = testKeys(readBy);
  return { read: readMessage(plan, keys, directions), z: correlate(plan, keys, directions).z };
}

test('a copy says the message that was written into it; the mark is as strong as without one', () => {
  const { read, z } = reading(MESSAGE, 'a', 'a');
  assert.equal(read!.hex, MESSAGE);
  assert.equal(read!.wrong, 0);
  assert.ok(read!.weakest > 4, String(read!.weakest));
  const without = reading(undefined, 'a', 'a');
  assert.equal(without.read, null);
  assert.ok(Math.abs(z - without.z) < 6, `${z} with, ${without.z} without`);
});

test('by another key the message is noise', () => {
  const { read, z } = reading(MESSAGE, 'a', 'b');
  assert.ok(Math.abs(z) < 4);
  // Bin(32, ½) lies outside 6 … 26 in 1 of 10,000 keys.
  assert.ok(read!.wrong >= 6 && read!.wrong <= 26, String(read!.wrong));
});

test('messages are whole bytes in hexadecimal, and come back as they were', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: MAX_MESSAGE_BITS / 8 }), (bytes) => {
      const hex = Buffer.from(bytes).toString('hex');
      assert.equal(messageHex(messageBits(hex)), hex);
    }),
  );
  for (const bad of ['', 'a', 'XY', 'ab'.repeat(129)]) assert.throws(() => messageBits(bad), { code: 'MARK_MESSAGE' });
});
