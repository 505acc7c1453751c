/** What a model with trees is committed to by, and the ensembles as they are made again of what was opened. */
import { evidenceError, sha256, utf8 } from '../base/index.js';
import type { Model, TreeEnsemble } from '../formats/index.js';
import type { CommittableTensor } from './commitment.js';
import type { Gap } from './tree-gaps.js';
import { readingOf } from './tree-reading.js';

/** Name under which the gaps are committed, one a row: no tensor of a file is named so. */
export const GAPS = 'trees\u0000gaps';
const GAP_WIDTH = 5;
/** Behind an ensemble's prefix: what its arrays do not say. */
const FACTS = 'trees\u0000facts';

const PARTS = [
  'base',
  'root',
  'weight',
  'feature',
  'threshold',
  'comparison',
  'missing',
  'left',
  'right',
  'category.start',
  'category',
  'leaf.start',
  'leaf.output',
  'leaf',
] as const;

const prefixOf = (name: string): string => (name === '' ? '' : `${name}/`);
const bitsOf = (precision: TreeEnsemble['precision']): number => (precision === 'F32' ? 32 : 64);

/** The gaps as rows: one can be opened without the others, and no value of the table is told. */
export const gapRows = (gaps: readonly Gap[]): CommittableTensor => ({
  name: GAPS,
  shape: [gaps.length, GAP_WIDTH],
  rows: async (start, end) =>
    Float64Array.from(
      gaps
        .slice(start, end)
        .flatMap(({ ensemble, feature, low, high, threshold }) => [ensemble, feature, low, high, threshold]),
    ),
});

/** The gaps of opened rows. */
export const gapsFrom = (values: Float64Array): readonly Gap[] =>
  Array.from({ length: values.length / GAP_WIDTH }, (_, row) => {
    const [ensemble, feature, low, high, threshold] = values.subarray(row * GAP_WIDTH, (row + 1) * GAP_WIDTH);
    return { ensemble: ensemble!, feature: feature!, low: low!, high: high!, threshold: threshold! };
  });

/** Every array of every ensemble, each as one row, and beside them its place, precisions and inputs' names. */
export function committableTrees(model: Model): readonly CommittableTensor[] {
  const { trees = [], tensors } = model;
  const readings = readings32or64(model);
  return trees.flatMap((ensemble, index) => {
    const prefix = prefixOf(ensemble.name);
    const facts = Float64Array.of(
      index,
      bitsOf(ensemble.precision),
      readings[index]!,
      ...(ensemble.featureNames ?? []).map(nameCode),
    );
    return [
      { name: `${prefix}${FACTS}`, shape: [1, facts.length], rows: async () => facts },
      ...PARTS.map((part): CommittableTensor => {
        const tensor = tensors.get(`${prefix}trees.${part}`)!;
        return { name: tensor.name, shape: [1, tensor.elements], rows: () => tensor.read(0, tensor.elements) };
      }),
    ];
  });
}

/** Bits in which each ensemble compares its inputs; 0 where the graph does not show it. */
function readings32or64(model: Model): readonly number[] {
  try {
    return readingOf(model).map(({ precision }) => bitsOf(precision));
  } catch {
    return (model.trees ?? []).map(() => 0);
  }
}

/** A name as a number: 48 bits of its hash. */
const nameCode = (name: string): number => Buffer.from(sha256(utf8(name))).readUIntBE(0, 6);

/** Names of all that a model's trees are committed to by, as its layout has them. */
export const treeTensorsIn = (layout: readonly { readonly tensor: string }[]): readonly string[] =>
  layout
    .map(({ tensor }) => tensor)
    .filter((tensor) => tensor.endsWith(FACTS) || PARTS.some((part) => tensor.endsWith(`trees.${part}`)));

/**
 * The ensembles of opened arrays, in the model's order. Inputs' names are their numbers, alike where the names are.
 * @param as `reading`: with the precision in which they compare, as the unmarked original is paired; `stored`: as suspects are
 * @throws `MARK_TREE_OPENED` where an array is missing, or not as long as the others
 */
export function treesFrom(
  values: ReadonlyMap<string, Float64Array>,
  as: 'reading' | 'stored',
): readonly TreeEnsemble[] {
  const found = [...values.keys()].filter((name) => name.endsWith(FACTS));
  const ensembles = found.map((name) => {
    const prefix = name.slice(0, -FACTS.length);
    const fail = (got: string): never => {
      throw evidenceError('MARK_TREE_OPENED', 'the opened arrays are no trees', { got, where: name });
    };
    const part = (of: (typeof PARTS)[number]): Float64Array => values.get(`${prefix}trees.${of}`) ?? fail(`no ${of}`);
    const [index, stored, reading, ...names] = values.get(name)!;
    const nodes = part('feature').length;
    for (const of of ['threshold', 'comparison', 'missing', 'left', 'right'] as const) {
      if (part(of).length !== nodes) fail(`${of}: ${part(of).length} of ${nodes} nodes`);
    }
    if (part('leaf.start').length !== nodes + 1 || part('category.start').length !== nodes + 1) fail('lists of leaves');
    const ensemble: TreeEnsemble = {
      name: prefix.replace(/\/$/, ''),
      precision: (as === 'reading' ? reading : stored) === 32 ? 'F32' : 'F64',
      features: names.length,
      featureNames: names.length === 0 ? null : names.map(String),
      outputs: 1,
      aggregate: 'sum',
      objective: '',
      base: part('base'),
      baseIs: 'margin',
      root: Int32Array.from(part('root')),
      weight: part('weight'),
      feature: Int32Array.from(part('feature')),
      threshold: part('threshold'),
      comparison: Uint8Array.from(part('comparison')),
      missing: Uint8Array.from(part('missing')),
      left: Int32Array.from(part('left')),
      right: Int32Array.from(part('right')),
      categoryStart: Int32Array.from(part('category.start')),
      category: part('category'),
      leafStart: Int32Array.from(part('leaf.start')),
      leafOutput: Int32Array.from(part('leaf.output')),
      leaf: part('leaf'),
    };
    checkShape(ensemble, fail);
    return { index: index!, ensemble };
  });
  return ensembles.sort((a, b) => a.index - b.index).map(({ ensemble }) => ensemble);
}

/** Preorder, every child behind its parent and named once: what readers make of files, and a stranger may not have kept. */
function checkShape(ensemble: TreeEnsemble, fail: (got: string) => never): void {
  const { root, feature, left, right, leafStart, categoryStart } = ensemble;
  const runs = [
    [leafStart, Math.min(ensemble.leaf.length, ensemble.leafOutput.length)],
    [categoryStart, ensemble.category.length],
  ] as const;
  for (const [starts, length] of runs) {
    const isInOrder = starts.every((start, k) => start >= (starts[k - 1] ?? 0) && start <= length);
    if (!isInOrder) fail('lists that do not follow each other');
  }
  const seen = new Uint8Array(feature.length);
  const visit = (node: number, after: number): void => {
    if (!(node > after && node < feature.length) || seen[node] === 1) fail(`node ${node}`);
    seen[node] = 1;
  };
  let before = -1;
  for (const node of root) {
    visit(node, before);
    before = node;
  }
  for (let node = 0; node < feature.length; node++) {
    if (feature[node] === -1) continue;
    visit(left[node]!, node);
    visit(right[node]!, node);
  }
}
