/** A trained net with its unmarked original laid out and its strength studied: what the sections of `bench:mark` share. */
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { alignTables, loadTable, type WeightTable } from '../../src/align/index.js';
import { sha256, sha256Hex, utf8 } from '../../src/base/index.js';
import type { NetSpec } from '../../src/compute/index.js';
import { type Subject, studyStrength, subjectOfCanonical } from '../../src/detect/index.js';
import { type Model, openModel, writeModel } from '../../src/formats/index.js';
import { type OpenedKeys, planRelease, type ReleasePlan, releasedValues } from '../../src/mark/index.js';
import { type CanonicalModel, canonicalise } from '../../src/structure/index.js';
import { type LabelledArrays, type ModelCard, type Table, tableFromRows } from '../../src/train/index.js';
import { OWNER_SEED, parametersIn, train } from '../main/nets.js';

export interface Bed {
  readonly net: NetSpec;
  readonly card: ModelCard;
  readonly folder: string;
  readonly file: string;
  readonly model: Model;
  readonly canonical: CanonicalModel;
  readonly plan: ReleasePlan;
  /** w0 as the test reads it. */
  readonly reference: WeightTable;
  /** Flat, in the layout of `planNet`. */
  readonly parameters: Float32Array;
}

export interface BedSettings {
  readonly net: NetSpec;
  readonly seed: number;
  readonly data: LabelledArrays;
  /** A number, or measured on this labelled data as `muniment release --test` does. */
  readonly strength: number | LabelledArrays;
}

export async function makeBed(folder: string, { net, seed, data, strength }: BedSettings): Promise<Bed> {
  const file = path.join(folder, `own-${seed}.onnx`);
  const { model: bytes, card, parameters } = await train(net, OWNER_SEED + seed, data);
  await writeFile(file, bytes);
  const model = await openModel(file);
  const canonical = await canonicalise(model);
  const options =
    typeof strength === 'number'
      ? { strength }
      : await studyStrength(canonical, {}, { workshop: folder, test: { table: tableOf(card, strength) } }).then(
          (study) => ({
            strength: study.chosen,
            ...(study.strengths === null ? {} : { strengths: study.strengths }),
          }),
        );
  const plan = planRelease(canonical, options);
  const reference = await loadTable(await subjectOfCanonical(canonical, file), plan.test);
  return { net, card, folder, file, model, canonical, plan, reference, parameters };
}

function tableOf(card: ModelCard, { inputs, targets }: LabelledArrays): Table {
  const width = card.columns.length;
  const rows = Array.from(targets, (target, row) => [
    ...Array.from(inputs.subarray(row * width, (row + 1) * width), String),
    String(target),
  ]);
  return tableFromRows('held out', [...card.columns.map(({ name }) => name), card.target], rows);
}

export const keysOf = (plan: ReleasePlan, label: string): OpenedKeys => ({
  release: label,
  original: sha256Hex(utf8('original')),
  beacon: sha256Hex(utf8('beacon')),
  seeds: new Map(Array.from({ length: plan.batches }, (_, b) => [b, sha256(utf8(`${label} batch ${b}`))])),
});

/** The copy that is released, as a file and as flat parameters. */
export async function copyFor(bed: Bed, keys: OpenedKeys): Promise<{ file: string; parameters: Float32Array }> {
  const file = path.join(bed.folder, 'copy.onnx');
  await writeModel(bed.model, releasedValues(bed.canonical, bed.plan, keys), file);
  return { file, parameters: await parametersIn(file, bed.net) };
}

export async function suspectIn(file: string): Promise<{ subject: Subject; close(): Promise<void> }> {
  const model = await openModel(file);
  return { subject: await subjectOfCanonical(await canonicalise(model), file), close: () => model.close() };
}

/** The suspect's table and its alignment to w0, as `check` makes them. */
export async function aligned({ plan, reference }: Bed, file: string) {
  const { subject, close } = await suspectIn(file);
  try {
    const suspect = await loadTable(subject, plan.test);
    return { suspect, alignment: alignTables(plan.test, reference, suspect, 1) };
  } finally {
    await close();
  }
}
