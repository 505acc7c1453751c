/** The demo's world: a simulated fleet, and the models that maker, thief and competitor make of its readings. */
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Progress } from '../../base/index.js';
import { FLEET_HEADER, fleetRows, simulateFleet, toCsv } from '../../plant/index.js';
import {
  binaryQuality,
  type LabelledArrays,
  type ModelCard,
  outputsOf,
  readNet,
  readTable,
  type Trained,
  trainModel,
} from '../../train/index.js';

/** Enough for the classifier to be worth copying, few enough for a demo. */
export const OPERATIONS = 6000;

export async function writeFleet(folder: string, seed: number): Promise<{ file: string; failures: number }> {
  const file = path.join(folder, 'fleet.csv');
  const rows = fleetRows(simulateFleet({ rows: OPERATIONS, seed }));
  await writeFile(file, toCsv(FLEET_HEADER, rows));
  return { file, failures: rows.filter((row) => row.at(-1) === 1).length };
}

/** The same data and settings for maker and competitor; the seed is drawn at random by the trainer. */
export async function trainClassifier(data: string, progress: Progress): Promise<Trained> {
  const table = await readTable(data);
  return trainModel({ ...table, task: 'classify', target: 'failure', hidden: [64, 64], progress });
}

/** Readings that the thief's own machines gave: other operations of the same kind of fleet, as the model takes them. */
export function readingsFor(card: ModelCard, seed: number, rows: number): LabelledArrays {
  const cells = fleetRows(simulateFleet({ rows, seed }));
  const target = FLEET_HEADER.indexOf('failure');
  const inputs = new Float32Array(rows * card.columns.length);
  cells.forEach((row, i) => {
    card.columns.forEach((column, k) => {
      const cell = row[FLEET_HEADER.indexOf(column.name as (typeof FLEET_HEADER)[number])]!;
      inputs[i * card.columns.length + k] =
        column.kind === 'number' ? Number(cell) : column.categories.indexOf(String(cell));
    });
  });
  return { inputs, targets: cells.map((row) => card.classes.indexOf(String(row[target]))) };
}

export interface Answers {
  /** Of the failures. */
  readonly f1: number;
  /** Failure or not, by operation. */
  readonly said: readonly boolean[];
}

/** How a model file answers operations that no model was trained on. */
export async function answersOf(file: string, seed: number, rows: number): Promise<Answers> {
  const { card } = await readNet(file);
  const { inputs, targets } = readingsFor(card, seed, rows);
  const outputs = await outputsOf(file, card, inputs, [rows, card.columns.length]);
  const failure = card.classes.indexOf('1');
  const said = Array.from({ length: rows }, (_, row) => {
    const p = outputs[2 * row + failure]!;
    return p >= (failure === 1 ? (card.threshold ?? 0.5) : 0.5);
  });
  const { f1 } = binaryQuality(
    said.map(Number),
    Array.from(targets, (target) => target === failure),
    0.5,
  );
  return { f1, said };
}
