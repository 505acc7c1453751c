/**
 * Writes a changed copy of a model: byte for byte the original, with the values of some tensors replaced in their own
 * type. Lengths never change, so nothing else of the file has to be understood, moved or lost.
 */
import { type FileHandle, mkdir, open, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { type ByteSource, inputError, noProgress, type Progress, usageError } from '../base/index.js';
import { encodeElements, storedBytes } from './elements.js';
import type { Model, Tensor } from './model.js';
import { isStoredTensor, type Stretch } from './stored-tensor.js';

/** New values of one tensor: all of them, or a function that gives elements [start, end), for tensors too large to hold. */
export type NewValues = Float64Array | ((start: number, end: number) => Promise<Float64Array>);

/** Elements encoded at a time; even, so that 4-bit elements fill whole bytes. */
const CHUNK_ELEMENTS = 2 ** 20;
const COPY_BYTES = 4 * 1024 * 1024;

/**
 * Writes to `outPath`: a file for a model in one file; for shards or external data, the file with its parts beside it.
 * Nothing is left at `outPath` on failure; the folder entry appears only after the bytes are on disk.
 * @throws `WRITE_UNKNOWN_TENSOR`, `WRITE_NOT_WRITABLE`, `WRITE_SIZE`, `WRITE_EXISTS`, `WRITE_OVER_ORIGINAL`
 */
export async function writeModel(
  model: Model,
  changes: ReadonlyMap<string, NewValues>,
  outPath: string,
  progress: Progress = noProgress,
): Promise<void> {
  const patches = patchesOf(model, changes);
  const [main, ...parts] = model.sources;
  const folder = path.dirname(outPath);
  const targets = [
    ...parts.map((source) => ({ source, target: path.join(folder, relativeTo(main!, source)) })),
    { source: main!, target: outPath },
  ];
  const total = model.sources.reduce((sum, source) => sum + source.byteLength, 0);
  const written: string[] = [];
  let done = 0;
  try {
    for (const { source, target } of targets) {
      if (path.resolve(target) === path.resolve(source.name)) {
        throw usageError('WRITE_OVER_ORIGINAL', 'the copy would replace the original', {
          where: target,
          todo: 'choose another --out',
        });
      }
      await mkdir(path.dirname(target), { recursive: true });
      const temporary = `${target}.partial`;
      written.push(temporary);
      await writeFile(source, patches, temporary, (bytes) => {
        done += bytes;
        progress.update(done, total, path.basename(target));
      });
    }
    for (const [index, { target }] of targets.entries()) await rename(written[index]!, target);
    await syncFolder(folder);
  } catch (error) {
    for (const temporary of written) await rm(temporary, { force: true });
    throw error;
  }
}

const relativeTo = (main: ByteSource, part: ByteSource): string =>
  path.relative(path.dirname(path.resolve(main.name)), path.resolve(part.name));

interface Patch extends Stretch {
  /** Bytes [from, to) of this tensor's packed values. */
  read(from: number, to: number): Promise<Uint8Array>;
}

function patchesOf(model: Model, changes: ReadonlyMap<string, NewValues>): readonly Patch[] {
  const patches: Patch[] = [];
  for (const [name, values] of changes) {
    const tensor = model.tensors.get(name);
    if (tensor === undefined) throw inputError('WRITE_UNKNOWN_TENSOR', 'the model has no such tensor', { where: name });
    if (!isStoredTensor(tensor) || !tensor.writable || tensor.storage.kind !== 'bytes') {
      throw inputError(
        'WRITE_NOT_WRITABLE',
        'this tensor is stored in a form whose values cannot be replaced in place',
        {
          where: name,
          todo: 'export the model with raw_data (the default of every current exporter)',
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
    let base = 0;
    for (const stretch of tensor.storage.stretches) {
      const start = base;
      patches.push({ ...stretch, read: (from, to) => encodedBytes(tensor, values, start + from, start + to) });
      base += stretch.length;
    }
  }
  return patches;
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
  const handle = await open(target, 'w', 0o644);
  try {
    let at = 0;
    for (const patch of mine) {
      if (patch.offset < at)
        throw inputError('WRITE_OVERLAP', 'two tensors share bytes of the file', {
          where: `${source.name} byte ${patch.offset}`,
        });
      await copyRange(source, handle, at, patch.offset, wrote);
      for (let from = 0; from < patch.length; from += CHUNK_ELEMENTS * 8) {
        const to = Math.min(patch.length, from + CHUNK_ELEMENTS * 8);
        await writeAll(handle, await patch.read(from, to), patch.offset + from);
        wrote(to - from);
      }
      at = patch.offset + patch.length;
    }
    await copyRange(source, handle, at, source.byteLength, wrote);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function copyRange(
  source: ByteSource,
  handle: FileHandle,
  start: number,
  end: number,
  wrote: (bytes: number) => void,
): Promise<void> {
  for (let at = start; at < end; at += COPY_BYTES) {
    const stop = Math.min(end, at + COPY_BYTES);
    await writeAll(handle, await source.slice(at, stop), at);
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
