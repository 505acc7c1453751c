/** Thresholds of XGBoost's models: elements of `split_conditions`, as text or as big-endian float32. */
import type { ByteSource } from '../base/index.js';
import type { Edit } from './stored-tensor.js';
import type { ThresholdEdits } from './trees.js';
import { changedThresholds, type PlacedTrees, refuseWriting } from './write-trees.js';

interface XgboostFile extends PlacedTrees {
  readonly source: ByteSource;
  readonly isBinary: boolean;
  /** [trees]: where `split_conditions` begins. */
  readonly lists: Float64Array;
}

export function xgboostEdits(file: XgboostFile): ThresholdEdits {
  return async (thresholds) => {
    const { source, isBinary, lists } = file;
    const changed = changedThresholds(file, thresholds);
    if (changed.size === 0) return [];
    const bytes = Buffer.from(await source.slice(0, source.byteLength));
    return [...changed].map(([tree, values]) => {
      const where = `${source.name}, tree ${tree}`;
      const edited = (isBinary ? editNumbers : editText)(bytes, lists[tree]!, values, where);
      return { source, ...edited };
    });
  };
}

type Place = Omit<Edit, 'source'>;

/** The list from `[` to before `]`; elements that stay keep their characters. */
function editText(bytes: Buffer, at: number, values: ReadonlyMap<number, number>, where: string): Place {
  const end = bytes.indexOf(']', at);
  if (bytes[at] !== OPEN || end < 0) refuseWriting(where, 'no list');
  const words = bytes.toString('latin1', at + 1, end).split(',');
  for (const [index, value] of values) {
    const word = words[index] ?? refuseWriting(where, `${words.length} elements`);
    words[index] = word.replace(/[^\s]+/, float32Text(value));
  }
  return { offset: at + 1, length: end - at - 1, bytes: Buffer.from(words.join(','), 'latin1') };
}

const OPEN = '['.charCodeAt(0);

/** The fewest digits that give this float32 back, in the form that XGBoost writes: 2.9970664E-1. */
export function float32Text(value: number): string {
  let text = '';
  for (let digits = 0; digits < 9; digits++) {
    text = value.toExponential(digits);
    if (Math.fround(Number(text)) === value) break;
  }
  return text.replace('e+', 'E').replace('e', 'E');
}

/** Bytes of a length behind its marker. */
const LENGTHS: Readonly<Record<string, number>> = { i: 1, U: 1, I: 2, l: 4, L: 8 };

/** `[$d#` and a count, then float32: the only form that XGBoost writes. */
function editNumbers(bytes: Buffer, at: number, values: ReadonlyMap<number, number>, where: string): Place {
  const head = bytes.toString('latin1', at, at + 5);
  const width = LENGTHS[head[4] ?? ''];
  if (!head.startsWith('[$d#') || width === undefined) return refuseWriting(where, JSON.stringify(head));
  const start = at + 5 + width;
  const count = Number(width === 8 ? bytes.readBigInt64BE(at + 5) : bytes.readIntBE(at + 5, width));
  const length = 4 * (head[4] === 'U' ? bytes[at + 5]! : count);
  const edited = Buffer.from(bytes.subarray(start, start + length));
  for (const [index, value] of values) {
    if (!(index * 4 + 4 <= edited.length)) refuseWriting(where, `${length / 4} elements`);
    edited.writeFloatBE(value, index * 4);
  }
  return { offset: start, length, bytes: edited };
}
