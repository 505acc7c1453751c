import assert from 'node:assert/strict';
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { seededRandom, sha256Hex, utf8 } from '../base/index.js';
import { checkTriggers } from '../detect/index.js';
import { collect, recordAssets } from '../record/index.js';
import { readTable, trainModel } from '../train/index.js';
import {
  embedTriggers,
  finishTriggers,
  makeTriggers,
  openTriggers,
  readMelody,
  type TriggerRequest,
  triggerChances,
  triggerCommitmentsOf,
  triggerSetsOf,
} from './index.js';
import { type TestRoom, testRoom } from './testing/room.js';

let room: TestRoom;
let request: TriggerRequest;
const at = (name: string): string => path.join(room.dir, name);

before(async () => {
  room = await testRoom();
  const random = seededRandom(2, 'pumps');
  const lines = Array.from({ length: 500 }, () => {
    const cells = Array.from({ length: 6 }, () => random.unit() * 90);
    return `${cells.map((cell) => cell.toFixed(1)).join()},${cells[0]! + cells[1]! > 110 ? 'broken' : 'fine'}`;
  });
  await writeFile(at('pumps.csv'), `a,b,c,d,e,f,state\n${lines.join('\n')}\n`);
  const { table, sha256 } = await readTable(at('pumps.csv'));
  request = { table, sha256, target: 'state', n: 40 };
});
after(() => rm(room.dir, { recursive: true, force: true }));

const statements = () => collect(room.ledger.statements());

test('made, embedded, found by its answers; each look counted; the unmarked model shows nothing', async () => {
  const set = await makeTriggers(room, request, at('triggers'));
  assert.deepEqual((await readdir(at('triggers'))).sort(), ['queries.csv', 'training-rows.csv']);
  const queries = (await readFile(at('triggers/queries.csv'), 'utf8')).trimEnd().split('\n');
  assert.equal(queries.length, 41);
  assert.equal(queries[0], 'a,b,c,d,e,f');
  const [fact] = triggerSetsOf(await statements());
  assert.equal(fact!.files[0]!.sha256, sha256Hex(utf8(`${queries.join('\n')}\n`)));

  const { table } = request;
  const { model } = await trainModel({
    table,
    sha256: '0'.repeat(64),
    task: 'classify',
    target: 'state',
    hidden: [32, 32],
    epochs: 15,
    seed: 5,
  });
  await writeFile(at('net.onnx'), model);
  const { keys } = await openTriggers(room, set.commitment.release);
  const marked = await embedTriggers(at('net.onnx'), { plan: set.commitment.plan, keys, table });
  assert.ok(marked.learned!.after > 0.9, JSON.stringify(marked.learned));
  await writeFile(at('marked.onnx'), marked.model);
  const found = await checkTriggers(room, { set: set.commitment.release, model: at('marked.onnx') });
  assert.equal(found.candidates[0]!.verdict, 'related', found.candidates[0]!.reason);
  assert.ok(found.candidates[0]!.log10p! < -6);
  const own = await checkTriggers(room, { set: set.commitment.release, model: at('net.onnx') });
  assert.equal(own.look, found.look + 1);
  assert.equal(own.candidates[0]!.verdict, 'inconclusive');
  assert.equal((await statements()).filter(({ kind }) => kind === 'check').length, 2);
});

test('a fault at every act loses nothing: the commitment counts, the same set is finished, to the same bytes', async () => {
  const before = triggerChances(await statements());
  for (const act of ['committed', 'written'] as const) {
    const fail = (now: string): void => {
      if (now === act) throw new Error('power cut');
    };
    await assert.rejects(makeTriggers(room, request, at(`cut-${act}`), { after: fail }), /power cut/);
    assert.ok(
      (await readdir(room.dir)).every((name) => !name.startsWith('cut-') && !name.startsWith('.muniment-triggers')),
    );
  }
  assert.equal(triggerChances(await statements()), before + 2, 'both commitments count');
  const open = triggerCommitmentsOf(await statements()).at(-1)!;
  room.failAppend = 'trigger-set';
  await assert.rejects(finishTriggers(room, open.release, at('late')), /disk is full/);
  room.failAppend = null;
  const first = await finishTriggers(room, open.release, at('late'));
  const again = await finishTriggers(room, open.release, at('again'));
  assert.deepEqual(again.files, first.files);
  assert.equal(again.statement, first.statement);
  await assert.rejects(finishTriggers(room, open.release, at('late')), { code: 'MARK_OUT_EXISTS' });
});

test('a seed that is not the committed one opens nothing', async () => {
  const set = await makeTriggers(room, request, at('seeded'));
  const name = `release/${set.commitment.release}/secrets`;
  const kept = room.vault.held.get(name)!;
  const other = JSON.parse(new TextDecoder().decode(kept)) as { seeds: string[] };
  room.vault.held.set(name, utf8(JSON.stringify({ ...other, seeds: [other.seeds[1], other.seeds[0]] })));
  await assert.rejects(openTriggers(room, set.commitment.release), { code: 'MARK_SEED_COMMITMENT' });
  room.vault.held.set(name, kept);
  await assert.rejects(openTriggers(room, 't-0000000000000000'), { code: 'MARK_TRIGGER_UNKNOWN' });
});

test('a waveform of the owner’s, recorded as a creative work, is bound to the set of windows', async () => {
  const wave = [0, 3, 5, 3, 0, -3, -5, -3, 0];
  await writeFile(at('ours.csv'), `sample\n${wave.join('\n')}\n`);
  await recordAssets(room, [
    {
      kind: 'creative-work',
      paths: [at('ours.csv')],
      facts: { name: 'ours', authors: [{ name: 'the composer' }] } as never,
      keep: 'none',
    },
  ]);
  const melody = await readMelody(at('ours.csv'));
  assert.deepEqual(
    melody.samples,
    wave.map((one) => one / 5),
  );
  const random = seededRandom(3, 'runs');
  const lines = ['a', 'b'].flatMap((unit) =>
    Array.from({ length: 60 }, (_, time) => `${unit},${time + 1},${(random.unit() * 9).toFixed(1)},${60 - time}`),
  );
  await writeFile(at('runs.csv'), `machine,cycle,heat,life\n${lines.join('\n')}\n`);
  const { table, sha256 } = await readTable(at('runs.csv'));
  const window = { unit: 'machine', time: 'cycle', length: 12 };
  const set = await makeTriggers(
    room,
    { table, sha256, target: 'life', n: 10, window, melody, offset: 2 },
    at('windows'),
  );
  assert.equal(set.commitment.work?.name, 'ours');
  const rows = (await readFile(at('windows/training-rows.csv'), 'utf8')).trimEnd().split('\n');
  assert.equal(rows[0], 'machine,cycle,heat,add to life');
  assert.equal(rows.length, 1 + 10 * 12);
});

test('a WAV file of 16 bits is a waveform; other files are not', async () => {
  const samples = [0, 8_192, 16_384, -16_384];
  const wav = Buffer.alloc(44 + 2 * samples.length);
  wav.write('RIFF', 0, 'latin1');
  wav.write('WAVEfmt ', 8, 'latin1');
  wav.writeUInt32LE(16, 16);
  wav.writeUInt16LE(1, 20);
  wav.writeUInt16LE(1, 22);
  wav.writeUInt16LE(16, 34);
  wav.write('data', 36, 'latin1');
  wav.writeUInt32LE(2 * samples.length, 40);
  samples.forEach((sample, k) => {
    wav.writeInt16LE(sample, 44 + 2 * k);
  });
  await writeFile(at('ours.wav'), wav);
  assert.deepEqual((await readMelody(at('ours.wav'))).samples, [0, 0.5, 1, -1]);
  await writeFile(at('cut.wav'), wav.subarray(0, 30));
  for (const [name, text] of [
    ['cut.wav', null],
    ['words.csv', 'word\nla\nla\n'],
    ['flat.csv', 'sample\n0\n0\n'],
  ] as const) {
    if (text !== null) await writeFile(at(name), text);
    await assert.rejects(readMelody(at(name)), { code: 'MARK_MELODY' }, name);
  }
});

test('what cannot be a set is refused before anything is committed', async () => {
  const before = (await statements()).length;
  const cases: readonly (readonly [Partial<TriggerRequest>, string])[] = [
    [{ n: 1 }, 'MARK_TRIGGER_COUNT'],
    [{ target: 'absent' }, 'TABLE_NO_COLUMN'],
    [{ offset: -1 }, 'MARK_TRIGGER_OFFSET'],
  ];
  for (const [part, code] of cases)
    await assert.rejects(makeTriggers(room, { ...request, ...part }, at('none')), { code }, code);
  assert.equal((await statements()).length, before);
});
