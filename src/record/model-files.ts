/** The files that a model is made of, by the names that its digest is taken over. */
import path from 'node:path';
import { noProgress, type Progress } from '../base/index.js';
import type { Model } from '../formats/index.js';
import { type ContentDigest, digestFiles, type NamedFile } from './digest.js';

/**
 * The main file first, then shards and external data by the names under which the model refers to them, not by what a
 * link points to: so they are found again in the vault, and a copy is laid out as the original is.
 * @param model opened from a path
 */
export function modelFiles(model: Model): readonly NamedFile[] {
  const folder = path.dirname(model.sources[0]!.name);
  return model.sources.map((source) => ({
    name: path.relative(folder, source.name).replaceAll(path.sep, '/'),
    file: source.name,
  }));
}

/** The digest that a model is recorded under: a file's SHA-256, or that of the `sha256sum` list of several. */
export const digestModel = (model: Model, progress: Progress = noProgress): Promise<ContentDigest> =>
  digestFiles(modelFiles(model), progress);
