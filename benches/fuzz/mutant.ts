/** The mutant of a reader, a seed and a step: the same bytes on every machine, as long as the files that it is made of are. */
import { type RandomStream, seededRandom } from '../../src/base/index.js';
import { archiveMutation } from './archive.js';
import { BYTE_MUTATIONS, type Mutation, pick, splice } from './bytes.js';
import { headerOf } from './headers.js';
import { jsonMutation } from './json.js';
import { protobufMutation } from './protobuf.js';
import type { Reader, Seed } from './seeds.js';
import { textMutation } from './text.js';

export interface Mutant {
  /** Of the file that is opened: the seed's, since readers look at endings. */
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly beside: ReadonlyMap<string, Uint8Array>;
  /** What was done, for people. */
  readonly how: string;
}

/** Larger files are real ones; they take longer, so that they come less often. */
const SMALL = 100_000;
const LARGE_ONE_IN = 12;
const LONGEST = 4_000_000;

export function mutantOf(reader: Reader, seed: number, step: number): Mutant {
  const random = seededRandom(seed, `fuzz ${reader.name} ${step}`);
  const from = chooseSeed(reader.seeds, random);
  if (reader.headers.length > 0 && random.below(5) === 0) {
    const kind = pick(random, reader.headers);
    return { name: from.name, bytes: headerOf(kind, random.u32() | 0), beside: from.beside, how: `a head of ${kind}` };
  }
  const how: string[] = [];
  const parts = [...from.beside.keys()];
  // A file beside the model is changed instead, now and then: a shard, or what an index names.
  if (parts.length > 0 && random.below(4) === 0) {
    const part = pick(random, parts);
    const changed = changedBytes(from.beside.get(part)!, reader, random, how);
    const beside = new Map(from.beside).set(part, changed);
    return { name: from.name, bytes: from.bytes, beside, how: `${from.name}, ${part}: ${how.join(', ')}` };
  }
  const bytes = changedBytes(from.bytes, reader, random, how);
  return { name: from.name, bytes, beside: from.beside, how: `${from.name}: ${how.join(', ')}` };
}

function chooseSeed(seeds: readonly Seed[], random: RandomStream): Seed {
  const wanted = random.below(LARGE_ONE_IN) === 0 ? 'large' : 'small';
  const fitting = seeds.filter(({ bytes }) => (bytes.length > SMALL ? 'large' : 'small') === wanted);
  return pick(random, fitting.length > 0 ? fitting : seeds);
}

/** Those that know a format do nothing to files of another, and give way. */
const KNOWING: Readonly<Record<string, Mutation>> = {
  text: textMutation,
  json: jsonMutation,
  protobuf: protobufMutation,
  archive: archiveMutation((bytes, random) => jsonMutation(bytes, random) ?? byteChanges(bytes, random, [])),
};

function changedBytes(original: Uint8Array, reader: Reader, random: RandomStream, how: string[]): Buffer {
  const kind = random.below(12);
  if (kind < 5) {
    const names = Object.keys(KNOWING);
    const first = random.below(names.length);
    for (const name of [...names.slice(first), ...names.slice(0, first)]) {
      const changed = KNOWING[name]!(Buffer.from(original), random);
      if (changed === null) continue;
      how.push(name);
      return random.below(4) === 0 ? byteChanges(changed, random, how) : limited(changed);
    }
  }
  if (kind === 11) {
    const other = pick(random, reader.seeds);
    how.push(`spliced with ${other.name}`);
    return limited(splice(original, other.bytes, random));
  }
  return byteChanges(Buffer.from(original), random, how);
}

/** One to four changes, mostly one: a file with many is refused at the first. */
function byteChanges(original: Buffer, random: RandomStream, how: string[]): Buffer {
  let bytes = original;
  for (let count = pick(random, [1, 1, 1, 2, 2, 4]); count > 0; count--) {
    const kind = random.below(8) === 0 ? 'text' : pick(random, COMMON);
    const changed = (kind === 'text' ? textMutation : BYTE_MUTATIONS[kind]!)(bytes, random);
    if (changed === null) continue;
    bytes = limited(changed);
    how.push(kind);
  }
  return bytes;
}

const COMMON = [
  'flip',
  'flip',
  'flip',
  'integer',
  'integer',
  'length field',
  'length field',
  'copy',
  'insert',
  'remove',
  'truncate',
];

const limited = (bytes: Buffer): Buffer => bytes.subarray(0, LONGEST);
