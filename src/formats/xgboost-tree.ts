/** One tree of XGBoost's model: lists with an element for each node, and lists of the categories of some. */
import { type ErrorFacts, inputError } from '../base/index.js';
import type { Document } from './document.js';
import { MISSING_LEFT } from './trees.js';
import type { StoredNode } from './trees-builder.js';

export interface XgboostTree {
  readonly left: Int32Array;
  /** Where in the file the list of thresholds and leaf values begins. */
  readonly conditionsAt: number;
  /** @param output that the leaves add to, where they are no vectors */
  node(output: number): (index: number) => StoredNode;
}

const refuse = (code: string, message: string, facts: ErrorFacts): never => {
  throw inputError(code, message, facts);
};

/** The lists that a prediction needs; the others (gains, covers, parents) repeat or describe them. */
const LISTS = ['left_children', 'right_children', 'split_indices', 'split_conditions', 'default_left'] as const;
const OPTIONAL = [
  'split_type',
  'categories',
  'categories_nodes',
  'categories_segments',
  'categories_sizes',
  'leaf_weights',
] as const;
type List = (typeof LISTS)[number] | (typeof OPTIONAL)[number];

const isList = (name: string): name is List =>
  (LISTS as readonly string[]).includes(name) || (OPTIONAL as readonly string[]).includes(name);

/** @throws `XGBOOST_FIELD`, `XGBOOST_VECTOR_LEAVES` */
export function readXgboostTree(doc: Document, where: string): XgboostTree {
  const lists = new Map<List, Float64Array | Int32Array | Float32Array | Uint8Array>();
  let vector = 1;
  let conditionsAt = 0;
  doc.members((name) => {
    if (name === 'split_conditions') conditionsAt = doc.offset();
    if (isList(name)) lists.set(name, compact(name, doc.numbers()));
    else if (name === 'tree_param') {
      doc.members((parameter) => {
        const text = doc.text();
        if (parameter === 'size_leaf_vector') vector = Math.max(1, Number(text));
      });
    } else doc.skip();
  });
  const list = (name: List): ArrayLike<number> => lists.get(name) ?? [];
  const left = lists.get('left_children') as Int32Array | undefined;
  const size = left?.length ?? 0;
  for (const name of LISTS) {
    if (list(name).length !== size || size === 0) {
      refuse('XGBOOST_FIELD', 'a list of a tree is missing, or of another length than the others', {
        expected: size === 0 ? `${LISTS.join(', ')}: one element for each node` : `${size} elements, as left_children`,
        got: `${name}: ${list(name).length}`,
        where,
      });
    }
  }
  if (!Number.isSafeInteger(vector) || (vector > 1 && list('leaf_weights').length === 0)) {
    refuse('XGBOOST_VECTOR_LEAVES', 'the leaves are vectors as version 2 stored them, which is not read', {
      where,
      todo: 'load the model in XGBoost 3 and save it again',
    });
  }
  const [right, feature, condition, defaultLeft, kind] = [
    list('right_children'),
    list('split_indices'),
    list('split_conditions'),
    list('default_left'),
    list('split_type'),
  ];
  const categoriesOf = categorySets(list, where);
  const leaves = list('leaf_weights');
  const leafValues = (index: number): ArrayLike<number> => {
    if (vector === 1) return [condition[index]!];
    const at = right[index]! * vector;
    if (!(at >= 0 && at + vector <= leaves.length)) {
      refuse('XGBOOST_FIELD', 'a leaf names values that are not there', { got: String(right[index]), where });
    }
    return Array.from({ length: vector }, (_, k) => leaves[at + k]!);
  };
  return {
    left: left!,
    conditionsAt,
    node: (output) => (index) => {
      if (left![index] === -1) {
        const values = leafValues(index);
        return { comparison: 'leaf', values, outputs: vector === 1 ? [output] : Array.from(values, (_, k) => k) };
      }
      const split = {
        feature: feature[index]!,
        missing: defaultLeft[index] === 1 ? MISSING_LEFT : 0,
        left: left![index]!,
        right: right[index]!,
      };
      // Categories of the set go right (src/common/categorical.h, Decision).
      if (kind[index] === 1) return { ...split, comparison: 'not in', threshold: 0, categories: categoriesOf(index) };
      return { ...split, comparison: '<', threshold: condition[index]! };
    },
  };
}

/** Numbers that fit are kept in four bytes: a model of millions of nodes waits for its last member. */
function compact(name: List, values: Float64Array): Float64Array | Int32Array | Float32Array | Uint8Array {
  if (name === 'split_conditions' || name === 'leaf_weights') return Float32Array.from(values);
  if (name === 'default_left' || name === 'split_type') return Uint8Array.from(values);
  // A fraction or a number beyond 32 bits is kept as it is, and refused where it is used.
  return values.every((value) => value === (value | 0)) ? Int32Array.from(values) : values;
}

function categorySets(list: (name: List) => ArrayLike<number>, where: string): (node: number) => ArrayLike<number> {
  const [all, nodes, starts, sizes] = [
    list('categories'),
    list('categories_nodes'),
    list('categories_segments'),
    list('categories_sizes'),
  ];
  const place = new Map(Array.from(nodes, (node, k) => [node, k]));
  return (node) => {
    const k = place.get(node);
    const start = k === undefined ? Number.NaN : starts[k]!;
    const size = k === undefined ? Number.NaN : sizes[k]!;
    if (!(Number.isInteger(start) && Number.isInteger(size) && start >= 0 && size >= 0 && start + size <= all.length)) {
      refuse('XGBOOST_FIELD', 'a categorical split has no categories', { got: `node ${node}`, where });
    }
    return Array.from({ length: size }, (_, i) => all[start + i]!);
  };
}
