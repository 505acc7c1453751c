/**
 * Known answers from outside: RFC 6962 roots (the eight leaves and the root of size 8 are Certificate Transparency's own
 * test data), the signed note of c2sp.org/signed-note, the tile paths of c2sp.org/tlog-tiles, DSSE's encoding.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { fromHex, fromUtf8, sha256, toHex, utf8 } from '../base/index.js';
import { preAuthEncoding } from './dsse.js';
import {
  consistencyProof,
  inclusionProof,
  leafHash,
  nodeHash,
  rangeRoot,
  type SubtreeHash,
  verifyConsistency,
  verifyInclusion,
} from './merkle.js';
import { parseCheckpoint, parseVerifierKey, verifyNote } from './note.js';
import { tileNumber, tilesOf } from './tiles.js';

const LEAVES = ['', '00', '10', '2021', '3031', '40414243', '5051525354555657', '606162636465666768696a6b6c6d6e6f'].map(
  fromHex,
);
const ROOTS = [
  'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
  '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
  'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
  'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
  'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
  '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
  'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
  '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
];

/** The tree by its definition, RFC 6962 §2.1, for leaves given as bytes. */
function naiveRoot(leaves: readonly Uint8Array[]): Uint8Array {
  if (leaves.length === 0) return sha256();
  if (leaves.length === 1) return leafHash(leaves[0]!);
  let k = 1;
  while (k * 2 < leaves.length) k *= 2;
  return nodeHash(naiveRoot(leaves.slice(0, k)), naiveRoot(leaves.slice(k)));
}

const hashesOf =
  (leaves: readonly Uint8Array[]): SubtreeHash =>
  async (level, index) =>
    naiveRoot(leaves.slice(index * 2 ** level, (index + 1) * 2 ** level));

test('RFC 6962 roots of sizes 0 to 8', async () => {
  for (const [size, root] of ROOTS.entries()) {
    assert.equal(toHex(await rangeRoot(hashesOf(LEAVES.slice(0, size)), 0, size)), root);
  }
});

test('inclusion and consistency proofs hold for every pair, and no changed proof does', async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 70 }), fc.nat(), fc.nat(), async (size, a, b) => {
      const leaves = Array.from({ length: size }, (_, i) => utf8(`leaf ${i}`));
      const [index, older] = [a % size, 1 + (b % size)];
      const root = naiveRoot(leaves);
      const proof = await inclusionProof(hashesOf(leaves), index, size);
      assert.ok(verifyInclusion(leafHash(leaves[index]!), index, size, proof, root));
      const olderRoot = naiveRoot(leaves.slice(0, older));
      const extension = await consistencyProof(hashesOf(leaves), older, size);
      assert.ok(verifyConsistency(older, size, extension, olderRoot, root));
      for (const list of [proof, extension]) {
        for (let i = 0; i < list.length; i++) {
          const bad = list.map((hash, j) => (j === i ? sha256(hash) : hash));
          assert.ok(
            !(list === proof
              ? verifyInclusion(leafHash(leaves[index]!), index, size, bad, root)
              : verifyConsistency(older, size, bad, olderRoot, root)),
          );
        }
        const longer = [...list, root];
        assert.ok(
          !(list === proof
            ? verifyInclusion(leafHash(leaves[index]!), index, size, longer, root)
            : verifyConsistency(older, size, longer, olderRoot, root)),
        );
      }
    }),
    { numRuns: 200 },
  );
});

test('the signed note of the specification', () => {
  const verifier = parseVerifierKey('example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k');
  const line =
    '— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n';
  assert.equal(
    verifyNote(`This is an example message.\n\n${line}`, [verifier], 'note'),
    'This is an example message.\n',
  );
  assert.throws(() => verifyNote(`This is another message.\n\n${line}`, [verifier], 'note'), {
    code: 'NOTE_SIGNATURE',
  });
  assert.throws(() => verifyNote(`This is an example message.\n\n${line}`, [], 'note'), {
    code: 'NOTE_UNKNOWN_SIGNER',
  });
  for (const broken of ['no empty line\n', `a\tb\n\n${line}`, `a\n\n${line}x`, `a\n\n`, `a\n\n— x y\n`]) {
    assert.throws(() => verifyNote(broken, [verifier], 'note'), { name: 'MunimentError' });
  }
});

test('checkpoints have one form', () => {
  assert.equal(parseCheckpoint(`example.com/log\n0\n${Buffer.alloc(32).toString('base64')}\n`, 'c').size, 0);
  for (const text of [
    'a\n01\nAAAA\n',
    'a\n1\n\n',
    `a\n-1\n${Buffer.alloc(32).toString('base64')}\n`,
    `\n1\n${Buffer.alloc(32).toString('base64')}\n`,
    `a\n1\n${Buffer.alloc(31).toString('base64')}\n`,
  ]) {
    assert.throws(() => parseCheckpoint(text, 'c'), /./);
  }
});

test('tile paths and widths of the specification', () => {
  assert.equal(tileNumber(1234067), 'x001/x234/067');
  assert.equal(tileNumber(0), '000');
  const tiles = tilesOf(70_000);
  const widths = (level: number) => tiles.filter((tile) => tile.level === level).map((tile) => tile.width);
  assert.deepEqual([widths(0).length, widths(0).at(-1), widths(1), widths(2)], [274, 112, [256, 17], [1]]);
  assert.deepEqual(
    tilesOf(256).map((tile) => [tile.level, tile.width]),
    [
      [0, 256],
      [1, 1],
    ],
  );
});

test('DSSE pre-authentication encoding', () => {
  assert.equal(
    fromUtf8(preAuthEncoding('http://example.com/HelloWorld', utf8('hello world'))),
    'DSSEv1 29 http://example.com/HelloWorld 11 hello world',
  );
});
