/**
 * LightGBM's text models (`Booster.save_model`): a head of `name=value` lines, a block of such lines for each tree, and
 * behind them notes on how it was trained. Sources: src/boosting/gbdt_model_text.cpp, src/io/tree.cpp and
 * include/LightGBM/tree.h of microsoft/LightGBM (versions v2 to v4 of the text).
 */
import { type ByteSource, type ErrorFacts, fromUtf8, inputError } from '../base/index.js';
import { numbersIn } from './lightgbm-numbers.js';
import { MAX_TREE_FILE, MAX_TREE_VALUES, MAX_TREES } from './limits.js';
import type { Model } from './model.js';
import { type ModelFiles, modelOf } from './opened.js';
import { MISSING_IS_ZERO, MISSING_LEFT, tensorsOfTrees, ZERO_IS_MISSING } from './trees.js';
import { type StoredNode, type StoredTrees, treesBuilder } from './trees-builder.js';
import { lightgbmEdits } from './write-trees-lightgbm.js';

export const looksLikeLightgbm = (head: Uint8Array): boolean =>
  /^tree\r?\n/.test(Buffer.from(head.subarray(0, 6)).toString('latin1'));

const refuse = (code: string, message: string, facts: ErrorFacts): never => {
  throw inputError(`LIGHTGBM_${code}`, message, facts);
};

type Fields = ReadonlyMap<string, string>;

/** A head or a tree has some thirty lines. */
const MAX_FIELDS = 1000;
const END = 'end of trees';

/**
 * @throws `LIGHTGBM_TRUNCATED`, `LIGHTGBM_FIELD`, `LIGHTGBM_NUMBER`, `LIGHTGBM_LINEAR`, `LIGHTGBM_TOO_LARGE`, `TREES_…`,
 * `UTF8_INVALID`
 */
export async function openLightgbm(source: ByteSource, files: ModelFiles): Promise<Model> {
  const where = source.name;
  if (source.byteLength > MAX_TREE_FILE) {
    refuse('TOO_LARGE', 'the model is larger than is planned for', {
      expected: `at most ${MAX_TREE_FILE} bytes`,
      got: `${source.byteLength} bytes`,
      where,
    });
  }
  const lines = linesOf(fromUtf8(await source.slice(0, source.byteLength), where));
  const head = blockOf(lines, where);
  const perIteration = count(head.fields, 'num_tree_per_iteration', where);
  const features = count(head.fields, 'max_feature_idx', where) + 1;
  const builder = treesBuilder();
  let index = 0;
  for (let block = head; block.next !== END; index++) {
    if (block.next !== `Tree=${index}`) {
      refuse('FIELD', 'a block does not follow the one before', {
        expected: `Tree=${index}`,
        got: block.next.slice(0, 40),
        where,
      });
    }
    if (index >= MAX_TREES) refuse('TOO_LARGE', `more than ${MAX_TREES} trees`, { where });
    block = blockOf(lines, `${where}, tree ${index}`);
    builder.add(treeOf(block.fields, index % Math.max(1, perIteration), `${where}, tree ${index}`));
  }
  const sizes = head.fields.get('tree_sizes');
  if (sizes !== undefined && numbersIn(sizes, `${where}, tree_sizes`).length !== index) {
    refuse('TRUNCATED', 'the file holds another number of trees than its head says', { got: `${index} trees`, where });
  }
  const names = head.fields.get('feature_names')?.split(' ') ?? null;
  if (names !== null && names.length !== features) {
    refuse('FIELD', 'the head names another number of inputs than it counts', {
      expected: String(features),
      got: String(names.length),
      where,
    });
  }
  const ensemble = builder.done(
    {
      name: '',
      precision: 'F64',
      features,
      featureNames: names,
      // Random forests.
      aggregate: head.fields.has('average_output') ? 'average' : 'sum',
      objective: head.fields.get('objective') ?? '',
      base: new Float64Array(0),
      baseIs: 'margin',
    },
    where,
  );
  return modelOf(files, {
    format: 'lightgbm',
    tensors: tensorsOfTrees(ensemble, lightgbmEdits({ source, places: builder.places(), ensemble })),
    graph: null,
    opset: null,
    metadata: new Map(
      ['version', 'objective', 'num_class', 'num_tree_per_iteration'].flatMap((name) => {
        const value = head.fields.get(name);
        return value === undefined ? [] : [[name, value] as const];
      }),
    ),
    trees: [ensemble],
  });
}

function* linesOf(text: string): Generator<string, undefined> {
  for (let start = 0; start < text.length; ) {
    const found = text.indexOf('\n', start);
    const end = found < 0 ? text.length : found;
    yield text.slice(start, text[end - 1] === '\r' ? end - 1 : end);
    start = end + 1;
  }
}

/** The lines up to the beginning of the next block, which is named. */
function blockOf(
  lines: Generator<string, undefined>,
  where: string,
): { readonly fields: Fields; readonly next: string } {
  const fields = new Map<string, string>();
  for (;;) {
    const { value: line, done } = lines.next();
    if (done === true || line === undefined) {
      return refuse('TRUNCATED', `the file ends before "${END}"`, {
        where,
        todo: 'the file is truncated; save the model again',
      });
    }
    if (line === END || line.startsWith('Tree=')) return { fields, next: line };
    if (line === '') continue;
    const equals = line.indexOf('=');
    const name = equals < 0 ? line : line.slice(0, equals);
    if (fields.has(name) || fields.size >= MAX_FIELDS) {
      refuse('FIELD', 'a block has a line twice, or more lines than any real one', { got: name.slice(0, 40), where });
    }
    fields.set(name, equals < 0 ? '' : line.slice(equals + 1));
  }
}

function count(fields: Fields, name: string, where: string): number {
  const text = fields.get(name) ?? '';
  const value = Number(text);
  if (!/^\d{1,9}$/.test(text)) refuse('FIELD', `${name} is no count`, { got: text.slice(0, 40) || 'nothing', where });
  return value;
}

/** Bits of `decision_type` (include/LightGBM/tree.h): categorical, default left, and two for what counts as missing. */
const CATEGORICAL = 1;
const DEFAULT_LEFT = 2;
const MISSING = [MISSING_IS_ZERO, ZERO_IS_MISSING, 0];

/** Leaf k is written as child −1 − k; here the leaves are numbered behind the splits. */
function treeOf(fields: Fields, output: number, where: string): StoredTrees {
  const leaves = count(fields, 'num_leaves', where);
  const splits = leaves - 1;
  if ((fields.get('is_linear') ?? '0') !== '0') {
    refuse('LINEAR', 'the leaves are linear models, which is not read', {
      where,
      todo: 'train without linear_tree, or compare the predictions',
    });
  }
  const list = (name: string, length: number | null): Float64Array => {
    const values = numbersIn(fields.get(name) ?? '', `${where}, ${name}`);
    if (length !== null && values.length !== length) {
      refuse('FIELD', 'a list of a tree has another length than its leaves need', {
        expected: `${length} elements`,
        got: `${name}: ${values.length}`,
        where,
        todo: 'the file is truncated or damaged; save the model again',
      });
    }
    return values;
  };
  const values = list('leaf_value', leaves);
  const [feature, threshold, decision, left, right] = [
    list('split_feature', splits),
    list('threshold', splits),
    list('decision_type', splits),
    list('left_child', splits),
    list('right_child', splits),
  ];
  const boundaries = list('cat_boundaries', null);
  const words = list('cat_threshold', null);
  const child = (stored: number): number => (stored < 0 ? splits - 1 - stored : stored < splits ? stored : -1);
  return {
    where,
    size: splits + leaves,
    roots: [0],
    weight: 1,
    node(index): StoredNode {
      if (index >= splits) return { comparison: 'leaf', outputs: [output], values: [values[index - splits]!] };
      const bits = decision[index]!;
      const how = MISSING[(bits >> 2) & 3];
      if (!Number.isInteger(bits) || how === undefined || bits < 0 || bits > 11) {
        return refuse('FIELD', 'a split is of a kind that is not known', {
          got: `decision_type ${bits}`,
          where: `${where}, node ${index}`,
        });
      }
      const split = { feature: feature[index]!, left: child(left[index]!), right: child(right[index]!) };
      if ((bits & CATEGORICAL) !== 0) {
        const categories = categorySet(boundaries, words, threshold[index]!, `${where}, node ${index}`);
        // What is no category goes right (tree.h, CategoricalDecision).
        return { ...split, comparison: 'in', threshold: 0, missing: 0, categories };
      }
      const missing = how | ((bits & DEFAULT_LEFT) !== 0 && how !== MISSING_IS_ZERO ? MISSING_LEFT : 0);
      return { ...split, comparison: '<=', threshold: threshold[index]!, missing };
    },
  };
}

/** A set of categories is a run of 32-bit words whose bits are set. */
function categorySet(boundaries: Float64Array, words: Float64Array, set: number, where: string): readonly number[] {
  const [from, to] = [boundaries[set], boundaries[set + 1]];
  if (from === undefined || to === undefined || !(from >= 0 && from <= to && to <= words.length)) {
    return refuse('FIELD', 'a categorical split has no categories', { got: `set ${set}`, where });
  }
  if (32 * (to - from) > MAX_TREE_VALUES)
    refuse('TOO_LARGE', `a split has more than ${MAX_TREE_VALUES} categories`, { where });
  const found: number[] = [];
  for (let k = from; k < to; k++) {
    for (let bit = 0; bit < 32; bit++) {
      if (((words[k]! >>> bit) & 1) === 1) found.push((k - from) * 32 + bit);
    }
  }
  return found;
}
