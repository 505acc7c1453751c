import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { after, before, beforeEach, test } from 'node:test';
import { sha256Hex } from '../base/index.js';
import { buildOnnx, buildSafetensors } from '../formats/index.js';
import { recordAsset, recordAssets } from './record.js';
import { defaultKeep, FULL_BY_DEFAULT, openReference } from './reference.js';
import { registryOf } from './registry.js';
import { type MemoryRoom, memoryRoom } from './testing/memory-room.js';
import { withdraw } from './withdraw.js';

let folder = '';
let room: MemoryRoom;
const at = (...parts: string[]): string => path.join(folder, ...parts);
const now = () => registryOf(room.stated);

before(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'muniment-record-'));
  writeFileSync(at('train.csv'), 'a,b\n1,2\n');
  writeFileSync(at('test.csv'), 'a,b\n3,4\n');
  writeFileSync(at('net.onnx'), net(4));
  mkdirSync(at('sharded'));
  writeFileSync(at('sharded/one.safetensors'), buildSafetensors({ a: { dtype: 'F32', shape: [2], values: [1, 2] } }));
  writeFileSync(at('sharded/two.safetensors'), buildSafetensors({ b: { dtype: 'F32', shape: [1], values: [3] } }));
  writeFileSync(
    at('sharded/model.safetensors.index.json'),
    JSON.stringify({ metadata: {}, weight_map: { a: 'one.safetensors', b: 'two.safetensors' } }),
  );
});
after(() => rm(folder, { recursive: true }));
beforeEach(() => {
  room = memoryRoom();
});

function net(width: number): Uint8Array {
  return buildOnnx({
    graph: {
      name: 'net',
      inputs: [{ name: 'x', dtype: 'F32', shape: ['n', 2] }],
      outputs: [{ name: 'y', dtype: 'F32', shape: ['n', width] }],
      nodes: [{ op: 'MatMul', inputs: ['x', 'w'], outputs: ['y'] }],
      initialisers: [
        { name: 'w', dtype: 'F32', shape: [2, width], values: Array.from({ length: 2 * width }, (_, i) => i / 8) },
      ],
    },
  });
}

test('a model: its digest, what it is, its architecture, and an encrypted reference', async () => {
  const recorded = await recordAssets(room, [{ kind: 'model', paths: [at('net.onnx')], facts: { name: 'gearbox' } }]);
  assert.deepEqual(
    recorded.map(({ kind, name, state, keep, index }) => ({ kind, name, state, keep, index })),
    [
      { kind: 'architecture', name: 'architecture of gearbox', state: 'recorded', keep: null, index: 0 },
      { kind: 'model', name: 'gearbox', state: 'recorded', keep: 'full', index: 1 },
    ],
  );
  const model = now().models[0]!;
  const bytes = readFileSync(at('net.onnx'));
  assert.equal(model.sha256, sha256Hex(bytes));
  assert.equal(model.predicate.format, 'onnx');
  assert.equal(model.predicate.tensors, 1);
  assert.equal(model.predicate.weights, 8);
  assert.deepEqual(model.links, [
    { relation: 'architecture', sha256: recorded[0]!.sha256, name: 'architecture of gearbox' },
  ]);
  assert.deepEqual(
    [...room.kept.values()].map((kept) => sha256Hex(kept)),
    [sha256Hex(bytes)],
  );
  const reference = await openReference(room, model);
  assert.equal(reference!.complete, true);
  assert.deepEqual([...(await reference!.model.tensors.get('w')!.read(0, 3))], [0, 0.125, 0.25]);
});

test('the same again is recorded once; other facts correct; what was said before is carried on', async () => {
  const request = { kind: 'model', paths: [at('net.onnx')], facts: { name: 'gearbox', country: 'NL' } } as const;
  await recordAssets(room, [request]);
  const again = await recordAssets(room, [{ ...request, facts: {} }]);
  assert.deepEqual(
    again.map((one) => one.state),
    ['already-recorded', 'already-recorded'],
  );
  assert.equal(room.stated.length, 2);
  const corrected = await recordAssets(room, [{ ...request, facts: { notes: 'v2', reason: 'forgot the note' } }]);
  assert.equal(corrected[1]!.state, 'corrected');
  assert.equal(room.stated.length, 3);
  const model = now().models[0]!;
  assert.equal(model.predicate.country, 'NL');
  assert.equal(model.predicate.notes, 'v2');
  assert.equal(model.predicate.supersedes, room.stated[1]!.sha256);
  assert.equal(model.history.length, 2);
  // A correction's own reason is not a fact of the asset.
  const third = await recordAssets(room, [{ ...request, facts: {} }]);
  assert.equal(third[1]!.state, 'already-recorded');
});

test('links and test sets are found by path, by name and by digest, and add up', async () => {
  await recordAssets(room, [
    { kind: 'training-set', paths: [at('train.csv')], facts: { name: 'fleet 2025' } },
    { kind: 'test-set', paths: [at('test.csv')], facts: {} },
    {
      kind: 'model',
      paths: ['net.onnx'],
      base: folder,
      facts: {
        quality: [{ metric: 'f1', value: 0.8, on: 'test.csv' }],
        links: [{ relation: 'trained-on', to: 'fleet 2025' }],
      },
    },
  ]);
  const trainSha = sha256Hex(readFileSync(at('train.csv')));
  const testSha = sha256Hex(readFileSync(at('test.csv')));
  const first = now().models[0]!;
  assert.deepEqual(first.predicate.quality, [{ metric: 'f1', value: 0.8, on: testSha }]);
  assert.ok(first.links.some((link) => link.relation === 'trained-on' && link.sha256 === trainSha));
  await recordAsset(room, { kind: 'model', links: [{ relation: 'evaluated-on', to: testSha }] }, [at('net.onnx')]);
  assert.deepEqual(
    now()
      .models[0]!.links.map((link) => link.relation)
      .sort(),
    ['architecture', 'evaluated-on', 'trained-on'],
  );
  const unknown = recordAsset(room, { kind: 'code', links: [{ relation: 'part-of', to: 'nothing' }] }, [
    at('train.csv'),
  ]);
  await assert.rejects(unknown, { code: 'LINK_UNKNOWN' });
});

test('two assets of one name: the name alone is ambiguous', async () => {
  for (const file of ['train.csv', 'test.csv'])
    await recordAsset(room, { kind: 'training-set', name: 'data' }, [at(file)]);
  const act = recordAsset(room, { kind: 'model', links: [{ relation: 'trained-on', to: 'data' }] }, [at('net.onnx')]);
  await assert.rejects(act, { code: 'LINK_AMBIGUOUS' });
});

test('all or nothing: one bad request and nothing is stated', async () => {
  const good = { kind: 'training-set', paths: [at('train.csv')], facts: {} } as const;
  const bad = { kind: 'model', paths: [at('net.onnx')], facts: { country: 'Holland' } } as const;
  await assert.rejects(recordAssets(room, [good, bad]), { code: 'FACTS_INVALID' });
  await assert.rejects(recordAssets(room, [good, good]), { code: 'RECORD_TWICE' });
  writeFileSync(at('cut.onnx'), readFileSync(at('net.onnx')).subarray(0, 60));
  await assert.rejects(recordAssets(room, [good, { kind: 'model', paths: [at('cut.onnx')], facts: {} }]));
  assert.equal(room.stated.length, 0);
  assert.equal(room.kept.size, 0);
});

test('parameters and systems are facts: equal facts are one asset, whatever their order', async () => {
  await recordAsset(room, { kind: 'training-parameters', parameters: { epochs: 50, seed: 817 } }, []);
  const again = await recordAsset(room, { kind: 'training-parameters', parameters: { seed: 817, epochs: 50 } }, []);
  assert.equal(again.state, 'already-recorded');
  const other = await recordAsset(room, { kind: 'training-parameters', parameters: { epochs: 51, seed: 817 } }, []);
  assert.equal(other.state, 'recorded');
  await assert.rejects(recordAsset(room, { kind: 'training-parameters' }, []), { code: 'RECORD_PATHS' });
  await assert.rejects(recordAsset(room, { kind: 'code' }, []), { code: 'RECORD_PATHS' });
});

test('a sharded model is all of its files, kept and opened again whole', async () => {
  const one = await recordAsset(room, { kind: 'model' }, [at('sharded')]);
  assert.equal(one.name, 'sharded');
  const model = now().models[0]!;
  assert.equal(model.statement.subjects.length, 4);
  const { model: opened } = (await openReference(room, model))!;
  assert.deepEqual([...opened.tensors.keys()].sort(), ['a', 'b']);
  assert.deepEqual([...(await opened.tensors.get('b')!.read(0, 1))], [3]);
  writeFileSync(at('sharded/two.safetensors'), buildSafetensors({ b: { dtype: 'F32', shape: [1], values: [4] } }));
  assert.equal((await recordAsset(room, { kind: 'model' }, [at('sharded')])).state, 'recorded');
});

test('--keep: sample holds whole tensors, none nothing, and the default depends on the size alone', async () => {
  const sample = await recordAsset(room, { kind: 'model' }, [at('net.onnx')], { keep: 'sample' });
  assert.equal(sample.keep, 'sample');
  const reference = (await openReference(room, now().models[0]!))!;
  assert.equal(reference.complete, false);
  assert.deepEqual(
    [...(await reference.model.tensors.get('w')!.read(0, 8))],
    [0, 1, 2, 3, 4, 5, 6, 7].map((x) => x / 8),
  );
  room = memoryRoom();
  await recordAsset(room, { kind: 'model' }, [at('net.onnx')], { keep: 'none' });
  assert.equal(room.kept.size, 0);
  assert.equal(await openReference(room, now().models[0]!), null);
  const later = await recordAsset(room, { kind: 'model' }, [at('net.onnx')], { keep: 'full' });
  assert.equal(later.state, 'corrected');
  assert.equal(room.kept.size, 1);
  assert.equal(defaultKeep(FULL_BY_DEFAULT), 'full');
  assert.equal(defaultKeep(FULL_BY_DEFAULT + 1), 'sample');
});

test('a model that changes while it is recorded is refused and not kept', async () => {
  const file = at('moving.onnx');
  writeFileSync(file, net(6));
  const moving: MemoryRoom = {
    ...room,
    vault: {
      ...room.vault!,
      async putFile(source, name) {
        writeFileSync(file, net(6).fill(7, 40, 60));
        await room.vault!.putFile(source, name);
      },
    },
  };
  await assert.rejects(recordAsset(moving, { kind: 'model' }, [file]), { code: 'RECORD_CHANGED' });
  assert.equal(room.kept.size, 0);
  assert.equal(room.stated.length, 0);
});

test('an architecture can be recorded by itself, and is then the one of the model', async () => {
  const alone = await recordAsset(room, { kind: 'architecture', name: 'our net', alternatives: [{ what: 'wider' }] }, [
    at('net.onnx'),
  ]);
  const model = await recordAssets(room, [{ kind: 'model', paths: [at('net.onnx')], facts: {} }]);
  assert.equal(model[0]!.state, 'already-recorded');
  assert.equal(now().models[0]!.links[0]!.sha256, alone.sha256);
});

test('withdrawing: by number or digest, once, and the log keeps both', async () => {
  await recordAsset(room, { kind: 'code' }, [at('train.csv')]);
  await withdraw(room, room.stated[0]!.sha256.slice(0, 12), 'wrong file');
  assert.equal(now().assets.length, 0);
  assert.equal(room.stated.length, 2);
  await assert.rejects(withdraw(room, '0', 'again'), { code: 'WITHDRAW_TWICE' });
  await assert.rejects(withdraw(room, '9', 'no'), { code: 'STATEMENT_UNKNOWN' });
  // Recorded again after a withdrawal, it is a new asset.
  assert.equal((await recordAsset(room, { kind: 'code' }, [at('train.csv')])).state, 'recorded');
});
