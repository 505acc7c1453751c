/** ZIP archives, honest and hostile; the honest ones are checked against Python's zipfile in vectors/formats. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { countingSource, memorySource } from '../base/index.js';
import { buildZip, type Packed } from './testing/archives.js';
import { refusal } from './testing/files.js';
import { openZip } from './zip.js';

const text = (value: string): Uint8Array => Buffer.from(value);
const noise = (length: number): Uint8Array => Uint8Array.from({ length }, (_, i) => (i * i * 31 + (i >> 5)) & 255);

test('entries are found and read: stored, deflated, zip64, with a comment', async () => {
  const files: readonly Packed[] = [
    { name: 'a/stored.bin', bytes: noise(1000) },
    { name: 'a/deflated.bin', bytes: noise(300_000), deflate: true },
    { name: 'empty', bytes: new Uint8Array(0) },
    { name: 'empty too', bytes: new Uint8Array(0), deflate: true },
    { name: 'ü✓', bytes: text('text') },
  ];
  for (const options of [{}, { align: 64 }, { zip64: true }, { comment: 'PK\x05\x06 is no end' }]) {
    const archive = await openZip(memorySource(buildZip(files, options)));
    assert.deepEqual([...archive.entries.keys()].sort(), files.map(({ name }) => name).sort());
    for (const { name, bytes } of files) {
      const source = archive.open(name);
      assert.equal(source.byteLength, bytes.length);
      assert.deepEqual(Buffer.from(await source.slice(0, bytes.length)), Buffer.from(bytes), name);
    }
  }
});

test('of a stored entry only what is asked for is read', async () => {
  const source = countingSource(memorySource(buildZip([{ name: 'w', bytes: new Uint8Array(1_000_000) }])));
  const archive = await openZip(source);
  const before = source.bytesRead;
  await archive.open('w').slice(500_000, 500_100);
  assert.equal(source.bytesRead - before, 30 + 1 + 100);
});

test('a deflated entry reads the same in any order, at once and with others between', async () => {
  const one = noise(400_000);
  const two = noise(100_000).map((x) => x ^ 85);
  const range = fc.tuple(fc.boolean(), fc.nat(100_000), fc.nat(100_000));
  const archive = await openZip(
    memorySource(
      buildZip([
        { name: '1', bytes: one, deflate: true },
        { name: '2', bytes: two, deflate: true },
      ]),
    ),
  );
  const sources = [archive.open('1'), archive.open('2')] as const;
  await fc.assert(
    fc.asyncProperty(fc.array(range, { minLength: 1, maxLength: 6 }), async (ranges) => {
      const reads = ranges.map(async ([second, x, y]) => {
        const [start, end] = x < y ? [x, y] : [y, x];
        const read = await sources[second ? 1 : 0].slice(start, end);
        assert.deepEqual(Buffer.from(read), Buffer.from((second ? two : one).subarray(start, end)));
      });
      await Promise.all(reads);
    }),
    { seed: 7, numRuns: 60 },
  );
});

const b = text('content');
const LIES: readonly (readonly [what: string, archive: Uint8Array, code: string])[] = [
  ['cut short', buildZip([{ name: 'a', bytes: b }]).subarray(0, -1), 'ZIP_TRUNCATED'],
  ['a byte before', Buffer.concat([Buffer.from('x'), buildZip([{ name: 'a', bytes: b }])]), 'ZIP_DIRECTORY'],
  ['..', buildZip([{ name: '../../etc/cron.d/x', bytes: b }]), 'ZIP_NAME'],
  ['.. inside', buildZip([{ name: 'a/../../x', bytes: b }]), 'ZIP_NAME'],
  ['absolute', buildZip([{ name: '/etc/passwd', bytes: b }]), 'ZIP_NAME'],
  ['drive', buildZip([{ name: 'C:x', bytes: b }]), 'ZIP_NAME'],
  ['backslash', buildZip([{ name: '..\\x', bytes: b }]), 'ZIP_NAME'],
  ['NUL', buildZip([{ name: 'a\0b', bytes: b }]), 'ZIP_NAME'],
  ['no name', buildZip([{ name: '', bytes: b }]), 'ZIP_NAME'],
  [
    'twice',
    buildZip([
      { name: 'a', bytes: b },
      { name: 'a', bytes: b },
    ]),
    'ZIP_DUPLICATE',
  ],
  ['encrypted', buildZip([{ name: 'a', bytes: b, lie: { flags: 1 } }]), 'ZIP_ENCRYPTED'],
  ['lzma', buildZip([{ name: 'a', bytes: b, lie: { method: 14 } }]), 'ZIP_METHOD'],
  ['two sizes', buildZip([{ name: 'a', bytes: b, lie: { size: 8 } }]), 'ZIP_SIZE'],
  ['beyond', buildZip([{ name: 'a', bytes: b, lie: { size: 999, packed: 999 } }]), 'ZIP_OVERLAP'],
  [
    'one place for two',
    buildZip([
      { name: 'a', bytes: b },
      { name: 'b', bytes: b, lie: { at: 0 } },
    ]),
    'ZIP_OVERLAP',
  ],
  ['other name', buildZip([{ name: 'a', bytes: b, lie: { localName: 'b' } }]), 'ZIP_LOCAL_HEADER'],
  ['too small', buildZip([{ name: 'a', bytes: noise(900), deflate: true, lie: { size: 800 } }]), 'ZIP_SIZE'],
  ['too large', buildZip([{ name: 'a', bytes: noise(900), deflate: true, lie: { size: 999 } }]), 'ZIP_SIZE'],
  ['checksum', buildZip([{ name: 'a', bytes: noise(900), deflate: true, lie: { crc: 1 } }]), 'ZIP_CRC'],
  ['no deflate', buildZip([{ name: 'a', bytes: text('\xff\xff\xff'), lie: { method: 8 } }]), 'ZIP_INFLATE'],
  ['bomb', buildZip([{ name: 'a', bytes: new Uint8Array(70_000_000), deflate: true }]), 'ZIP_BOMB'],
];

test('every lie of an archive has its refusal', async () => {
  for (const [what, bytes, code] of LIES) {
    const all = async (): Promise<void> => {
      const archive = await openZip(memorySource(bytes));
      for (const name of archive.entries.keys()) {
        const source = archive.open(name);
        await source.slice(0, source.byteLength);
      }
    };
    await assert.rejects(all(), refusal(code), what);
  }
});

test('a bomb that lies about its size stops at the declared size', async () => {
  const bytes = buildZip([{ name: 'a', bytes: new Uint8Array(200_000_000), deflate: true, lie: { size: 10 } }]);
  const source = (await openZip(memorySource(bytes))).open('a');
  await assert.rejects(source.slice(0, 10), refusal('ZIP_SIZE'));
});
