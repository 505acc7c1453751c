/**
 * The Python literals that a NumPy header is written in: dictionaries, tuples, lists, text, integers, True, False, None.
 * Read, never evaluated. Source: The Python Language Reference §2.4 (literals), NumPy `numpy/lib/_format_impl.py`.
 */
import { inputError } from '../base/index.js';
import { MAX_LITERAL_DEPTH } from './limits.js';

export type Literal = null | boolean | number | string | readonly Literal[] | ReadonlyMap<string, Literal>;

const TOKEN =
  /\s*(?:(?<text>'[^'\\\n]*'|"[^"\\\n]*")|(?<number>-?\d{1,16})L?(?![\w.])|(?<word>[A-Za-z]+)|(?<mark>[[\](){},:]))/y;
const WORDS: ReadonlyMap<string, Literal> = new Map<string, Literal>([
  ['True', true],
  ['False', false],
  ['None', null],
]);
const CLOSING: Readonly<Record<string, string>> = { '(': ')', '[': ']', '{': '}' };

/** @throws `NUMPY_HEADER` for anything else, with its place in the text */
export function parseLiteral(text: string, where: string): Literal {
  let at = 0;
  const fail = (): never => {
    throw inputError('NUMPY_HEADER', 'the header is not a plain Python literal', {
      got: JSON.stringify(text.slice(at, at + 40)),
      where: `${where}, character ${at}`,
    });
  };
  const next = (): { kind: string; value: string } => {
    TOKEN.lastIndex = at;
    const groups = TOKEN.exec(text)?.groups ?? fail();
    at = TOKEN.lastIndex;
    const [kind, value] = Object.entries(groups).find(([, part]) => part !== undefined)!;
    return { kind, value: value! };
  };
  const peek = (): string => text.slice(at).trimStart()[0] ?? '';

  const value = (depth: number): Literal => {
    if (depth > MAX_LITERAL_DEPTH) fail();
    const token = next();
    if (token.kind === 'text') return token.value.slice(1, -1);
    if (token.kind === 'number') return Number(token.value);
    if (token.kind === 'word') return WORDS.has(token.value) ? WORDS.get(token.value)! : fail();
    const closing = CLOSING[token.value] ?? fail();
    return closing === '}' ? dictionary(depth) : sequence(closing, depth);
  };
  const sequence = (closing: string, depth: number): readonly Literal[] => {
    const items: Literal[] = [];
    while (peek() !== closing) {
      items.push(value(depth + 1));
      if (peek() === ',') next();
      else if (peek() !== closing) fail();
    }
    next();
    return items;
  };
  const dictionary = (depth: number): ReadonlyMap<string, Literal> => {
    const entries = new Map<string, Literal>();
    while (peek() !== '}') {
      const key = value(depth + 1);
      if (typeof key !== 'string' || entries.has(key) || next().value !== ':') return fail();
      entries.set(key, value(depth + 1));
      if (peek() === ',') next();
      else if (peek() !== '}') fail();
    }
    next();
    return entries;
  };
  const whole = value(0);
  return text.slice(at).trim() === '' ? whole : fail();
}
