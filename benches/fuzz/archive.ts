/** Changes what is inside an archive and packs it anew, so that the change is met by the reader of the entry and not by the checksum. */
import { inflateRawSync } from 'node:zlib';
import type { RandomStream } from '../../src/base/index.js';
import { buildZip, type Packed } from '../../src/formats/testing/archives.js';
import { type Mutation, pick, strangeInteger } from './bytes.js';

const END = 0x06054b50;
const ENTRY = 0x02014b50;
const MOST_ENTRIES = 500;

/** The entries as the directory has them; null where this is no plain archive. */
export function unpack(bytes: Buffer): readonly Packed[] | null {
  const end = bytes.length - 22;
  if (end < 0 || bytes.readUInt32LE(end) !== END) return null;
  const entries: Packed[] = [];
  let at = bytes.readUInt32LE(end + 16);
  for (let count = bytes.readUInt16LE(end + 10); count > 0; count--) {
    if (at + 46 > bytes.length || bytes.readUInt32LE(at) !== ENTRY || entries.length > MOST_ENTRIES) return null;
    const [packed, named, extra, noted] = [20, 28, 30, 32].map((offset, i) =>
      i === 0 ? bytes.readUInt32LE(at + offset) : bytes.readUInt16LE(at + offset),
    ) as [number, number, number, number];
    const header = bytes.readUInt32LE(at + 42);
    if (header + 30 > bytes.length) return null;
    const start = header + 30 + bytes.readUInt16LE(header + 26) + bytes.readUInt16LE(header + 28);
    const held = bytes.subarray(start, start + packed);
    const deflate = bytes.readUInt16LE(at + 10) === 8;
    const name = bytes.toString('utf8', at + 46, at + 46 + named);
    entries.push({ name, bytes: deflate ? inflateRawSync(held) : held, deflate });
    at += 46 + named + extra + noted;
  }
  return entries.length === 0 ? null : entries;
}

const NAMES = [
  '../escapes',
  '/etc/passwd',
  'a/../../b',
  '',
  'archive/data.pkl',
  'data.pkl',
  'a\\b',
  'C:\\a',
  '\u0000',
  'a/',
];

/** What the records of an entry say instead of the truth. */
export function lieOf(length: number, random: RandomStream): NonNullable<Packed['lie']> {
  const value = Number(BigInt.asUintN(32, strangeInteger(4, length, random)));
  const field = pick(random, ['size', 'packed', 'flags', 'method', 'crc', 'at'] as const);
  if (field === 'flags' || field === 'method') return { [field]: value & 0xffff };
  return random.below(6) === 0 ? { localName: pick(random, NAMES) } : { [field]: value };
}

/** @param changes what may become of an entry's bytes */
export const archiveMutation =
  (changes: (bytes: Buffer, random: RandomStream) => Buffer): Mutation =>
  (bytes, random) => {
    const entries = unpack(bytes);
    if (entries === null) return null;
    const chosen = random.below(2) === 0 ? smallest(entries) : random.below(entries.length);
    const changed = entries.flatMap((entry, i): readonly Packed[] => {
      if (i !== chosen) return [entry];
      switch (random.below(10)) {
        case 0:
          return [];
        case 1:
          return [entry, { ...entry, name: random.below(2) === 0 ? entry.name : pick(random, entries).name }];
        case 2:
          return [{ ...entry, name: pick(random, NAMES) }];
        case 3:
          return [{ ...entry, lie: lieOf(bytes.length, random) }];
        default:
          return [{ ...entry, bytes: changes(Buffer.from(entry.bytes), random) }];
      }
    });
    const options = { align: pick(random, [1, 64]), zip64: random.below(4) === 0 };
    return buildZip(changed, options);
  };

/** Heads and pickles are in the entries whose names say so; else any. */
function smallest(entries: readonly Packed[]): number {
  const at = entries.findIndex(({ name }) => /\.(pkl|json|py)$/.test(name));
  return at === -1 ? 0 : at;
}
