/** The files that one model is read from, and the model made of what was found in them. */
import { realpath } from 'node:fs/promises';
import path from 'node:path';
import {
  type ByteSource,
  type CountingSource,
  countingSource,
  fileSource,
  inputError,
  toMunimentError,
} from '../base/index.js';
import { MAX_FILES } from './limits.js';
import type { Graph, Model, Tensor } from './model.js';
import type { TreeEnsemble } from './trees.js';

export interface ModelFiles {
  readonly main: CountingSource;
  /**
   * Another file of the same model, by its path relative to the main file's folder; its name is that path, from the
   * main file's folder (not what a link points to), so that a copy is laid out as the original is.
   * @throws `MODEL_PATH_ESCAPES` for absolute paths, `..` and symbolic links that leave the folder; `MODEL_PART_MISSING`
   */
  beside(relative: string): Promise<ByteSource>;
  /**
   * A plain file in the model's folder that is no part of the model (its settings): not counted among its sources, so that
   * its digest is that of the weights. Null where there is none that can be read. The caller closes it.
   */
  aside(name: string): Promise<ByteSource | null>;
  readonly all: () => readonly CountingSource[];
  close(): Promise<void>;
}

/** Another file of a model that does not lie in a folder (an encrypted reference); null where there is none of this name. */
export type Beside = (relative: string) => Promise<ByteSource | null>;

/** @param folder where parts may lie, or who has them; null for a source without a folder (memory) */
export function modelFiles(main: ByteSource, folder: string | Beside | null): ModelFiles {
  const counted = countingSource(main);
  const parts = new Map<string, CountingSource>();
  return {
    main: counted,
    all: () => [counted, ...parts.values()],
    async beside(given) {
      // `w.bin` and `./w.bin` are one file, and must be written as one.
      const relative = path.normalize(given);
      const known = parts.get(relative);
      if (known !== undefined) return known;
      if (parts.size >= MAX_FILES)
        throw inputError('MODEL_TOO_MANY_FILES', `a model of more than ${MAX_FILES} files`, { where: main.name });
      if (path.isAbsolute(relative) || relative.split(path.sep)[0] === '..') refuseEscape(relative, main.name);
      const handed = typeof folder === 'function' ? await folder(relative) : null;
      if (folder === null || (typeof folder === 'function' && handed === null)) {
        throw inputError('MODEL_PART_MISSING', 'the model refers to another file, but was given without a folder', {
          got: relative,
          where: main.name,
        });
      }
      const source = handed ?? (await fileSource(await insideFolder(folder as string, relative, main.name)));
      const part = countingSource({
        byteLength: source.byteLength,
        name: path.join(path.dirname(main.name), relative),
        slice: (start, end) => source.slice(start, end),
        close: () => source.close(),
      });
      parts.set(relative, part);
      return part;
    },
    async aside(name) {
      if (folder === null || path.basename(name) !== name) return null;
      try {
        if (typeof folder === 'function') return await folder(name);
        return await fileSource(await insideFolder(folder, name, main.name, await hubBlobs(folder)));
      } catch (error) {
        // Absent, or not for us to read: the model is whole without it.
        if (toMunimentError(error).kind === 'internal') throw error;
        return null;
      }
    },
    async close() {
      for (const source of [counted, ...parts.values()]) await source.close();
    },
  };
}

/** A download cache keeps a snapshot as links to blobs of the same model: `models--A--B/snapshots/REVISION` and `…/blobs`. */
async function hubBlobs(folder: string): Promise<string | null> {
  const root = await realpath(folder);
  return /[\\/]snapshots[\\/][0-9a-f]{40}$/.test(root) ? path.resolve(root, '..', '..', 'blobs') : null;
}

async function insideFolder(
  folder: string,
  relative: string,
  where: string,
  also: string | null = null,
): Promise<string> {
  const root = await realpath(folder);
  const wanted = path.resolve(root, relative);
  let found: string;
  try {
    found = await realpath(wanted);
  } catch (cause) {
    if (!isInside(root, wanted)) refuseEscape(relative, where);
    throw inputError('MODEL_PART_MISSING', 'a file that the model refers to is missing', {
      expected: wanted,
      where,
      todo: 'put the file beside the model, or fetch the model again with all its files',
      cause,
    });
  }
  const isOwn = isInside(root, found) || (also !== null && isInside(also, found));
  if (!isInside(root, wanted) || !isOwn) refuseEscape(relative, where);
  return found;
}

const isInside = (root: string, file: string): boolean =>
  file.startsWith(root.endsWith(path.sep) ? root : root + path.sep);

function refuseEscape(relative: string, where: string): never {
  throw inputError(
    'MODEL_PATH_ESCAPES',
    "the model refers to a file outside its own folder; that would read other people's files",
    {
      expected: 'a relative path inside the model’s folder',
      got: relative.slice(0, 200),
      where,
      todo: 'copy the model with all its files into one folder (a download cache of links: cp -rL)',
    },
  );
}

export interface Found {
  readonly format: Model['format'];
  readonly tensors: readonly Tensor[];
  readonly graph: Graph | null;
  readonly opset: number | null;
  readonly metadata: ReadonlyMap<string, string>;
  readonly trees?: readonly TreeEnsemble[];
}

/** @throws `MODEL_DUPLICATE_TENSOR`, `MODEL_NO_TENSORS` */
export function modelOf(files: ModelFiles, { format, tensors, graph, opset, metadata, trees = [] }: Found): Model {
  const byName = new Map<string, Tensor>();
  for (const tensor of tensors) {
    if (byName.has(tensor.name)) {
      throw inputError('MODEL_DUPLICATE_TENSOR', 'two tensors have the same name', {
        got: tensor.name,
        where: files.main.name,
      });
    }
    byName.set(tensor.name, tensor);
  }
  if (byName.size === 0) {
    throw inputError('MODEL_NO_TENSORS', 'the file holds no tensors, so there is no model in it', {
      where: files.main.name,
      todo: 'name the file that holds the weights',
    });
  }
  return {
    format,
    tensors: byName,
    graph,
    opset,
    metadata,
    ...(trees.length === 0 ? {} : { trees }),
    sources: files.all(),
    get bytesRead() {
      return files.all().reduce((sum, source) => sum + source.bytesRead, 0);
    },
    close: () => files.close(),
  };
}
