/** Marked trees before an expert: the line recomputed from what a bundle opens, and the release made again. */
import assert from 'node:assert/strict';
import { copyFileSync, cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { fixedClock, utf8 } from '../base/index.js';
import { checkSuspect } from '../detect/index.js';
import { release, releaseRoom } from '../mark/index.js';
import { dataOf, treeVector } from '../mark/testing/trees.js';
import { recordAsset } from '../record/index.js';
import { initRoom, type Room } from '../room/index.js';
import { bundlePaths } from './bundle.js';
import { DIGEST_LIST, DIGEST_LIST_SIGNATURE, digestsBelow, formatDigestList } from './digest-list.js';
import { proveBundle, verifyBundle } from './index.js';

const dir = mkdtempSync(path.join(os.tmpdir(), 'tree-evidence-'));
const at = (...names: string[]): string => path.join(dir, ...names);
after(() => rmSync(dir, { recursive: true }));
let room: Room;
let id = '';

before(async () => {
  room = await initRoom(at('.muniment'), {
    passphrase: 'test',
    owner: 'Example Works',
    vaultCost: 1024,
    clock: fixedClock('2026-05-04T10:00:00Z'),
  });
  copyFileSync(treeVector('fleet.txt'), at('fleet.txt'));
  await recordAsset(room, { kind: 'model', name: 'pump trees' }, [at('fleet.txt')]);
  const owner = releaseRoom(room);
  const request = { model: 'pump trees', recipient: 'Harbour Works', out: at('copy.txt'), data: dataOf('fleet.txt') };
  id = (await release(owner, request)).release;
  await checkSuspect(owner, at('copy.txt'), { keep: true });
  await proveBundle(room, { target: 'last', out: at('expert'), expert: true });
  await proveBundle(room, { target: id, out: at('whole'), expert: true, allBatches: true });
});

const step = (report: Awaited<ReturnType<typeof verifyBundle>>, name: string) =>
  report.steps.find((one) => one.step === name);

test('the line of one batch is recomputed from the opened arrays and gaps', async () => {
  const report = await verifyBundle(at('expert'), null, { suspect: at('copy.txt') });
  assert.equal(report.result, 'consistent', report.says);
  assert.equal(report.numbers, 'recomputed');
  const [line] = report.lines;
  assert.equal(line!.test, 'threshold jitter');
  assert.ok(line!.log10p < -6, `${line!.log10p}`);
  assert.match(String(line!.detail.correction), /batches that could have been opened/);
  assert.deepEqual([step(report, 'suspect')?.outcome, step(report, 'numbers')?.outcome], ['holds', 'holds']);
  assert.match(readFileSync(at('expert', 'report.html'), 'utf8'), /places that the opened key drew/);
});

test('the release is made again from the original, every seed and the gaps, bit for bit', async () => {
  const report = await verifyBundle(at('whole'), null, { original: at('fleet.txt'), released: at('copy.txt') });
  assert.equal(report.release?.recomputed, true, report.says);
  const other = await verifyBundle(at('whole'), null, { original: treeVector('holes.txt') });
  assert.equal(other.error?.code, 'MARK_ORIGINAL_FILE');
});

/** A bundle with one file changed, its digests listed and signed anew by the owner. */
async function forged(name: string, bundle: string, file: string, change: (value: Json) => Json): Promise<string> {
  cpSync(at(bundle), at(name), { recursive: true });
  writeFileSync(at(name, file), JSON.stringify(change(JSON.parse(readFileSync(at(name, file), 'utf8')) as Json)));
  const list = utf8(formatDigestList(await digestsBelow(at(name))));
  writeFileSync(at(name, DIGEST_LIST), list);
  writeFileSync(at(name, DIGEST_LIST_SIGNATURE), room.ledger.sign(list));
  return at(name);
}

interface OpenedFile {
  tensors: { tensor: string; values: string; rows: unknown[] }[];
}
type Json = Record<string, unknown>;

test('other gaps, arrays left out or twice, other numbers: refused', async () => {
  assert.ok(readdirSync(at('expert', 'recompute')).includes('original.json'));
  const change = (file: string, by: (opened: OpenedFile) => void) => (name: string) =>
    forged(name, 'expert', file, (value) => {
      by(value as unknown as OpenedFile);
      return value;
    });
  const gaps = (opened: OpenedFile) => opened.tensors.find(({ tensor }) => tensor.includes('gaps'))!;
  const cases: readonly (readonly [string, (name: string) => Promise<string>])[] = [
    [
      'MARK_ROW_NOT_COMMITTED',
      change(bundlePaths.original, (opened) => {
        const bytes = Buffer.from(gaps(opened).values, 'base64');
        bytes.writeDoubleLE(bytes.readDoubleLE(16) - 1, 16);
        gaps(opened).values = bytes.toString('base64');
      }),
    ],
    ['BUNDLE_ROWS', change(bundlePaths.original, (opened) => void opened.tensors.pop())],
    ['BUNDLE_ROWS', change(bundlePaths.suspect, (opened) => void opened.tensors.push(opened.tensors[0]!))],
    [
      'BUNDLE_NUMBER',
      (name) =>
        forged(name, 'expert', bundlePaths.claims, (value) => {
          const [line] = value.lines as { statistic: number }[];
          line!.statistic += 1;
          return value;
        }),
    ],
    [
      'MARK_SEED_COMMITMENT',
      (name) => forged(name, 'expert', bundlePaths.keys, (value) => ({ ...value, seed: '0'.repeat(64) })),
    ],
    [
      'MARK_ORIGINAL_COMMITMENT',
      (name) => forged(name, 'whole', bundlePaths.release, (value) => ({ ...value, gaps: [] })),
    ],
  ];
  for (const [index, [code, make]] of cases.entries()) {
    const bundle = await make(`forged-${index}`);
    const report = await verifyBundle(
      bundle,
      null,
      code === 'MARK_ORIGINAL_COMMITMENT' ? { original: at('fleet.txt') } : {},
    );
    assert.equal(report.error?.code, code, `case ${index}: ${report.error?.message}`);
  }
});
