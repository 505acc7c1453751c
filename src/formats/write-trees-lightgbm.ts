/**
 * Thresholds of LightGBM's text: words of a tree's `threshold=` line. The head states the bytes of each tree
 * (`tree_sizes`), by which LightGBM finds them, so that line changes too.
 */
import type { ByteSource } from '../base/index.js';
import type { Edit } from './stored-tensor.js';
import type { ThresholdEdits } from './trees.js';
import { changedThresholds, type PlacedTrees, refuseWriting } from './write-trees.js';

interface Line {
  readonly offset: number;
  /** Without its end. */
  readonly text: string;
}

export function lightgbmEdits(file: PlacedTrees & { readonly source: ByteSource }): ThresholdEdits {
  return async (thresholds) => {
    const { source } = file;
    const changed = changedThresholds(file, thresholds);
    if (changed.size === 0) return [];
    const { sizes, trees } = linesOf(Buffer.from(await source.slice(0, source.byteLength)));
    const grown = new Map<number, number>();
    const edits: Edit[] = [];
    const replace = ({ offset, text }: Line, name: string, words: readonly string[]): number => {
      const bytes = Buffer.from(words.join(' '), 'latin1');
      const length = text.length - name.length;
      edits.push({ source, offset: offset + name.length, length, bytes });
      return bytes.length - length;
    };
    for (const [tree, values] of changed) {
      const where = `${source.name}, tree ${tree}`;
      const line = trees[tree] ?? refuseWriting(where, 'no line threshold=');
      const words = line.text.slice(THRESHOLD.length).split(' ');
      for (const [index, value] of values) {
        if (words[index] === undefined) refuseWriting(where, `${words.length} elements`);
        words[index] = String(value);
      }
      grown.set(tree, replace(line, THRESHOLD, words));
    }
    if (sizes !== null) {
      const words = sizes.text.slice(SIZES.length).split(' ');
      replace(
        sizes,
        SIZES,
        words.map((word, tree) => String(Number(word) + (grown.get(tree) ?? 0))),
      );
    }
    return edits;
  };
}

const THRESHOLD = 'threshold=';
const SIZES = 'tree_sizes=';

/** The line of thresholds of each tree, absent for one that is a single leaf. */
function linesOf(bytes: Buffer): { readonly sizes: Line | null; readonly trees: readonly (Line | undefined)[] } {
  const trees: (Line | undefined)[] = [];
  let sizes: Line | null = null;
  for (let at = 0; at < bytes.length; ) {
    const found = bytes.indexOf('\n', at);
    const end = found < 0 ? bytes.length : found;
    const text = bytes.toString('latin1', at, bytes[end - 1] === CARRIAGE ? end - 1 : end);
    if (text === 'end of trees') break;
    if (text.startsWith('Tree=')) trees.push(undefined);
    else if (text.startsWith(THRESHOLD) && trees.length > 0) trees[trees.length - 1] = { offset: at, text };
    else if (text.startsWith(SIZES) && trees.length === 0) sizes = { offset: at, text };
    at = end + 1;
  }
  return { sizes, trees };
}

const CARRIAGE = '\r'.charCodeAt(0);
