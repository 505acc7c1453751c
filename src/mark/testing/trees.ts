/** Marked copies of the ensembles in `vectors/trees`, with keys of a test: no ledger, no vault. */
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Model, openModel, writeModel } from '../../formats/index.js';
import {
  type Gap,
  type OpenedKeys,
  planTrees,
  type ReleasePlan,
  releasedThresholds,
  type TrainingData,
} from '../index.js';
import { testKeys } from './dense.js';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..', '..', '..');
export const treeVector = (name: string): string => path.join(root, 'vectors', 'trees', name);

export const MARKED = [
  'fleet.json',
  'fleet.ubj',
  'fleet.txt',
  'fleet-xgboost.onnx',
  'fleet-lightgbm.onnx',
  'fleet-forest.onnx',
  'fleet-double.onnx',
  'holes.ubj',
  'holes.txt',
] as const;

export const COLUMNS = [
  'type',
  'air_temperature_k',
  'process_temperature_k',
  'rotational_speed_rpm',
  'torque_nm',
  'tool_wear_min',
];

/** What the vector was trained on. */
export const dataOf = (name: string): TrainingData => ({
  path: treeVector(name.startsWith('holes') ? 'holes.csv' : 'fleet.csv'),
  ...(name.endsWith('.onnx') ? { columns: COLUMNS } : {}),
});

export interface MarkedTrees {
  readonly model: Model;
  readonly plan: ReleasePlan;
  readonly gaps: readonly Gap[];
}

/** The caller closes the model. */
export async function plannedTrees(name: string, strength?: number): Promise<MarkedTrees> {
  const model = await openModel(treeVector(name));
  const planned = await planTrees(model, { data: dataOf(name), ...(strength === undefined ? {} : { strength }) });
  return { model, ...planned };
}

export async function writeCopy(
  name: string,
  folder: string,
  keys: OpenedKeys = testKeys('marked trees'),
): Promise<string> {
  const { model, plan, gaps } = await plannedTrees(name);
  const copy = path.join(folder, name);
  await writeModel(model, releasedThresholds(model, gaps, plan, keys), copy);
  await model.close();
  return copy;
}
