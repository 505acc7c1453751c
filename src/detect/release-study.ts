/** The study of a recorded model's strength, made once and kept: every recipient's copy then bears the same mark. */
import { canonicalBytes, fromUtf8, type Json, type Progress, sha256Hex, utf8 } from '../base/index.js';
import { openModel } from '../formats/index.js';
import { findModel, laidOut, type ReleaseRequest, type ReleaseRoom, vaultOf } from '../mark/index.js';
import { digestPaths, openReference } from '../record/index.js';
import { readTable } from '../train/index.js';
import { type StrengthStudy, studyStrength } from './strength-study.js';

export interface StudyRequest extends Omit<ReleaseRequest, 'recipient' | 'out' | 'strength' | 'strengths'> {
  /** A labelled table (CSV or Parquet) on which the cost is measured. */
  readonly test?: string | null;
  /** Its column of the truth. */
  readonly target?: string | null;
  readonly mostCost?: number;
  /** Folder for copies that are tried and removed. */
  readonly workshop: string;
}

/**
 * @returns null for a model of decision trees, whose thresholds move where nothing is decided: they cost no accuracy on
 *   the training data, and have one strength (docs/design/tree-mark.md)
 * @throws what `findModel`, `readTable` and `scoreTable` throw; `MARK_KEEP_FULL`
 */
export async function studyForRelease(
  room: ReleaseRoom,
  request: StudyRequest,
  progress?: (label: string) => Progress,
): Promise<(StrengthStudy & { readonly kept: boolean }) | null> {
  const vault = vaultOf(room);
  const asset = await findModel(room, request.model, progress);
  const test = request.test == null ? null : await readTable(request.test);
  const asked = {
    version: 1,
    model: asset.sha256,
    graph: request.graph == null ? null : (await digestPaths([request.graph])).sha256,
    plainStack: request.plainStack ?? false,
    batches: request.batches ?? null,
    test: test?.sha256 ?? null,
    target: request.target ?? null,
    mostCost: request.mostCost ?? null,
  };
  const name = `strength/${sha256Hex(canonicalBytes(asked as unknown as Json))}`;
  const before = await vault.get(name);
  if (before !== null) return { ...parsed(fromUtf8(before)), kept: true };
  const reference = await openReference(room, asset);
  const graph = request.graph == null ? null : await openModel(request.graph);
  try {
    if (reference?.model.trees !== undefined) return null;
    const canonical = await laidOut(reference!.model, { graph: asked.graph, plainStack: asked.plainStack }, graph);
    const study = await studyStrength(canonical, request.batches === undefined ? {} : { batches: request.batches }, {
      workshop: request.workshop,
      test: test === null ? null : { table: test.table, ...(request.target == null ? {} : { target: request.target }) },
      ...(request.mostCost === undefined ? {} : { mostCost: request.mostCost }),
      ...(progress === undefined ? {} : { progress: progress('measuring what a mark costs and buys') }),
    });
    await vault.put(name, utf8(JSON.stringify({ ...study, strengths: study.strengths && [...study.strengths] })));
    return { ...study, kept: false };
  } finally {
    await graph?.close();
    await reference?.model.close();
  }
}

function parsed(text: string): StrengthStudy {
  const study = JSON.parse(text) as StrengthStudy & { strengths: readonly [string, number][] | null };
  return { ...study, strengths: study.strengths && new Map(study.strengths) };
}
