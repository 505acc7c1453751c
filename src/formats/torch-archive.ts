/**
 * The archive that `torch.save` writes since version 1.6, and TorchScript archives: a ZIP with a pickle, and one record for
 * each storage. Source: torch/serialization.py (`_save`), caffe2/serialize/inline_container.h.
 */
import { inputError } from '../base/index.js';
import { MAX_PICKLE_BYTES } from './limits.js';
import type { Found } from './opened.js';
import { walkPickle } from './pickle.js';
import type { AllowedGlobals } from './pickle-machine.js';
import { isList, type PickleValue } from './pickle-value.js';
import type { Stretch } from './stored-tensor.js';
import { allowedInScript, allowedInTorch } from './torch-globals.js';
import { namedTensors } from './torch-names.js';
import { bytesOf, refuseSize, type StoragePlaces, storedTensors } from './torch-storages.js';
import { storedEntry, type ZipArchive } from './zip.js';

/**
 * An archive of `torch.save`, `torch.jit.save` or their C++ twins.
 * @returns null for an archive that is none of them
 * @throws `TORCH_LAYOUT`, `TORCH_TRUNCATED`, and those of `openZip`, `walkPickle` and `namedTensors`
 */
export async function readTorchArchive(archive: ZipArchive, file: string): Promise<Found | null> {
  const pickles = [...archive.entries.keys()].filter(
    (name) => name.split('/').length === 2 && name.endsWith('/data.pkl'),
  );
  const [pickle] = pickles;
  if (pickle === undefined) return null;
  if (pickles.length > 1) {
    throw inputError('TORCH_LAYOUT', 'the archive holds more than one model', { got: pickles.join(', '), where: file });
  }
  const folder = pickle.slice(0, -'data.pkl'.length);
  const constants = `${folder}constants.pkl`;
  const script = archive.entries.has(constants);
  const allowed = script ? allowedInScript : allowedInTorch;
  const bigEndian = await isBigEndian(archive, `${folder}byteorder`);

  const main = namedTensors(await pickleIn(archive, pickle, allowed), file);
  const tensors = [...storedTensors(file, main.tensors, recordsIn(archive, `${folder}data/`), bigEndian, isStored)];
  if (script) {
    // The code calls them CONSTANTS.c0, CONSTANTS.c1, …
    const list = await pickleIn(archive, constants, allowed);
    const items = isList(list) ? list.items : [];
    const root: PickleValue = { kind: 'dict', keys: items.map((_, i) => `CONSTANTS.c${i}`), values: [...items] };
    const found = namedTensors(root, file);
    const records = recordsIn(archive, `${folder}constants/`);
    tensors.push(...storedTensors(file, found.tensors, records, bigEndian, isStored));
  }
  const format = script ? 'torchscript' : 'pytorch';
  return { format, tensors, graph: null, opset: null, metadata: main.settings };
}

const isStored = ({ source }: Stretch): boolean => storedEntry(source) !== null;

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

const recordsIn =
  (archive: ZipArchive, folder: string): StoragePlaces =>
  (storage, where) => {
    const source = archive.open(folder + storage.key);
    if (source.byteLength < bytesOf(storage)) refuseSize(bytesOf(storage), source.byteLength, where);
    return { source, offset: 0, length: source.byteLength };
  };
