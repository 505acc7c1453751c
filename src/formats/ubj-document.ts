/**
 * Universal Binary JSON (UBJSON, draft 12; https://ubjson.org) as a `Document`: a marker byte before each value,
 * numbers big-endian, counts and one type for all values of a list where its head says so.
 */
import { fromUtf8, inputError } from '../base/index.js';
import type { Document } from './document.js';
import { MAX_JSON_STRING, MAX_TREE_VALUES } from './limits.js';

/** `{` and the length of the first member's name; JSON has a quote, a brace or a blank there. */
export const looksLikeUbj = (head: Uint8Array): boolean =>
  head[0] === 0x7b && head[1] !== undefined && 'iUIlL#$'.includes(String.fromCharCode(head[1]));

/** Bytes of a number after its marker. */
const WIDTHS: ReadonlyMap<string, number> = new Map(Object.entries({ i: 1, U: 1, I: 2, l: 4, L: 8, d: 4, D: 8, C: 1 }));
const INTEGERS = 'iUIlL';
/** XGBoost nests six deep. */
const MAX_DEPTH = 64;

/** @throws by its methods `UBJ_TRUNCATED`, `UBJ_MARKER`, `UBJ_COUNT`, `UBJ_TOO_DEEP`, `UBJ_DUPLICATE_NAME`, `UTF8_INVALID` */
export function ubjDocument(bytes: Uint8Array, where: string): Document {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let at = 0;
  /** The type that a list gives for all its values, until the next value is taken. */
  let given: string | null = null;

  const fail = (code: string, message: string, expected?: string, got?: string): never => {
    throw inputError(`UBJ_${code}`, message, {
      where: `${where} byte ${at}`,
      ...(expected === undefined ? {} : { expected }),
      ...(got === undefined ? {} : { got }),
      todo: 'the file is truncated or damaged; save the model again',
    });
  };
  const need = (length: number): void => {
    if (!(length <= bytes.length - at))
      fail(
        'TRUNCATED',
        'the file ends too early, or a length in it is false',
        `${length} more bytes`,
        `${bytes.length - at} bytes`,
      );
  };
  const byte = (): string => {
    need(1);
    return String.fromCharCode(bytes[at++]!);
  };
  const isNext = (marker: string): boolean => {
    need(1);
    return bytes[at] === marker.charCodeAt(0);
  };
  const marker = (): string => {
    if (given !== null) {
      const type = given;
      given = null;
      return type;
    }
    // No-operation may stand between values.
    while (isNext('N')) at++;
    return byte();
  };
  const wrong = (found: string, expected: string): never =>
    fail('MARKER', 'a value is of another kind than it should be', expected, JSON.stringify(found));
  /** `width` bytes of the number were checked to be there. */
  const numberAt = (type: string, place: number): number => {
    if (type === 'i') return view.getInt8(place);
    if (type === 'U' || type === 'C') return view.getUint8(place);
    if (type === 'I') return view.getInt16(place);
    if (type === 'l') return view.getInt32(place);
    if (type === 'L') return Number(view.getBigInt64(place));
    return type === 'd' ? view.getFloat32(place) : view.getFloat64(place);
  };
  const number = (type: string): number => {
    if (type === 'T' || type === 'F') return type === 'T' ? 1 : 0;
    const width = WIDTHS.get(type) ?? wrong(type, 'a number');
    need(width);
    const value = numberAt(type, at);
    at += width;
    return value;
  };
  const length = (): number => {
    const type = byte();
    if (!INTEGERS.includes(type)) wrong(type, 'a length');
    const value = number(type);
    if (!(value >= 0 && value <= bytes.length))
      fail('COUNT', 'a length is larger than the file', `at most ${bytes.length}`, String(value));
    return value;
  };
  const run = (): Uint8Array => {
    const size = length();
    if (size > MAX_JSON_STRING)
      fail('COUNT', 'a text is longer than any real one', `at most ${MAX_JSON_STRING}`, String(size));
    need(size);
    at += size;
    return bytes.subarray(at - size, at);
  };
  /** Behind `[` or `{`: a type for all, a count, both or neither. */
  const head = (): { readonly type: string | null; readonly count: number | null } => {
    let type: string | null = null;
    if (isNext('$')) {
      at++;
      type = byte();
      // Values without bytes: a count alone would be a list of any length.
      if (!WIDTHS.has(type) && !'S[{'.includes(type)) wrong(type, 'a type whose values have bytes');
      if (!isNext('#')) wrong(String.fromCharCode(bytes[at]!), 'a count behind the type');
    }
    if (!isNext('#')) return { type, count: null };
    at++;
    const count = length();
    if (count * (type === null ? 1 : (WIDTHS.get(type) ?? 1)) > bytes.length - at)
      fail(
        'COUNT',
        'more values are counted than the file has room for',
        `at most ${bytes.length - at} bytes`,
        `${count} values`,
      );
    return { type, count };
  };
  const each = (close: string, visit: (index: number, type: string | null) => void): void => {
    const { type, count } = head();
    for (let index = 0; count === null || index < count; index++) {
      if (count === null && isNext(close)) {
        at++;
        return;
      }
      visit(index, type);
    }
  };
  const text = (): string => {
    const found = marker();
    if (found !== 'S') wrong(found, 'a text');
    return fromUtf8(run(), `${where} byte ${at}`);
  };
  const skip = (depth = 0): void => {
    if (depth > MAX_DEPTH) fail('TOO_DEEP', `values nest deeper than ${MAX_DEPTH}`);
    const found = marker();
    if (found === 'S') run();
    else if (found === '[' || found === '{') {
      const isObject = found === '{';
      const begun = at;
      const { type, count } = head();
      const width = type === null ? undefined : WIDTHS.get(type);
      if (!isObject && width !== undefined) {
        at += count! * width;
        return;
      }
      at = begun;
      each(isObject ? '}' : ']', (_, of) => {
        if (isObject) run();
        given = of;
        skip(depth + 1);
      });
    } else if (!'ZTF'.includes(found)) number(found);
  };
  return {
    next() {
      while (given === null && isNext('N')) at++;
      need(1);
      const found = given ?? String.fromCharCode(bytes[at]!);
      if (found === '{') return 'object';
      if (found === '[') return 'list';
      return found === 'S' ? 'text' : 'other';
    },
    members(visit) {
      const found = marker();
      if (found !== '{') wrong(found, 'an object');
      const seen = new Set<string>();
      each('}', (_, type) => {
        const name = fromUtf8(run(), `${where} byte ${at}`);
        if (seen.has(name)) fail('DUPLICATE_NAME', 'an object names a member twice', undefined, name.slice(0, 100));
        seen.add(name);
        given = type;
        visit(name);
      });
    },
    items(visit) {
      const found = marker();
      if (found !== '[') wrong(found, 'a list');
      each(']', (index, type) => {
        given = type;
        visit(index);
      });
    },
    numbers() {
      const found = marker();
      if (found !== '[') wrong(found, 'a list');
      const begun = at;
      const { type, count } = head();
      const width = type === null ? undefined : WIDTHS.get(type);
      if (type !== null && width !== undefined) {
        if (count! > MAX_TREE_VALUES)
          fail('COUNT', 'a list is longer than planned for', `at most ${MAX_TREE_VALUES} numbers`, String(count));
        const values = new Float64Array(count!);
        for (let i = 0; i < values.length; i++) values[i] = numberAt(type, at + i * width);
        at += values.length * width;
        return values;
      }
      at = begun;
      const values: number[] = [];
      each(']', (index, of) => {
        if (index >= MAX_TREE_VALUES)
          fail('COUNT', 'a list is longer than planned for', `at most ${MAX_TREE_VALUES} numbers`);
        given = of;
        values.push(number(marker()));
      });
      return Float64Array.from(values);
    },
    text,
    skip: () => skip(),
    offset() {
      while (given === null && isNext('N')) at++;
      return at;
    },
    end() {
      if (at !== bytes.length)
        fail('COUNT', 'something follows the document', `the end of the file`, `${bytes.length - at} bytes`);
    },
  };
}
