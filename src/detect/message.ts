/** The message that a copy says by itself: bit by bit, which sign of the chips its weights speak for. */
import { eachMarkedRow, messageBits, messageHex, type OpenedKeys, type ReleasePlan } from '../mark/index.js';

export interface MessageRead {
  /** As read from the suspect, hexadecimal. */
  readonly hex: string;
  /** Bits that differ from the committed message. */
  readonly wrong: number;
  readonly bits: number;
  /** The least |z| of a bit: about 5 where one bit in a million would be misread. */
  readonly weakest: number;
}

/**
 * No evidence of its own: the mark's z already takes the committed signs in, and bits chosen after the fact have no null.
 * @param directions d per tensor, as `markDirection` gives them
 * @returns null where the plan has no message, or nothing speaks for a bit
 */
export function readMessage(
  plan: ReleasePlan,
  keys: OpenedKeys,
  directions: ReadonlyMap<string, Float64Array>,
): MessageRead | null {
  if (plan.message === undefined) return null;
  const committed = messageBits(plan.message);
  const products = new Float64Array(committed.length);
  const squares = new Float64Array(committed.length);
  for (const marked of plan.marked) {
    const d = directions.get(marked.tensor);
    if (d === undefined) continue;
    eachMarkedRow(plan, marked, keys, (row, chips, bits) => {
      const start = row * marked.width;
      for (let k = 0; k < chips.length; k++) {
        const bit = bits![k]!;
        products[bit] = products[bit]! + chips[k]! * d[start + k]!;
        squares[bit] = squares[bit]! + d[start + k]! * d[start + k]!;
      }
    });
  }
  if (squares.some((square) => !(square > 0))) return null;
  // Chips came signed by the committed bits: a negative product speaks against the bit.
  const read = committed.map((bit, at): 0 | 1 => (products[at]! < 0 ? (bit === 0 ? 1 : 0) : bit));
  return {
    hex: messageHex(read),
    wrong: products.filter((product) => product < 0).length,
    bits: committed.length,
    weakest: products.reduce(
      (least, product, at) => Math.min(least, Math.abs(product) / Math.sqrt(squares[at]!)),
      Infinity,
    ),
  };
}
