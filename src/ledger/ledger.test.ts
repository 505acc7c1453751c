import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { fixedClock, fromUtf8, MunimentError, toHex, utf8 } from '../base/index.js';
import { realDisk } from './disk.js';
import { encodeEnvelope } from './dsse.js';
import { entryOf } from './ledger.js';
import { leafHash, nodeHash } from './merkle.js';
import { checkpointText, parseVerifierKey, signNote } from './note.js';
import { formatProof, verifyProof } from './proof-file.js';
import { makeStatement, openFields, readPayload } from './statement.js';
import { openLedger, paths, verifyConsistency, verifyInclusion, verifyLog } from './testing/doors.js';
import { filesUnder } from './testing/files.js';
import { testKeys, withdrawal } from './testing/keys.js';
import { decodeBundle } from './tiles.js';
import { extension } from './tree-files.js';

const collect = async <T>(items: AsyncIterable<T>): Promise<T[]> => {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
};

const rooms: string[] = [];
after(() => Promise.all(rooms.map((dir) => rm(dir, { recursive: true, force: true }))));

async function room(): Promise<string> {
  const dir = await mkdtemp(path.join(os.tmpdir(), 'ledger-'));
  rooms.push(dir);
  return dir;
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

test('what a log may hold besides: left-overs are harmless, other files are named', async () => {
  const dir = await room();
  const ledger = openLedger(dir, { keys: testKeys() });
  const [receipt] = await ledger.append([withdrawal('one')]);
  const left = [
    'log/tile/0/000.p/9',
    'log/tile/entries/x001/234.p/255',
    `statements/${'c'.repeat(64)}`,
    'statements/x.1.2.tmp',
  ];
  const other = ['log/notes.txt', 'log/tile/0/000.p/256', 'log/keys/readme', 'statements/thing.json'];
  for (const file of [...left, ...other]) {
    await mkdir(path.dirname(path.join(dir, file)), { recursive: true });
    await writeFile(path.join(dir, file), 'x');
  }
  const report = await verifyLog(dir);
  assert.deepEqual(
    [report.ok, [...report.harmless].sort(), [...report.unexpected].sort()],
    [true, left.sort(), other.sort()],
  );
  await writeFile(path.join(dir, 'log', 'keys', `${'d'.repeat(64)}.pem`), 'no key');
  assert.deepEqual(
    (await verifyLog(dir)).problems.map((p) => p.code),
    ['KEY_UNREADABLE'],
  );
  assert.equal((await verifyLog(dir)).size, receipt!.index + 1);
});

test('a checkpoint that claims any size ends the reading at the first missing entries', async () => {
  const dir = await room();
  const keys = testKeys();
  await openLedger(dir, { keys }).append([withdrawal('one')]);
  const root = Buffer.alloc(32).toString('base64');
  await writeFile(paths.checkpoint(dir), signNote(`${keys.log.name}\n9007199254740991\n${root}\n`, keys.log));
  const codes = (await verifyLog(dir)).problems.map((p) => p.code);
  assert.deepEqual(codes, ['LOG_FILE_MISSING', 'LOG_ROOT_MISMATCH']);
  await assert.rejects(openLedger(dir, { keys }).append([withdrawal('two')]), { code: 'LOG_FILE_MISSING' });
});

test('a log without its checkpoint, a statement logged twice, another log key, an unknown signer', async () => {
  const dir = await room();
  const keys = testKeys();
  await openLedger(dir, { keys }).append([withdrawal('one')]);
  await assert.rejects(openLedger(dir, { keys: testKeys() }).append([withdrawal('two')]), { code: 'LOG_KEY_CHANGED' });
  const stranger = testKeys().statements.publicKey.export({ type: 'spki', format: 'pem' }).toString();
  assert.deepEqual(
    (await verifyLog(dir, { statementKeys: [stranger] })).problems.map((p) => p.code),
    ['STATEMENT_UNKNOWN_SIGNER'],
  );
  const [entry] = decodeBundle(await readFile(path.join(dir, 'log', 'tile', 'entries', '000.p', '1')));
  const files = await extension(realDisk, paths.log(dir), 1, [entry!]);
  for (const file of files) await realDisk.replace(path.join(paths.log(dir), file.path), file.bytes);
  const twice = nodeHash(leafHash(entry!), leafHash(entry!));
  await writeFile(
    paths.checkpoint(dir),
    signNote(checkpointText({ origin: keys.log.name, size: 2, root: twice }), keys.log),
  );
  assert.deepEqual(
    (await verifyLog(dir)).problems.map((p) => p.code),
    ['STATEMENT_REPEATED'],
  );
  await rm(paths.checkpoint(dir));
  assert.deepEqual(
    (await verifyLog(dir)).problems.map((p) => p.code),
    ['LOG_CHECKPOINT_MISSING'],
  );
});

test('tlog-proof files verify, and no line of them can be changed', async () => {
  const dir = await room();
  const keys = testKeys();
  const ledger = openLedger(dir, { keys });
  await ledger.append(Array.from({ length: 11 }, (_, i) => withdrawal(`${i}`)));
  const { note, root } = (await ledger.checkpoint())!;
  const entry = Buffer.from((await collect(ledger.statements()))[6]!.sha256, 'hex');
  const text = formatProof(6, await ledger.inclusionProof(6, 11), note);
  const verifiers = [parseVerifierKey(await readFile(paths.logKey(dir), 'utf8'))];
  const proved = verifyProof(text, entry, verifiers, 'proof');
  assert.deepEqual([proved.index, proved.checkpoint.size, proved.checkpoint.root], [6, 11, root]);
  assert.equal(verifyProof(text.replace('\n', '\nextra AAAA\n'), entry, verifiers, 'proof').index, 6);
  assert.throws(() => verifyProof(text, Buffer.alloc(32), verifiers, 'proof'), { code: 'PROOF_WRONG' });
  const lines = text.split('\n');
  for (const [i, line] of lines.entries()) {
    if (i === lines.length - 1) continue;
    const changed = line === '' ? 'x' : (line.startsWith('A') ? 'B' : 'A') + line.slice(1);
    const without = lines.filter((_, j) => j !== i);
    for (const bad of [lines.map((l, j) => (j === i ? changed : l)), without])
      assert.throws(
        () => verifyProof(bad.join('\n'), entry, verifiers, 'proof'),
        { name: 'MunimentError' },
        `line ${i}`,
      );
  }
});

test('fields open one by one, and only with their own salt; a field called __proto__ hides nothing', () => {
  const { payload, openings } = makeStatement(
    { kind: 'withdrawal', subjects: [], predicate: JSON.parse('{"a":1,"b":[2],"__proto__":{"reason":"hidden"}}') },
    new Date(0),
  );
  const read = readPayload(payload, 'payload');
  assert.equal(read.fields.length, 3);
  const { a, b } = openings;
  const part = openFields(read, { b: b! }, 'openings');
  assert.deepEqual([part.predicate, part.withheld.length], [{ b: [2] }, 2]);
  const whole = openFields(read, openings, 'openings');
  assert.deepEqual(Object.keys(whole.predicate).sort(), ['__proto__', 'a', 'b']);
  assert.equal(whole.predicate.reason, undefined);
  for (const bad of [{ a: b! }, { a: { ...a!, value: 2 } }, { a: { ...a!, salt: b!.salt } }, { c: a! }])
    assert.throws(() => openFields(read, bad, 'openings'), { code: 'OPENING_MISMATCH' });
  // Equal facts in two statements do not show that they are equal.
  const again = makeStatement({ kind: 'withdrawal', subjects: [], predicate: { a: 1 } }, new Date(0));
  assert.ok(!read.fields.includes(readPayload(again.payload, 'payload').fields[0]!));
});

test('payloads in other forms are refused', () => {
  const { payload } = makeStatement({ kind: 'withdrawal', subjects: [], predicate: { a: 1 } }, new Date(0));
  const good = JSON.parse(fromUtf8(payload)) as { predicate: object };
  for (const bad of [
    { ...good, _type: 'https://in-toto.io/Statement/v0.1' },
    { ...good, predicateType: 'https://slsa.dev/provenance/v1' },
    { ...good, predicateType: 'urn:muniment:Withdrawal:v1' },
    { ...good, subject: [{ name: 'x', digest: { sha256: 'A'.repeat(64) } }] },
    { ...good, predicate: { ...good.predicate, nonce: '00' } },
    { ...good, predicate: { ...good.predicate, time: '2026-01-01' } },
    { ...good, predicate: { ...good.predicate, fields: ['x'] } },
  ])
    assert.throws(() => readPayload(utf8(JSON.stringify(bad)), 'payload'), { code: 'STATEMENT_INVALID' });
});
