/** Rooms in trouble: two processes at once, a full disk, no right to write, a process killed half-way. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { after, test } from 'node:test';
import { exitCodeOf, fromUtf8, memorySource, utf8 } from '../base/index.js';
import { scriptWords } from '../base/testing/script.js';
import { verifyLog } from '../ledger/index.js';
import { createVault, findRoom, initRoom, openRoom } from './index.js';
import { onDiskThatFills } from './testing/full-disk.js';

const unlock = { passphrase: 'correct horse' };
const made: string[] = [];
function temporary(): string {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'room-'));
  chmodSync(dir, 0o755);
  made.push(dir);
  return dir;
}
after(() => {
  for (const dir of made) rmSync(dir, { recursive: true });
});
const make = (dir: string) => initRoom(dir, { ...unlock, owner: 'Example Works', vaultCost: 1024 });
const WORKER = scriptWords('./testing/worker', import.meta.url);

/** A process that waits for `go` and then does one act. */
function worker(act: string, dir: string, argument = '') {
  const child = spawn(process.execPath, [...WORKER, act, dir, argument], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const closed = once(child, 'close');
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async (): Promise<string> => String((await lines.next()).value);
  return {
    ready: next,
    go: () => child.stdin.end('go'),
    next,
    async kill() {
      child.kill('SIGKILL');
      await closed;
    },
  };
}

async function outcomes(...workers: readonly ReturnType<typeof worker>[]): Promise<string[]> {
  for (const one of workers) assert.equal(await one.ready(), 'ready');
  for (const one of workers) one.go();
  return Promise.all(workers.map((one) => one.next()));
}

test('of two that open a room in one place at once, one does and the other is told', async () => {
  const parent = temporary();
  const dir = path.join(parent, '.muniment');
  const said = await outcomes(worker('init', dir, 'One'), worker('init', dir, 'Two'));
  assert.deepEqual(said.sort(), ['done', 'usage ROOM_EXISTS']);
  assert.deepEqual(readdirSync(parent), ['.muniment']);
  const room = await openRoom(dir, { unlock });
  for await (const { predicate } of room.ledger.statements()) assert.equal(predicate.owner, room.config.owner);
  assert.ok((await verifyLog(dir)).ok);
});

test('two processes write to one room at once: all is there, and what both wrote is whole', async () => {
  const dir = path.join(temporary(), '.muniment');
  await make(dir);
  assert.deepEqual(await outcomes(worker('write', dir, '1'), worker('write', dir, '2')), ['done', 'done']);
  const { vault, ledger } = await openRoom(dir, { unlock });
  const expected = ['1', '2'].flatMap((who) => Array.from({ length: 10 }, (_, i) => `${who} ${i}`));
  const reasons: unknown[] = [];
  for await (const { kind, predicate } of ledger.statements())
    if (kind === 'withdrawal') reasons.push(predicate.reason);
  assert.deepEqual(reasons.sort(), expected);
  for (const name of expected) assert.equal(fromUtf8((await vault!.get(name))!), name);
  const shared = (await vault!.get('shared'))!;
  assert.equal(shared.length, 100_000);
  assert.ok(shared.every((byte) => byte === shared[0]));
  assert.ok((await verifyLog(dir)).ok);
});

test('a disk that fills up at any call of init leaves nothing, and says so', async (t) => {
  const parent = temporary();
  const dir = path.join(parent, '.muniment');
  const { calls } = await onDiskThatFills(0, () => make(path.join(temporary(), '.muniment')));
  assert.ok(calls > 20);
  for (let at = 1; at <= calls; at += at < 12 ? 1 : 3) {
    const { outcome } = await onDiskThatFills(at, () => make(dir));
    if (!(outcome instanceof Error)) assert.fail(`call ${at} was not needed`);
    assert.equal(exitCodeOf(outcome), 4, `call ${at}: ${outcome}`);
    // The very last call makes the name durable: the room is whole by then.
    if (at < calls - 1) assert.deepEqual(readdirSync(parent), [], `call ${at}`);
    else rmSync(dir, { recursive: true, force: true });
  }
  t.diagnostic(`${calls} calls that take space`);
  await make(dir);
  assert.ok((await verifyLog(dir)).ok);
});

test('a disk that fills up while an item is written leaves the old item and nothing else', async () => {
  const dir = temporary();
  const vault = await createVault(dir, unlock, 1024);
  await vault.put('item', utf8('old'));
  const big = memorySource(new Uint8Array(3 * 1024 * 1024).fill(1));
  const { calls } = await onDiskThatFills(0, () => vault.putFile(big, 'another'));
  const before = readdirSync(path.join(dir, 'items')).sort();
  for (let at = 1; at < calls - 1; at++) {
    const { outcome } = await onDiskThatFills(at, () => vault.putFile(big, 'item'));
    assert.ok(outcome instanceof Error && exitCodeOf(outcome) === 4, `call ${at}`);
    assert.equal(fromUtf8((await vault.get('item'))!), 'old');
    assert.deepEqual(readdirSync(path.join(dir, 'items')).sort(), before, `call ${at}`);
  }
});

test('where nothing may be written, init says so and leaves nothing; an existing room still reads', async () => {
  const parent = temporary();
  const dir = path.join(parent, '.muniment');
  await make(dir);
  const closed = path.join(parent, 'closed');
  mkdirSync(closed);
  chmodSync(closed, 0o555);
  // Rights bind everybody but root: where the tests are root's, the worker becomes nobody, to whom all this belongs.
  const everything = (folder: string): string[] => [
    folder,
    ...readdirSync(folder, { recursive: true }).map((name) => path.join(folder, String(name))),
  ];
  const rights = (write: number): void => {
    for (const file of everything(dir)) {
      chmodSync(file, (statSync(file).isDirectory() ? 0o500 : 0o400) | write);
      if (process.getuid?.() === 0) chownSync(file, 65534, 65534);
    }
  };
  rights(0);
  const init = worker('nobody', path.join(closed, '.muniment'), 'init');
  const put = worker('nobody', dir, 'put');
  assert.deepEqual(await outcomes(init, put), ['environment FILE_EACCES', 'environment FILE_EACCES']);
  assert.deepEqual(readdirSync(closed), []);
  assert.ok((await verifyLog(dir)).ok);
  rights(0o200);
  assert.deepEqual(await outcomes(worker('nobody', dir, 'put')), ['done']);
});

test('a process killed while it writes a large item: the item is as before, and what it left goes away', async () => {
  const dir = path.join(temporary(), '.muniment');
  const { vault } = await make(dir);
  await vault!.put('large', utf8('old'));
  const writer = worker('large', dir);
  assert.deepEqual(await outcomes(writer), ['half-way']);
  await writer.kill();
  const items = path.join(dir, 'vault', 'items');
  const left = (): string[] => readdirSync(items).filter((name) => name.endsWith('.tmp'));
  assert.equal(left().length, 1);
  const room = await openRoom(dir, { unlock });
  assert.equal(fromUtf8((await room.vault!.get('large'))!), 'old');
  assert.ok((await room.vault!.list()).includes('large'));
  assert.equal(left().length, 1, 'another process may still be writing it');
  const longAgo = new Date(Date.now() - 2 * 60 * 60 * 1000);
  utimesSync(path.join(items, left()[0]!), longAgo, longAgo);
  await openRoom(dir, { unlock });
  assert.deepEqual(left(), []);
});

test('a process killed while it makes a room leaves a whole one or none', async (t) => {
  let [whole, begun] = [0, 0];
  const files = (dir: string): number => readdirSync(dir, { recursive: true }).length;
  for (const enough of [1, 6, 12, 16]) {
    const parent = temporary();
    const dir = path.join(parent, '.muniment');
    const init = worker('init', dir);
    assert.equal(await init.ready(), 'ready');
    init.go();
    while (!existsSync(dir) && files(parent) < enough) await new Promise((resolve) => setTimeout(resolve, 1));
    await init.kill();
    if (existsSync(dir)) {
      whole++;
      await openRoom(dir, { unlock });
      assert.ok((await verifyLog(dir)).ok);
    } else {
      begun++;
      assert.equal(await findRoom(parent), null);
      await make(dir);
    }
  }
  t.diagnostic(`${whole} whole, ${begun} begun`);
  assert.ok(begun > 0);
});

test('nothing of a room is open to others', async () => {
  const dir = path.join(temporary(), '.muniment');
  const { vault } = await make(dir);
  await vault!.put('item', utf8('x'));
  for (const name of readdirSync(dir, { recursive: true })) {
    const file = path.join(dir, String(name));
    assert.equal(statSync(file).mode & 0o077, 0, file);
  }
  // Nor is any private key in clear anywhere.
  const key = Buffer.from((await vault!.get('keys/statements.p8'))!).subarray(30, 60);
  for (const name of readdirSync(dir, { recursive: true })) {
    const file = path.join(dir, String(name));
    if (statSync(file).isFile()) assert.equal(readFileSync(file).includes(key), false, file);
  }
});
