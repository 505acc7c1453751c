/** Changes one value of the JSON in a file, so that it still is JSON, and what it says is looked at. */
import type { RandomStream } from '../../src/base/index.js';
import { type Mutation, pick, readInteger, writeInteger } from './bytes.js';

type Value = null | boolean | number | string | Value[] | { [key: string]: Value };

const STRANGE: readonly Value[] = [
  ...[null, true, '', '../up', '/etc/passwd', '__proto__', 'constructor', 'a\0b', [], {}, [[]]],
  ...[-1, 0, 1.5, 2 ** 31, 2 ** 32, 2 ** 53, 1e9, 1e300, '4', 'float32', 'int8', 'NaN'],
];
/** A head with its length before it, or the whole file. */
const PREFIX = 8;
const LONGEST = 2_000_000;

export const jsonMutation: Mutation = (bytes, random) => {
  const found = headOf(bytes);
  if (found === null) return null;
  const text = JSON.stringify(changed(found.value, [found.value], random));
  if (text === undefined) return null;
  const json = Buffer.from(text);
  const out = Buffer.concat([bytes.subarray(0, found.start), json, bytes.subarray(found.end)]);
  if (found.start === PREFIX) writeInteger(out, 0, PREFIX, BigInt(json.length), true);
  return out;
};

function headOf(bytes: Buffer): { readonly value: Value; readonly start: number; readonly end: number } | null {
  const whole = bytes[0] === 0x7b || bytes[0] === 0x5b;
  if (!whole && (bytes.length < PREFIX + 2 || bytes[PREFIX] !== 0x7b)) return null;
  const start = whole ? 0 : PREFIX;
  const end = whole ? bytes.length : PREFIX + Number(readInteger(bytes, 0, PREFIX));
  if (end > bytes.length || end > LONGEST) return null;
  try {
    return { value: JSON.parse(bytes.toString('utf8', start, end)) as Value, start, end };
  } catch {
    return null;
  }
}

const isBranch = (value: Value): value is Value[] | { [key: string]: Value } =>
  typeof value === 'object' && value !== null && Object.keys(value).length > 0;

/** Down a random path, deeper mostly; what is found there becomes another value, goes, comes twice or changes places. */
function changed(value: Value, seen: readonly Value[], random: RandomStream): Value {
  if (!isBranch(value) || random.below(12) === 0) return other(value, seen, random);
  const keys = Object.keys(value);
  const key = pick(random, keys);
  if (random.below(3) > 0 || keys.length === 1)
    return put(value, key, changed(at(value, key), [...seen, value], random));
  const second = pick(random, keys);
  switch (random.below(4)) {
    case 0:
      return Array.isArray(value)
        ? value.filter((_, i) => String(i) !== key)
        : Object.fromEntries(Object.entries(value).filter(([one]) => one !== key));
    case 1:
      return Array.isArray(value)
        ? [...value, at(value, key)]
        : { ...value, [pick(random, [`${key}x`, key.toUpperCase(), '__proto__', second])]: at(value, key) };
    case 2:
      return put(put(value, key, at(value, second)), second, at(value, key));
    default:
      return put(value, key, pick(random, seen));
  }
}

const at = (value: Value[] | { [key: string]: Value }, key: string): Value =>
  (value as { [key: string]: Value })[key] ?? null;

function put(value: Value, key: string, by: Value): Value {
  if (Array.isArray(value)) return value.map((one, i) => (String(i) === key ? by : one));
  return { ...(value as { [key: string]: Value }), [key]: by };
}

function other(value: Value, seen: readonly Value[], random: RandomStream): Value {
  if (typeof value === 'number' && random.below(2) === 0)
    return pick(random, [value + 1, value - 1, -value, value * 2, value * 2 ** 30, value / 2, String(value)]);
  if (random.below(8) === 0) return pick(random, seen);
  return pick(random, STRANGE);
}
