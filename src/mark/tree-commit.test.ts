/** Ensembles made again of opened arrays are paired as the files are, and a stranger's arrays are held to be trees. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MunimentError } from '../base/index.js';
import { openModel } from '../formats/index.js';
import { canonicalTrees, treesDigest } from '../structure/index.js';
import { committableTrees, gapRows, gapsFrom, readingOf, treesFrom, treeTensorsIn } from './index.js';
import { MARKED, plannedTrees, treeVector } from './testing/trees.js';

async function arraysOf(name: string): Promise<Map<string, Float64Array>> {
  const model = await openModel(treeVector(name));
  const values = new Map<string, Float64Array>();
  for (const { name: tensor, rows } of committableTrees(model)) values.set(tensor, await rows(0, 1));
  await model.close();
  return values;
}

test('opened arrays give the ensembles of the file, number for number, in the precision of their reading', async () => {
  for (const name of MARKED) {
    const model = await openModel(treeVector(name));
    const values = await arraysOf(name);
    assert.equal(treeTensorsIn([...values.keys()].map((tensor) => ({ tensor }))).length, values.size);
    for (const as of ['reading', 'stored'] as const) {
      const [made] = treesFrom(values, as);
      const [own] = as === 'reading' ? readingOf(model) : model.trees!;
      assert.equal(made!.precision, own!.precision, name);
      for (const part of ['root', 'feature', 'threshold', 'comparison', 'missing', 'left', 'right', 'leaf'] as const) {
        assert.deepEqual(made![part], own![part], `${name} ${part}`);
      }
      assert.equal(treesDigest(canonicalTrees(made!)), treesDigest(canonicalTrees({ ...own!, aggregate: 'sum' })));
      assert.equal(made!.featureNames?.length ?? 0, own!.featureNames?.length ?? 0);
    }
    await model.close();
  }
});

test('gaps come back from their rows', async () => {
  const { model, gaps } = await plannedTrees('holes.txt');
  const { rows, shape } = gapRows(gaps);
  assert.deepEqual(gapsFrom(await rows(0, shape[0]!)), gaps);
  await model.close();
});

test('arrays that are no trees are refused, whatever is wrong with them', async () => {
  const good = await arraysOf('holes.ubj');
  const change = (part: string, by: (values: Float64Array) => Float64Array | null): Map<string, Float64Array> => {
    const changed = new Map(good);
    const made = by(Float64Array.from(good.get(`trees.${part}`)!));
    if (made === null) changed.delete(`trees.${part}`);
    else changed.set(`trees.${part}`, made);
    return changed;
  };
  const cases: readonly (readonly [string, Map<string, Float64Array>])[] = [
    ['a list is missing', change('leaf.start', () => null)],
    ['a list is short', change('threshold', (values) => values.subarray(1))],
    ['a child is its own parent', change('left', (values) => values.with(0, 0))],
    ['a child is out of range', change('right', (values) => values.with(0, 1e6))],
    ['two parents', change('right', (values) => values.with(0, values[0]! - 1))],
    ['a run of two thousand million', change('leaf.start', (values) => values.with(3, 2 ** 31 - 1))],
    ['runs that go back', change('leaf.start', (values) => values.with(3, -1))],
    ['categories beyond the list', change('category.start', (values) => values.with(values.length - 1, 5))],
    ['roots out of order', change('root', (values) => values.reverse())],
  ];
  for (const [what, values] of cases) {
    assert.throws(
      () => treesFrom(values, 'stored'),
      (error: unknown) => error instanceof MunimentError && error.code === 'MARK_TREE_OPENED',
      what,
    );
  }
});
