/**
 * The stream that `torch.save` wrote before version 1.6, and still writes when asked to: pickles, then the storages.
 * Source: torch/serialization.py (`_legacy_save`).
 */
import { type ByteSource, Cursor, inputError } from '../base/index.js';
import { BITS } from './elements.js';
import { MAX_TENSORS } from './limits.js';
import type { Found } from './opened.js';
import { readPickle } from './pickle.js';
import { describe, isDict, isList, type PickleValue } from './pickle-value.js';
import type { Stretch } from './stored-tensor.js';
import { allowedInTorch } from './torch-globals.js';
import { type NamedTensors, namedTensors } from './torch-names.js';
import { bytesOf, refuseSize, type StoragePlaces, storedTensors } from './torch-storages.js';

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
export async function readLegacyTorch(source: ByteSource): Promise<Found> {
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
  const tensors = storedTensors(source.name, named, places, bigEndian, () => true);
  return { format: 'pytorch', tensors, graph: null, opset: null, metadata: settings };
}

async function legacyPlaces(
  source: ByteSource,
  start: number,
  keys: PickleValue,
  named: NamedTensors['tensors'],
): Promise<StoragePlaces> {
  const known = new Map(
    named.flatMap(([, tensor]) => ('storage' in tensor ? [[tensor.storage.key, tensor.storage] as const] : [])),
  );
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
