/** What the subject digest of an asset is taken over: a file, or the `sha256sum` list of several. */
import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { fileSource, inputError, noProgress, type Progress, sha256Hex, sha256OfSource, utf8 } from '../base/index.js';

/** More files than this is a mistaken path (a home folder), and the list would cost gigabytes. */
const MAX_FILES = 1_000_000;
/** Folders nest less; deeper is a loop of the file system. */
const MAX_DEPTH = 64;
/** Up to so many files, the list lies in the statement, so that single files can be disclosed; beyond, only its digest. */
const MAX_LISTED = 1000;

export interface FileDigest {
  /** Forward slashes, relative to the folder that was named; a file named by itself has its base name. */
  readonly path: string;
  readonly sha256: string;
  readonly bytes: number;
}

export interface Content {
  readonly method: 'file' | 'manifest' | 'facts';
  readonly files: number;
  readonly bytes: number;
  readonly manifest?: readonly FileDigest[];
}

export interface ContentDigest {
  readonly sha256: string;
  readonly content: Content;
  /** Every file, listed in the statement or not. */
  readonly files: readonly FileDigest[];
}

/** One file to be hashed, and the name it has in the list. */
export interface NamedFile {
  readonly name: string;
  readonly file: string;
}

interface Found extends NamedFile {
  readonly bytes: number;
}

/**
 * One file: its SHA-256. A folder or several paths: the SHA-256 of their list in the format of `sha256sum`, one line a
 * file, sorted by the UTF-8 bytes of the name, so that
 * `find . -type f -printf '%P\0' | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum` in the folder gives it too.
 * @throws `RECORD_SYMLINK`, `RECORD_EMPTY`, `RECORD_TOO_MANY_FILES`, `RECORD_SAME_NAME`, `FILE_NOT_FOUND`
 */
export async function digestPaths(paths: readonly string[], progress: Progress = noProgress): Promise<ContentDigest> {
  const found: Found[] = [];
  for (const item of paths) {
    const info = await stat(item);
    if (info.isDirectory())
      await walk(item, paths.length === 1 ? '' : `${path.basename(path.resolve(item))}/`, 0, found);
    else found.push({ name: path.basename(item), file: item, bytes: info.size });
  }
  if (found.length === 0) {
    throw inputError('RECORD_EMPTY', 'there is no file in it', { where: paths.join(', '), todo: 'check the path' });
  }
  const single = found.length === 1 && paths.length === 1 && !(await stat(paths[0]!)).isDirectory();
  return digestOf(found, single, progress);
}

/** As `digestPaths`, of files whose names are given: the parts of a model, by their paths beside its main file. */
export async function digestFiles(
  files: readonly NamedFile[],
  progress: Progress = noProgress,
): Promise<ContentDigest> {
  const found = await Promise.all(files.map(async (one) => ({ ...one, bytes: (await stat(one.file)).size })));
  return digestOf(found, files.length === 1, progress);
}

async function digestOf(found: readonly Found[], single: boolean, progress: Progress): Promise<ContentDigest> {
  const files = await digestAll(found, progress);
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  if (single) return { sha256: files[0]!.sha256, content: { method: 'file', files: 1, bytes }, files };
  const content: Content = {
    method: 'manifest',
    files: files.length,
    bytes,
    ...(files.length > MAX_LISTED ? {} : { manifest: files }),
  };
  return { sha256: sha256Hex(utf8(manifestText(files))), content, files };
}

/** The list that `sha256sum` prints, its escaping of line feeds and backslashes included. */
export const manifestText = (files: readonly FileDigest[]): string =>
  files
    .map(({ path: name, sha256 }) => {
      const escaped = name.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('\r', '\\r');
      return `${escaped === name ? '' : '\\'}${sha256}  ${escaped}\n`;
    })
    .join('');

async function walk(folder: string, prefix: string, depth: number, found: Found[]): Promise<void> {
  if (depth > MAX_DEPTH) throw inputError('RECORD_TOO_DEEP', 'folders nest too deep', { where: folder });
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const file = path.join(folder, entry.name);
    const name = `${prefix}${entry.name}`;
    if (entry.isSymbolicLink()) {
      // A link's target can change without the folder's digest changing, and can lead anywhere.
      throw inputError('RECORD_SYMLINK', 'a folder that is recorded holds a symbolic link', {
        expected: 'files and folders only',
        where: file,
        todo: 'copy what it points to into the folder, or record the target by its own path',
      });
    }
    if (entry.isDirectory()) await walk(file, `${name}/`, depth + 1, found);
    else if (entry.isFile()) found.push({ name, file, bytes: (await stat(file)).size });
    if (found.length > MAX_FILES) {
      throw inputError('RECORD_TOO_MANY_FILES', 'too many files in one asset', {
        expected: `at most ${MAX_FILES}`,
        where: folder,
        todo: 'record an archive of them, or smaller folders',
      });
    }
  }
}

async function digestAll(found: readonly Found[], progress: Progress): Promise<readonly FileDigest[]> {
  const sorted = found
    .map((item) => ({ ...item, key: Buffer.from(item.name) }))
    .sort((a, b) => Buffer.compare(a.key, b.key));
  const total = sorted.reduce((sum, item) => sum + item.bytes, 0);
  const files: FileDigest[] = [];
  let before = 0;
  for (const { name, file, bytes } of sorted) {
    if (files.at(-1)?.path === name) {
      throw inputError('RECORD_SAME_NAME', 'two files of one asset have the same name', {
        got: name,
        todo: 'name the folder that holds them instead',
      });
    }
    const source = await fileSource(file);
    try {
      const sha256 = await sha256OfSource(source, (done) => progress.update(before + done, total, name));
      files.push({ path: name, sha256, bytes: source.byteLength });
    } finally {
      await source.close();
    }
    before += bytes;
  }
  return files;
}
