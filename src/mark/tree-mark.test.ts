/** Marked trees answer every training row as before, in every format, and their thresholds never leave their gaps. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { MunimentError, sha256Hex } from '../base/index.js';
import { runModel } from '../compute/index.js';
import { openModel, type TreeEnsemble } from '../formats/index.js';
import { readTable, type Table } from '../train/index.js';
import {
  boundsOf,
  checkUnmoved,
  cutOf,
  gapChips,
  gapFinder,
  gapsOf,
  isNumericSplit,
  MIN_FLOATS,
  placeIn,
  planTrees,
  readingOf,
  releasedThresholds,
  thresholdIn,
} from './index.js';
import { testKeys } from './testing/dense.js';
import { COLUMNS, dataOf, MARKED, plannedTrees, treeVector, writeCopy } from './testing/trees.js';

const folder = mkdtempSync(path.join(os.tmpdir(), 'muniment-tree-mark-'));
after(() => rmSync(folder, { recursive: true }));
const code =
  (wanted: string, kind = 'input') =>
  (error: unknown) =>
    error instanceof MunimentError && error.code === wanted && error.kind === kind;

/** What the libraries said of the copies; see `vectors/trees/generate.py`. */
const expected = JSON.parse(readFileSync(treeVector('expected.json'), 'utf8')) as Record<
  string,
  { copy: string; rows: number }
>;

const tables = new Map<string, Table>();
async function tableOf(name: string): Promise<Table> {
  const { path: file } = dataOf(name);
  const known = tables.get(file) ?? (await readTable(file)).table;
  tables.set(file, known);
  return known;
}

/** Where each row goes, as its format compares: the leaves that it reaches, tree by tree. */
function leavesOf(trees: TreeEnsemble, columns: readonly Float64Array[], row: number): string {
  const read = trees.precision === 'F32' ? Math.fround : (value: number) => value;
  return Array.from(trees.root, (root) => {
    let node = root;
    while (trees.feature[node] !== -1) {
      const x = read(columns[trees.feature[node]!]![row]!);
      const value = Number.isNaN(x) && (trees.missing[node]! & 4) !== 0 ? 0 : x;
      const isLeft = Number.isNaN(value) ? (trees.missing[node]! & 1) !== 0 : value < cutOf(trees, node);
      // Children of `>` and `>=` lie the other way round; none of these files has one.
      node = isLeft ? trees.left[node]! : trees.right[node]!;
    }
    return node;
  }).join();
}

for (const name of MARKED) {
  test(`${name}: the copy sends every training row to the leaves where the original sends it`, async () => {
    const copy = await writeCopy(name, folder);
    if (!name.endsWith('.onnx')) {
      // The very bytes with which XGBoost and LightGBM answered as they answer with the original, bit for bit.
      assert.equal(sha256Hex(readFileSync(copy)), expected[name]!.copy);
    }
    const [before, after] = [await openModel(treeVector(name)), await openModel(copy)];
    const table = await tableOf(name);
    const columns = table.columns.map(({ numbers }) => numbers);
    const [ours, theirs] = [readingOf(before)[0]!, readingOf(after)[0]!];
    for (let row = 0; row < table.rows; row++) {
      assert.equal(leavesOf(theirs, columns, row), leavesOf(ours, columns, row), `row ${row}`);
    }
    const moved = ours.threshold.filter((value, node) => value !== theirs.threshold[node]).length;
    const splits = ours.feature.filter((input) => input !== -1).length;
    assert.ok(moved > 0.7 * splits, `${moved} of ${splits} moved`);
    await before.close();
    await after.close();
  });
}

for (const name of MARKED.filter((one) => one.endsWith('.onnx'))) {
  test(`${name}: onnxruntime gives the same answers on the training rows, bit for bit`, async () => {
    const copy = await writeCopy(name, folder);
    const model = await openModel(copy);
    const input = model.graph!.inputs[0]!;
    await model.close();
    const table = await tableOf(name);
    const width = Number(input.shape![1]!) || COLUMNS.length;
    const cells = Array.from(
      { length: table.rows * width },
      (_, k) => table.columns[k % width]!.numbers[Math.floor(k / width)]!,
    );
    const data = input.dtype === 'F64' ? Float64Array.from(cells) : Float32Array.from(cells);
    const feeds = { [input.name]: { data, shape: [table.rows, width] } };
    const [ours, theirs] = [await runModel(treeVector(name), feeds), await runModel(copy, feeds)];
    assert.ok(Object.keys(ours).length > 0);
    for (const [output, { data: answers }] of Object.entries(ours))
      assert.deepEqual(theirs[output]!.data, answers, output);
  });
}

test('gaps hold no training value, and every split that is not at an end of the data lies in one', async () => {
  for (const name of MARKED) {
    const { model, gaps } = await plannedTrees(name);
    const table = await tableOf(name);
    for (const gap of gaps) {
      const inside = table.columns[gap.feature]!.numbers.filter((value) => gap.low < value && value < gap.high);
      assert.equal(inside.length, 0, name);
      const { low, high } = boundsOf(gap);
      assert.ok(gap.low <= low && low < high && high <= gap.high);
    }
    const [trees] = readingOf(model);
    const find = gapFinder(gaps);
    const found = new Set<number>();
    for (let node = 0; node < trees!.feature.length; node++) {
      if (!isNumericSplit(trees!, node)) continue;
      found.add(find(0, trees!.feature[node]!, cutOf(trees!, node), trees!.precision));
    }
    found.delete(-1);
    assert.equal(found.size, gaps.length, name);
    await model.close();
  }
});

const bounds = fc
  .tuple(fc.double({ noNaN: true, min: -1e30, max: 1e30 }), fc.double({ noNaN: true, min: 1e-5, max: 1e30 }))
  .map(([low, width]) => ({ low, high: low + width }))
  .filter(
    ({ low, high }) =>
      high - low > (MIN_FLOATS + 2) * 2 ** (Math.floor(Math.log2(Math.max(Math.abs(low), Math.abs(high)))) - 23),
  );

test('a threshold is a float32 strictly inside its gap, however its values are read and compared', () => {
  fc.assert(
    fc.property(
      bounds,
      fc.double({ noNaN: true, min: -9, max: 9 }),
      fc.double({ noNaN: true, min: 1e-3, max: 1 }),
      (gap, chip, strength) => {
        const threshold = thresholdIn(gap, chip, strength);
        assert.equal(Math.fround(threshold), threshold);
        for (const read of [Math.fround, (value: number) => value]) {
          const [low, high] = [read(gap.low), read(gap.high)];
          assert.ok(low < threshold && threshold < high, `${low} ${threshold} ${high}`);
        }
        assert.ok(Math.abs(placeIn(gap, threshold)) <= 1);
      },
    ),
    { numRuns: 2000 },
  );
});

test('chips of a gap follow from the seed of its batch alone', () => {
  const keys = testKeys('a');
  const both = gapChips({ batches: 2 }, 7, keys);
  const first = gapChips({ batches: 2 }, 7, { ...keys, seeds: new Map([[0, keys.seeds.get(0)!]]) });
  assert.deepEqual([...first].map(Number.isNaN), [false, true, false, true, false, true, false]);
  for (const [gap, chip] of first.entries()) if (!Number.isNaN(chip)) assert.equal(chip, both[gap]);
  assert.equal(new Set(both).size, 7);
});

test('gaps of the data are found for cuts of either precision, next to each other and at the ends', () => {
  const tree = (cuts: readonly number[], precision: 'F32' | 'F64', comparison: number): TreeEnsemble => {
    const feature = Int32Array.from(cuts, () => 0);
    return {
      precision,
      feature,
      threshold: Float64Array.from(cuts),
      comparison: Uint8Array.from(cuts, () => comparison),
      missing: new Uint8Array(cuts.length),
    } as TreeEnsemble;
  };
  const values = Float64Array.of(297.9, 298, 298.1, 298.2);
  const data = { of: () => values, sha256: '', rows: 4 };
  const places = (cuts: readonly number[], precision: 'F32' | 'F64', comparison = 1): readonly (readonly number[])[] =>
    gapsOf([tree(cuts, precision, comparison)], data).map(({ low, high }) => [low, high]);
  // XGBoost cuts at the float32 of a value, which sends the value to the right.
  assert.deepEqual(places([Math.fround(298.1)], 'F32'), [[298, 298.1]]);
  assert.deepEqual(places([298.1], 'F64'), [[298, 298.1]]);
  // `<=` at a value sends it to the left.
  assert.deepEqual(places([298.1], 'F64', 2), [[298.1, 298.2]]);
  assert.deepEqual(places([298.05, 298.07], 'F64'), [[298, 298.1]]);
  assert.deepEqual(places([297.9, 298.3, Number.POSITIVE_INFINITY], 'F64'), []);
});

test('a copy whose split left its gap, or whose trees are others, is not delivered', async () => {
  const { model, gaps, plan } = await plannedTrees('fleet.ubj');
  const [trees] = model.trees!;
  const [threshold] = releasedThresholds(model, gaps, plan, testKeys('a')).values();
  const copy = { ...trees!, threshold: threshold! };
  checkUnmoved([trees!], [copy], gaps);
  const node = trees!.feature.indexOf(1);
  const fails = (other: TreeEnsemble): void =>
    assert.throws(() => checkUnmoved([trees!], [other], gaps), code('MARK_TREE_MOVED', 'evidence'));
  fails({ ...copy, threshold: copy.threshold.with(node, copy.threshold[node]! + 3) });
  fails({ ...copy, feature: copy.feature.with(node, 2) });
  assert.throws(() => checkUnmoved([trees!], [], gaps), code('MARK_TREE_MOVED', 'evidence'));
  await model.close();
});

test('what is missing is said: the data, names, a column, numbers, gaps', async () => {
  const plan = async (name: string, data: Parameters<typeof planTrees>[1]['data'], more = {}) => {
    const model = await openModel(treeVector(name));
    try {
      return await planTrees(model, { data: data ?? null, ...more });
    } finally {
      await model.close();
    }
  };
  const fleet = dataOf('fleet.ubj');
  await assert.rejects(plan('fleet.ubj', null), (error: unknown) => {
    assert.ok(code('MARK_TREE_DATA', 'usage')(error));
    assert.match((error as MunimentError).facts.todo!, /--data train\.csv/);
    return true;
  });
  await assert.rejects(plan('fleet-forest.onnx', fleet), code('MARK_TREE_UNNAMED', 'usage'));
  const short = { ...fleet, columns: COLUMNS.slice(0, 2) };
  await assert.rejects(plan('fleet-forest.onnx', short), code('MARK_TREE_UNNAMED', 'usage'));
  const wrong = { ...fleet, columns: COLUMNS.with(3, 'speed') };
  await assert.rejects(plan('fleet-forest.onnx', wrong), code('MARK_TREE_COLUMN'));
  // Product types as texts: the table before it was prepared.
  const raw = { path: path.join(treeVector('.'), '..', '..', 'examples', 'fleet.csv') };
  await assert.rejects(plan('fleet.ubj', raw), code('MARK_TREE_COLUMN'));
  for (const strength of [0, -1, 1.5, Number.NaN]) {
    await assert.rejects(plan('fleet.ubj', fleet, { strength }), code('MARK_STRENGTH'));
  }
  await assert.rejects(plan('fleet.ubj', fleet, { batches: 0 }), code('MARK_BATCHES'));
});

test('columns are found by what trainers make of their names', async () => {
  const { model, plan } = await plannedTrees('fleet.ubj');
  const [trees] = model.trees!;
  const renamed = { ...model, trees: [{ ...trees!, featureNames: COLUMNS.map((name) => name.replaceAll('_', ' ')) }] };
  assert.deepEqual((await planTrees(renamed, { data: dataOf('fleet.ubj') })).plan, plan);
  await model.close();
});

test('trees behind other operators are not marked by a table that does not show what they compare', async () => {
  const model = await openModel(treeVector('fleet-forest.onnx'));
  const graph = model.graph!;
  const node = graph.nodes.find(({ op }) => op.startsWith('TreeEnsemble'))!;
  const scaled = {
    ...graph,
    nodes: [
      {
        name: 'scale',
        op: 'Scaler',
        domain: 'ai.onnx.ml',
        inputs: node.inputs,
        outputs: ['scaled'],
        attributes: new Map(),
      },
      ...graph.nodes.map((one) => (one === node ? { ...node, inputs: ['scaled'] } : one)),
    ],
  };
  await assert.rejects(
    planTrees({ ...model, graph: scaled }, { data: dataOf('fleet-forest.onnx') }),
    code('MARK_TREE_PREPARED'),
  );
  await model.close();
});

test('a table in whose gaps nothing is cut is refused', async () => {
  const model = await openModel(treeVector('fleet.ubj'));
  const [trees] = model.trees!;
  const beyond = { ...model, trees: [{ ...trees!, threshold: trees!.threshold.map((cut) => cut + 1e9) }] };
  await assert.rejects(planTrees(beyond, { data: dataOf('fleet.ubj') }), code('MARK_TREE_NOTHING'));
  await model.close();
});
