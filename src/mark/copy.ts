/** The files of a released copy: where they go, what was written, and the commitment to what can be read in them. */
import { mkdir, readdir, rename, stat } from 'node:fs/promises';
import path from 'node:path';
import { fileSource, noProgress, type Progress, sha256OfSource, usageError } from '../base/index.js';
import { type Model, openModel } from '../formats/index.js';
import { modelFiles } from '../record/index.js';
import { committable } from './canonical.js';
import { commitModel } from './commitment.js';
import { laidOut } from './original.js';
import type { ReleaseFact, StructureSource } from './statements.js';

/** Names are relative to the folder, with forward slashes. */
export interface CopyPlace {
  /** Absolute. */
  readonly folder: string;
  readonly main: string;
  /** Shards or external data; they keep their names, since the main file refers to them. */
  readonly parts: readonly string[];
  /** An existing folder on the same disk, or one that may be made: where the copy is written before it is moved. */
  readonly workshop: string;
}

/**
 * `out` is the main file; for a model in several files it is the folder that they go to, unless it ends as the main file
 * of such a model does.
 */
export function placeOf(out: string, model: Model): CopyPlace {
  const target = path.resolve(out);
  const [main, ...parts] = modelFiles(model).map((file) => file.name);
  const parent = path.dirname(target);
  return parts.length === 0 || /\.(onnx|safetensors\.index\.json)$/i.test(target)
    ? { folder: parent, main: path.basename(target), parts, workshop: parent }
    : { folder: target, main: path.basename(main!), parts, workshop: parent };
}

/** Nothing is ever overwritten: neither what was asked for nor what lies where a part must go. @throws `MARK_OUT_EXISTS` */
export async function refuseTaken(place: CopyPlace): Promise<void> {
  if (place.parts.includes(place.main)) {
    throw usageError('MARK_OUT_EXISTS', 'the copy and one of its parts would have the same name', {
      where: path.join(place.folder, place.main),
      todo: 'name another --out',
    });
  }
  for (const name of place.parts) {
    await refuseExisting(
      path.join(place.folder, name),
      'name a folder of its own: parts keep their names --out FOLDER',
    );
  }
  await refuseExisting(path.join(place.folder, place.main));
}

export async function refuseExisting(
  file: string,
  todo = 'name another --out; nothing is ever overwritten',
): Promise<void> {
  const there = await stat(file).catch(() => null);
  if (there !== null) {
    throw usageError('MARK_OUT_EXISTS', 'there is something at the place of the copy already', { where: file, todo });
  }
}

/** Moves what was written, the main file last, so that whoever sees it finds its parts. */
export async function moveCopy(from: string, place: CopyPlace, files: ReleaseFact['files']): Promise<void> {
  await refuseTaken(place);
  for (const { name } of [...files].reverse()) {
    const target = path.join(place.folder, name);
    await mkdir(path.dirname(target), { recursive: true });
    await rename(path.join(from, name), target);
  }
}

/** The main file first, then its parts, by path relative to the folder. */
export async function filesIn(
  folder: string,
  main: string,
  progress: Progress = noProgress,
): Promise<ReleaseFact['files']> {
  const names = (await readdir(folder, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(folder, path.join(entry.parentPath, entry.name)).split(path.sep).join('/'))
    .sort((a, b) => (a === main ? -1 : b === main ? 1 : a < b ? -1 : 1));
  const sizes = await Promise.all(names.map(async (name) => (await stat(path.join(folder, name))).size));
  const total = sizes.reduce((sum, size) => sum + size, 0);
  const files: ReleaseFact['files'][number][] = [];
  let before = 0;
  for (const name of names) {
    const source = await fileSource(path.join(folder, name));
    try {
      const sha256 = await sha256OfSource(source, (done) => progress.update(before + done, total, name));
      files.push({ name, sha256, bytes: source.byteLength });
      before += source.byteLength;
    } finally {
      await source.close();
    }
  }
  return files;
}

/** H(w): the commitment to the copy as it is read back from its files. */
export async function commitCopy(
  file: string,
  structure: StructureSource,
  graph: Model | null,
  salt: Uint8Array,
  progress: Progress = noProgress,
): Promise<ReleaseFact['copy']> {
  const model = await openModel(file);
  try {
    const canonical = await laidOut(model, structure, graph);
    const { root, layout } = await commitModel(await committable(canonical), salt, (done, total) =>
      progress.update(done, total),
    );
    return { root, layout };
  } finally {
    await model.close();
  }
}
