/**
 * The state of a training on disk, written whole between epochs: one line of JSON, then float32 arrays. A training
 * that was killed at any instant goes on from the last file to the identical result.
 */
import { open, readFile, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { fromUtf8, inputError, type Json, parseStrictJson, utf8 } from '../base/index.js';
import type { FitProgress, FitResult } from './fit.js';

/** At most every so many milliseconds: a checkpoint of a small net costs about one. */
const INTERVAL = 1_000;
const LINE_FEED = 10;

export interface Checkpoint {
  /** A fit that was finished before, or where it stood. */
  find(key: string): { readonly done: FitResult } | { readonly at: FitProgress } | null;
  /** Notes where a fit stands; writes when the last write is old enough. */
  update(key: string, progress: FitProgress): Promise<void>;
  finish(key: string, result: FitResult): Promise<void>;
  /** Removes the file: the training is complete. */
  remove(): Promise<void>;
}

export const noCheckpoint: Checkpoint = {
  find: () => null,
  async update() {},
  async finish() {},
  async remove() {},
};

type Entry = { readonly done: FitResult } | { readonly at: FitProgress };

/** How entries are written: arrays stand in the JSON as their length and follow in the same order. */
function encode(entries: ReadonlyMap<string, Entry>, digest: string, seed: number): Uint8Array {
  const arrays: Float32Array[] = [];
  const replacer = (_: string, value: unknown): unknown => {
    if (!(value instanceof Float32Array)) return value;
    arrays.push(value);
    return { floats: value.length };
  };
  const head = utf8(`${JSON.stringify({ version: 1, seed, digest, entries: [...entries] }, replacer)}\n`);
  const size = arrays.reduce((sum, array) => sum + array.byteLength, 0);
  const out = new Uint8Array(head.length + size);
  out.set(head);
  let at = head.length;
  for (const array of arrays) {
    out.set(new Uint8Array(array.buffer, array.byteOffset, array.byteLength), at);
    at += array.byteLength;
  }
  return out;
}

interface Head {
  readonly seed: number;
  readonly digest: string;
  readonly entries: readonly Json[];
}

function headOf(bytes: Uint8Array, where: string): { readonly head: Head; readonly end: number } {
  const end = bytes.indexOf(LINE_FEED);
  if (end === -1) throw damaged(where);
  const head = parseStrictJson(fromUtf8(bytes.subarray(0, end), where), where) as Partial<Head> & { version?: Json };
  if (head?.version !== 1 || !Array.isArray(head.entries) || !Number.isSafeInteger(head.seed)) throw damaged(where);
  return { head: head as Head, end };
}

/** The seed of the training that this file holds, so that one whose seed was drawn can go on; null without a file. */
export async function checkpointSeed(file: string): Promise<number | null> {
  const bytes = await readOrNull(file);
  return bytes === null ? null : headOf(bytes, file).head.seed;
}

async function readOrNull(file: string): Promise<Uint8Array | null> {
  try {
    return await readFile(file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

function decode(bytes: Uint8Array, digest: string, where: string): Map<string, Entry> {
  const { head, end } = headOf(bytes, where);
  if (head.digest !== digest) {
    throw inputError('TRAIN_CHECKPOINT_OTHER', 'this checkpoint belongs to another training', {
      where,
      expected: `data and settings ${digest.slice(0, 16)}…`,
      got: String(head.digest).slice(0, 17),
      todo: 'delete the file to train anew, or give the data and settings it was made with',
    });
  }
  let at = end + 1;
  const revive = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(revive);
    if (typeof value !== 'object' || value === null) return value;
    if ('floats' in value) {
      const size = Number(value.floats) * 4;
      if (!Number.isSafeInteger(size) || size < 0 || at + size > bytes.length) throw damaged(where);
      const array = new Float32Array(size / 4);
      new Uint8Array(array.buffer).set(bytes.subarray(at, at + size));
      at += size;
      return array;
    }
    return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, revive(member)]));
  };
  const entries = revive(head.entries) as [string, Entry][];
  if (at !== bytes.length) throw damaged(where);
  return new Map(entries);
}

const damaged = (where: string) =>
  inputError('TRAIN_CHECKPOINT_DAMAGED', 'this file is not a whole checkpoint', {
    where,
    todo: 'delete it and train anew',
  });

/**
 * @param digest of data and settings: another training's file is refused
 * @throws `TRAIN_CHECKPOINT_OTHER`, `TRAIN_CHECKPOINT_DAMAGED`
 */
export async function openCheckpoint(file: string, digest: string, seed: number): Promise<Checkpoint> {
  const bytes = await readOrNull(file);
  const entries = bytes === null ? new Map<string, Entry>() : decode(bytes, digest, file);
  let written = 0;
  const write = async (): Promise<void> => {
    const temporary = `${file}.${process.pid}.tmp`;
    const handle = await open(temporary, 'w', 0o600);
    try {
      await handle.writeFile(encode(entries, digest, seed));
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, file);
    const folder = await open(path.dirname(file), 'r');
    // Without this the rename itself may be lost with the power.
    await folder.sync().catch(() => undefined);
    await folder.close();
    written = performance.now();
  };
  return {
    find: (key) => entries.get(key) ?? null,
    async update(key, at) {
      entries.set(key, { at });
      if (performance.now() - written >= INTERVAL) await write();
    },
    async finish(key, done) {
      entries.set(key, { done });
      await write();
    },
    remove: () => rm(file, { force: true }),
  };
}
