/** What the vault keeps of a recorded model, so that copies can be recognised later. */
import { createHash } from 'node:crypto';
import {
  type ByteSource,
  environmentError,
  fileSource,
  inputError,
  memorySource,
  noProgress,
  type Progress,
} from '../base/index.js';
import { buildSafetensors, type DType, type Model, openModel, type SafetensorsEntry } from '../formats/index.js';
import type { ContentDigest, NamedFile } from './digest.js';
import type { Keep } from './kinds.js';
import type { RecordingRoom } from './recording-room.js';
import type { Asset } from './registry.js';

/** Bytes up to which `full` is the default: a gigabyte is kept without being missed, a hundred are not. */
export const FULL_BY_DEFAULT = 1024 ** 3;
/** Weights in a sample: two of the largest matrices of a seven-billion-weight net, and 128 MiB in memory while it is made. */
export const SAMPLE_WEIGHTS = 2 ** 25;

/** Types that a sample can hold exactly as float32 or float64. */
const SAMPLED: ReadonlySet<DType> = new Set(['F64', 'F32', 'F16', 'BF16', 'I8', 'U8', 'I16', 'U16', 'I32', 'U32']);

export const defaultKeep = (bytes: number): Keep => (bytes <= FULL_BY_DEFAULT ? 'full' : 'sample');

/** Name in the vault of one file of a kept model; the index is its place in the sorted list of files. */
export const referenceName = (sha256: string, keep: Keep, index = 0): string => `reference/${sha256}/${keep}-${index}`;

/**
 * Puts what `keep` says into the vault, unless it is there.
 * @param files the main file first; names relative to its folder
 * @throws `VAULT_LOCKED`; `RECORD_CHANGED` when a file is not what was hashed
 */
export async function keepModel(
  room: RecordingRoom,
  digest: ContentDigest,
  files: readonly NamedFile[],
  keep: Keep,
  progress?: (label: string) => Progress,
): Promise<void> {
  if (keep === 'none') return;
  const vault = vaultOf(room);
  const there = new Set(await vault.list());
  if (keep === 'sample') {
    const name = referenceName(digest.sha256, 'sample');
    if (!there.has(name)) await vault.putFile(await sampleOf(files[0]!.file), name);
    return;
  }
  for (const [index, hashed] of digest.files.entries()) {
    const name = referenceName(digest.sha256, 'full', index);
    if (there.has(name)) continue;
    const { file } = files.find((one) => digest.files.length === 1 || one.name === hashed.path)!;
    const bar = progress?.(`keeping ${hashed.path}`) ?? noProgress;
    const source = hashingSource(await fileSource(file), bar);
    try {
      await vault.putFile(source, name);
      if (source.sha256() !== hashed.sha256) {
        await vault.remove(name);
        throw inputError('RECORD_CHANGED', 'the model changed while it was recorded', {
          where: file,
          todo: 'wait until nothing writes to it, and record it again',
        });
      }
    } finally {
      await source.close();
    }
  }
}

/**
 * The kept model, read through the vault: nothing is written in clear.
 * @returns null where nothing is kept (`--keep none`); `complete` is false for a sample
 * @throws `VAULT_LOCKED`
 */
export async function openReference(
  room: RecordingRoom,
  asset: Asset,
): Promise<{ model: Model; complete: boolean } | null> {
  const keep = asset.keep ?? 'none';
  if (keep === 'none') return null;
  const vault = vaultOf(room);
  const open = (index: number): Promise<ByteSource> => vault.openFile(referenceName(asset.sha256, keep, index));
  if (keep === 'sample') return { model: await openModel(await open(0)), complete: false };
  const listed = asset.predicate.content as { method: string; manifest?: readonly { path: string }[] };
  if (listed.method === 'file') return { model: await openModel(await open(0)), complete: true };
  const names = (listed.manifest ?? []).map((file) => file.path);
  const main = names.indexOf(String(asset.predicate.main));
  const beside = async (name: string): Promise<ByteSource | null> => {
    const index = names.indexOf(name);
    return index === -1 ? null : open(index);
  };
  // The name says that it is an index of shards; the vault's own name does not.
  const source: ByteSource = renamed(await open(main), names[main]!);
  return { model: await openModel(source, beside), complete: true };
}

const renamed = (inner: ByteSource, name: string): ByteSource => ({
  byteLength: inner.byteLength,
  name,
  slice: (start, end) => inner.slice(start, end),
  close: () => inner.close(),
});

function vaultOf(room: RecordingRoom): NonNullable<RecordingRoom['vault']> {
  if (room.vault !== null) return room.vault;
  throw environmentError('VAULT_LOCKED', 'the room was opened without its vault', {
    expected: 'MUNIMENT_PASSPHRASE or --key-file FILE',
    todo: 'open it with its passphrase',
  });
}

/** Hashes what is read through it from beginning to end, so that what was kept is what was hashed before. */
function hashingSource(inner: ByteSource, progress: Progress): ByteSource & { sha256(): string } {
  const hash = createHash('sha256');
  let at = 0;
  return {
    byteLength: inner.byteLength,
    name: inner.name,
    close: () => inner.close(),
    async slice(start, end) {
      const bytes = await inner.slice(start, end);
      if (start === at) {
        hash.update(bytes);
        at = end;
        progress.update(at, inner.byteLength);
      }
      return bytes;
    },
    sha256: () => (at === inner.byteLength ? hash.digest('hex') : ''),
  };
}

/** Whole tensors, in file order, as they fit into `SAMPLE_WEIGHTS`, as one safetensors file. */
async function sampleOf(file: string): Promise<ByteSource> {
  const model = await openModel(file);
  try {
    // Without a prototype: a tensor may be called `__proto__`.
    const entries = Object.create(null) as Record<string, SafetensorsEntry>;
    let left = SAMPLE_WEIGHTS;
    for (const tensor of model.tensors.values()) {
      if (tensor.elements > left || tensor.elements === 0 || !SAMPLED.has(tensor.dtype)) continue;
      const values = await tensor.read(0, tensor.elements);
      const narrow = tensor.dtype === 'F64' || tensor.dtype.endsWith('32') ? tensor.dtype === 'F32' : true;
      entries[tensor.name] = {
        dtype: tensor.dtype,
        shape: tensor.shape,
        values: narrow ? Float32Array.from(values) : values,
      };
      left -= tensor.elements;
    }
    return memorySource(buildSafetensors(entries, { 'muniment.sample': 'whole tensors in file order' }), 'sample');
  } finally {
    await model.close();
  }
}
