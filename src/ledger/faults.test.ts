/** Every single file-system call of an append fails once, or does its work and reports failure all the same. */
import assert from 'node:assert/strict';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { diskOn, type FileSystem, realFileSystem } from './disk.js';
import { openLedger } from './ledger.js';
import { testKeys, withdrawal } from './testing/keys.js';
import { verifyLog } from './verify-log.js';

type Call = keyof FileSystem;
const CALLS = Object.keys(realFileSystem) as Call[];
const error = (): Error => Object.assign(new Error('input/output error'), { code: 'EIO' });

/** The real file system, whose call number `failing` fails (counting from 1); before its work or after it. */
function faulty(
  failing: number,
  persists: boolean,
): { fs: FileSystem; count: () => number; failed: () => Call | null } {
  let count = 0;
  let failed: Call | null = null;
  const wrap = (name: Call) => {
    const real = realFileSystem[name] as (...args: unknown[]) => Promise<unknown>;
    return async (...args: unknown[]): Promise<unknown> => {
      if (++count !== failing) return real(...args);
      failed = name;
      if (persists) await real(...args);
      throw error();
    };
  };
  const fs = Object.fromEntries(CALLS.map((name) => [name, wrap(name)])) as unknown as FileSystem;
  return { fs, count: () => count, failed: () => failed };
}

async function reasons(dir: string): Promise<unknown[]> {
  const found: unknown[] = [];
  for await (const { predicate } of openLedger(dir).statements()) found.push(predicate.reason);
  return found;
}

for (const persists of [false, true]) {
  // On 255 statements the append fills a tile and begins the next: not each of its calls, since each round checks them all.
  for (const { before, step } of [
    { before: 0, step: 1 },
    { before: 255, step: process.env.MUNIMENT_FULL === '1' ? 7 : 61 },
  ]) {
    test(`${persists ? 'persists but reports failure' : 'fails'}, on ${before} statements`, async (t) => {
      const failedCalls = new Set<Call>();
      const keys = testKeys();
      const old = Array.from({ length: before }, (_, i) => `old ${i}`);
      // Call 0 is no call: the first round counts the calls of an undisturbed append.
      let calls = 0;
      const start = await mkdtemp(path.join(os.tmpdir(), 'ledger-'));
      if (before > 0) await openLedger(start, { keys }).append(old.map(withdrawal));
      for (let failing = 0; failing <= calls; failing += failing === 0 ? 1 : step) {
        const dir = `${start}-${failing}`;
        await cp(start, dir, { recursive: true });
        const { fs, count, failed } = faulty(failing, persists);
        const ledger = openLedger(dir, { keys, disk: diskOn(fs), patience: 500 });
        const outcome = await ledger.append(['x', 'y'].map(withdrawal)).catch((thrown: unknown) => thrown);
        if (failing === 0) calls = count();
        if (failed() !== null) failedCalls.add(failed()!);
        const where = `call ${failing} of ${calls} (${failed()}), ${outcome instanceof Error ? outcome.message : 'acknowledged'}`;
        const report = await verifyLog(dir);
        assert.deepEqual([report.problems, report.unexpected], [[], []], where);
        const said = (await reasons(dir)).slice(before);
        assert.ok(said.length === 0 || said.length === 2, `${where}: ${said}`);
        if (!(outcome instanceof Error)) assert.equal(said.length, 2, where);
        // The same process goes on: no lock is left behind, and what lies about does not hurt.
        await ledger.append([withdrawal('after')]);
        assert.deepEqual(await reasons(dir), [...old, ...said, 'after'], where);
        assert.deepEqual((await verifyLog(dir)).problems, [], where);
        await rm(dir, { recursive: true });
      }
      t.diagnostic(`${calls} calls, of kinds ${[...failedCalls].join(', ')}`);
      await rm(start, { recursive: true });
      if (step > 1) return;
      for (const call of ['write', 'syncFile', 'rename', 'syncFolder', 'link', 'chmod', 'list', 'read'] as const)
        assert.ok(failedCalls.has(call), `${call} never failed`);
    });
  }
}
