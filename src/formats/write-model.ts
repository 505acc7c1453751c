/**
 * Writes a changed copy of a model: byte for byte the original, with the values of some tensors replaced in their own
 * type. Lengths never change, so nothing else of the file has to be understood, moved or lost; numbers that a file holds
 * as text (thresholds of trees) may take more or fewer characters, and what follows moves.
 */
import { randomUUID } from 'node:crypto';
import { access, type FileHandle, mkdir, open, realpath, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { type ByteSource, inputError, noProgress, type Progress, usageError } from '../base/index.js';
import { encodeElements, storedBytes } from './elements.js';
import type { Model, Tensor } from './model.js';
import { isStoredTensor } from './stored-tensor.js';
import { checkUnsaid, type NewBytes, writtenOnce } from './write-shared.js';
import { renewChecksum } from './write-zip.js';
import { type StoredEntry, storedEntry } from './zip.js';

/** New values of one tensor: all of them, or a function that gives elements [start, end), for tensors too large to hold. */
export type NewValues = Float64Array | ((start: number, end: number) => Promise<Float64Array>);

/** Elements encoded at a time; even, so that 4-bit elements fill whole bytes. */
const CHUNK_ELEMENTS = 2 ** 20;
const COPY_BYTES = 4 * 1024 * 1024;

/**
 * Writes to `outPath`: a file for a model in one file; for shards or external data, the file with its parts beside it.
 * Nothing is left on failure; the main file appears last, and only after all bytes are on disk. A file at `outPath` is
 * replaced, files that happen to have the name of a part are not.
 * @throws `WRITE_UNKNOWN_TENSOR`, `WRITE_NOT_WRITABLE`, `WRITE_SIZE`, `WRITE_OVERLAP`, `WRITE_EXISTS`, `WRITE_OVER_ORIGINAL`
 */
export async function writeModel(
  model: Model,
  changes: ReadonlyMap<string, NewValues>,
  outPath: string,
  progress: Progress = noProgress,
): Promise<void> {
  const replaced = [...patchesOf(model, changes), ...(await editsOf(model, changes))];
  const patches = await Promise.all((await writtenOnce(replaced)).map(inArchive));
  await checkUnsaid(model.sources, patches);
  const [main, ...parts] = model.sources;
  const folder = path.dirname(outPath);
  const targets = [
    ...parts.map((source) => ({ source, target: path.join(folder, relativeTo(main!, source)) })),
    { source: main!, target: outPath },
  ];
  const total = model.sources.reduce((sum, source) => sum + source.byteLength, 0);
  const originals = new Set(await Promise.all(model.sources.map((source) => realOf(source.name))));
  const written: string[] = [];
  const placed: string[] = [];
  let done = 0;
  try {
    for (const { source, target } of targets) {
      await checkTarget(target, originals, source === main);
      await mkdir(path.dirname(target), { recursive: true });
      const temporary = `${target}.${randomUUID()}.partial`;
      written.push(temporary);
      await writeFile(source, patches, temporary, (bytes) => {
        done += bytes;
        progress.update(done, total, path.basename(target));
      });
    }
    for (const [index, { target }] of targets.entries()) {
      await rename(written[index]!, target);
      placed.push(target);
    }
    for (const place of new Set(targets.map(({ target }) => path.dirname(target)))) await syncFolder(place);
  } catch (error) {
    for (const left of [...written, ...placed]) await rm(left, { force: true });
    throw error;
  }
}

const realOf = (file: string): Promise<string> => realpath(file).catch(() => path.resolve(file));

async function checkTarget(target: string, originals: ReadonlySet<string>, isMain: boolean): Promise<void> {
  if (originals.has(await realOf(target))) {
    throw usageError('WRITE_OVER_ORIGINAL', 'the copy would replace the original', {
      where: target,
      todo: 'choose another --out',
    });
  }
  const exists = await access(target).then(
    () => true,
    () => false,
  );
  if (exists && !isMain) {
    throw usageError('WRITE_EXISTS', 'a file of the name that a part of the copy needs is already there', {
      where: target,
      todo: 'write into an empty folder: parts keep their names, since the model refers to them',
    });
  }
}

const relativeTo = (main: ByteSource, part: ByteSource): string => path.relative(path.dirname(main.name), part.name);

/** Content of an archive's entry is written where it lies in the archive. */
async function inArchive(patch: Patch): Promise<Patch> {
  const entry = storedEntry(patch.source);
  if (entry === null) return patch;
  return { ...patch, source: entry.archive, offset: (await entry.start()) + patch.offset, entry };
}

interface Patch extends NewBytes {
  /** The entry of a ZIP archive that it changes. */
  readonly entry?: StoredEntry;
}

function patchesOf(model: Model, changes: ReadonlyMap<string, NewValues>): readonly Patch[] {
  const patches: Patch[] = [];
  for (const [name, values] of changes) {
    const tensor = model.tensors.get(name);
    if (tensor === undefined) throw inputError('WRITE_UNKNOWN_TENSOR', 'the model has no such tensor', { where: name });
    const isEdited = isStoredTensor(tensor) && tensor.storage.kind === 'values' && tensor.writable;
    if (!isEdited && (!isStoredTensor(tensor) || !tensor.writable || tensor.storage.kind !== 'bytes')) {
      throw inputError(
        'WRITE_NOT_WRITABLE',
        'this tensor is stored in a form whose values cannot be replaced in place',
        {
          where: name,
          todo: 'export ONNX with raw_data (the default of every current exporter); save views, tied tensors and compressed archives as safetensors',
        },
      );
    }
    if (values instanceof Float64Array && values.length !== tensor.elements) {
      throw inputError('WRITE_SIZE', 'the new values do not fill the tensor', {
        expected: String(tensor.elements),
        got: String(values.length),
        where: name,
      });
    }
    if (tensor.storage.kind !== 'bytes') continue;
    let base = 0;
    for (const stretch of tensor.storage.stretches) {
      const start = base;
      patches.push({ ...stretch, read: (from, to) => encodedBytes(tensor, values, start + from, start + to) });
      base += stretch.length;
    }
  }
  checkOverlap(model, changes);
  return patches;
}

/** Where values stand as text or between others, the format's own writer says what takes their place. */
async function editsOf(model: Model, changes: ReadonlyMap<string, NewValues>): Promise<readonly Patch[]> {
  const patches: Patch[] = [];
  for (const [name, given] of changes) {
    const tensor = model.tensors.get(name)!;
    if (!isStoredTensor(tensor) || tensor.storage.kind !== 'values' || tensor.storage.edits === undefined) continue;
    const values = given instanceof Float64Array ? given : await given(0, tensor.elements);
    for (const { source, offset, length, bytes } of await tensor.storage.edits(values)) {
      patches.push({ source, offset, length, size: bytes.length, read: async (from, to) => bytes.subarray(from, to) });
    }
  }
  return patches;
}

/** Tied tensors may share bytes of an external file: changing one would change the other unasked. */
function checkOverlap(model: Model, changes: ReadonlyMap<string, NewValues>): void {
  const bySource = new Map<ByteSource, { name: string; offset: number; length: number }[]>();
  for (const tensor of model.tensors.values()) {
    if (!isStoredTensor(tensor) || tensor.storage.kind !== 'bytes') continue;
    for (const { source, offset, length } of tensor.storage.stretches) {
      const here = bySource.get(source) ?? [];
      if (length > 0) here.push({ name: tensor.name, offset, length });
      bySource.set(source, here);
    }
  }
  for (const [source, here] of bySource) {
    here.sort((a, b) => a.offset - b.offset);
    let before = here[0];
    for (const stretch of here.slice(1)) {
      const end = before!.offset + before!.length;
      const isSame = stretch.offset === before!.offset && stretch.length === before!.length;
      // Both are changed: that they get the same is checked by `writtenOnce`.
      if (isSame && changes.has(stretch.name) && changes.has(before!.name)) continue;
      if (stretch.offset < end && (changes.has(stretch.name) || changes.has(before!.name))) {
        throw inputError('WRITE_OVERLAP', 'two tensors share bytes of the file, so one cannot be changed alone', {
          got: `${before!.name} and ${stretch.name}`,
          where: `${source.name} byte ${stretch.offset}`,
        });
      }
      if (stretch.offset + stretch.length > end) before = stretch;
    }
  }
}

async function encodedBytes(tensor: Tensor, values: NewValues, from: number, to: number): Promise<Uint8Array> {
  const perByte = tensor.dtype === 'I4' || tensor.dtype === 'U4' ? 2 : 1 / storedBytes(tensor.dtype, 1);
  const first = Math.floor(from * perByte);
  const last = Math.min(tensor.elements, Math.ceil(to * perByte));
  const chunk = values instanceof Float64Array ? values.subarray(first, last) : await values(first, last);
  if (chunk.length !== last - first) {
    throw inputError('WRITE_SIZE', 'fewer values came than the tensor needs', {
      expected: String(last - first),
      got: String(chunk.length),
      where: tensor.name,
    });
  }
  const skip = from - storedBytes(tensor.dtype, first);
  return encodeElements(tensor.dtype, chunk).subarray(skip, skip + to - from);
}

async function writeFile(
  source: ByteSource,
  patches: readonly Patch[],
  target: string,
  wrote: (bytes: number) => void,
): Promise<void> {
  const mine = patches.filter((patch) => patch.source === source).sort((a, b) => a.offset - b.offset);
  const handle = await open(target, 'wx+', 0o644);
  try {
    let at = 0;
    // How much further on what follows lies in the copy.
    let shift = 0;
    for (const patch of mine) {
      const size = patch.size ?? patch.length;
      await copyRange(source, handle, { start: at, end: patch.offset, shift }, wrote);
      for (let from = 0; from < size; from += CHUNK_ELEMENTS * 8) {
        const to = Math.min(size, from + CHUNK_ELEMENTS * 8);
        await writeAll(handle, await patch.read(from, to), patch.offset + shift + from);
        wrote(to - from);
      }
      at = patch.offset + patch.length;
      shift += size - patch.length;
    }
    await copyRange(source, handle, { start: at, end: source.byteLength, shift }, wrote);
    for (const entry of new Set(mine.flatMap((patch) => patch.entry ?? []))) await renewChecksum(handle, entry);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function copyRange(
  source: ByteSource,
  handle: FileHandle,
  { start, end, shift }: { readonly start: number; readonly end: number; readonly shift: number },
  wrote: (bytes: number) => void,
): Promise<void> {
  for (let at = start; at < end; at += COPY_BYTES) {
    const stop = Math.min(end, at + COPY_BYTES);
    await writeAll(handle, await source.slice(at, stop), at + shift);
    wrote(stop - at);
  }
}

/** A write may be short (a full disk, a signal); the rest is written again until it fails outright. */
async function writeAll(handle: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  let done = 0;
  while (done < bytes.length) {
    const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, position + done);
    done += bytesWritten;
  }
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
