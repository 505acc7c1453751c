/** Trees as a file states them, checked and numbered anew. */
import { type ErrorFacts, inputError } from '../base/index.js';
import { MAX_TREE_NODES, MAX_TREE_VALUES } from './limits.js';
import { COMPARISONS, type Comparison, checkTrees, type TreeEnsemble } from './trees.js';

export type StoredNode =
  | {
      readonly comparison: Exclude<Comparison, 'leaf'>;
      readonly feature: number;
      /** 0 for a categorical split. */
      readonly threshold: number;
      readonly missing: number;
      /** The file's own numbers of nodes. */
      readonly left: number;
      readonly right: number;
      readonly categories?: ArrayLike<number>;
    }
  | { readonly comparison: 'leaf'; readonly outputs: ArrayLike<number>; readonly values: ArrayLike<number> };

/** Nodes that the file numbers together; more than one root where it numbers all trees in one. */
export interface StoredTrees {
  /** For messages. */
  readonly where: string;
  /** Node numbers are below it. */
  readonly size: number;
  readonly roots: ArrayLike<number>;
  readonly weight: number;
  node(index: number): StoredNode;
}

type Facts = Pick<
  TreeEnsemble,
  'name' | 'precision' | 'featureNames' | 'aggregate' | 'objective' | 'base' | 'baseIs'
> & {
  /** Null where the format does not say. */
  readonly features: number | null;
};

export interface TreesBuilder {
  /**
   * @throws `TREES_CHILD` (out of range), `TREES_REACHED_TWICE` (two parents, or a cycle), `TREES_FEATURE`, `TREES_OUTPUT`,
   * `TREES_THRESHOLD` (NaN), `TREES_TOO_MANY`
   */
  add(trees: StoredTrees): void;
  /** @throws `TREES_EMPTY` */
  done(facts: Facts, where: string): TreeEnsemble;
  /** Where the file has each node, for whoever writes one. */
  places(): NodePlaces;
}

export interface NodePlaces {
  /** [nodes]: which call of `add` brought it, from 0. */
  readonly added: Int32Array;
  /** [nodes]: the file's own number of it. */
  readonly index: Int32Array;
}

type Numbers = Int32Array | Uint8Array | Float64Array;

/** A list that doubles; plain arrays of millions of numbers take twice the memory and a pass to convert. */
interface Growing<A extends Numbers> {
  length: number;
  push(value: number): void;
  set(at: number, value: number): void;
  get(at: number): number;
  taken(): A;
}

function growing<A extends Numbers>(make: (length: number) => A): Growing<A> {
  let values = make(64);
  return {
    length: 0,
    push(value) {
      if (this.length === values.length) {
        const more = make(2 * values.length);
        more.set(values);
        values = more;
      }
      values[this.length++] = value;
    },
    set(at, value) {
      values[at] = value;
    },
    get: (at) => values[at]!,
    taken() {
      return values.slice(0, this.length) as A;
    },
  };
}

const fail = (code: string, message: string, facts: ErrorFacts): never => {
  throw inputError(`TREES_${code}`, message, facts);
};

export function treesBuilder(): TreesBuilder {
  const root = growing((length) => new Int32Array(length));
  const weight = growing((length) => new Float64Array(length));
  const feature = growing((length) => new Int32Array(length));
  const threshold = growing((length) => new Float64Array(length));
  const comparison = growing((length) => new Uint8Array(length));
  const missing = growing((length) => new Uint8Array(length));
  const left = growing((length) => new Int32Array(length));
  const right = growing((length) => new Int32Array(length));
  const categoryStart = growing((length) => new Int32Array(length));
  const category = growing((length) => new Float64Array(length));
  const leafStart = growing((length) => new Int32Array(length));
  const leafOutput = growing((length) => new Int32Array(length));
  const leaf = growing((length) => new Float64Array(length));
  const placeAdded = growing((length) => new Int32Array(length));
  const placeIndex = growing((length) => new Int32Array(length));
  let calls = 0;
  let highestFeature = -1;
  let highestOutput = -1;

  const bounded = (length: number, what: string, most: number, where: string): void => {
    if (length > most) fail('TOO_MANY', `more ${what} than are planned for`, { expected: `at most ${most}`, where });
  };

  const addNode = (node: StoredNode, where: string): number => {
    const at = feature.length;
    bounded(at + 1, 'nodes', MAX_TREE_NODES, where);
    categoryStart.push(category.length);
    leafStart.push(leaf.length);
    comparison.push(COMPARISONS.indexOf(node.comparison));
    left.push(-1);
    right.push(-1);
    if (node.comparison === 'leaf') {
      feature.push(-1);
      threshold.push(0);
      missing.push(0);
      bounded(leaf.length + node.values.length, 'leaf values', MAX_TREE_VALUES, where);
      for (let i = 0; i < node.values.length; i++) {
        const output = node.outputs[i]!;
        if (!(Number.isInteger(output) && output >= 0 && output < 2 ** 31))
          fail('OUTPUT', 'a leaf names no class or target', { got: String(output), where });
        highestOutput = Math.max(highestOutput, output);
        leafOutput.push(output);
        leaf.push(node.values[i]!);
      }
      return at;
    }
    if (!Number.isInteger(node.feature) || node.feature < 0 || node.feature >= 2 ** 31)
      fail('FEATURE', 'a split names no input', { got: String(node.feature), where });
    if (Number.isNaN(node.threshold)) fail('THRESHOLD', 'a split compares with NaN, which decides nothing', { where });
    highestFeature = Math.max(highestFeature, node.feature);
    feature.push(node.feature);
    threshold.push(node.threshold);
    missing.push(node.missing);
    const { categories = [] } = node;
    bounded(category.length + categories.length, 'categories', MAX_TREE_VALUES, where);
    for (let i = 0; i < categories.length; i++) category.push(categories[i]!);
    return at;
  };

  return {
    add({ where, size, roots, weight: times, node }) {
      const seen = new Uint8Array(size);
      for (let tree = 0; tree < roots.length; tree++) {
        root.push(feature.length);
        weight.push(times);
        // [the file's number, the parent's new number, 1 for its left child], three numbers a node.
        const stack: number[] = [roots[tree]!, -1, 0];
        while (stack.length > 0) {
          const isLeft = stack.pop() === 1;
          const parent = stack.pop()!;
          const index = stack.pop()!;
          if (!(Number.isInteger(index) && index >= 0 && index < size)) {
            fail('CHILD', 'a node that does not exist is named', {
              expected: `0–${size - 1}`,
              got: String(index),
              where,
              todo: 'the file is damaged; export it again',
            });
          }
          if (seen[index] === 1) {
            fail('REACHED_TWICE', 'a node has two parents, or is its own ancestor: this is no tree', {
              got: `node ${index}`,
              where,
              todo: 'the file is damaged; export it again',
            });
          }
          seen[index] = 1;
          const read = node(index);
          const at = addNode(read, `${where}, node ${index}`);
          placeAdded.push(calls);
          placeIndex.push(index);
          if (parent >= 0) (isLeft ? left : right).set(parent, at);
          if (read.comparison !== 'leaf') stack.push(read.right, at, 0, read.left, at, 1);
        }
      }
      calls++;
    },
    places: () => ({ added: placeAdded.taken(), index: placeIndex.taken() }),
    done(facts, where) {
      categoryStart.push(category.length);
      leafStart.push(leaf.length);
      if (facts.features !== null && highestFeature >= facts.features) {
        fail('FEATURE', 'a split names an input that the model does not have', {
          expected: `0–${facts.features - 1}`,
          got: String(highestFeature),
          where,
        });
      }
      return checkTrees(
        {
          ...facts,
          features: facts.features ?? highestFeature + 1,
          outputs: Math.max(1, facts.base.length, highestOutput + 1),
          root: root.taken(),
          weight: weight.taken(),
          feature: feature.taken(),
          threshold: threshold.taken(),
          comparison: comparison.taken(),
          missing: missing.taken(),
          left: left.taken(),
          right: right.taken(),
          categoryStart: categoryStart.taken(),
          category: category.taken(),
          leafStart: leafStart.taken(),
          leafOutput: leafOutput.taken(),
          leaf: leaf.taken(),
        },
        where,
      );
    },
  };
}
