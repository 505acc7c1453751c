/** A release opened whole, and made again by someone who has the bundle and the original, and no room. */
import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { initialDense } from '../align/testing/dense.js';
import { fixedClock, seededRandom, utf8 } from '../base/index.js';
import { checkSuspect } from '../detect/index.js';
import { roundAfter, verifyBeacon } from '../ledger/index.js';
import { testNetwork } from '../ledger/time/testing/network.js';
import { type BeaconSource, release, releaseRoom } from '../mark/index.js';
import { denseOnnx } from '../mark/testing/room.js';
import { collect, recordAsset } from '../record/index.js';
import { initRoom, type Room } from '../room/index.js';
import { type BundleAbout, bundlePaths } from './bundle.js';
import { DIGEST_LIST, DIGEST_LIST_SIGNATURE, digestsBelow, formatDigestList } from './digest-list.js';
import { proveBundle, readTrust, type Trust, type VerifyOptions, verifyBundle } from './index.js';

const dir = mkdtempSync(path.join(os.tmpdir(), 'recompute-'));
const at = (...names: string[]): string => path.join(dir, ...names);
const NOW = '2026-05-04T10:00:00Z';
const network = testNetwork('a test network', Date.parse('2026-01-01T00:00:00Z') / 1000);
const beacon: BeaconSource = async (notBefore) => {
  const first = roundAfter(notBefore, network.chain);
  return { ...verifyBeacon(network.round(first), network.chain), first };
};
const first = roundAfter(new Date(NOW), network.chain);

let room: Room;
let trust: Trust;
let id = '';
let logged: readonly unknown[] = [];

before(async () => {
  room = await initRoom(at('.muniment'), {
    passphrase: 'test',
    owner: 'Example Works',
    vaultCost: 1024,
    clock: fixedClock(NOW),
  });
  writeFileSync(at('net.onnx'), denseOnnx(initialDense([8, 16, 16, 2], seededRandom(1))));
  await recordAsset(room, { kind: 'model', name: 'pump model' }, [at('net.onnx')]);
  const owner = releaseRoom(room);
  const request = { model: 'pump model', recipient: 'Harbour Works', out: at('copy.onnx') };
  id = (await release(owner, request, { beacon })).release;
  await release(owner, { model: 'pump model', recipient: 'Northmill', out: at('other.onnx') });
  await checkSuspect(owner, at('copy.onnx'), { keep: true });
  await proveBundle(room, { target: 'last', out: at('one-batch'), expert: true });
  await proveBundle(room, { target: 'last', out: at('check-and-whole'), expert: true, allBatches: true });
  const proved = await proveBundle(room, { target: id, out: at('whole'), expert: true, allBatches: true });
  assert.deepEqual(proved.opened, { release: id, batches: [0, 1], all: true });
  logged = (await collect(room.ledger.statements()))
    .filter((one) => one.kind === 'opening')
    .map(({ predicate: { release: of, batch, check } }) => [of === id, batch, typeof check]);
  const file = at('trust.json');
  const [key] = readdirSync(path.join(room.dir, 'log', 'keys'));
  writeFileSync(
    file,
    JSON.stringify({
      owners: [{ name: 'Example Works', key: readFileSync(path.join(room.dir, 'log', 'keys', key!), 'utf8') }],
      logs: [readFileSync(path.join(room.dir, 'log', 'log.vkey'), 'utf8').trim()],
      beacons: [network.chain],
    }),
  );
  trust = await readTrust(file);
  writeFileSync(at('round.json'), JSON.stringify(network.round(first)));
});
after(() => rmSync(dir, { recursive: true }));

const step = (report: Awaited<ReturnType<typeof verifyBundle>>, name: string) =>
  report.steps.find((one) => one.step === name);
const refused = async (bundle: string, given: VerifyOptions, by: Trust | null = trust) => {
  const report = await verifyBundle(bundle, by, given);
  assert.equal(report.result, 'bad', report.says);
  for (const fact of ['expected', 'got', 'where', 'todo'] as const) {
    assert.ok((report.error?.[fact] ?? '').length > 0, `${report.error?.code} says no ${fact}`);
  }
  return report.error!;
};

test('every opening is on record: one batch, then all of them, for the check or for the release itself', () => {
  assert.deepEqual(logged, [
    [true, 0, 'string'],
    [true, 0, 'string'],
    [true, 1, 'string'],
    [true, 0, 'undefined'],
    [true, 1, 'undefined'],
  ]);
});

test('from bundle, original and round alone the released file is made again, bit for bit', async () => {
  const labels = new Set<string>();
  const report = await verifyBundle(at('whole'), trust, {
    original: at('net.onnx'),
    released: at('copy.onnx'),
    beacon: at('round.json'),
    progress: (label) => ({ update: () => void labels.add(label) }),
  });
  assert.equal(report.result, 'verified', JSON.stringify(report.error));
  for (const name of ['seeds', 'beacon', 'released file', 'release', 'report']) {
    assert.equal(step(report, name)?.outcome, 'holds', name);
  }
  assert.equal(report.release?.recomputed, true);
  assert.equal(report.release.id, id);
  assert.match(step(report, 'release')!.says, new RegExp(report.release.files[0]!.sha256));
  assert.ok(labels.has('making the release again') && labels.has('reading the release back'), [...labels].join());
  const html = readFileSync(at('whole', bundlePaths.report), 'utf8');
  assert.match(html, /All 2 batches of its keys are opened/);
  assert.ok(html.includes(report.release.files[0]!.sha256));
});

test('beside the numbers of a check: both are recomputed from one bundle', async () => {
  const report = await verifyBundle(at('check-and-whole'), trust, { original: at('net.onnx') });
  assert.equal(report.result, 'verified', JSON.stringify(report.error));
  assert.deepEqual([report.numbers, report.release?.recomputed], ['recomputed', true]);
});

test('without the original one line says that the release was not recomputed, and how', async () => {
  const whole = await verifyBundle(at('whole'), trust);
  assert.equal(whole.release?.recomputed, false);
  assert.deepEqual(step(whole, 'release'), {
    step: 'release',
    outcome: 'unknown',
    says: `${id} was not recomputed: give the unmarked original with --original FILE`,
  });
  assert.match(whole.says, /except: .*was not recomputed/);
  const one = await verifyBundle(at('one-batch'), trust);
  assert.equal(step(one, 'release')?.outcome, 'unknown');
  assert.match(step(one, 'release')!.says, /--expert --all-batches\) and --original FILE/);
});

test('one changed byte of the original, anywhere, is refused', async () => {
  const whole = readFileSync(at('net.onnx'));
  for (const place of [3, 200, Math.floor(whole.length / 2), whole.length - 1]) {
    const changed = Buffer.from(whole);
    changed[place] = changed[place]! ^ 1;
    writeFileSync(at('changed.onnx'), changed);
    const { code } = await refused(at('whole'), { original: at('changed.onnx') });
    assert.equal(code, 'MARK_ORIGINAL_FILE', `byte ${place}`);
  }
  assert.equal((await refused(at('whole'), { original: at('copy.onnx') })).code, 'MARK_ORIGINAL_FILE');
  assert.equal((await refused(at('whole'), { released: at('other.onnx') })).code, 'MARK_RELEASED_FILE');
});

test('a beacon round that is another one, is unsigned, or is of an unknown network is refused', async () => {
  const round = network.round(first);
  const other = network.round(first + 1);
  const cases = [
    ['BEACON_OTHER_ROUND', other],
    ['BEACON_SIGNATURE', { ...other, round: first }],
    ['BEACON_SIGNATURE', testNetwork('another network', network.chain.genesis).round(first)],
  ] as const;
  for (const [code, given] of cases) {
    writeFileSync(at('other.json'), JSON.stringify(given));
    assert.equal((await refused(at('whole'), { beacon: at('other.json') })).code, code);
  }
  writeFileSync(at('other.json'), JSON.stringify(other));
  assert.match((await refused(at('whole'), { beacon: at('other.json') })).expected!, new RegExp(round.signature));
  const unknown = { ...trust, beacons: [] };
  assert.equal((await refused(at('whole'), {}, unknown)).code, 'BEACON_UNTRUSTED');
  assert.equal((await refused(at('whole'), {}, null)).code, 'BEACON_UNTRUSTED');
});

test('the round is fetched from a relay, by the address of the chain or of the round', async () => {
  const asked: string[] = [];
  const server = createServer((request, answer) => {
    asked.push(request.url!);
    const [, number] = /^\/c\/public\/(\d+)$/.exec(request.url!) ?? [];
    answer.writeHead(number === undefined ? 404 : 200).end(JSON.stringify(network.round(Number(number ?? 1))));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  try {
    for (const given of [`${address}/c`, `${address}/c/public/${first}`, `${address}/c/public/latest`]) {
      const report = await verifyBundle(at('whole'), trust, { beacon: given, original: at('net.onnx') });
      assert.equal(step(report, 'beacon')?.outcome, 'holds', JSON.stringify(report.error));
    }
    assert.deepEqual(asked, Array(3).fill(`/c/public/${first}`));
    const wrong = await refused(at('whole'), { beacon: `${address}/c/public/${first + 5}` });
    assert.equal(wrong.code, 'BEACON_OTHER_ROUND');
    await assert.rejects(verifyBundle(at('whole'), trust, { beacon: `${address}/nothing` }), {
      code: 'BEACON_UNREACHABLE',
      kind: 'environment',
    });
  } finally {
    server.close();
  }
});

/** The owner as the attacker: changes a file of the bundle, and lists and signs it anew. */
async function forged(file: string, change: (value: Record<string, unknown>) => unknown): Promise<string> {
  const copy = mkdtempSync(at('forged-'));
  cpSync(at('whole'), copy, { recursive: true });
  const place = path.join(copy, file);
  writeFileSync(
    place,
    `${JSON.stringify(change(JSON.parse(readFileSync(place, 'utf8')) as Record<string, unknown>))}\n`,
  );
  const list = utf8(formatDigestList(await digestsBelow(copy)));
  writeFileSync(path.join(copy, DIGEST_LIST), list);
  writeFileSync(path.join(copy, DIGEST_LIST_SIGNATURE), room.ledger.sign(list));
  return copy;
}

test('a missing batch, other seeds, other salts and an unrecorded opening are refused, though the owner signs them anew', async () => {
  const seeds = (value: Record<string, unknown>): readonly string[] => value.seeds as string[];
  const cases: readonly (readonly [string, (value: Record<string, unknown>) => unknown])[] = [
    ['MARK_SEEDS_MISSING', (value) => ({ ...value, seeds: seeds(value).slice(0, 1) })],
    ['MARK_SEED_COMMITMENT', (value) => ({ ...value, seeds: [...seeds(value)].reverse() })],
    ['BUNDLE_SEEDS', (value) => ({ ...value, seeds: [seeds(value)[0], 'xx'] })],
    ['BUNDLE_SEEDS', (value) => ({ ...value, release: 'r-0000000000000000' })],
    ['MARK_ORIGINAL_COMMITMENT', (value) => ({ ...value, originalSalt: '00'.repeat(32) })],
    ['MARK_COPY_COMMITMENT', (value) => ({ ...value, copySalt: '00'.repeat(32) })],
  ];
  for (const [code, change] of cases) {
    assert.equal((await refused(await forged(bundlePaths.release, change), { original: at('net.onnx') })).code, code);
  }
  assert.equal(
    (await verifyBundle(await forged(bundlePaths.release, () => ({})), trust)).error?.code,
    'BUNDLE_MALFORMED',
  );
  const statements = await collect(room.ledger.statements());
  const openings = statements
    .filter((one) => one.kind === 'opening' && one.predicate.batch === 1)
    .map((one) => one.sha256);
  const without = await forged(bundlePaths.about, (value) => {
    const about = value as unknown as BundleAbout;
    return { ...about, statements: about.statements.filter((sha256) => !openings.includes(sha256)) };
  });
  assert.equal((await refused(without, {})).code, 'BUNDLE_OPENING');
});

test('a changed plan, another beacon value, another digest: each contradicts what the statement was signed over', async () => {
  const statements = await collect(room.ledger.statements());
  const sha256 = (kind: string): string =>
    statements.find((one) => one.kind === kind && one.predicate.release === id)!.sha256;
  const cases = [
    ['release-commitment', 'plan', (value: string) => value.replace('"strength":0.05', '"strength":0.06')],
    ['release', 'beacon', (value: string) => value.replace(/"round":\d+/, '"round":7')],
    ['release', 'files', (value: string) => value.replace(/"sha256":"../, '"sha256":"00')],
  ] as const;
  for (const [kind, field, change] of cases) {
    const bundle = await forged(bundlePaths.openings(sha256(kind)), (value) => {
      const before = JSON.stringify(value[field]);
      const changed = change(before);
      assert.notEqual(changed, before, `${kind} ${field}`);
      return { ...value, [field]: JSON.parse(changed) as unknown };
    });
    assert.equal((await refused(bundle, { original: at('net.onnx') })).code, 'OPENING_MISMATCH', `${kind} ${field}`);
  }
});

test('what the call gets wrong is no fault of the bundle', async () => {
  const verify = (bundle: string, given: VerifyOptions) => verifyBundle(at(bundle), trust, given);
  await assert.rejects(verify('whole', { original: at('nowhere.onnx') }), { code: 'FILE_NOT_FOUND', kind: 'input' });
  await assert.rejects(verify('whole', { graph: at('net.onnx') }), { code: 'RECOMPUTE_GRAPH_ALONE', kind: 'usage' });
  await assert.rejects(verify('one-batch', { original: at('net.onnx') }), {
    code: 'RECOMPUTE_NOT_OPENED',
    kind: 'usage',
  });
  const prove = (more: object) => proveBundle(room, { target: id, out: at('none'), ...more });
  await assert.rejects(prove({}), { code: 'PROVE_RELEASE_WHOLE', kind: 'usage' });
  await assert.rejects(prove({ expert: true }), { code: 'PROVE_RELEASE_WHOLE' });
  await assert.rejects(prove({ target: 'last', allBatches: true }), { code: 'PROVE_RELEASE_WHOLE' });
  await assert.rejects(prove({ expert: true, allBatches: true, batch: 1 }), { code: 'PROVE_RELEASE_ALONE' });
  await assert.rejects(prove({ target: 'r-0000000000000000' }), { code: 'PROVE_UNKNOWN' });
});

test('a release without a beacon is recomputed too; a round given for it is refused', async () => {
  const other = (await collect(room.ledger.statements())).filter((one) => one.kind === 'release').at(-1)!;
  const target = String(other.predicate.release);
  await proveBundle(room, { target, out: at('drawn-honestly'), expert: true, allBatches: true });
  const report = await verifyBundle(at('drawn-honestly'), trust, {
    original: at('net.onnx'),
    released: at('other.onnx'),
  });
  assert.deepEqual([report.release?.recomputed, step(report, 'order of acts')?.outcome], [true, 'unknown']);
  await assert.rejects(verifyBundle(at('drawn-honestly'), trust, { beacon: at('round.json') }), {
    code: 'RECOMPUTE_NO_BEACON',
    kind: 'usage',
  });
});
