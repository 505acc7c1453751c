/**
 * Strict JSON Canonicalization Scheme (RFC 8785). Numbers use ECMAScript's shortest form (§3.2.2.3),
 * members are sorted by UTF-16 code units (§3.2.3). Where JSON.stringify would drop or rewrite a
 * value in silence (undefined, NaN, functions, lone surrogates, toJSON), this refuses.
 */
import { utf8 } from './bytes.js';
import { inputError } from './errors.js';

export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };

/** Deeper values are refused: nothing that Muniment signs nests further, and hostile input must not exhaust the stack. */
const MAX_DEPTH = 64;
const LONE_SURROGATE = /[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]/;

/**
 * @param value JSON data only
 * @throws `JSON_NOT_CANONICAL` naming the path of the offending value
 */
export function canonicalJson(value: Json): string {
  return encode(value, '$', 0);
}

/** `canonicalJson` as UTF-8 bytes, ready to hash or sign. */
export const canonicalBytes = (value: Json): Uint8Array => utf8(canonicalJson(value));

function refuse(path: string, got: string): never {
  throw inputError('JSON_NOT_CANONICAL', 'a value has no canonical JSON form', {
    expected: 'null, boolean, finite number, well-formed string, array or plain object',
    got,
    where: path,
  });
}

function text(value: string, path: string): string {
  if (LONE_SURROGATE.test(value)) refuse(path, 'a string with a lone surrogate');
  return JSON.stringify(value);
}

function encode(value: unknown, path: string, depth: number): string {
  if (depth > MAX_DEPTH) refuse(path, `nesting deeper than ${MAX_DEPTH}`);
  if (value === null || value === true || value === false) return String(value);
  if (typeof value === 'number') return Number.isFinite(value) ? JSON.stringify(value) : refuse(path, String(value));
  if (typeof value === 'string') return text(value, path);
  if (Array.isArray(value)) {
    return `[${Array.from(value, (item, index) => encode(item, `${path}[${index}]`, depth + 1)).join(',')}]`;
  }
  if (typeof value !== 'object') return refuse(path, typeof value);
  const prototype = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null)
    return refuse(path, `an instance of ${prototype?.constructor?.name}`);
  const members = value as Record<string, unknown>;
  const names = Object.keys(members).sort(byCodeUnits);
  return `{${names.map((name) => `${text(name, path)}:${encode(members[name], `${path}.${name}`, depth + 1)}`).join(',')}}`;
}

const byCodeUnits = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** JSON.parse for untrusted text: refuses duplicate members (which parsers resolve differently) and too deep nesting. */
export function parseStrictJson(source: string, where: string): Json {
  let value: Json;
  try {
    value = JSON.parse(source) as Json;
  } catch (cause) {
    throw inputError('JSON_INVALID', 'not valid JSON', { where, got: source.slice(0, 60), cause });
  }
  checkDuplicates(source, where);
  return value;
}

/** One pass over text that JSON.parse accepted: tracks open objects and the names seen in each. */
function checkDuplicates(source: string, where: string): void {
  const stack: (Set<string> | null)[] = [];
  const strings = /"(?:[^"\\]|\\.)*"|[{}[\]]/g;
  for (const match of source.matchAll(strings)) {
    const token = match[0];
    if (token === '{' || token === '[') {
      stack.push(token === '{' ? new Set() : null);
      if (stack.length > MAX_DEPTH) throw inputError('JSON_TOO_DEEP', `JSON nests deeper than ${MAX_DEPTH}`, { where });
    } else if (token === '}' || token === ']') {
      stack.pop();
    } else {
      const names = stack.at(-1);
      const isName =
        names != null && /^\s*:/.test(source.slice(match.index + token.length, match.index + token.length + 64));
      if (isName) {
        const name = JSON.parse(token) as string;
        if (names.has(name))
          throw inputError('JSON_DUPLICATE_NAME', 'a JSON object names a member twice', { got: name, where });
        names.add(name);
      }
    }
  }
}
