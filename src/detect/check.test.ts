import assert from 'node:assert/strict';
import { readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { alignTables, planGroups } from '../align/index.js';
import {
  type Dense,
  denseModel,
  initialDense,
  permuted,
  pruned,
  quantised,
  rescaled,
  table,
  teacherData,
  trainDense,
} from '../align/testing/dense.js';
import { randomPermutation, seededRandom } from '../base/index.js';
import { openModel } from '../formats/index.js';
import { release } from '../mark/index.js';
import { denseOnnx, type TestRoom, testRoom } from '../mark/testing/room.js';
import { collect, recordAssets } from '../record/index.js';
import { checkSuspect, type RoomCheck } from './index.js';

const WIDTHS = [8, 64, 64, 2];
const data = teacherData(8, 600, 1);
const owner = trainDense(initialDense(WIDTHS, seededRandom(1)), data, 20, 3e-3, 1);
const rival = trainDense(initialDense(WIDTHS, seededRandom(2)), data, 20, 3e-3, 2);
let room: TestRoom;

before(async () => {
  room = await testRoom();
  const model = await file('net', owner);
  await recordAssets(room, [{ kind: 'model', paths: [model], facts: { name: 'net' }, keep: 'full' }]);
  for (const recipient of ['first', 'second']) {
    await release(room, { model, recipient, out: path.join(room.dir, `${recipient}.onnx`) });
  }
});
after(() => rm(room.dir, { recursive: true, force: true }));

async function file(name: string, net: Dense): Promise<string> {
  const out = path.join(room.dir, `${name}.onnx`);
  await writeFile(out, denseOnnx(net));
  return out;
}

async function weightsOf(recipient: string): Promise<Dense> {
  const model = await openModel(path.join(room.dir, `${recipient}.onnx`));
  const out = new Map();
  for (const { name, shape, elements, read } of model.tensors.values()) {
    out.set(name, { shape, values: await read(0, elements) });
  }
  await model.close();
  return out;
}

const of = (answer: RoomCheck, recipient: string | null) =>
  answer.candidates.find((candidate) => candidate.recipient === recipient)!;

test("permuted, rescaled, fine-tuned, half pruned, int4: the second recipient's copy is named, the first's is not", async () => {
  const random = seededRandom(3);
  const orders = [randomPermutation(64, random), randomPermutation(64, random)];
  const moved = rescaled(permuted(await weightsOf('second'), orders), 0.3, random);
  const tuned = trainDense(moved, { x: data.x.slice(0, 200), y: data.y.slice(0, 200) }, 30, 1e-3, 5);
  const answer = await checkSuspect(room, await file('thief', quantised(pruned(tuned, 0.5), 4)), {
    custody: { obtainedOn: '2026-11-20', by: 'the test' },
    keep: true,
  });
  const [best] = answer.candidates;
  assert.equal(best!.recipient, 'second');
  assert.equal(best!.verdict, 'related');
  assert.equal(best!.kind, 'exact');
  assert.ok(best!.log10p! <= -12, `log10 p ${best!.log10p}`);
  assert.equal(of(answer, 'first').verdict, 'no-evidence');
  assert.match(of(answer, 'first').reason, /20 of 20 trials/);
  assert.equal(answer.candidates.length, 3);
  const done = best!.tweaks.map((tweak) => tweak.kind);
  // Int4 with one scale rounds nearly half of the weights to zero by itself: half pruned before shows only at times.
  for (const kind of ['quantised', 'permuted']) assert.ok(done.includes(kind), `${kind} in ${done}`);
});

test('an exact copy is named as such, with both lines at the floor that keys and correction leave', async () => {
  const answer = await checkSuspect(room, path.join(room.dir, 'second.onnx'));
  const [best] = answer.candidates;
  assert.equal(best!.recipient, 'second');
  assert.deepEqual(best!.tweaks, [{ kind: 'exact-copy' }]);
  assert.equal(answer.look, 2);
  // 2 releases × 2 rules × 2·3 looks on 2^-256.
  assert.ok(Math.abs(best!.log10p! - (-256 * Math.log10(2) + Math.log10(2 * 2 * 6))) < 1e-9);
  assert.equal(of(answer, 'first').verdict, 'no-evidence');
});

test('an honest rival on the same data: no evidence against any release, and the look is counted', async () => {
  const answer = await checkSuspect(room, await file('rival', rival));
  assert.equal(answer.look, 3);
  assert.equal(of(answer, 'first').verdict, 'no-evidence');
  assert.equal(of(answer, 'second').verdict, 'no-evidence');
  assert.notEqual(of(answer, null).verdict, 'related');
  assert.ok(answer.candidates.every((candidate) => candidate.verdict !== 'related'));
});

test('a copy of the unmarked original says so, and is inconclusive for every release', async () => {
  const answer = await checkSuspect(room, path.join(room.dir, 'net.onnx'));
  const [best] = answer.candidates;
  assert.equal(best!.release, null);
  assert.equal(best!.verdict, 'related');
  assert.equal(best!.kind, 'conditional');
  assert.match(best!.reason, /unmarked original/);
  for (const recipient of ['first', 'second']) {
    assert.equal(of(answer, recipient).verdict, 'inconclusive');
    assert.match(of(answer, recipient).reason, /unmarked/);
  }
});

test('one NaN weight does not stop a check: its tensor is left out and named', async () => {
  const copy = await weightsOf('second');
  const poisoned = new Map(
    [...copy].map(([name, t]) => [
      name,
      name === 'fc0.weight' ? { ...t, values: t.values.map((v, k) => (k === 3 ? Number.NaN : v)) } : t,
    ]),
  );
  const answer = await checkSuspect(room, await file('poisoned', poisoned));
  const best = of(answer, 'second');
  assert.equal(best.verdict, 'related');
  assert.ok(best.leftOut.some((one) => one.tensor === 'fc0.weight'));
});

test('every look is a statement that holds its answer, the suspect and how it came', async () => {
  const checks = (await collect(room.ledger.statements())).filter(({ kind }) => kind === 'check');
  assert.deepEqual(
    checks.map(({ predicate }) => predicate.look),
    [1, 2, 3, 4, 5],
  );
  const [first] = checks;
  assert.deepEqual(first!.predicate.custody, { obtainedOn: '2026-11-20', by: 'the test' });
  const suspect = first!.predicate.suspect as { sha256: string; root: string; kept: boolean };
  assert.equal(suspect.kept, true);
  assert.equal(suspect.sha256, first!.subjects[0]!.sha256);
  const id = String(first!.predicate.check);
  const kept = await room.vault.get(`check/${id}/suspect-0`);
  assert.deepEqual(Buffer.from(kept!), await readFile(path.join(room.dir, 'thief.onnx')));
});

test('a mixture of two copies names both recipients, and says that copies were mixed', async () => {
  const plan = planGroups(denseModel(WIDTHS));
  const [first, second] = [await weightsOf('first'), await weightsOf('second')];
  // Whoever has both copies lays the second in the first's order, as anybody can, and takes their mean.
  const { aligned } = alignTables(plan, table(first), table(second), 1);
  const mean = new Map(
    [...first].map(([name, { shape, values }]) => {
      const theirs = aligned.tensors.get(name)?.values ?? values;
      return [name, { shape, values: values.map((value, k) => (value + theirs[k]!) / 2) }];
    }),
  );
  const { candidates } = await checkSuspect(room, await file('mixture', mean));
  const named = candidates.filter(({ verdict, kind }) => verdict === 'related' && kind === 'exact');
  assert.deepEqual(named.map(({ recipient }) => recipient).sort(), ['first', 'second']);
  for (const { reason, tweaks } of named) {
    assert.match(reason, /copies were mixed/);
    assert.deepEqual(
      tweaks.find(({ kind }) => kind === 'mixed'),
      { kind: 'mixed', copies: 2 },
    );
  }
});
