/** Thresholds are changed where they stand, in every format of trees; nothing else of the file changes. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { seededRandom } from '../base/index.js';
import { COMPARISONS, openModel, type TreeEnsemble, writeModel } from './index.js';
import { refusal, vector } from './testing/files.js';
import { float32Text } from './write-trees-xgboost.js';

const folder = mkdtempSync(path.join(os.tmpdir(), 'muniment-write-trees-'));
after(() => rmSync(folder, { recursive: true }));

const FILES = [
  ...['binary', 'multi', 'missing', 'dart', 'categories', 'vector', 'pruned'].flatMap((name) => [
    `${name}.json`,
    `${name}.ubj`,
  ]),
  ...['light', 'light-missing', 'light-zero', 'light-categories', 'light-multi', 'light-forest'].map((n) => `${n}.txt`),
  ...['binary', 'forest', 'boosted', 'double', 'five', 'light'].map((name) => `${name}.onnx`),
];

const isNumeric = ({ feature, comparison }: TreeEnsemble, node: number): boolean =>
  feature[node] !== -1 && !/in|leaf/.test(COMPARISONS[comparison[node]!]!);

/** Every other numeric threshold moved by a little. */
function moved(trees: TreeEnsemble): Float64Array {
  const random = seededRandom(5);
  const round = trees.precision === 'F32' ? Math.fround : (value: number) => value;
  return trees.threshold.map((value, node) =>
    isNumeric(trees, node) && node % 2 === 0 ? round(value + (random.unit() - 0.5) / 3) : value,
  );
}

const numbersApart = (text: string): string => text.replace(/-?\d+(\.\d+)?([eE][-+]?\d+)?/g, '#');

for (const file of FILES) {
  test(`${file}: new thresholds are read back, and nothing else has changed`, async () => {
    const model = await openModel(vector(`good/trees/${file}`));
    const [before] = model.trees!;
    const name = [...model.tensors.keys()].find((one) => one.endsWith('trees.threshold'))!;
    const wanted = moved(before!);
    const out = path.join(folder, file);
    await writeModel(model, new Map([[name, wanted]]), out);
    const again = await openModel(out);
    assert.deepEqual(again.trees, [{ ...before, threshold: wanted }, ...model.trees!.slice(1)]);
    const [x, y] = [readFileSync(vector(`good/trees/${file}`)), readFileSync(out)];
    if (/json|txt/.test(file)) assert.equal(numbersApart(y.toString()), numbersApart(x.toString()));
    else {
      const changed = wanted.filter((value, node) => value !== before!.threshold[node]).length;
      const differ = x.reduce((sum, byte, k) => sum + (byte === y[k] ? 0 : 1), 0);
      assert.equal(x.length, y.length);
      assert.ok(differ <= changed * (before!.precision === 'F32' ? 4 : 8), `${differ} bytes for ${changed} numbers`);
    }
    if (file.endsWith('.txt')) checkTreeSizes(y.toString('latin1'));
    await model.close();
    await again.close();
  });
}

/** LightGBM finds its trees by these sizes. */
function checkTreeSizes(text: string): void {
  const sizes = /^tree_sizes=(.*)$/m.exec(text)![1]!.split(' ').map(Number);
  let at = text.indexOf('Tree=0\n');
  for (const [tree, size] of sizes.entries()) {
    assert.ok(text.startsWith(`Tree=${tree}\n`, at), `tree ${tree} begins at ${at}`);
    at += size;
  }
  assert.ok(text.startsWith('end of trees', at));
}

test('the same thresholds give the same file, byte for byte', async () => {
  for (const file of FILES) {
    const model = await openModel(vector(`good/trees/${file}`));
    const name = [...model.tensors.keys()].find((one) => one.endsWith('trees.threshold'))!;
    const out = path.join(folder, `same-${file}`);
    await writeModel(model, new Map([[name, model.trees![0]!.threshold]]), out);
    assert.deepEqual(readFileSync(out), readFileSync(vector(`good/trees/${file}`)), file);
    await model.close();
  }
});

test('leaves, sets of categories and numbers that the format cannot hold are refused, and nothing is written', async () => {
  const model = await openModel(vector('good/trees/categories.json'));
  const [trees] = model.trees!;
  const cases: readonly (readonly [string, number, number])[] = [
    ['a leaf', trees!.feature.indexOf(-1), 1],
    ['a set', trees!.comparison.indexOf(COMPARISONS.indexOf('not in')), 1],
    ['no float32', trees!.comparison.indexOf(COMPARISONS.indexOf('<')), 0.1],
    ['not finite', trees!.comparison.indexOf(COMPARISONS.indexOf('<')), Number.POSITIVE_INFINITY],
  ];
  for (const [what, node, value] of cases) {
    assert.ok(node >= 0, what);
    const values = trees!.threshold.with(node, value);
    const out = path.join(folder, 'refused.json');
    await assert.rejects(writeModel(model, new Map([['trees.threshold', values]]), out), refusal('WRITE_THRESHOLD'));
    assert.throws(() => readFileSync(out), what);
  }
  await assert.rejects(
    writeModel(model, new Map([['trees.threshold', new Float64Array(3)]]), path.join(folder, 'short.json')),
    refusal('WRITE_SIZE'),
  );
  await assert.rejects(
    writeModel(model, new Map([['trees.leaf', trees!.leaf]]), path.join(folder, 'leaf.json')),
    refusal('WRITE_NOT_WRITABLE'),
  );
});

test('a float32 is written in digits that give it back', () => {
  fc.assert(
    fc.property(fc.float({ noNaN: true, noDefaultInfinity: true }), (value) => {
      const text = float32Text(value);
      assert.equal(Math.fround(Number(text)), value === 0 ? 0 : value);
      assert.match(text, /^-?\d(\.\d{1,8})?E-?\d+$/);
    }),
  );
});
