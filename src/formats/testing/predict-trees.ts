/** Predictions of a tree ensemble, to be held against those of the library that made it. */
import { COMPARISONS, MISSING_IS_ZERO, MISSING_LEFT, type TreeEnsemble, ZERO_IS_MISSING } from '../index.js';

/** LightGBM's zero, a float32. */
const ZERO = Math.fround(1e-35);

function goesLeft(trees: TreeEnsemble, node: number, given: number): boolean {
  const bits = trees.missing[node]!;
  let x = trees.precision === 'F32' ? Math.fround(given) : given;
  if (Number.isNaN(x) && (bits & MISSING_IS_ZERO) !== 0) x = 0;
  const isMissing = Number.isNaN(x) || ((bits & ZERO_IS_MISSING) !== 0 && Math.abs(x) <= ZERO);
  if (isMissing) return (bits & MISSING_LEFT) !== 0;
  const t = trees.threshold[node]!;
  const set = trees.category.subarray(trees.categoryStart[node]!, trees.categoryStart[node + 1]!);
  switch (COMPARISONS[trees.comparison[node]!]) {
    case '<':
      return x < t;
    case '<=':
      return x <= t;
    case '>':
      return x > t;
    case '>=':
      return x >= t;
    case 'in':
      return set.includes(trees.precision === 'F64' || trees.name === '' ? Math.trunc(x) : x);
    case 'not in':
      return !set.includes(trees.name === '' ? Math.trunc(x) : x);
    default:
      throw new Error('a leaf asks nothing');
  }
}

/** [rows × outputs]: sums of leaf values without the base score. */
export function predictTrees(trees: TreeEnsemble, rows: readonly (readonly number[])[]): Float64Array {
  const out = new Float64Array(rows.length * trees.outputs);
  for (const [r, row] of rows.entries()) {
    for (const [tree, root] of trees.root.entries()) {
      let node = root;
      while (trees.feature[node] !== -1)
        node = goesLeft(trees, node, row[trees.feature[node]!]!) ? trees.left[node]! : trees.right[node]!;
      for (let k = trees.leafStart[node]!; k < trees.leafStart[node + 1]!; k++)
        out[r * trees.outputs + trees.leafOutput[k]!]! += trees.leaf[k]! * trees.weight[tree]!;
    }
  }
  return trees.aggregate === 'average' ? out.map((sum) => sum / trees.root.length) : out;
}
