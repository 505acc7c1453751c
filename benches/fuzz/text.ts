/** Swaps, doubles and replaces tokens of the text in a file: JSON heads, Python literals, XML, lists of a tree model. */
import type { RandomStream } from '../../src/base/index.js';
import { type Mutation, pick, readInteger, writeInteger } from './bytes.js';

/** Where text is looked for: heads are at the beginning, and directories of archives hold none that is worth it. */
const WITHIN = 256 * 1024;
const SHORTEST = 12;
const TOKEN = /"(?:[^"\\]|\\.)*"|'[^']*'|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|[A-Za-z_][\w.-]*|[[\]{}():,<>/=]/g;

const NUMBERS = [
  '-1',
  '0',
  '1',
  '1.5',
  '1e9',
  '1e308',
  '1e999',
  '-0',
  '4294967296',
  '9007199254740993',
  '18446744073709551615',
];
const WORDS = [
  '""',
  '"__proto__"',
  '"../../../etc/passwd"',
  '"/etc/passwd"',
  '"\\u0000"',
  '"a".__class__',
  'null',
  'true',
];
const OPENERS = ['[', '{"a":', '(', '<a>', '{'];

/** A length that stands before the text as so many little-endian bytes is kept right, or the change would not be looked at. */
const PREFIXES = [8, 4, 2];

export const textMutation: Mutation = (bytes, random) => {
  const head = bytes.toString('latin1', 0, WITHIN);
  const runs = [...head.matchAll(/[\t\n\r\x20-\x7e]+/g)].filter(([run]) => run.length >= SHORTEST);
  if (runs.length === 0) return null;
  const longest = runs.reduce((a, b) => (a[0].length >= b[0].length ? a : b));
  const run = random.below(2) === 0 ? longest : pick(random, runs);
  const changed = changeTokens(run[0], random);
  if (changed === null) return null;
  const out = Buffer.concat([
    bytes.subarray(0, run.index),
    Buffer.from(changed, 'latin1'),
    bytes.subarray(run.index + run[0].length),
  ]);
  const prefix = PREFIXES.find((width) => {
    const at = run.index - width;
    return at >= 0 && readInteger(bytes, at, width) === BigInt(run[0].length);
  });
  if (prefix !== undefined && random.below(8) > 0) {
    writeInteger(out, run.index - prefix, prefix, BigInt(changed.length), true);
  }
  return out;
};

/** Nests deeper than any parser here allows, in a few thousand characters. */
const DEEP = 3000;

function changeTokens(text: string, random: RandomStream): string | null {
  const tokens = [...text.matchAll(TOKEN)];
  if (tokens.length < 3) return null;
  const at = random.below(tokens.length);
  const one = tokens[at]!;
  const other = random.below(2) === 0 ? pick(random, tokens) : alike(one[0], tokens, random);
  const put = (index: number, length: number, by: string): string =>
    text.slice(0, index) + by + text.slice(index + length);
  switch (random.below(8)) {
    case 0:
      return swap(text, one, other);
    case 1:
    case 2:
      return put(one.index, one[0].length, other[0]);
    case 3:
      return put(one.index, one[0].length, pick(random, /^-?\d/.test(one[0]) ? NUMBERS : WORDS));
    case 4:
      return put(one.index, one[0].length, pick(random, NUMBERS));
    case 5: {
      // A stretch of tokens once more: entries that come twice, or run into each other.
      const last = tokens[Math.min(tokens.length - 1, at + random.below(24))]!;
      const stretch = text.slice(one.index, last.index + last[0].length);
      return put(other.index, 0, stretch);
    }
    case 6: {
      const last = tokens[Math.min(tokens.length - 1, at + random.below(6))]!;
      return text.slice(0, one.index) + text.slice(last.index + last[0].length);
    }
    default:
      return put(one.index, 0, pick(random, OPENERS).repeat(random.below(4) === 0 ? DEEP : 1));
  }
}

const kindOf = (token: string): string => (/^-?\d/.test(token) ? '0' : /^["'A-Za-z_]/.test(token) ? '"' : token);
function alike(token: string, tokens: readonly RegExpExecArray[], random: RandomStream): RegExpExecArray {
  return pick(
    random,
    tokens.filter(([one]) => kindOf(one) === kindOf(token)),
  );
}

function swap(text: string, a: RegExpExecArray, b: RegExpExecArray): string {
  if (a.index === b.index) return text;
  const [first, second] = a.index < b.index ? [a, b] : [b, a];
  return (
    text.slice(0, first.index) +
    second[0] +
    text.slice(first.index + first[0].length, second.index) +
    first[0] +
    text.slice(second.index + second[0].length)
  );
}
