import assert from 'node:assert/strict';
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, test } from 'node:test';
import { initialDense } from '../align/testing/dense.js';
import { MunimentError, seededRandom, sha256Hex } from '../base/index.js';
import { runModel } from '../compute/index.js';
import { openModel } from '../formats/index.js';
import { collect, recordAssets } from '../record/index.js';
import { canonicalise } from '../structure/index.js';
import {
  type Act,
  type BeaconRound,
  commitmentsOf,
  getSecrets,
  outputDrift,
  release,
  releaseChances,
  releasesOf,
  reproduceRelease,
  resumeRelease,
} from './index.js';
import { denseOnnx, type TestRoom, testRoom } from './testing/room.js';

const rooms: TestRoom[] = [];
after(async () => {
  for (const room of rooms) await rm(room.dir, { recursive: true, force: true });
});

async function opened(keep: 'full' | 'none' = 'full'): Promise<{ room: TestRoom; model: string }> {
  const room = await testRoom();
  rooms.push(room);
  const model = path.join(room.dir, 'net.onnx');
  await writeFile(model, denseOnnx(initialDense([8, 16, 16, 2], seededRandom(1))));
  await recordAssets(room, [{ kind: 'model', paths: [model], facts: { name: 'net' }, keep }]);
  return { room, model };
}

const kinds = async (room: TestRoom): Promise<readonly string[]> =>
  (await collect(room.ledger.statements())).map((statement) => statement.kind).filter((kind) => /release/.test(kind));
const code = (wanted: string) => (error: unknown) => error instanceof MunimentError && error.code === wanted;
const round = (first: number, number: number, time: Date): BeaconRound => ({
  chain: 'test',
  round: number,
  time,
  randomness: 'ab'.repeat(32),
  signature: 'cd'.repeat(48),
  first,
});

test('a release is committed, written and recorded; it differs from the original only in values', async () => {
  const { room, model } = await opened();
  const out = path.join(room.dir, 'copy.onnx');
  const made = await release(room, { model, recipient: 'acme', out });
  assert.deepEqual(await kinds(room), ['release-commitment', 'release']);
  const [before, copy] = [await readFile(model), await readFile(out)];
  assert.equal(copy.length, before.length);
  assert.equal(made.sha256, sha256Hex(copy));
  assert.equal(made.units, 32);
  assert.equal(made.markedWeights, 8 * 16 + 16 * 16 + 16 * 2);
  assert.match(made.assumption, /the owner drew honestly/);
  assert.deepEqual((await readdir(room.dir)).sort(), ['.muniment', 'copy.onnx', 'net.onnx']);
  const drift = await outputDrift(model, out);
  assert.ok(drift !== null && drift.rms > 0.001 && drift.rms < 0.25, `rms ${drift?.rms}`);
});

test('with the mark at almost nothing the permuted copy computes what the original computes', async () => {
  const { room, model } = await opened();
  const out = path.join(room.dir, 'copy.onnx');
  await release(room, { model, recipient: 'acme', out, strength: 1e-12 });
  const drift = await outputDrift(model, out);
  assert.ok(drift!.largest <= 1e-5, `${drift!.largest}`);
  assert.notDeepEqual(await readFile(model), await readFile(out));
});

test('two recipients get different copies', async () => {
  const { room, model } = await opened();
  const a = await release(room, { model, recipient: 'a', out: path.join(room.dir, 'a.onnx') });
  const b = await release(room, { model: 'net', recipient: 'b', out: path.join(room.dir, 'b.onnx') });
  assert.notEqual(a.sha256, b.sha256);
  assert.equal(releaseChances(await collect(room.ledger.statements())), 2);
});

test('a release is reproduced bit for bit from original, seeds and beacon, and refused from anything else', async () => {
  const { room, model } = await opened();
  const out = path.join(room.dir, 'copy.onnx');
  const made = await release(room, { model, recipient: 'acme', out });
  const statements = await collect(room.ledger.statements());
  const commitment = commitmentsOf(statements)[0]!;
  const { beacon } = releasesOf(statements)[0]!;
  const secrets = await getSecrets(room.vault, made.release);
  const original = await openModel(model);
  const canonical = await canonicalise(original);
  const again = path.join(room.dir, 'again.onnx');
  await reproduceRelease(canonical, commitment, beacon, secrets, again);
  assert.deepEqual(await readFile(again), await readFile(out));
  const other = path.join(room.dir, 'other.onnx');
  const reversed = { ...secrets, seeds: [...secrets.seeds].reverse() };
  await assert.rejects(reproduceRelease(canonical, commitment, beacon, reversed, other), code('MARK_SEED_COMMITMENT'));
  const plan = { ...commitment, plan: { ...commitment.plan, strength: 0.06 } };
  await assert.rejects(reproduceRelease(canonical, plan, beacon, secrets, other), code('MARK_PLAN_COMMITMENT'));
  const copy = await openModel(out);
  const swapped = await canonicalise(copy);
  await assert.rejects(reproduceRelease(swapped, commitment, beacon, secrets, other), code('MARK_ORIGINAL_COMMITMENT'));
  await copy.close();
  await original.close();
});

for (const act of ['committed', 'stamped', 'beacon', 'written', 'read-back'] as Act[]) {
  test(`a failure after '${act}' leaves no file and no release; the commitment stays, and --resume finishes it`, async () => {
    const { room, model } = await opened();
    const out = path.join(room.dir, 'copy.onnx');
    const failing = (now: Act): void => {
      if (now === act) throw new Error('the power went');
    };
    await assert.rejects(release(room, { model, recipient: 'acme', out }, { after: failing }), /the power went/);
    assert.deepEqual(await kinds(room), ['release-commitment']);
    assert.deepEqual((await readdir(room.dir)).sort(), ['.muniment', 'net.onnx']);
    assert.equal(releaseChances(await collect(room.ledger.statements())), 1);
    await resumeRelease(room, null, out);
    assert.deepEqual(await kinds(room), ['release-commitment', 'release']);
    assert.ok((await readFile(out)).length > 0);
    await assert.rejects(resumeRelease(room, null, path.join(room.dir, 'x.onnx')), code('MARK_NOTHING_TO_RESUME'));
  });
}

test('a ledger that refuses the release statement leaves no file; one that refuses the commitment leaves nothing', async () => {
  const { room, model } = await opened();
  const out = path.join(room.dir, 'copy.onnx');
  room.failAppend = 'release';
  await assert.rejects(release(room, { model, recipient: 'acme', out }), /disk is full/);
  assert.deepEqual((await readdir(room.dir)).sort(), ['.muniment', 'net.onnx']);
  room.failAppend = 'release-commitment';
  await assert.rejects(release(room, { model, recipient: 'b', out }), /disk is full/);
  assert.deepEqual(await kinds(room), ['release-commitment']);
});

test('killed between statement and file: --resume writes the recorded bytes again', async () => {
  const { room, model } = await opened();
  const out = path.join(room.dir, 'copy.onnx');
  const failing = (now: Act): void => {
    if (now === 'recorded') throw new Error('killed');
  };
  await assert.rejects(release(room, { model, recipient: 'acme', out }, { after: failing }), /killed/);
  const [recorded] = releasesOf(await collect(room.ledger.statements()));
  const made = await resumeRelease(room, recorded!.release, out);
  assert.equal(made.sha256, recorded!.files[0]!.sha256);
  assert.deepEqual(await kinds(room), ['release-commitment', 'release']);
});

test('a stamp that was obtained is not asked for again; a second request is said and counted', async () => {
  const { room, model } = await opened();
  const out = path.join(room.dir, 'copy.onnx');
  const stamp = { authority: 'test', time: new Date().toISOString(), token: 'ee'.repeat(32) };
  let asked = 0;
  room.stamps = async () => {
    asked++;
    if (asked === 1) throw new Error('no answer');
    return [stamp];
  };
  await assert.rejects(release(room, { model, recipient: 'acme', out }), /no answer/);
  const failing = (now: Act): void => {
    if (now === 'beacon') throw new Error('later');
  };
  await assert.rejects(resumeRelease(room, null, out, { after: failing }), /later/);
  const made = await resumeRelease(room, null, out);
  assert.equal(asked, 2);
  assert.equal(made.beacon.kind, 'timestamp');
  assert.equal(made.beacon.choices, 2);
  assert.match(made.assumption, /2 tokens requested/);
  assert.equal(releaseChances(await collect(room.ledger.statements())), 2);
});

test('a beacon round must be later than the stamp; each round waited for is charged', async () => {
  const { room, model } = await opened();
  const out = path.join(room.dir, 'copy.onnx');
  const stamped = new Date();
  room.stamps = async () => [{ authority: 'test', time: stamped.toISOString(), token: 'ee'.repeat(32) }];
  const request = { model, recipient: 'acme', out };
  const early = async (): Promise<BeaconRound> => round(100, 99, stamped);
  await assert.rejects(release(room, request, { beacon: early }), code('MARK_BEACON_EARLY'));
  assert.deepEqual(await kinds(room), ['release-commitment']);
  const late = async (): Promise<BeaconRound> => round(100, 102, new Date(stamped.getTime() + 9000));
  const made = await resumeRelease(room, null, out, { beacon: late });
  assert.equal(made.beacon.kind, 'drand');
  assert.equal(made.beacon.choices, 3);
  assert.match(made.assumption, /stamped before the beacon round/);
});

test('refusals come before anything is committed', async () => {
  const { room, model } = await opened();
  const out = path.join(room.dir, 'copy.onnx');
  await writeFile(out, 'mine');
  await assert.rejects(release(room, { model, recipient: 'a', out }), code('MARK_OUT_EXISTS'));
  assert.equal(await readFile(out, 'utf8'), 'mine');
  const free = path.join(room.dir, 'free.onnx');
  await assert.rejects(release(room, { model: 'nothing', recipient: 'a', out: free }), code('MARK_MODEL_UNKNOWN'));
  await assert.rejects(release(room, { model, recipient: 'a', out: free, strength: 2 }), code('MARK_STRENGTH'));
  await assert.rejects(release(room, { model, recipient: 'a', out: free, batches: 0 }), code('MARK_BATCHES'));
  await assert.rejects(release({ ...room, vault: null }, { model, recipient: 'a', out: free }), code('VAULT_LOCKED'));
  assert.deepEqual(await kinds(room), []);
  const poor = await opened('none');
  await assert.rejects(
    release(poor.room, { model: poor.model, recipient: 'a', out: path.join(poor.room.dir, 'c.onnx') }),
    code('MARK_KEEP_FULL'),
  );
});

test('the copy opens in onnxruntime', async () => {
  const { room, model } = await opened();
  const out = path.join(room.dir, 'copy.onnx');
  await release(room, { model, recipient: 'acme', out });
  const { y } = await runModel(out, { x: { data: new Float32Array(8).fill(1), shape: [1, 8] } });
  assert.equal(y!.data.length, 2);
});
