/**
 * The bundle's digest list, `SHA256SUMS`: one line for every other file, in the format of coreutils' `sha256sum`
 * (64 hex digits, two spaces, path), sorted by path, so that `sha256sum -c SHA256SUMS` checks it with no tool of ours.
 */
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { evidenceError, fileSource, sha256OfSource } from '../base/index.js';

export const DIGEST_LIST = 'SHA256SUMS';
/** Signature over the digest list; made after it, so not in it. Its own bytes are checked by verifying it. */
export const DIGEST_LIST_SIGNATURE = 'SHA256SUMS.sig';

export interface ListedDigest {
  readonly path: string;
  readonly sha256: string;
}

/** 20,000 files: a bundle of ten years of checks stays far below; more would be an attempt to exhaust the verifier. */
const MAX_FILES = 20_000;
const LINE = /^([0-9a-f]{64}) {2}([A-Za-z0-9._-][A-Za-z0-9._/-]*)$/;

export function formatDigestList(entries: readonly ListedDigest[]): string {
  return [...entries]
    .sort((a, b) => (a.path < b.path ? -1 : 1))
    .map((entry) => `${entry.sha256}  ${entry.path}\n`)
    .join('');
}

/** @throws `BUNDLE_DIGEST_LIST` unless the text is exactly what `formatDigestList` writes */
export function parseDigestList(text: string): readonly ListedDigest[] {
  const entries = text
    .split('\n')
    .slice(0, -1)
    .map((line, index) => {
      const match = LINE.exec(line);
      const file = match?.[2] ?? '';
      if (match === null || file.split('/').some((part) => part === '' || part === '.' || part === '..')) {
        throw evidenceError('BUNDLE_DIGEST_LIST', 'the digest list is malformed', {
          expected: '<64 hex digits><two spaces><relative path>',
          got: line.slice(0, 100),
          where: `${DIGEST_LIST} line ${index + 1}`,
        });
      }
      return { sha256: match[1] ?? '', path: file };
    });
  if (
    entries.length > MAX_FILES ||
    formatDigestList(entries) !== text ||
    new Set(entries.map((e) => e.path)).size !== entries.length
  ) {
    throw evidenceError('BUNDLE_DIGEST_LIST', 'the digest list is not in its one canonical form', {
      expected: 'lines sorted by path, each path once, each ended by a line feed',
      where: DIGEST_LIST,
    });
  }
  return entries;
}

/** Every file below `dir`, as sorted relative paths with `/`. Symbolic links are refused: they would reach outside. */
export async function filesBelow(dir: string): Promise<readonly string[]> {
  const found: string[] = [];
  const walk = async (relative: string): Promise<void> => {
    for (const entry of await readdir(path.join(dir, relative), { withFileTypes: true })) {
      const name = relative === '' ? entry.name : `${relative}/${entry.name}`;
      if (entry.isDirectory()) await walk(name);
      else if (entry.isFile()) found.push(name);
      else throw evidenceError('BUNDLE_STRANGE_FILE', 'a bundle holds plain files and folders only', { where: name });
      if (found.length > MAX_FILES) {
        throw evidenceError('BUNDLE_TOO_MANY_FILES', `a bundle holds at most ${MAX_FILES} files`, { where: dir });
      }
    }
  };
  await walk('');
  return found.sort();
}

/** Digests of every file below `dir` except the list and its signature. */
export async function digestsBelow(dir: string): Promise<readonly ListedDigest[]> {
  const files = (await filesBelow(dir)).filter((file) => file !== DIGEST_LIST && file !== DIGEST_LIST_SIGNATURE);
  const digests: ListedDigest[] = [];
  for (const file of files) {
    const source = await fileSource(path.join(dir, file));
    try {
      digests.push({ path: file, sha256: await sha256OfSource(source) });
    } finally {
      await source.close();
    }
  }
  return digests;
}

export interface DigestListDifference {
  readonly changed: readonly string[];
  readonly missing: readonly string[];
  readonly unlisted: readonly string[];
}

/** Compares the list with the files as they are now. All three empty: the bundle is as it was listed. */
export async function compareDigestList(dir: string, listed: readonly ListedDigest[]): Promise<DigestListDifference> {
  const actual = new Map((await digestsBelow(dir)).map((entry) => [entry.path, entry.sha256]));
  const wanted = new Map(listed.map((entry) => [entry.path, entry.sha256]));
  return {
    changed: listed.filter((e) => actual.has(e.path) && actual.get(e.path) !== e.sha256).map((e) => e.path),
    missing: listed.filter((e) => !actual.has(e.path)).map((e) => e.path),
    unlisted: [...actual.keys()].filter((file) => !wanted.has(file)),
  };
}
