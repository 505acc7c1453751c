/** From the release of marked trees to the check that names a copy: order of acts, faults, answers. */
import assert from 'node:assert/strict';
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, test } from 'node:test';
import { initialDense } from '../align/testing/dense.js';
import { MunimentError, seededRandom, sha256Hex } from '../base/index.js';
import { openModel, writeModel } from '../formats/index.js';
import {
  type Act,
  commitmentsOf,
  getGaps,
  getSecrets,
  release,
  releaseChances,
  releasesOf,
  resumeRelease,
} from '../mark/index.js';
import { denseOnnx, type TestRoom, testRoom } from '../mark/testing/room.js';
import { dataOf, treeVector } from '../mark/testing/trees.js';
import { collect, recordAssets } from '../record/index.js';
import { checkSuspect, type RoomCheck } from './index.js';

const rooms: TestRoom[] = [];
after(async () => {
  for (const room of rooms) await rm(room.dir, { recursive: true, force: true });
});

const data = dataOf('fleet.ubj');
const code = (wanted: string) => (error: unknown) => error instanceof MunimentError && error.code === wanted;
const kinds = async (room: TestRoom): Promise<readonly string[]> =>
  (await collect(room.ledger.statements())).map((statement) => statement.kind).filter((kind) => /release/.test(kind));

/** A room that holds one model of the vectors. */
async function opened(name: string): Promise<{ room: TestRoom; model: string; at: (file: string) => string }> {
  const room = await testRoom();
  rooms.push(room);
  const at = (file: string): string => path.join(room.dir, file);
  await writeFile(at(name), await readFile(treeVector(name)));
  await recordAssets(room, [{ kind: 'model', paths: [at(name)], facts: { name }, keep: 'full' }]);
  return { room, model: at(name), at };
}

const of = (answer: RoomCheck, recipient: string | null) =>
  answer.candidates.find((candidate) => candidate.recipient === recipient)!;

test('no training data: nothing is committed, and the message says what to give', async () => {
  const { room, model, at } = await opened('fleet.ubj');
  await assert.rejects(release(room, { model, recipient: 'acme', out: at('copy.ubj') }), code('MARK_TREE_DATA'));
  assert.deepEqual(await kinds(room), []);
  assert.deepEqual((await readdir(room.dir)).sort(), ['.muniment', 'fleet.ubj']);
});

test('the commitment has the gaps by digest, the table by digest, and no value of the training data', async () => {
  const { room, model, at } = await opened('fleet.txt');
  const made = await release(room, { model, recipient: 'acme', out: at('copy.txt'), data });
  assert.deepEqual(await kinds(room), ['release-commitment', 'release']);
  const [commitment] = commitmentsOf(await collect(room.ledger.statements()));
  const gaps = await getGaps(room.vault, made.release);
  assert.equal(made.gaps, gaps.length);
  assert.deepEqual(commitment!.plan.trees, {
    strength: 0.6,
    gaps: gaps.length,
    data: { sha256: sha256Hex(await readFile(data.path)), rows: 1400 },
  });
  const layout = commitment!.original.layout.find(({ tensor }) => tensor === 'trees\u0000gaps');
  assert.deepEqual(layout, { tensor: 'trees\u0000gaps', rows: gaps.length, width: 5 });
  const told = JSON.stringify(commitment!.statement.predicate);
  for (const { low, high } of gaps.filter((gap) => gap.feature > 0)) {
    assert.ok(!told.includes(String(low)) || Number.isInteger(low), String(low));
    assert.ok(!told.includes(String(high)) || Number.isInteger(high), String(high));
  }
});

for (const act of ['committed', 'stamped', 'beacon', 'written', 'read-back'] as Act[]) {
  test(`a failure after '${act}' leaves no copy; the commitment counts, and resuming gives it without the table`, async () => {
    const { room, model, at } = await opened('fleet.json');
    const failing = (now: Act): void => {
      if (now === act) throw new Error('the power went');
    };
    const request = { model, recipient: 'acme', out: at('copy.json'), data };
    await assert.rejects(release(room, request, { after: failing }), /the power went/);
    assert.deepEqual(await kinds(room), ['release-commitment']);
    assert.deepEqual((await readdir(room.dir)).sort(), ['.muniment', 'fleet.json']);
    assert.equal(releaseChances(await collect(room.ledger.statements())), 1);
    const made = await resumeRelease(room, null, at('copy.json'));
    assert.equal(made.sha256, sha256Hex(await readFile(at('copy.json'))));
    const again = await resumeRelease(room, made.release, at('again.json'));
    assert.equal(again.sha256, made.sha256);
  });
}

test('a vault without the gaps, or with others, delivers nothing', async () => {
  const { room, model, at } = await opened('fleet.ubj');
  const failing = (now: Act): void => {
    if (now === 'committed') throw new Error('the power went');
  };
  await assert.rejects(release(room, { model, recipient: 'a', out: at('a.ubj'), data }, { after: failing }), /power/);
  const id = commitmentsOf(await collect(room.ledger.statements()))[0]!.release;
  const place = `release/${id}/gaps`;
  const kept = room.vault.held.get(place)!;
  room.vault.held.delete(place);
  await assert.rejects(resumeRelease(room, id, at('a.ubj')), code('MARK_TREE_GAPS_LOST'));
  const changed = JSON.parse(Buffer.from(kept).toString()) as { high: number }[];
  changed[5]!.high += 1;
  room.vault.held.set(place, Buffer.from(JSON.stringify(changed)));
  await assert.rejects(resumeRelease(room, id, at('a.ubj')), code('MARK_TREE_GAPS'));
  room.vault.held.set(place, kept);
  await resumeRelease(room, id, at('a.ubj'));
});

test('the copy is named, whatever was done to it; others are cleared; looks are counted', async () => {
  const { room, model, at } = await opened('fleet.ubj');
  for (const recipient of ['first', 'second']) {
    await release(room, { model, recipient, out: at(`${recipient}.ubj`), data });
  }
  const whole = await checkSuspect(room, at('second.ubj'));
  assert.deepEqual(
    [of(whole, 'second').verdict, of(whole, 'second').kind, of(whole, 'second').tweaks],
    ['related', 'exact', [{ kind: 'exact-copy' }]],
  );
  assert.equal(whole.candidates[0]!.recipient, 'second');
  const [line] = of(whole, 'second').lines;
  assert.equal(line!.test, 'threshold jitter');
  assert.ok(line!.blindTo.length >= 3 && line!.null.includes(of(whole, 'second').release!));
  assert.equal(of(whole, 'first').verdict, 'no-evidence');
  assert.match(of(whole, 'first').reason, /20 of 20 trials/);

  // Rounded to four digits, written by hand.
  const copy = await openModel(at('second.ubj'));
  const [trees] = copy.trees!;
  const rounded = trees!.threshold.map((cut, node) =>
    trees!.feature[node] === -1 ? cut : Math.fround(Number(cut.toPrecision(4))),
  );
  await writeModel(copy, new Map([['trees.threshold', rounded]]), at('rounded.ubj'));
  await copy.close();
  const tweaked = await checkSuspect(room, at('rounded.ubj'));
  assert.equal(of(tweaked, 'second').verdict, 'related');
  assert.ok(of(tweaked, 'second').tweaks.some(({ kind }) => kind === 'thresholds-moved'));
  assert.notEqual(of(tweaked, 'first').verdict, 'related');
  assert.equal(tweaked.look, 2);
  assert.ok(of(tweaked, 'second').lines[0]!.detail.factor === 2 * 2 * 6);

  // The unmarked original: trees that agree, and no mark.
  const original = await checkSuspect(room, model);
  for (const recipient of ['first', 'second']) {
    assert.equal(of(original, recipient).verdict, 'inconclusive');
    assert.match(of(original, recipient).reason, /unmarked original/);
  }

  // Another training on the same data, another trainer, and a model without trees.
  for (const rival of ['rival-1.ubj', 'fleet.txt']) {
    const answer = await checkSuspect(room, treeVector(rival));
    for (const recipient of ['first', 'second']) assert.equal(of(answer, recipient).verdict, 'no-evidence', rival);
  }
  await writeFile(at('net.onnx'), denseOnnx(initialDense([4, 8, 2], seededRandom(1))));
  const net = await checkSuspect(room, at('net.onnx'));
  assert.deepEqual([of(net, 'first').verdict, of(net, 'first').log10p], ['inconclusive', null]);
  assert.match(of(net, 'first').reason, /no decision trees/);
});

test('a release of another format than the suspect, and trees checked against a room of nets', async () => {
  const { room, model, at } = await opened('fleet-xgboost.onnx');
  await release(room, { model, recipient: 'acme', out: at('copy.onnx'), data: dataOf('fleet-xgboost.onnx') });
  const answer = await checkSuspect(room, at('copy.onnx'));
  assert.equal(of(answer, 'acme').verdict, 'related');
  const net = at('net.onnx');
  await writeFile(net, denseOnnx(initialDense([4, 8, 2], seededRandom(1))));
  await recordAssets(room, [{ kind: 'model', paths: [net], facts: { name: 'net' }, keep: 'full' }]);
  await release(room, { model: net, recipient: 'netco', out: at('net-copy.onnx') });
  const trees = await checkSuspect(room, at('copy.onnx'));
  assert.equal(of(trees, 'acme').verdict, 'related');
  assert.equal(of(trees, 'netco').verdict, 'inconclusive');
});

test('the secrets of a tree release are in the vault, and its seeds are those committed', async () => {
  const { room, model, at } = await opened('holes.txt');
  const made = await release(room, { model, recipient: 'a', out: at('a.txt'), data: dataOf('holes.txt') });
  const [fact] = releasesOf(await collect(room.ledger.statements()));
  assert.equal(fact!.files[0]!.sha256, made.sha256);
  assert.equal((await getSecrets(room.vault, made.release)).seeds.length, 2);
});
