/** Numbers between single blanks, as LightGBM writes lists. */
import { inputError } from '../base/index.js';
import { MAX_TREE_VALUES } from './limits.js';

const NUMBER = /^[-+]?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?$/;
/** What C++ prints of numbers that are none. */
const OTHERS: ReadonlyMap<string, number> = new Map([
  ['nan', Number.NaN],
  ['-nan', Number.NaN],
  ['inf', Number.POSITIVE_INFINITY],
  ['-inf', Number.NEGATIVE_INFINITY],
]);

/** @throws `LIGHTGBM_NUMBER`, `LIGHTGBM_TOO_LARGE` */
export function numbersIn(text: string, where: string): Float64Array {
  if (text === '') return new Float64Array(0);
  let values = new Float64Array(64);
  let length = 0;
  for (let start = 0; start <= text.length; ) {
    const found = text.indexOf(' ', start);
    const end = found < 0 ? text.length : found;
    const word = text.slice(start, end);
    const value = NUMBER.test(word) ? Number(word) : OTHERS.get(word);
    if (value === undefined) {
      throw inputError('LIGHTGBM_NUMBER', 'a number should stand here', {
        got: word.slice(0, 40),
        where,
        todo: 'the file is truncated or damaged; save the model again',
      });
    }
    if (length === MAX_TREE_VALUES)
      throw inputError('LIGHTGBM_TOO_LARGE', `a list has more than ${MAX_TREE_VALUES} numbers`, { where });
    if (length === values.length) {
      const more = new Float64Array(2 * length);
      more.set(values);
      values = more;
    }
    values[length++] = value;
    start = end + 1;
  }
  return values.slice(0, length);
}
