import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { memorySource, seededRandom, utf8 } from '../base/index.js';
import { verifyLog } from '../ledger/index.js';
import { hasOpenssl, testAuthority } from '../ledger/time/testing/authority.js';
import {
  changeUnlock,
  createVault,
  earliestStamp,
  findRoom,
  initRoom,
  openRoom,
  openVault,
  stampsOf,
} from './index.js';

const COST = 2 ** 10;
const temporary = (): string => mkdtempSync(path.join(os.tmpdir(), 'room-'));
const secret = { passphrase: 'correct horse' };
const here = (): string => path.join(temporary(), '.muniment');
const make = (dir: string, more = {}) => initRoom(dir, { ...secret, owner: 'Example Works', vaultCost: COST, ...more });

test('a room opens, states who it is, and its log verifies without a passphrase', async () => {
  const dir = here();
  const room = await make(dir);
  assert.equal(await findRoom(path.join(dir, '..')), dir);
  assert.equal(statSync(dir).mode & 0o777, 0o700);
  const again = await openRoom(dir);
  assert.equal(again.vault, null);
  for await (const statement of again.ledger.statements()) assert.equal(statement.predicate.owner, 'Example Works');
  await assert.rejects(again.ledger.append([]), { code: 'LEDGER_READ_ONLY' });
  assert.deepEqual([(await verifyLog(dir)).ok, room.config.owner], [true, 'Example Works']);
});

test('an existing room is never overwritten; a failed start leaves nothing', async () => {
  const dir = here();
  await make(dir);
  await assert.rejects(make(dir), { code: 'ROOM_EXISTS' });
  const parent = temporary();
  const place = path.join(parent, '.muniment');
  await assert.rejects(initRoom(place, { owner: 'x', vaultCost: COST }), { code: 'VAULT_LOCKED' });
  await assert.rejects(make(place, { tsa: [{ url: 'http://127.0.0.1:1', root: 'no certificate' }] }), {
    code: 'ROOM_TSA_ROOT',
  });
  await assert.rejects(make(place, { origin: 'has space' }), { code: 'ROOM_ORIGIN' });
  assert.deepEqual(readdirSync(parent), []);
});

test('the room that init answers keeps secrets where the room lies', async () => {
  const dir = here();
  const { vault } = await make(dir);
  await vault!.put('a secret', utf8('kept'));
  const again = await openRoom(dir, { unlock: secret });
  assert.deepEqual(await again.vault!.get('a secret'), utf8('kept'));
});

test('a wrong passphrase is told from a damaged vault', async () => {
  const dir = here();
  await make(dir);
  await assert.rejects(openRoom(dir, { unlock: { passphrase: 'wrong' } }), { code: 'VAULT_WRONG_KEY' });
  await assert.rejects(openRoom(dir, { unlock: {} }), { code: 'VAULT_LOCKED' });
  await assert.rejects(openRoom(dir, { unlock: { passphrase: '' } }), { code: 'VAULT_LOCKED', kind: 'environment' });
  const file = path.join(dir, 'vault', 'key.json');
  const sound = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
  for (const text of [
    '',
    '{}',
    'null',
    '[]',
    ...[
      { version: 2 },
      { kdf: 'pbkdf2' },
      { N: 2 ** 19 },
      { N: 1000 },
      { N: '1024' },
      { r: 1024 },
      { p: 1e9 },
      { salt: '' },
      { salt: 7 },
      { key: '' },
      { key: 'AAAA' },
      { key: null },
    ].map((change) => JSON.stringify({ ...sound, ...change })),
  ]) {
    writeFileSync(file, text);
    await assert.rejects(openRoom(dir, { unlock: secret }), { code: 'VAULT_DAMAGED', kind: 'input' }, text);
  }
  rmSync(file);
  await assert.rejects(openRoom(dir, { unlock: secret }), { code: 'VAULT_DAMAGED' });
});

test('settings that are not understood are refused, by name', async () => {
  const dir = here();
  const { config } = await make(dir);
  const file = path.join(dir, 'config.json');
  for (const text of [
    '',
    'null',
    '[]',
    '{}',
    JSON.stringify({ ...config, version: 2 }),
    JSON.stringify({ ...config, owner: 7 }),
    JSON.stringify({ ...config, tsa: [null] }),
    JSON.stringify({ ...config, tsa: [{ url: 'http://127.0.0.1:9/' }] }),
    JSON.stringify({ ...config, owner: 'x'.repeat(2 ** 20) }),
  ]) {
    writeFileSync(file, text);
    await assert.rejects(openRoom(dir), { code: 'ROOM_CONFIG', kind: 'input' }, text.slice(0, 80));
  }
  rmSync(file);
  await assert.rejects(openRoom(dir), { code: 'ROOM_NOT_FOUND', kind: 'usage' });
});

test('vault items are read back from anywhere; nothing of them or their names lies in clear', async () => {
  const dir = temporary();
  const vault = await createVault(dir, secret, COST);
  const size = 2 * 1024 * 1024 + 4321;
  const random = seededRandom(7, 'vault test');
  const clear = Uint8Array.from({ length: size }, () => random.u32());
  await vault.putFile(memorySource(clear), 'original of the pump model');
  await vault.put('small', utf8('a seed that nobody may see'));
  const source = await (await openVault(dir, secret)).openFile('original of the pump model');
  for (const [from, to] of [
    [0, 10],
    [1024 * 1024 - 5, 1024 * 1024 + 5],
    [size - 3, size],
    [0, size],
    [17, 17],
  ] as const) {
    assert.deepEqual(await source.slice(from, to), clear.slice(from, to));
  }
  await assert.rejects(source.slice(0, size + 1), { code: 'SOURCE_RANGE' });
  await source.close();
  assert.deepEqual(await vault.list(), ['original of the pump model', 'small']);
  for (const file of readdirSync(path.join(dir, 'items'))) {
    const bytes = readFileSync(path.join(dir, 'items', file));
    for (const text of ['pump', 'seed that', 'small', Buffer.from(clear.slice(100, 116))])
      assert.equal(bytes.includes(text), false);
  }
  assert.equal(await vault.get('absent'), null);
  await assert.rejects(vault.openFile('absent'), { code: 'VAULT_NO_ITEM' });
  await vault.remove('small');
  assert.equal(await vault.get('small'), null);
});

test('every changed, cut, swapped or renamed piece of an item is noticed', async () => {
  const dir = temporary();
  const vault = await createVault(dir, secret, COST);
  await vault.put('a', new Uint8Array(3000).fill(1));
  await vault.put('b', new Uint8Array(3000).fill(2));
  const files = readdirSync(path.join(dir, 'items')).map((name) => path.join(dir, 'items', name));
  const [one, two] = files.map((file) => readFileSync(file));
  for (let at = 0; at < one!.length; at += 41) {
    const changed = Buffer.from(one!);
    changed[at] = changed[at]! ^ 128;
    writeFileSync(files[0]!, changed);
    const read = await Promise.allSettled([vault.get('a'), vault.get('b')]);
    assert.equal(read.filter((outcome) => outcome.status === 'rejected').length, 1, `byte ${at}`);
  }
  writeFileSync(files[0]!, one!.subarray(0, 2000));
  await assert.rejects(Promise.all([vault.get('a'), vault.get('b')]), /./);
  // One item's file under the other's name holds the other's name inside, and is listed as that.
  writeFileSync(files[0]!, two!);
  assert.equal(new Set(await vault.list()).size, 1);
  const swapped = await Promise.allSettled([vault.get('a'), vault.get('b')]);
  assert.equal(swapped.filter((outcome) => outcome.status === 'rejected').length, 1);
});

test('the passphrase changes without touching the items; a key file works as well', async () => {
  const dir = temporary();
  const keyFile = path.join(temporary(), 'room.key');
  writeFileSync(keyFile, Buffer.alloc(32, 9));
  const vault = await createVault(dir, secret, COST);
  await vault.put('item', utf8('kept'));
  await changeUnlock(dir, secret, { keyFile }, COST);
  await assert.rejects(openVault(dir, secret), { code: 'VAULT_WRONG_KEY' });
  assert.deepEqual(await (await openVault(dir, { keyFile })).get('item'), utf8('kept'));
  writeFileSync(keyFile, 'short');
  await assert.rejects(openVault(dir, { keyFile }), { code: 'VAULT_KEY_FILE' });
  rmSync(keyFile);
  await assert.rejects(openVault(dir, { keyFile }), { code: 'VAULT_KEY_FILE', kind: 'environment' });
  await assert.rejects(openVault(dir, { keyFile, ...secret }), { code: 'VAULT_UNLOCK', kind: 'usage' });
});

test('stamps are checked, kept and logged; an authority that fails is reported', {
  skip: hasOpenssl ? false : 'no openssl',
}, async () => {
  const authority = await testAuthority();
  try {
    const root = authority.root;
    const room = await make(here(), {
      tsa: [
        { url: authority.url, root },
        { url: 'http://127.0.0.1:9/none', root },
      ],
    });
    const { stamps, failures } = await room.stamp();
    assert.deepEqual([stamps.length, failures.map((f) => f.error.code)], [1, ['TSA_UNREACHABLE']]);
    const statements = [];
    for await (const statement of room.ledger.statements()) statements.push(statement);
    assert.deepEqual(
      statements.map((s) => s.kind),
      ['room-opened', 'timestamp'],
    );
    const kept = stampsOf(statements);
    assert.equal(earliestStamp(kept, 0)?.token, stamps[0]?.token);
    assert.equal(earliestStamp(kept, 1), null);
    assert.ok((await verifyLog(room.dir)).ok);
  } finally {
    await authority.close();
  }
});
