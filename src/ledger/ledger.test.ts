import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { fixedClock, MunimentError, toHex } from '../base/index.js';
import { encodeEnvelope } from './dsse.js';
import { entryOf } from './ledger.js';
import { leafHash } from './merkle.js';
import {
  type Disk,
  openLedger,
  paths,
  realDisk,
  verifyConsistency,
  verifyInclusion,
  verifyLog,
} from './testing/doors.js';
import { filesUnder } from './testing/files.js';
import { testKeys, withdrawal } from './testing/keys.js';

const collect = async <T>(items: AsyncIterable<T>): Promise<T[]> => {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
};

async function room(): Promise<string> {
  return mkdtemp(path.join(os.tmpdir(), 'ledger-'));
}

test('statements come back as they were stated, and the log verifies', async () => {
  const dir = await room();
  const keys = testKeys();
  const ledger = openLedger(dir, { keys, clock: fixedClock('2026-03-01T12:00:00Z') });
  assert.equal(await ledger.checkpoint(), null);
  const receipts = [
    ...(await ledger.append([withdrawal('a'), withdrawal('b')])),
    ...(await ledger.append([withdrawal('c')])),
  ];
  assert.deepEqual(
    receipts.map((receipt) => receipt.index),
    [0, 1, 2],
  );
  const statements = await collect(openLedger(dir).statements());
  assert.deepEqual(
    statements.map((s) => s.predicate.reason),
    ['a', 'b', 'c'],
  );
  assert.equal(statements[0]?.time, '2026-03-01T12:00:00.000Z');
  const report = await verifyLog(dir);
  assert.deepEqual(
    [report.ok, report.size, report.selfAsserted, report.harmless],
    [true, 3, true, ['log/tile/0/000.p/2', 'log/tile/entries/000.p/2']],
  );
});

test('every prefix of 600 entries has valid proofs, across tile borders', async () => {
  const dir = await room();
  const ledger = openLedger(dir, { keys: testKeys() });
  const checkpoints = [];
  for (const count of [1, 254, 1, 1, 255, 2, 86]) {
    await ledger.append(Array.from({ length: count }, (_, i) => withdrawal(`entry ${i}`)));
    checkpoints.push((await ledger.checkpoint())!);
  }
  const last = checkpoints.at(-1)!;
  assert.equal(last.size, 600);
  const statements = await collect(ledger.statements());
  for (const index of [0, 1, 254, 255, 256, 257, 511, 512, 599]) {
    const entry = entryOf(encodeEnvelope(statements[index]!.envelope));
    const proof = await ledger.inclusionProof(index, 600);
    assert.ok(verifyInclusion(leafHash(entry), index, 600, proof, last.root));
    assert.ok(!verifyInclusion(leafHash(entry), (index + 1) % 600, 600, proof, last.root));
  }
  for (const older of checkpoints) {
    const proof = await ledger.consistencyProof(older.size, 600);
    assert.ok(verifyConsistency(older.size, 600, proof, older.root, last.root));
    if (older.size < 600) assert.ok(!verifyConsistency(older.size, 600, proof, last.root, last.root));
  }
  const report = await verifyLog(dir, { checkpoints: checkpoints.map((c) => c.note) });
  assert.deepEqual([report.ok, report.root], [true, toHex(last.root)]);
});

test('an opening that is deleted withholds its fields and breaks nothing', async () => {
  const dir = await room();
  const ledger = openLedger(dir, { keys: testKeys() });
  const [receipt] = await ledger.append([withdrawal('private')]);
  await rm(paths.openings(dir, receipt!.sha256));
  const [statement] = await collect(ledger.statements());
  assert.deepEqual([statement?.predicate, statement?.withheld.length], [{}, 2]);
  const report = await verifyLog(dir);
  assert.deepEqual([report.ok, report.withheld.length], [true, 1]);
});

test('a statement of unknown kind or wrong form is refused before anything is written', async () => {
  const dir = await room();
  const ledger = openLedger(dir, { keys: testKeys() });
  await assert.rejects(ledger.append([withdrawal('fine'), { kind: 'gossip', subjects: [], predicate: {} }]), {
    code: 'STATEMENT_KIND_UNKNOWN',
  });
  await assert.rejects(ledger.append([{ kind: 'withdrawal', subjects: [], predicate: { reason: 5 } }]), {
    code: 'STATEMENT_SCHEMA',
  });
  assert.equal(await ledger.checkpoint(), null);
  await assert.rejects(openLedger(dir).append([withdrawal('no keys')]), { code: 'LEDGER_READ_ONLY' });
});

test('any single byte changed in any file is found', async () => {
  const dir = await room();
  const ledger = openLedger(dir, { keys: testKeys() });
  await ledger.append(Array.from({ length: 3 }, (_, i) => withdrawal(`entry ${i}`)));
  const trust = {
    statementKeys: [
      await readFile(path.join(dir, 'log', 'keys', (await filesUnder(path.join(dir, 'log', 'keys')))[0]!), 'utf8'),
    ],
    logKeys: [await readFile(paths.logKey(dir), 'utf8')],
  };
  assert.equal((await verifyLog(dir, trust)).ok, true);
  for (const file of (await filesUnder(dir)).filter((name) => /^(log\/(tile|checkpoint)|statements)/.test(name))) {
    const whole = await readFile(path.join(dir, file));
    for (let at = 0; at < whole.length; at += Math.max(1, Math.floor(whole.length / 9))) {
      const changed = Buffer.from(whole);
      changed[at] = changed[at]! ^ 1;
      await writeFile(path.join(dir, file), changed);
      assert.equal((await verifyLog(dir, trust)).ok, false, `${file} byte ${at}`);
    }
    await rm(path.join(dir, file));
    if (!file.endsWith('.open.json')) assert.equal((await verifyLog(dir, trust)).ok, false, `${file} removed`);
    await writeFile(path.join(dir, file), whole);
  }
  assert.equal((await verifyLog(dir, trust)).ok, true);
});

test('a log that was rewritten or cut back does not extend an older checkpoint', async () => {
  const keys = testKeys();
  const [one, two] = [await room(), await room()];
  await openLedger(one, { keys }).append([withdrawal('a'), withdrawal('b')]);
  const seen = (await openLedger(one).checkpoint())!.note;
  await openLedger(two, { keys }).append([withdrawal('a'), withdrawal('b'), withdrawal('c')]);
  assert.deepEqual(
    (await verifyLog(two, { checkpoints: [seen] })).problems.map((p) => p.code),
    ['LOG_FORK'],
  );
  const three = await room();
  await openLedger(three, { keys }).append([withdrawal('a')]);
  assert.deepEqual(
    (await verifyLog(three, { checkpoints: [seen] })).problems.map((p) => p.code),
    ['LOG_TRUNCATED'],
  );
});

test('every write may fail, or persist and report failure: acknowledged statements stay, the log stays clean', async () => {
  for (const persists of [false, true]) {
    for (let failing = 1; failing < 20; failing++) {
      const dir = await room();
      const keys = testKeys();
      await openLedger(dir, { keys }).append([withdrawal('acknowledged')]);
      let operation = 0;
      const disk: Disk = {
        ...realDisk,
        async replace(file, bytes) {
          if (++operation !== failing) return realDisk.replace(file, bytes);
          if (persists) await realDisk.replace(file, bytes);
          throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
        },
      };
      const outcome = await openLedger(dir, { keys, disk })
        .append([withdrawal('x'), withdrawal('y')])
        .catch((error: unknown) => error);
      const report = await verifyLog(dir);
      assert.ok(report.ok, `write ${failing}, persists ${persists}: ${JSON.stringify(report.problems)}`);
      const said = (await collect(openLedger(dir).statements())).map((s) => s.predicate.reason);
      // All or nothing: the batch is there whole or not at all, and surely there when it was acknowledged.
      assert.ok(said.length === 1 || said.length === 3, `${said}`);
      if (!(outcome instanceof Error)) assert.equal(said.length, 3);
      await openLedger(dir, { keys }).append([withdrawal('after')]);
      assert.ok((await verifyLog(dir)).ok);
      if (operation < failing) break;
    }
  }
});

test('two writers in one process and a crashed holder take turns', async () => {
  const dir = await room();
  const keys = testKeys();
  const writers = [openLedger(dir, { keys }), openLedger(dir, { keys })];
  await Promise.all(Array.from({ length: 12 }, (_, i) => writers[i % 2]!.append([withdrawal(`${i}`)])));
  const report = await verifyLog(dir);
  assert.deepEqual([report.ok, report.size], [true, 12]);
  await assert.rejects(
    writers[0]!.exclusively(() => openLedger(dir, { keys, patience: 50 }).append([withdrawal('waits')])),
    (error: unknown) => error instanceof MunimentError && error.code === 'LOCK_HELD',
  );
});
