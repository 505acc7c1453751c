/**
 * HDF5: a tree of groups, datasets and attributes. All headers are read on opening, values when they are asked for.
 * Source: HDF5 File Format Specification, versions 2.0 to 4.0 (superblocks 0 to 3).
 */
import type { ByteSource } from '../base/index.js';
import { type Attribute, type Attributes, attributesOf, numbersOf, textsOf } from './hdf5-attributes.js';
import { type ChunkCache, type Dataset, datasetOf } from './hdf5-dataset.js';
import type { Hdf5File } from './hdf5-file.js';
import type { GlobalHeaps } from './hdf5-global-heap.js';
import { linksOf } from './hdf5-groups.js';
import { MESSAGE, type Message, openHdf5File, readObjectHeader } from './hdf5-header.js';
import { MAX_DEFLATE_RATIO, MAX_HDF5_DEPTH, MAX_INFLATED_UNQUESTIONED, MAX_TENSORS } from './limits.js';

export { looksLikeHdf5 } from './hdf5-header.js';
export type { Attributes, Dataset };

export interface Hdf5Group {
  readonly kind: 'group';
  /** `''` for the root, else names joined by `/`. */
  readonly path: string;
  readonly attributes: Attributes;
  /** In the order of the file's index, that of the names. */
  readonly members: ReadonlyMap<string, Hdf5Group | Hdf5Dataset>;
}

export interface Hdf5Dataset {
  readonly kind: 'dataset';
  readonly path: string;
  readonly attributes: Attributes;
  readonly dataset: Dataset;
}

export interface Hdf5 {
  readonly file: Hdf5File;
  readonly root: Hdf5Group;
  /** Null where there is no such attribute, or it is none of texts. */
  texts(attributes: Attributes, name: string): Promise<readonly string[] | null>;
  numbers(attributes: Attributes, name: string): Float64Array | null;
  fail: Hdf5File['fail'];
}

/**
 * @throws `HDF5_TRUNCATED`, `HDF5_MALFORMED`, `HDF5_CHECKSUM`, `HDF5_VERSION`, `HDF5_SIZE_RANGE`, `HDF5_LOOP`,
 * `HDF5_TOO_MANY`, `HDF5_TOO_DEEP`, `HDF5_NAME`, `HDF5_LINK`, `HDF5_SHARED`, `HDF5_MESSAGE`, `HDF5_LAYOUT`,
 * `HDF5_EXTERNAL`, `HDF5_FILTER`, `HDF5_SHAPE`, `HDF5_SIZE`, `HDF5_TOO_LARGE`, `HDF5_BOMB`, `HDF5_OVERLAP`; on reading
 * also `HDF5_INFLATE`
 */
export async function openHdf5(source: ByteSource): Promise<Hdf5> {
  const { file, root } = await openHdf5File(source);
  const cache: ChunkCache = { chunks: new Map(), bytes: 0 };
  const datasets = new Map<number, Hdf5Dataset>();
  let names = 0;
  const open = async (at: number, path: string, depth: number): Promise<Hdf5Group | Hdf5Dataset | null> => {
    // A dataset may have several names; a group would be an ancestor of itself, or could be named without end.
    const known = datasets.get(at);
    file.keep(at, path.length);
    if (known !== undefined) {
      if (++names > MAX_TENSORS) file.fail('TOO_MANY', `more than ${MAX_TENSORS} arrays`, at);
      return { ...known, path };
    }
    if (depth > MAX_HDF5_DEPTH) {
      file.fail('TOO_DEEP', 'groups are nested deeper than in any real file', at, {
        expected: `at most ${MAX_HDF5_DEPTH} levels`,
      });
    }
    const messages = await readObjectHeader(file, at);
    const attributes = await attributesOf(file, messages);
    if (messages.some(({ type }) => type === MESSAGE.layout)) {
      const found = { kind: 'dataset', path, attributes, dataset: datasetOf(file, at, messages, cache) } as const;
      datasets.set(at, found);
      if (++names > MAX_TENSORS) file.fail('TOO_MANY', `more than ${MAX_TENSORS} arrays`, at);
      return found;
    }
    // Types may have names too; they hold nothing.
    return isGroup(messages) ? groupOf(messages, attributes, path, depth) : null;
  };
  const groupOf = async (
    messages: readonly Message[],
    attributes: Attributes,
    path: string,
    depth: number,
  ): Promise<Hdf5Group> => {
    const members = new Map<string, Hdf5Group | Hdf5Dataset>();
    for (const [name, at] of await linksOf(file, messages)) {
      const member = await open(at, path === '' ? name : `${path}/${name}`, depth + 1);
      if (member !== null) members.set(name, member);
    }
    return { kind: 'group', path, attributes, members };
  };
  const opened = await open(root, '', 0);
  if (opened?.kind !== 'group') return file.fail('MALFORMED', 'the root of the file is no group', root);
  checkStored(file, [...datasets.values()]);
  file.opened();
  const heaps: GlobalHeaps = new Map();
  const kept = (attributes: Attributes, name: string): Attribute | null => attributes.get(name) ?? null;
  return {
    file,
    root: opened,
    async texts(attributes, name) {
      const attribute = kept(attributes, name);
      return attribute === null ? null : textsOf(file, heaps, attribute);
    },
    numbers(attributes, name) {
      const attribute = kept(attributes, name);
      return attribute === null ? null : numbersOf(attribute);
    },
    fail: (...facts) => file.fail(...facts),
  };
}

const isGroup = (messages: readonly Message[]): boolean =>
  messages.some(({ type }) =>
    ([MESSAGE.symbolTable, MESSAGE.linkInfo, MESSAGE.link, MESSAGE.groupInfo] as readonly number[]).includes(type),
  );

/** Arrays may not share bytes, nor be much larger than the file, nor have more chunks than it could hold addresses of. */
function checkStored(file: Hdf5File, datasets: readonly Hdf5Dataset[]): void {
  const { byteLength } = file.source;
  let declared = 0;
  let chunks = 0;
  for (const { dataset } of datasets) {
    declared += dataset.elements * dataset.type.size;
    chunks += dataset.chunks;
    if (
      (declared > MAX_INFLATED_UNQUESTIONED && declared > MAX_DEFLATE_RATIO * byteLength) ||
      chunks * file.offsetSize > byteLength
    ) {
      file.fail('BOMB', 'the arrays are far larger than the file that holds them', dataset.at, {
        expected: `at most ${MAX_DEFLATE_RATIO} bytes from each byte`,
        got: `${declared} bytes in ${chunks} chunks from ${byteLength}`,
        todo: 'the file was made to exhaust memory; where you trust its origin, write it again without chunks',
      });
    }
  }
  const stretches = datasets.flatMap(({ dataset }) => (dataset.stretch === null ? [] : [dataset.stretch]));
  stretches.sort((a, b) => a.at - b.at);
  for (const [i, { at, length }] of stretches.entries()) {
    const next = stretches[i + 1];
    if (next !== undefined && next.at < at + length) {
      file.fail('OVERLAP', 'two arrays share bytes of the file', next.at, {
        expected: `an array behind byte ${at + length}`,
      });
    }
  }
}
