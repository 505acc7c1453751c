/**
 * Walks a Python pickle of protocol 2 to 5 and executes nothing: objects become inert records, and every class or
 * function that is named must be on the caller's list, whether or not it would be called.
 * Source: CPython Lib/pickletools.py (opcodes and their arguments).
 */
import { type ByteSource, Cursor, fromUtf8, inputError, MunimentError } from '../base/index.js';
import { MAX_PICKLE_BYTES, MAX_PICKLE_INTEGER } from './limits.js';
import { type AllowedGlobals, dictOf, listOf, PickleMachine } from './pickle-machine.js';
import type { PickleValue } from './pickle-value.js';

/** Bytes fetched at a time of a pickle whose length is not known; more where one opcode needs more. */
const WINDOW = 64 * 1024;

/**
 * Reads one pickle that begins at `start` and whose length is not known, at most up to `end`.
 * @returns its value, and where it ends in the source
 * @throws as `walkPickle`
 */
export async function readPickle(
  source: ByteSource,
  start: number,
  end: number,
  allowed: AllowedGlobals,
): Promise<{ readonly value: PickleValue; readonly end: number }> {
  const most = Math.min(end, start + MAX_PICKLE_BYTES);
  const machine = new PickleMachine(new Cursor(new Uint8Array(0), 'PICKLE', start), source.name, allowed);
  let at = start;
  for (let window = WINDOW; ; ) {
    const stop = Math.min(most, at + window);
    machine.cursor = new Cursor(await source.slice(at, stop), 'PICKLE', at);
    const value = walk(machine, stop === end);
    if (value !== undefined) return { value, end: machine.cursor.offset };
    if (stop === most) {
      throw inputError('PICKLE_TOO_LARGE', 'the pickle is longer than any real one', {
        expected: `at most ${MAX_PICKLE_BYTES} bytes`,
        where: `${source.name} byte ${start}`,
      });
    }
    window = machine.at === at ? 4 * window : WINDOW;
    at = machine.at;
  }
}

/**
 * The value of a pickle that fills `bytes`, or begins them.
 * @param base offset of `bytes` in what is called `name`, for messages
 * @throws `PICKLE_GLOBAL` a class or function that is not on the list, by name; `PICKLE_OPCODE`, `PICKLE_PROTOCOL`,
 * `PICKLE_STACK`, `PICKLE_MEMO`, `PICKLE_CALL`, `PICKLE_LENGTH`, `PICKLE_TOO_LARGE`, `PICKLE_TRUNCATED`
 */
export function walkPickle(bytes: Uint8Array, base: number, name: string, allowed: AllowedGlobals): PickleValue {
  return walk(new PickleMachine(new Cursor(bytes, 'PICKLE', base), name, allowed), true)!;
}

/** @returns undefined where the bytes at hand end inside the opcode at `machine.at`, of which nothing was carried out */
function walk(machine: PickleMachine, isAll: boolean): PickleValue | undefined {
  try {
    for (;;) {
      const opcode = machine.opcode();
      if (opcode === STOP) return machine.pop();
      const step = STEPS[opcode];
      if (step === undefined) {
        machine.fail('OPCODE', 'the pickle holds an opcode that weights are not saved with', {
          got: `0x${opcode.toString(16).padStart(2, '0')}`,
        });
      }
      step(machine, machine.cursor);
    }
  } catch (error) {
    if (!isAll && error instanceof MunimentError && error.code === 'PICKLE_TRUNCATED') return undefined;
    throw error;
  }
}

type Step = (machine: PickleMachine, cursor: Cursor) => void;

const STOP = 0x2e;

const bufferOf = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);

/** Little-endian two's complement of any length. */
function longOf(machine: PickleMachine, length: number): number | bigint {
  if (length > MAX_PICKLE_INTEGER) {
    machine.fail('LENGTH', 'an integer is longer than any real one', { got: `${length} bytes` });
  }
  let value = 0n;
  for (const byte of machine.bytes(length).toReversed()) value = (value << 8n) | BigInt(byte);
  const signed = BigInt.asIntN(8 * length, value);
  return BigInt(Number(signed)) === signed ? Number(signed) : signed;
}

const text =
  (lengthOf: (cursor: Cursor) => number): Step =>
  (m, c) =>
    m.make(fromUtf8(m.bytes(lengthOf(c)), `byte ${m.at}`));
/** Python 2's text, which is bytes. */
const latin =
  (lengthOf: (cursor: Cursor) => number): Step =>
  (m, c) =>
    m.make(bufferOf(m.bytes(lengthOf(c))).toString('latin1'));
const raw =
  (lengthOf: (cursor: Cursor) => number): Step =>
  (m, c) =>
    m.make(m.bytes(lengthOf(c)));

const u8 = (c: Cursor): number => c.u8();
const u32 = (c: Cursor): number => c.u32();
const u64 = (c: Cursor): number => c.safeU64();

const OPCODES: readonly (readonly [opcode: string | number, step: Step])[] = [
  [
    0x80,
    (m, c) => {
      const protocol = c.u8();
      if (protocol < 2 || protocol > 5) {
        m.fail('PROTOCOL', 'the pickle is of a protocol that is not read', {
          expected: '2 to 5',
          got: String(protocol),
        });
      }
    },
  ],
  [0x95, (_, c) => c.skip(8)],

  ['(', (m) => m.mark()],
  ['0', (m) => void m.pop()],
  ['1', (m) => void m.toMark()],
  ['2', (m) => m.push(m.top())],

  ['N', (m) => m.push(null)],
  [0x88, (m) => m.push(true)],
  [0x89, (m) => m.push(false)],
  ['J', (m, c) => m.push(c.u32() | 0)],
  ['K', (m, c) => m.push(c.u8())],
  ['M', (m, c) => m.push(c.u8() + 256 * c.u8())],
  [0x8a, (m, c) => m.make(longOf(m, c.u8()))],
  [0x8b, (m, c) => m.make(longOf(m, c.u32()))],
  ['G', (m, c) => m.make(bufferOf(c.bytes(8)).readDoubleBE())],

  ['X', text(u32)],
  [0x8c, text(u8)],
  [0x8d, text(u64)],
  ['T', latin(u32)],
  ['U', latin(u8)],
  ['B', raw(u32)],
  ['C', raw(u8)],
  [0x8e, raw(u64)],
  [0x96, raw(u64)],

  [')', (m) => m.make(listOf('tuple', []))],
  [0x85, (m) => m.make(listOf('tuple', m.take(1)))],
  [0x86, (m) => m.make(listOf('tuple', m.take(2)))],
  [0x87, (m) => m.make(listOf('tuple', m.take(3)))],
  ['t', (m) => m.make(listOf('tuple', m.toMark()))],
  [']', (m) => m.make(listOf('list', []))],
  ['l', (m) => m.make(listOf('list', m.toMark()))],
  ['a', (m) => m.append(m.take(1))],
  ['e', (m) => m.append(m.toMark())],
  ['}', (m) => m.make(dictOf([]))],
  ['d', (m) => m.make(dictOf(m.toMark()))],
  ['s', (m) => m.setItems(m.take(2))],
  ['u', (m) => m.setItems(m.toMark())],
  [0x8f, (m) => m.make(listOf('set', []))],
  [0x90, (m) => m.append(m.toMark())],
  [0x91, (m) => m.make(listOf('set', m.toMark()))],

  ['h', (m, c) => m.get(c.u8())],
  ['j', (m, c) => m.get(c.u32())],
  ['q', (m, c) => m.put(c.u8())],
  ['r', (m, c) => m.put(c.u32())],
  [0x94, (m) => m.memoise()],

  ['c', (m) => m.global(m.line(), m.line())],
  [
    0x93,
    (m) => {
      const [module, name] = m.take(2);
      m.global(module!, name!);
    },
  ],
  [
    'R',
    (m) => {
      const [callee, args] = m.take(2);
      m.call(callee!, args!);
    },
  ],
  [
    0x81,
    (m) => {
      const [type, args] = m.take(2);
      m.call(type!, args!);
    },
  ],
  [
    0x92,
    (m) => {
      const [type, args] = m.take(3);
      m.call(type!, args!);
    },
  ],
  [
    'i',
    (m) => {
      const type = m.globalOf(m.line(), m.line());
      m.call(type, listOf('tuple', m.toMark()));
    },
  ],
  [
    'o',
    (m) => {
      const [type = null, ...args] = m.toMark();
      m.call(type, listOf('tuple', args));
    },
  ],
  ['b', (m) => m.build()],
  ['Q', (m) => m.make({ kind: 'persistent', id: m.pop() })],
];

const STEPS: readonly (Step | undefined)[] = (() => {
  const steps = new Array<Step | undefined>(256).fill(undefined);
  for (const [opcode, step] of OPCODES) steps[typeof opcode === 'string' ? opcode.charCodeAt(0) : opcode] = step;
  return steps;
})();
