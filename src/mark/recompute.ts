/**
 * Recomputes a release from files alone, as someone without the room does (docs/theory.md §1): the original's bytes, the
 * committed plan, the opened seeds and the beacon must give the released files bit for bit.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { evidenceError, MunimentError, noProgress, type Progress, usageError } from '../base/index.js';
import { type Model, openModel } from '../formats/index.js';
import { digestModel, digestPaths, modelFiles } from '../record/index.js';
import { commitCopy, filesIn } from './copy.js';
import { laidOut } from './original.js';
import { checkOpened, type Opened, reproduceRelease } from './reproduce.js';
import type { CommitmentFact, ReleaseFact } from './statements.js';

export interface RecomputeInput {
  /** The unmarked original: a file, or the folder or main file of a model in several files. */
  readonly original: string;
  /** The ONNX file that vouched for the unit groups, where the commitment names one. */
  readonly graph?: string | null;
  readonly opened: Opened & { readonly copySalt: Uint8Array };
  /** An existing folder with room for the copy; default the system's for temporary files. */
  readonly workshop?: string;
  readonly progress?: (label: string) => Progress;
}

export interface RecomputedCopy {
  /** As the statement names them, every digest found again. */
  readonly files: ReleaseFact['files'];
  readonly bytes: number;
}

/**
 * Writes into a temporary folder, compares, and removes it.
 * @throws `MARK_ORIGINAL_FILE`, `MARK_GRAPH_NEEDED`, `MARK_GRAPH_FILE`, `MARK_COPY_DIFFERS`, `MARK_COPY_COMMITMENT`, and
 *   what `reproduceRelease` throws
 */
export async function recomputeRelease(
  commitment: CommitmentFact,
  release: ReleaseFact,
  input: RecomputeInput,
): Promise<RecomputedCopy> {
  checkOpened(commitment, input.opened.seeds);
  const model = await openCommitted(input.original, commitment, input.progress ?? (() => noProgress));
  try {
    const vouching = await openVouching(input.graph ?? null, commitment);
    try {
      return await rewrite(model, vouching, commitment, release, input);
    } finally {
      await vouching?.close();
    }
  } finally {
    await model.close();
  }
}

async function rewrite(
  model: Model,
  graph: Model | null,
  commitment: CommitmentFact,
  release: ReleaseFact,
  { opened, workshop = os.tmpdir(), progress = () => noProgress }: RecomputeInput,
): Promise<RecomputedCopy> {
  const folder = await mkdtemp(path.join(workshop, 'muniment-recompute-'));
  try {
    // The bytes do not depend on the main file's name, so no name is taken from the statement: it may be hostile.
    const main = path.basename(model.sources[0]!.name);
    const out = path.join(folder, main);
    const canonical = await laidOut(model, commitment.structure, graph);
    await reproduceRelease(canonical, commitment, release.beacon, opened, out, progress);
    const files = await filesIn(folder, main, progress('hashing the release'));
    compareFiles(release, files, (expected, got) =>
      evidenceError('MARK_COPY_DIFFERS', 'the recomputed file is not the one that was released', {
        expected,
        got,
        where: release.release,
        todo: 'original, seeds, plan and beacon do not give this release; do not rely on its keys',
      }),
    );
    const { root } = await commitCopy(
      out,
      commitment.structure,
      graph,
      opened.copySalt,
      progress('reading the release back'),
    );
    if (root !== release.copy.root) {
      throw evidenceError('MARK_COPY_COMMITMENT', 'the released values are not those that the owner committed to', {
        expected: release.copy.root,
        got: root,
        where: release.release,
        todo: 'the release statement contradicts itself; do not rely on it',
      });
    }
    return { files: release.files, bytes: files.reduce((sum, file) => sum + file.bytes, 0) };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/**
 * That a file, or the files of a copy in several, are those that the release statement names.
 * @throws `MARK_RELEASED_FILE`
 */
export async function checkReleased(
  file: string,
  release: ReleaseFact,
  progress: (label: string) => Progress = () => noProgress,
): Promise<void> {
  const differs = (expected: string, got: string, cause?: unknown): MunimentError =>
    evidenceError('MARK_RELEASED_FILE', 'this is not the file that was released', {
      expected,
      got,
      where: file,
      todo: 'give the released copy as it was delivered; a changed copy is a suspect: muniment check',
      ...(cause === undefined ? {} : { cause }),
    });
  const [wanted] = release.files;
  const model = await openModel(file).catch((error: unknown) => {
    if (error instanceof MunimentError && error.kind === 'input') {
      throw differs(`${wanted?.name}: ${wanted?.sha256}`, `${error.message} (${error.code})`, error);
    }
    throw error;
  });
  try {
    const [main] = modelFiles(model);
    const files = (await digestModel(model, progress('hashing the released file'))).files
      .map(({ path: name, sha256, bytes }) => ({ name, sha256, bytes }))
      .sort((a, b) => (a.name === main!.name ? -1 : b.name === main!.name ? 1 : a.name < b.name ? -1 : 1));
    compareFiles(release, files, differs);
  } finally {
    await model.close();
  }
}

/** Main file against main file, whatever it was called; parts by name. */
function compareFiles(
  { files: stated }: ReleaseFact,
  made: ReleaseFact['files'],
  differs: (expected: string, got: string) => MunimentError,
): void {
  for (let i = 0; i < Math.max(stated.length, made.length); i++) {
    const [want, got] = [stated[i], made[i]];
    if (want !== undefined && got !== undefined && want.sha256 === got.sha256 && (i === 0 || want.name === got.name)) {
      continue;
    }
    throw differs(
      want === undefined ? 'no further file' : `${want.name}: ${want.sha256}`,
      got === undefined ? 'no such file' : `${got.name}: ${got.sha256}`,
    );
  }
}

/** Bytes first: the message that an expert needs is which file is wrong, not which hash of hashes. */
async function openCommitted(
  file: string,
  { model: committed }: CommitmentFact,
  progress: (label: string) => Progress,
): Promise<Model> {
  const other = (got: string, cause?: unknown): MunimentError =>
    evidenceError('MARK_ORIGINAL_FILE', 'this is not the original that the release was made from', {
      expected: `${committed.name}: ${committed.sha256}`,
      got,
      where: file,
      todo: 'give the unmarked original, byte for byte as it was recorded, with all its parts',
      ...(cause === undefined ? {} : { cause }),
    });
  const model = await openModel(file).catch((error: unknown) => {
    if (error instanceof MunimentError && error.kind === 'input') {
      throw other(`a file that is refused: ${error.message} (${error.code})`, error);
    }
    throw error;
  });
  try {
    const { sha256 } = await digestModel(model, progress('hashing the original'));
    if (sha256 !== committed.sha256) throw other(sha256);
    return model;
  } catch (error) {
    await model.close();
    throw error;
  }
}

async function openVouching(graph: string | null, { structure, release }: CommitmentFact): Promise<Model | null> {
  if (structure.graph === null) return null;
  if (graph === null) {
    throw usageError('MARK_GRAPH_NEEDED', 'the unit groups of this release came from the graph of another file', {
      expected: `the ONNX file with SHA-256 ${structure.graph}`,
      where: release,
      todo: 'give it with --graph FILE',
    });
  }
  const { sha256 } = await digestPaths([graph]);
  if (sha256 !== structure.graph) {
    throw evidenceError('MARK_GRAPH_FILE', 'this is not the file whose graph the release was committed with', {
      expected: structure.graph,
      got: sha256,
      where: graph,
      todo: 'give the ONNX file that was named with --graph at release',
    });
  }
  return openModel(graph);
}
