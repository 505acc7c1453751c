/**
 * PyTorch files: the archive that `torch.save` writes since 1.6 (a ZIP with a pickle and one record for each storage),
 * the older stream of pickles and storages, and TorchScript archives. Nothing in them is executed.
 * Source: torch/serialization.py (`_save`, `_legacy_save`), caffe2/serialize/inline_container.h.
 */
import { type ByteSource, Cursor, inputError } from '../base/index.js';
import { BITS } from './elements.js';
import { MAX_PICKLE_BYTES, MAX_TENSORS } from './limits.js';
import type { Model } from './model.js';
import { type ModelFiles, modelOf } from './opened.js';
import { readPickle, walkPickle } from './pickle.js';
import type { AllowedGlobals } from './pickle-machine.js';
import { describe, isDict, isList, type PickleValue } from './pickle-value.js';
import { type StoredTensor, type Stretch, storedTensor } from './stored-tensor.js';
import { stridedStorage } from './strided.js';
import { allowedInScript, allowedInTorch } from './torch-globals.js';
import { namedTensors } from './torch-names.js';
import type { StorageReference, TorchTensor } from './torch-tensor.js';
import type { ZipArchive } from './zip.js';

/** Where the bytes of a storage lie. */
type StoragePlaces = (storage: StorageReference, where: string) => Stretch;

function storedTensors(
  file: string,
  named: readonly (readonly [string, TorchTensor])[],
  places: StoragePlaces,
  bigEndian: boolean,
  writable: boolean,
): readonly StoredTensor[] {
  const tensors: StoredTensor[] = [];
  for (const [name, { storage, dtype, shape, strides, offset }] of named) {
    const where = `${file}, tensor ${name}`;
    const place = places(storage, where);
    const stored = stridedStorage(place, { dtype, shape, strides, offset, bigEndian });
    const tensor = storedTensor('TORCH', name, dtype, shape, stored, where);
    tensors.push({ ...tensor, writable: writable && tensor.writable });
  }
  return tensors;
}

/**
 * An archive of `torch.save`, `torch.jit.save` or their C++ twins.
 * @returns null for an archive that is none of them
 * @throws `TORCH_LAYOUT`, `TORCH_TRUNCATED`, and those of `openZip`, `walkPickle` and `namedTensors`
 */
export async function openTorchArchive(archive: ZipArchive, files: ModelFiles): Promise<Model | null> {
  const pickles = [...archive.entries.keys()].filter(
    (name) => name.split('/').length === 2 && name.endsWith('/data.pkl'),
  );
  const [pickle] = pickles;
  if (pickle === undefined) return null;
  const { name: file } = files.main;
  if (pickles.length > 1) {
    throw inputError('TORCH_LAYOUT', 'the archive holds more than one model', { got: pickles.join(', '), where: file });
  }
  const folder = pickle.slice(0, -'data.pkl'.length);
  const constants = `${folder}constants.pkl`;
  const script = archive.entries.has(constants);
  const allowed = script ? allowedInScript : allowedInTorch;
  const bigEndian = await isBigEndian(archive, `${folder}byteorder`);

  const main = namedTensors(await pickleIn(archive, pickle, allowed), file);
  const tensors = [
    ...(await storedTensors(file, main.tensors, recordsIn(archive, `${folder}data/`), bigEndian, false)),
  ];
  if (script) {
    // The code calls them CONSTANTS.c0, CONSTANTS.c1, …
    const list = await pickleIn(archive, constants, allowed);
    const items = isList(list) ? list.items : [];
    const root: PickleValue = { kind: 'dict', keys: items.map((_, i) => `CONSTANTS.c${i}`), values: [...items] };
    const found = namedTensors(root, file);
    const records = recordsIn(archive, `${folder}constants/`);
    tensors.push(...storedTensors(file, found.tensors, records, bigEndian, false));
  }
  const format = script ? 'torchscript' : 'pytorch';
  return modelOf(files, { format, tensors, graph: null, opset: null, metadata: main.settings });
}

async function pickleIn(archive: ZipArchive, entry: string, allowed: AllowedGlobals): Promise<PickleValue> {
  const bytes = await wholeEntry(archive, entry, MAX_PICKLE_BYTES);
  return walkPickle(bytes, 0, archive.open(entry).name, allowed);
}

async function wholeEntry(archive: ZipArchive, entry: string, most: number): Promise<Uint8Array> {
  const source = archive.open(entry);
  if (source.byteLength > most) {
    throw inputError('PICKLE_TOO_LARGE', 'a part of the archive is larger than any real one', {
      expected: `at most ${most} bytes`,
      got: String(source.byteLength),
      where: source.name,
    });
  }
  return source.slice(0, source.byteLength);
}

async function isBigEndian(archive: ZipArchive, entry: string): Promise<boolean> {
  if (!archive.entries.has(entry)) return false;
  const order = Buffer.from(await wholeEntry(archive, entry, 16)).toString('latin1');
  if (order !== 'little' && order !== 'big') {
    throw inputError('TORCH_LAYOUT', 'the archive has no valid byte order', {
      expected: 'little or big',
      got: JSON.stringify(order),
      where: entry,
    });
  }
  return order === 'big';
}

const bytesOf = ({ elements, dtype }: StorageReference): number => (elements * BITS[dtype]) / 8;

const refuseSize = (expected: number, got: number, where: string): never => {
  throw inputError('TORCH_TRUNCATED', 'a storage is not as long as the pickle says', {
    expected: `${expected} bytes`,
    got: `${got} bytes`,
    where,
    todo: 'the file is truncated or lies about its sizes; fetch it again',
  });
};

const recordsIn =
  (archive: ZipArchive, folder: string): StoragePlaces =>
  (storage, where) => {
    const source = archive.open(folder + storage.key);
    if (source.byteLength < bytesOf(storage)) refuseSize(bytesOf(storage), source.byteLength, where);
    return { source, offset: 0, length: source.byteLength };
  };

/** The first pickle of the older form is this number. */
const MAGIC = Buffer.from('8a0a6cfc9c46f9206aa850192e', 'hex');
const LEGACY_PROTOCOL = 1001;

export const looksLikeLegacyTorch = (head: Uint8Array): boolean => {
  const at = Buffer.from(head.subarray(0, 32)).indexOf(MAGIC);
  return head[0] === 0x80 && (at === 2 || at === 11);
};

/**
 * The older form: pickles of the magic number, the protocol, facts about the machine, the object and the storages' keys;
 * then each storage, its number of elements before it.
 */
export async function openLegacyTorch(source: ByteSource, files: ModelFiles): Promise<Model> {
  let at = 0;
  const next = async (): Promise<PickleValue> => {
    const { value, end } = await readPickle(source, at, source.byteLength, allowedInTorch);
    at = end;
    return value;
  };
  await next();
  const protocol = await next();
  if (protocol !== LEGACY_PROTOCOL) {
    throw inputError('TORCH_LAYOUT', 'the file is of an unknown version', {
      expected: String(LEGACY_PROTOCOL),
      got: describe(protocol),
      where: `${source.name} byte ${at}`,
    });
  }
  const machine = await next();
  const bigEndian = isDict(machine) && machine.values[machine.keys.indexOf('little_endian')] === false;
  const { tensors: named, settings } = namedTensors(await next(), source.name);
  const keys = await next();
  const places = await legacyPlaces(source, at, keys, named);
  const tensors = storedTensors(source.name, named, places, bigEndian, true);
  return modelOf(files, { format: 'pytorch', tensors, graph: null, opset: null, metadata: settings });
}

async function legacyPlaces(
  source: ByteSource,
  start: number,
  keys: PickleValue,
  named: readonly (readonly [string, TorchTensor])[],
): Promise<StoragePlaces> {
  const known = new Map(named.map(([, { storage }]) => [storage.key, storage]));
  const places = new Map<string, Stretch>();
  let at = start;
  if (!isList(keys) || keys.items.length > MAX_TENSORS) {
    throw inputError('TORCH_LAYOUT', 'the file does not list its storages', { where: `${source.name} byte ${start}` });
  }
  for (const item of keys.items) {
    const key = String(item);
    const storage = known.get(key);
    if (typeof item === 'object' || storage === undefined || places.has(key)) {
      throw inputError('TORCH_LAYOUT', 'the file lists a storage that no tensor uses, or one twice', {
        got: describe(item),
        where: `${source.name} byte ${at}`,
      });
    }
    const where = `${source.name} byte ${at}`;
    const head = new Cursor(await source.slice(at, Math.min(at + 8, source.byteLength)), 'TORCH', at);
    const elements = head.safeU64();
    const length = bytesOf(storage);
    if (elements !== storage.elements) refuseSize(length, (elements * BITS[storage.dtype]) / 8, where);
    if (at + 8 + length > source.byteLength) refuseSize(length, source.byteLength - at - 8, where);
    places.set(key, { source, offset: at + 8, length });
    at += 8 + length;
  }
  return (storage, where) => {
    const place = places.get(storage.key);
    if (place === undefined) {
      throw inputError('TORCH_LAYOUT', 'a tensor names a storage that the file does not hold', {
        got: storage.key,
        where,
      });
    }
    if (place.length < bytesOf(storage)) refuseSize(bytesOf(storage), place.length, where);
    return place;
  };
}
