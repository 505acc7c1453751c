/** The pickle walker: what is spelt in opcodes is read back, in pieces too, and nothing that is named is called. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { countingSource, memorySource } from '../base/index.js';
import { readPickle, walkPickle } from './pickle.js';
import type { PickleValue } from './pickle-value.js';
import { refusal } from './testing/files.js';

const u32 = (value: number): Buffer => {
  const out = Buffer.alloc(4);
  out.writeUInt32LE(value);
  return out;
};
const op = (opcode: string, ...parts: readonly Uint8Array[]): Buffer =>
  Buffer.concat([Buffer.from(opcode, 'latin1'), ...parts]);

/** A value in opcodes, chosen as CPython's pickler of protocol 4 does. */
function spell(value: PickleValue): Buffer {
  if (value === null) return op('N');
  if (typeof value === 'boolean') return op(value ? '\x88' : '\x89');
  if (typeof value === 'string') return op('X', u32(Buffer.byteLength(value)), Buffer.from(value));
  if (typeof value === 'bigint') {
    const digits = Buffer.alloc(16);
    digits.writeBigInt64LE(BigInt.asIntN(64, value));
    digits.writeBigInt64LE(BigInt.asIntN(64, value >> 64n), 8);
    return op('\x8a\x10', digits);
  }
  if (typeof value === 'number') {
    const float = Buffer.alloc(8);
    float.writeDoubleBE(value);
    return Number.isInteger(value) && Math.abs(value) < 2 ** 31 ? op('J', u32(value >>> 0)) : op('G', float);
  }
  if (value instanceof Uint8Array) return op('B', u32(value.length), value);
  if (value.kind === 'list') return op('](', ...value.items.map(spell), op('e'));
  if (value.kind === 'tuple') return op('(', ...value.items.map(spell), op('t'));
  if (value.kind === 'dict') {
    return op('}(', ...value.keys.flatMap((key, i) => [spell(key), spell(value.values[i]!)]), op('u'));
  }
  throw new Error(value.kind);
}

const { value } = fc.letrec<{ value: PickleValue }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constantFrom(null, true, false),
    fc.string({ unit: 'binary' }),
    fc.integer(),
    fc.double().filter((x) => !Object.is(x, -0)),
    fc.bigInt({ min: -(2n ** 127n), max: 2n ** 127n - 1n }).filter((x) => BigInt(Number(x)) !== x),
    fc.array(tie('value'), { maxLength: 5 }).map((items) => ({ kind: 'list' as const, items })),
    fc.array(tie('value'), { maxLength: 5 }).map((items) => ({ kind: 'tuple' as const, items })),
    fc.array(fc.tuple(fc.string(), tie('value')), { maxLength: 5 }).map((pairs) => ({
      kind: 'dict' as const,
      keys: pairs.map(([key]) => key),
      values: pairs.map(([, item]) => item),
    })),
  ),
}));
const none = (): boolean => false;

test('law: what is spelt in opcodes is read back', () => {
  fc.assert(
    fc.property(value, (wanted) => {
      assert.deepEqual(walkPickle(op('\x80\x04', spell(wanted), op('.')), 0, 'p', none), wanted);
    }),
    { seed: 29, numRuns: 1000 },
  );
});

test('a pickle of unknown length is read window by window, one opcode longer than several too', async () => {
  const items: PickleValue[] = Array.from({ length: 40_000 }, (_, i) => `tensor number ${i}`);
  items.splice(20_000, 0, 'x'.repeat(300_000));
  const list = { kind: 'list' as const, items };
  const pickle = op('\x80\x02', spell(list), op('.'));
  const source = countingSource(memorySource(Buffer.concat([Buffer.from('before'), pickle, Buffer.alloc(10_000_000)])));
  const read = await readPickle(source, 6, source.byteLength, none);
  assert.deepEqual(read.value, list);
  assert.equal(read.end, 6 + pickle.length);
  assert.ok(source.bytesRead < 2 * pickle.length, `${source.bytesRead} of ${pickle.length}`);
  await assert.rejects(readPickle(source, 6, 6 + pickle.length - 1, none), refusal('PICKLE_TRUNCATED'));
});

test('a remembered value is the same value, not a copy', () => {
  const read = walkPickle(op('\x80\x02(]q\x00h\x00t.'), 0, 'p', none) as { readonly items: readonly PickleValue[] };
  assert.equal(read.items[0], read.items[1]);
  // Numbers of remembered values need not count up.
  const order = op('\x80\x02(K\x07q\x05K\x08q\x00K\x09q\x05h\x00h\x05t.');
  assert.deepEqual((walkPickle(order, 0, 'p', none) as { items: PickleValue[] }).items, [7, 8, 9, 8, 9]);
});

test('calls of what is allowed are recorded', () => {
  const pickle = op('\x80\x02cos\nsystem\nX', u32(2), op('id\x85R.'));
  assert.deepEqual(
    walkPickle(pickle, 0, 'p', (name) => name === 'os.system'),
    {
      kind: 'object',
      of: 'os.system',
      args: ['id'],
      state: null,
      entries: null,
      items: null,
    },
  );
  assert.throws(
    () => walkPickle(pickle, 100, 'p', none),
    refusal('PICKLE_GLOBAL', { got: /^os\.system$/, where: /^p byte 102$/ }),
  );
});
