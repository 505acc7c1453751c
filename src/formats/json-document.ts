/** JSON (RFC 8259) as a `Document`, over the bytes. NaN and infinities are read as XGBoost writes them. */
import { fromUtf8, inputError } from '../base/index.js';
import type { Document } from './document.js';
import { MAX_JSON_STRING, MAX_TREE_VALUES } from './limits.js';

const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const OPEN_LIST = 0x5b;
const CLOSE_LIST = 0x5d;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const ZERO = 0x30;

/** As everywhere in this house (`parseStrictJson`). */
const MAX_DEPTH = 64;
/** A number has 24 characters at most when written by a machine; more are padding. */
const MAX_NUMBER = 64;

const NUMBER = /^-?(?:\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|Infinity|NaN)$/;

/** @throws by its methods `JSON_INVALID`, `JSON_DUPLICATE_NAME`, `JSON_TOO_DEEP`, `JSON_TOO_LARGE`, `UTF8_INVALID` */
export function jsonDocument(bytes: Uint8Array, where: string): Document {
  let at = 0;

  const fail = (message: string, code = 'INVALID'): never => {
    throw inputError(`JSON_${code}`, message, {
      where: `${where} byte ${at}`,
      got: at < bytes.length ? Buffer.from(bytes.subarray(at, at + 20)).toString('latin1') : 'the end of the file',
      todo: 'the file is truncated or damaged; save the model again',
    });
  };
  const blank = (byte: number | undefined): boolean => byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
  const peek = (): number => {
    while (blank(bytes[at])) at++;
    return bytes[at] ?? -1;
  };
  const take = (byte: number): void => {
    if (peek() !== byte) fail(`${String.fromCharCode(byte)} should stand here`);
    at++;
  };
  /** Passes over a text; at its opening quote. */
  const passText = (): void => {
    take(QUOTE);
    const start = at;
    for (; at < bytes.length; at++) {
      const byte = bytes[at]!;
      if (byte === BACKSLASH) at++;
      else if (byte === QUOTE) {
        at++;
        return;
      }
      if (at - start > MAX_JSON_STRING) fail('a text is longer than any real one', 'TOO_LARGE');
    }
    fail('a text does not end');
  };
  const text = (): string => {
    peek();
    const start = at;
    passText();
    const raw = fromUtf8(bytes.subarray(start, at), where);
    try {
      return JSON.parse(raw) as string;
    } catch {
      return fail('a text is not valid JSON');
    }
  };
  /** The characters up to what ends a word or number. */
  const word = (): string => {
    peek();
    const start = at;
    while (at < bytes.length && at - start <= MAX_NUMBER) {
      const byte = bytes[at]!;
      if (byte === COMMA || byte === CLOSE_LIST || byte === CLOSE_OBJECT || blank(byte)) break;
      at++;
    }
    const found = Buffer.from(bytes.buffer, bytes.byteOffset + start, at - start).toString('latin1');
    if (!/^[\w+.-]+$/.test(found)) {
      at = start;
      fail('a value should stand here');
    }
    return found;
  };
  const number = (): number => {
    // Most numbers of a tree are node and feature numbers.
    const start = at;
    let value = 0;
    while (at - start < 15) {
      const digit = bytes[at]! - ZERO;
      if (!(digit >= 0 && digit <= 9)) break;
      value = value * 10 + digit;
      at++;
    }
    const after = bytes[at];
    if (at > start && (after === COMMA || after === CLOSE_LIST)) return value;
    at = start;
    const written = word();
    if (written === 'true') return 1;
    if (written === 'false') return 0;
    if (!NUMBER.test(written)) {
      at = start;
      fail('a number should stand here');
    }
    return Number(written);
  };
  const list = (close: number, visit: (index: number) => void): void => {
    if (peek() === close) {
      at++;
      return;
    }
    for (let index = 0; ; index++) {
      visit(index);
      if (peek() === close) {
        at++;
        return;
      }
      take(COMMA);
    }
  };
  const skip = (): void => {
    const closing: number[] = [];
    do {
      const byte = peek();
      if (byte === QUOTE) passText();
      else if (byte === OPEN_OBJECT || byte === OPEN_LIST) {
        if (closing.push(byte + 2) > MAX_DEPTH) fail(`JSON nests deeper than ${MAX_DEPTH}`, 'TOO_DEEP');
        at++;
      } else if (byte === CLOSE_OBJECT || byte === CLOSE_LIST) {
        if (closing.pop() !== byte) fail('brackets do not match');
        at++;
      } else if ((byte === COMMA || byte === COLON) && closing.length > 0) at++;
      else word();
    } while (closing.length > 0);
  };
  return {
    next() {
      const byte = peek();
      if (byte === OPEN_OBJECT) return 'object';
      if (byte === OPEN_LIST) return 'list';
      return byte === QUOTE ? 'text' : 'other';
    },
    members(visit) {
      take(OPEN_OBJECT);
      const seen = new Set<string>();
      list(CLOSE_OBJECT, () => {
        const name = text();
        if (seen.has(name)) fail('a JSON object names a member twice', 'DUPLICATE_NAME');
        seen.add(name);
        take(COLON);
        visit(name);
      });
    },
    items(visit) {
      take(OPEN_LIST);
      list(CLOSE_LIST, visit);
    },
    numbers() {
      take(OPEN_LIST);
      let values = new Float64Array(16);
      let length = 0;
      list(CLOSE_LIST, () => {
        if (length === MAX_TREE_VALUES) fail(`a list has more than ${MAX_TREE_VALUES} numbers`, 'TOO_LARGE');
        if (length === values.length) {
          const more = new Float64Array(2 * length);
          more.set(values);
          values = more;
        }
        peek();
        values[length++] = number();
      });
      return values.slice(0, length);
    },
    text,
    skip,
    offset() {
      peek();
      return at;
    },
    end() {
      if (peek() !== -1) fail('something follows the document');
    },
  };
}
