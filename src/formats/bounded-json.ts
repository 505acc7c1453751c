/** JSON of an untrusted header, refused by its looks before a parser makes objects of it. */
import { fromUtf8, inputError, type Json, parseStrictJson } from '../base/index.js';
import { MAX_JSON_OBJECTS, MAX_JSON_STRING, MAX_JSON_VALUES } from './limits.js';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const OPENING = new Set([0x5b, 0x7b]);

/**
 * 100 MB of `[],[],…` become gigabytes of objects, so brackets and commas are counted first.
 * @throws `JSON_TOO_LARGE`, `JSON_INVALID`, `JSON_DUPLICATE_NAME`, `JSON_TOO_DEEP`, `UTF8_INVALID`
 */
export function parseBoundedJson(bytes: Uint8Array, where: string): Json {
  let values = 0;
  let objects = 0;
  let stringStart = -1;
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i]!;
    if (stringStart >= 0) {
      if (byte === BACKSLASH) i++;
      else if (byte === QUOTE) stringStart = -1;
      if (i - stringStart > MAX_JSON_STRING && stringStart >= 0)
        refuse('a name longer than any real one', MAX_JSON_STRING, where, i);
    } else if (byte === QUOTE) stringStart = i;
    else if (byte === COMMA && ++values > MAX_JSON_VALUES) refuse('too many values', MAX_JSON_VALUES, where, i);
    // Each tensor has an object and two lists.
    else if (OPENING.has(byte) && ++objects > 3 * MAX_JSON_OBJECTS)
      refuse('too many objects and lists', 3 * MAX_JSON_OBJECTS, where, i);
  }
  return parseStrictJson(fromUtf8(bytes, where), where);
}

function refuse(what: string, most: number, where: string, at: number): never {
  throw inputError('JSON_TOO_LARGE', `the header has ${what}`, {
    expected: `at most ${most}`,
    where: `${where}, at its byte ${at}`,
    todo: 'the file is damaged or made to exhaust memory; fetch it again',
  });
}
