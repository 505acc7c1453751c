/** The stack machine behind a pickle, with bounds on everything that it holds. It builds records and calls nothing. */
import { type Cursor, fromUtf8, inputError } from '../base/index.js';
import { MAX_PICKLE_MEMO, MAX_PICKLE_OBJECTS, MAX_PICKLE_OPCODES, MAX_PICKLE_STRING } from './limits.js';
import {
  describe,
  isDict,
  isGlobal,
  isList,
  isObject,
  type PickleDict,
  type PickleGlobal,
  type PickleList,
  type PickleValue,
} from './pickle-value.js';

/** True for the `module.name` of a class or function that a pickle may name. */
export type AllowedGlobals = (name: string) => boolean;

/** Longest module or class name: real ones are below 200. */
const MAX_NAME = 1000;

export class PickleMachine {
  /** Over the bytes at hand; replaced when more have come. */
  cursor: Cursor;
  readonly #file: string;
  readonly #allowed: AllowedGlobals;
  #stack: PickleValue[] = [];
  readonly #marks: number[] = [];
  readonly #memo: PickleValue[] = [];
  readonly #scattered = new Map<number, PickleValue>();
  #objects = 0;
  #encoded = 0;
  #opcodes = 0;
  /** Where the opcode lies that is being carried out. */
  at = 0;

  constructor(cursor: Cursor, file: string, allowed: AllowedGlobals) {
    this.cursor = cursor;
    this.#file = file;
    this.#allowed = allowed;
  }

  /** The next opcode. */
  opcode(): number {
    this.at = this.cursor.offset;
    if (++this.#opcodes > MAX_PICKLE_OPCODES) {
      this.fail('TOO_LARGE', `the pickle has more than ${MAX_PICKLE_OPCODES} opcodes`);
    }
    return this.cursor.u8();
  }

  fail(code: string, message: string, facts: { expected?: string; got?: string; todo?: string } = {}): never {
    throw inputError(`PICKLE_${code}`, message, { where: `${this.#file} byte ${this.at}`, ...facts });
  }

  push(value: PickleValue): void {
    this.#stack.push(value);
  }
  /** Pushes what takes memory of its own. */
  make(value: PickleValue): void {
    if (++this.#objects > MAX_PICKLE_OBJECTS) {
      this.fail('TOO_LARGE', `the pickle holds more than ${MAX_PICKLE_OBJECTS} objects`);
    }
    this.#stack.push(value);
  }
  pop(): PickleValue {
    if (this.#stack.length <= (this.#marks.at(-1) ?? 0)) this.fail('STACK', 'the pickle takes from an empty stack');
    return this.#stack.pop()!;
  }
  top(): PickleValue {
    const value = this.pop();
    this.#stack.push(value);
    return value;
  }
  /** The last `count` values, the first pushed first. */
  take(count: number): PickleValue[] {
    const items = Array.from({ length: count }, () => this.pop());
    return items.reverse();
  }
  mark(): void {
    this.#marks.push(this.#stack.length);
    if (this.#marks.length > MAX_PICKLE_OBJECTS) this.fail('TOO_LARGE', 'the pickle holds too many marks');
  }
  /** What was pushed since the last mark. */
  toMark(): PickleValue[] {
    const mark = this.#marks.pop();
    if (mark === undefined) return this.fail('STACK', 'the pickle refers to a mark that it did not set');
    return this.#stack.splice(mark);
  }

  bytes(length: number): Uint8Array {
    if (length > MAX_PICKLE_STRING) {
      this.fail('LENGTH', 'a string is longer than any real one', {
        expected: `at most ${MAX_PICKLE_STRING} bytes`,
        got: String(length),
      });
    }
    return this.cursor.bytes(length);
  }
  /** Up to the next line feed. */
  line(): string {
    const bytes: number[] = [];
    while (bytes.length < MAX_NAME) {
      const byte = this.cursor.u8();
      if (byte === 10) return fromUtf8(Uint8Array.from(bytes), `${this.#file} byte ${this.at}`);
      bytes.push(byte);
    }
    return this.fail('LENGTH', 'a name is longer than any real one', { expected: `at most ${MAX_NAME} characters` });
  }

  put(index: number): void {
    const value = this.top();
    // Picklers count up; a map of as many would take ten times the memory.
    if (index === this.#memo.length) this.#memo.push(value);
    else if (index < this.#memo.length) this.#memo[index] = value;
    else this.#scattered.set(index, value);
    if (this.#memo.length + this.#scattered.size > MAX_PICKLE_MEMO) {
      this.fail('TOO_LARGE', `the pickle remembers more than ${MAX_PICKLE_MEMO} values`);
    }
  }
  memoise(): void {
    this.put(this.#memo.length + this.#scattered.size);
  }
  get(index: number): void {
    const value = index < this.#memo.length ? this.#memo[index] : this.#scattered.get(index);
    if (value === undefined) {
      this.fail('MEMO', 'the pickle recalls a value that it did not remember', { got: String(index) });
    }
    this.#stack.push(value);
  }

  global(module: PickleValue, name: PickleValue): void {
    this.make(this.globalOf(module, name));
  }
  globalOf(module: PickleValue, name: PickleValue): PickleGlobal {
    if (typeof module !== 'string' || typeof name !== 'string') {
      return this.fail('STACK', 'the name of a class is no text', { got: `${describe(module)}, ${describe(name)}` });
    }
    const full = `${module}.${name}`;
    if (!this.#allowed(full)) {
      this.fail(
        'GLOBAL',
        'the pickle names a class or function that no weights need: loading it elsewhere may run code',
        {
          expected: 'only what PyTorch itself saves weights with',
          got: full.slice(0, 200),
          todo: 'do not load this file; where you trust its origin, save the weights alone: torch.save(model.state_dict(), …) or safetensors',
        },
      );
    }
    return { kind: 'global', name: full };
  }

  /** Records the call of `callee`, or builds what a few of Python's own types are made of. */
  call(callee: PickleValue, args: PickleValue): void {
    if (!isGlobal(callee) || !isList(args)) {
      this.fail('CALL', 'the pickle calls something that is no named class or function', {
        got: describe(callee),
      });
    }
    this.make(this.#made(callee.name, args.items));
  }
  #made(of: string, args: readonly PickleValue[]): PickleValue {
    const [first] = args;
    // Shared, not copied: a pickle may ask for a million sets of one long list.
    if (SETS.has(of) && first === undefined) return { kind: 'set', items: [] };
    if (SETS.has(of) && isList(first!)) return { kind: 'set', items: first.items };
    // How protocol 2 spells no bytes, and some.
    if (BYTES.has(of) && first === undefined) return new Uint8Array(0);
    if (of === '_codecs.encode' && typeof first === 'string') {
      this.#encoded += first.length;
      if (this.#encoded > MAX_PICKLE_STRING) this.fail('TOO_LARGE', 'the pickle spells out too many bytes');
      return Buffer.from(first, 'latin1');
    }
    const rebuilt = RECONSTRUCTORS.has(of) && first !== undefined && isGlobal(first) ? first.name : of;
    return { kind: 'object', of: rebuilt, args, state: null, entries: null, items: null };
  }
  build(): void {
    const state = this.pop();
    const target = this.top();
    // A second state would hide the first from us, while Python keeps both.
    if (!isObject(target) || target.state !== null) {
      this.fail('CALL', 'the pickle sets the state of something that has none to set', {
        got: describe(target),
      });
    }
    target.state = state;
  }

  append(items: readonly PickleValue[]): void {
    const target = this.top();
    if (isObject(target)) target.items ??= [];
    const list = isObject(target) ? target.items! : isList(target) && target.kind !== 'tuple' ? target.items : null;
    if (list === null) this.fail('STACK', 'the pickle appends to something that is no list', { got: describe(target) });
    for (const item of items) list.push(item);
  }
  setItems(pairs: readonly PickleValue[]): void {
    const target = this.top();
    if (isObject(target)) target.entries ??= dictOf([]);
    const dict = isObject(target) ? target.entries! : isDict(target) ? target : null;
    if (dict === null || pairs.length % 2 !== 0) {
      this.fail('STACK', 'the pickle sets items of something that is no dictionary', { got: describe(target) });
    }
    for (let i = 0; i < pairs.length; i += 2) {
      dict.keys.push(pairs[i]!);
      dict.values.push(pairs[i + 1]!);
    }
  }
}

const SETS: ReadonlySet<string> = new Set(
  ['builtins', '__builtin__'].flatMap((module) => [`${module}.set`, `${module}.frozenset`]),
);
const BYTES: ReadonlySet<string> = new Set(['builtins.bytes', '__builtin__.bytes']);
const RECONSTRUCTORS: ReadonlySet<string> = new Set(['copyreg._reconstructor', 'copy_reg._reconstructor']);

export const listOf = (kind: PickleList['kind'], items: PickleValue[]): PickleList => ({ kind, items });
export const dictOf = (pairs: readonly PickleValue[]): PickleDict => ({
  kind: 'dict',
  keys: pairs.filter((_, i) => i % 2 === 0),
  values: pairs.filter((_, i) => i % 2 === 1),
});
