/** The ensembles of `vectors/trees` that were fitted to AI4I 2020, with the rows that they saw and those that they did not. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { sha256, sha256Hex, utf8 } from '../../src/base/index.js';
import { type JitterPlaces, jitterPlaces, jitterTest } from '../../src/detect/index.js';
import { type Model, openModel, type TreeEnsemble } from '../../src/formats/index.js';
import { predictTrees } from '../../src/formats/testing/predict-trees.js';
import {
  type Gap,
  gapsOf,
  type OpenedKeys,
  type ReleasePlan,
  readingOf,
  releasedThresholds,
  TREE_STRENGTH,
} from '../../src/mark/index.js';
import { type CanonicalTrees, canonicalTrees } from '../../src/structure/index.js';
import { columnNamed, readTable } from '../../src/train/index.js';
import { dataFolder } from '../harness.js';

const vectors = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..', '..', 'vectors', 'trees');
/** As `vectors/trees/generate.py` takes them. */
const INPUTS = [
  'Type',
  'Air temperature [K]',
  'Process temperature [K]',
  'Rotational speed [rpm]',
  'Torque [Nm]',
  'Tool wear [min]',
];

export type Rows = readonly (readonly number[])[];

export interface Part {
  readonly rows: Rows;
  readonly failed: readonly boolean[];
}

export interface TreeData {
  /** Rows 0–6 of ten: the ensembles were fitted to them. */
  readonly train: Part;
  readonly heldOut: Part;
}

/** @returns null where the public data are not at hand */
export async function treeData(): Promise<TreeData | null> {
  const file = path.join(dataFolder(), 'ai4i', 'ai4i2020.csv');
  if (!existsSync(file)) return null;
  const { table } = await readTable(file);
  const columns = INPUTS.map((name) => columnNamed(table, name));
  const answer = columnNamed(table, 'Machine failure');
  const part = (isOf: (row: number) => boolean): Part => {
    const rows = Array.from({ length: table.rows }, (_, row) => row).filter(isOf);
    return {
      rows: rows.map((row) =>
        columns.map((column) =>
          column.name === 'Type' ? 'LMH'.indexOf(column.texts[column.codes[row]! - 1]!) : column.numbers[row]!,
        ),
      ),
      failed: rows.map((row) => answer.numbers[row] === 1),
    };
  };
  return { train: part((row) => row % 10 < 7), heldOut: part((row) => row % 10 >= 7) };
}

export interface TreeBed {
  readonly name: string;
  readonly model: Model;
  readonly trees: TreeEnsemble;
  readonly canonical: readonly CanonicalTrees[];
  readonly gaps: readonly Gap[];
  readonly plan: ReleasePlan;
}

export const AI4I_TREES = ['ai4i.ubj', 'ai4i.txt', 'ai4i.onnx'] as const;

export async function treeBed(name: string, { train }: TreeData, strength = TREE_STRENGTH): Promise<TreeBed> {
  const model = await openModel(path.join(vectors, name));
  const trees = readingOf(model);
  const values = INPUTS.map((_, input) => Float64Array.from(new Set(train.rows.map((row) => row[input]!))).sort());
  const data = { sha256: '', rows: train.rows.length };
  const gaps = gapsOf(trees, { of: (_, feature) => values[feature]!, ...data });
  const plan: ReleasePlan = {
    version: 1,
    strength: 0,
    batches: 2,
    groups: [],
    marked: [],
    test: { version: 1, groups: [], tensors: [], leftOut: [] },
    trees: { strength, gaps: gaps.length, data },
  };
  return { name, model, trees: trees[0]!, canonical: trees.map(canonicalTrees), gaps, plan };
}

export const treeKeys = (label: string): OpenedKeys => ({
  release: label,
  original: sha256Hex(utf8('original')),
  beacon: sha256Hex(utf8('beacon')),
  seeds: new Map([0, 1].map((batch) => [batch, sha256(utf8(`${label} batch ${batch}`))])),
});

/** The copy of a recipient. */
export function copyOf({ model, trees, gaps, plan }: TreeBed, keys: OpenedKeys): TreeEnsemble {
  const [threshold] = releasedThresholds(model, gaps, plan, keys).values();
  return { ...trees, threshold: threshold! };
}

/** Key-free. */
export const placesOf = ({ gaps, canonical }: TreeBed, suspect: TreeEnsemble): JitterPlaces =>
  jitterPlaces(gaps, canonical, [canonicalTrees(suspect)]);

export const zOf = (bed: TreeBed, suspect: TreeEnsemble, keys: OpenedKeys): number =>
  jitterTest(bed.plan, keys, placesOf(bed, suspect)).z;

/** Whether each row is said to fail. */
export function answersOf(trees: TreeEnsemble, rows: Rows): readonly boolean[] {
  const sums = predictTrees(trees, rows);
  // Leaves of a forest hold shares of failures, those of boosted trees add to a margin.
  if (trees.name !== '') return rows.map((_, row) => sums[row]! > 0.5);
  const base = trees.base[0] ?? 0;
  const margin = trees.baseIs === 'response' ? Math.log(base / (1 - base)) : base;
  return rows.map((_, row) => sums[row]! + margin > 0);
}

export function f1(answers: readonly boolean[], truth: readonly boolean[]): number {
  const both = answers.filter((one, row) => one && truth[row]).length;
  return (2 * both) / (answers.filter(Boolean).length + truth.filter(Boolean).length);
}
