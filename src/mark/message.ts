/**
 * A message inside the mark: every chip is multiplied by the sign of one of its bits. The chips so signed are as Gaussian
 * and as independent of the suspect as without a message, which is committed with the plan: the test of docs/theory.md §7
 * stays as it is. What a message adds is that a copy says by itself what was written into it.
 */
import { inputError } from '../base/index.js';
import { messageOffset, type OpenedKeys } from './keys.js';

/** Bits that a mark may carry: 128 bytes hold any licence number, and whoever needs more wants a ledger entry. */
export const MAX_MESSAGE_BITS = 1024;

/** Marked weights that must speak for each bit: below 1 error in 10⁶ after fine-tuning and int8 (`bench:mark`, bits_1e4). */
export const WEIGHTS_PER_BIT = 150;

/** @throws `MARK_MESSAGE` */
export function messageBits(hex: string): readonly (0 | 1)[] {
  if (!/^(?:[0-9a-f]{2})+$/.test(hex) || hex.length * 4 > MAX_MESSAGE_BITS) {
    throw inputError('MARK_MESSAGE', 'the message of a mark is whole bytes in hexadecimal', {
      expected: `2 to ${MAX_MESSAGE_BITS / 4} digits 0-9a-f, an even number`,
      got: hex.slice(0, 40),
    });
  }
  return [...hex].flatMap((digit) => {
    const value = Number.parseInt(digit, 16);
    return [8, 4, 2, 1].map((bit): 0 | 1 => ((value & bit) === 0 ? 0 : 1));
  });
}

export const messageHex = (bits: readonly (0 | 1)[]): string =>
  Array.from({ length: bits.length / 4 }, (_, k) =>
    Number.parseInt(bits.slice(4 * k, 4 * k + 4).join(''), 2).toString(16),
  ).join('');

/**
 * Which bit each weight of a row carries: consecutive weights consecutive bits, from a keyed start, so that no bit hangs
 * on one unit.
 */
export function rowBits(
  keys: OpenedKeys,
  batch: number,
  tensor: string,
  row: number,
  width: number,
  bits: number,
): Uint16Array {
  const start = messageOffset(keys, batch, tensor, row, bits)!;
  return Uint16Array.from({ length: width }, (_, k) => (start + k) % bits);
}
