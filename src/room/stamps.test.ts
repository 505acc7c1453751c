/** Stamps of a room: kept whatever happens after, logged once, and read back as the earliest outside time. */
import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { environmentError, sha256Hex, utf8 } from '../base/index.js';
import { type Ledger, type LedgerStatement, verifyLog, verifyTimestamp } from '../ledger/index.js';
import { mintedAuthority } from '../ledger/time/testing/minted-authority.js';
import { type Authority, earliestStamp, initRoom, openRoom, type Stamp, stampFile, stampsOf } from './index.js';
import { stampCheckpoint } from './stamps.js';

const unlock = { passphrase: 'correct horse' };
const made: string[] = [];
after(() => {
  for (const dir of made) rmSync(dir, { recursive: true });
});
function room(tsa: readonly Authority[]) {
  const parent = mkdtempSync(path.join(os.tmpdir(), 'room-'));
  made.push(parent);
  return initRoom(path.join(parent, '.muniment'), { ...unlock, owner: 'Example Works', vaultCost: 1024, tsa });
}
async function statementsOf(ledger: Ledger): Promise<LedgerStatement[]> {
  const all: LedgerStatement[] = [];
  for await (const statement of ledger.statements()) all.push(statement);
  return all;
}
const waiting = (dir: string): string[] =>
  readdirSync(path.join(dir, 'stamps')).filter((name) => name.endsWith('.pending.json'));

test('every authority is asked; each token is logged with the checkpoint it is over; failures are reported', async () => {
  const [one, two, wrong] = await Promise.all([
    mintedAuthority(),
    mintedAuthority({ qualified: true }),
    mintedAuthority({ imprint: new Uint8Array(32) }),
  ]);
  const stranger = await mintedAuthority();
  const { dir, stamp, ledger } = await room([
    { url: one.url, root: one.root },
    { url: two.url, root: two.root, qualified: true },
    { url: wrong.url, root: wrong.root },
    { url: stranger.url, root: one.root },
    { url: 'http://127.0.0.1:9/', root: one.root },
  ]);
  const { stamps, failures } = await stamp();
  assert.deepEqual(
    stamps.map(({ label, size }) => [label, size]),
    [
      ['non-qualified', 1],
      ['qualified', 1],
    ],
  );
  assert.deepEqual(failures.map(({ error }) => error.code).sort(), [
    'TIMESTAMP_CHAIN',
    'TIMESTAMP_IMPRINT',
    'TSA_UNREACHABLE',
  ]);
  const logged = (await statementsOf(ledger)).filter(({ kind }) => kind === 'timestamp');
  assert.deepEqual(
    stampsOf(logged)
      .map(({ token }) => token)
      .sort(),
    stamps.map(({ token }) => token).sort(),
  );
  for (const { predicate } of logged) {
    const note = utf8(String(predicate.checkpoint));
    const token = Uint8Array.from(readFileSync(stampFile(dir, String(predicate.token))));
    const root = predicate.url === one.url ? one.root : two.root;
    assert.equal(sha256Hex(token), predicate.token);
    assert.equal(
      verifyTimestamp(token, Uint8Array.from(Buffer.from(sha256Hex(note), 'hex')), [root]).time.toISOString(),
      predicate.time,
    );
  }
  assert.deepEqual(waiting(dir), []);
  assert.ok((await verifyLog(dir)).ok);
  for (const authority of [one, two, wrong, stranger]) await authority.close();
});

test('a qualified claim counts only for an authority that the owner has found in a trusted list', async () => {
  const authority = await mintedAuthority({ qualified: true });
  const { stamps } = await (await room([{ url: authority.url, root: authority.root }])).stamp();
  assert.deepEqual(stamps[0]?.label, 'non-qualified');
  await authority.close();
});

test('a token whose logging fails is kept, and logged once by the next stamp, with its own time', async () => {
  const authority = await mintedAuthority();
  const tsa = [{ url: authority.url, root: authority.root }];
  const { dir, ledger, config, stamp } = await room(tsa);
  const full: Ledger = {
    ...ledger,
    exclusively: async () => {
      throw environmentError('FILE_ENOSPC', 'no space left');
    },
  };
  await assert.rejects(stampCheckpoint(dir, full, config.tsa), { code: 'FILE_ENOSPC' });
  assert.equal(waiting(dir).length, 1);
  const [kept] = waiting(dir).map((name) => name.slice(0, 64));
  assert.deepEqual((await statementsOf(ledger)).length, 1);
  const { stamps } = await stamp();
  const logged = stampsOf(await statementsOf(ledger));
  assert.deepEqual(logged.map(({ token }) => token).sort(), [kept, stamps[0]?.token].sort());
  assert.equal(earliestStamp(logged, 0)?.token, kept);
  assert.deepEqual(waiting(dir), []);

  // Killed between logging and tidying up: the token waits although it is logged, and is not logged again.
  const note = String(
    (await statementsOf(ledger)).find(({ predicate }) => predicate.token === kept)!.predicate.checkpoint,
  );
  const pending = path.join(dir, 'stamps', `${kept}.pending.json`);
  writeFileSync(pending, JSON.stringify({ url: authority.url, checkpoint: note }));
  await stamp();
  assert.equal(stampsOf(await statementsOf(ledger)).filter(({ token }) => token === kept).length, 1);
  assert.deepEqual(waiting(dir), []);

  // What waits and is damaged is reported, never logged, never removed, and stops nothing else.
  const leave = (name: string, text: string): void =>
    writeFileSync(path.join(dir, 'stamps', `${name.repeat(64)}.pending.json`), text);
  const keep = (name: string): void =>
    writeFileSync(stampFile(dir, name.repeat(64)), readFileSync(stampFile(dir, kept!)));
  leave('a', '{');
  leave('b', 'null');
  leave('c', JSON.stringify({ url: 'http://127.0.0.1:9/', checkpoint: note }));
  leave('d', JSON.stringify({ url: authority.url, checkpoint: note }));
  leave('e', JSON.stringify({ url: authority.url, checkpoint: note }));
  keep('e');
  leave('f', JSON.stringify({ url: authority.url, checkpoint: note.replace('\n1\n', '\n2\n') }));
  keep('f');
  const before = stampsOf(await statementsOf(ledger)).length;
  const outcome = await stamp();
  assert.deepEqual(
    outcome.failures.map(({ error }) => error.code),
    ['JSON_INVALID', 'STAMP_DAMAGED', 'STAMP_AUTHORITY', 'FILE_NOT_FOUND', 'STAMP_DAMAGED', 'TIMESTAMP_IMPRINT'],
  );
  assert.equal(outcome.stamps.length, 1);
  assert.equal(stampsOf(await statementsOf(ledger)).length, before + 1);
  assert.equal(waiting(dir).length, 6);
  await authority.close();
});

test('a room that was opened without its keys stamps nothing, and asks nobody', async () => {
  const authority = await mintedAuthority();
  const { dir } = await room([{ url: authority.url, root: authority.root }]);
  await assert.rejects((await openRoom(dir)).stamp(), { code: 'LEDGER_READ_ONLY', kind: 'environment' });
  assert.equal(readdirSync(dir).includes('stamps'), false);
  await authority.close();
});

test('without authorities, or where stamps cannot be kept, nothing is claimed', async () => {
  const bare = await room([]);
  assert.deepEqual(await bare.stamp(), { stamps: [], failures: [] });
  const authority = await mintedAuthority();
  const { dir, stamp, ledger } = await room([{ url: authority.url, root: authority.root }]);
  writeFileSync(path.join(dir, 'stamps'), 'a file where the folder should be');
  chmodSync(path.join(dir, 'stamps'), 0o600);
  await assert.rejects(stamp());
  assert.deepEqual(stampsOf(await statementsOf(ledger)), []);
  await authority.close();
});

test('the earliest stamp that covers a statement counts, by time and not by text', () => {
  const at = (time: string, size: number): Stamp => ({
    authority: 'a',
    time,
    token: time,
    size,
    label: 'non-qualified',
  });
  const stamps = [at('2026-01-01T10:00:00.500Z', 5), at('2026-01-01T10:00:00Z', 5), at('2025-01-01T00:00:00.000Z', 2)];
  assert.equal(earliestStamp(stamps, 4)?.time, '2026-01-01T10:00:00Z');
  assert.equal(earliestStamp(stamps, 1)?.time, '2025-01-01T00:00:00.000Z');
  assert.equal(earliestStamp(stamps, 5), null);
});
