/** PyTorch files in all their forms: one file, or shards with an index as the hubs lay them out. Nothing is executed. */
import { type ByteSource, inputError } from '../base/index.js';
import type { Model } from './model.js';
import { type Found, type ModelFiles, modelOf } from './opened.js';
import { openSharded } from './safetensors.js';
import { readTorchArchive } from './torch-archive.js';
import { looksLikeLegacyTorch, readLegacyTorch } from './torch-legacy.js';
import { openZip, type ZipArchive } from './zip.js';

export { looksLikeLegacyTorch };

export const openLegacyTorch = async (source: ByteSource, files: ModelFiles): Promise<Model> =>
  modelOf(files, await readLegacyTorch(source));

/** @returns null for an archive of something else */
export async function openTorchArchive(archive: ZipArchive, files: ModelFiles): Promise<Model | null> {
  const found = await readTorchArchive(archive, files.main.name);
  return found === null ? null : modelOf(files, found);
}

/** A model in several PyTorch files, listed by a `*.bin.index.json`. @throws `TORCH_LAYOUT` where a shard is none, and those of `openSharded` */
export const openShardedTorch = (index: ByteSource, files: ModelFiles): Promise<Model> =>
  openSharded(index, files, 'pytorch', readShard);

async function readShard(source: ByteSource): Promise<Found> {
  const head = await source.slice(0, Math.min(32, source.byteLength));
  if (looksLikeLegacyTorch(head)) return readLegacyTorch(source);
  const found = await readTorchArchive(await openZip(source), source.name);
  return found ?? refuseShard(source.name);
}

const refuseShard = (where: string): never => {
  throw inputError('TORCH_LAYOUT', 'a shard is no PyTorch file', { where, todo: 'fetch the model again' });
};
