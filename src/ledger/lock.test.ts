import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { seededRandom } from '../base/index.js';
import { type Disk, diskOn, type FileSystem, realDisk, realFileSystem } from './disk.js';
import { withLock } from './lock.js';

const top = await mkdtemp(path.join(os.tmpdir(), 'ledger-lock-'));
after(() => rm(top, { recursive: true, force: true }));

const hold = (folder: string, disk: Disk = realDisk, patience = 40): Promise<string> =>
  withLock(disk, folder, async () => 'held', { patience });

/** What a holder writes about itself, from a lock that is being held. */
async function ourselves(): Promise<Record<string, unknown>> {
  const folder = path.join(top, 'ourselves');
  let text = '';
  await withLock(realDisk, folder, async () => {
    text = await readFile(path.join(folder, (await readdir(folder)).at(-1)!), 'utf8');
  });
  return JSON.parse(text) as Record<string, unknown>;
}

async function leftBy(name: string, holder: string): Promise<string> {
  const folder = path.join(top, name);
  await mkdir(folder);
  await writeFile(path.join(folder, '000000000007'), holder);
  return folder;
}

test('what a dead holder left is taken over; a living one is waited for, a foreign one named', async () => {
  const self = await ourselves();
  const elsewhere = { ...self, host: 'another.example.com' };
  await assert.rejects(hold(await leftBy('foreign', JSON.stringify(elsewhere))), { code: 'LOCK_FOREIGN' });
  await assert.rejects(hold(await leftBy('living', JSON.stringify(self))), { code: 'LOCK_HELD' });
  // No process has this number: Linux ends at 2^22.
  assert.equal(await hold(await leftBy('gone', JSON.stringify({ ...self, pid: 2 ** 22 + 1, start: '1' }))), 'held');
  // A power failure leaves a file that was never synced.
  assert.equal(await hold(await leftBy('empty', '')), 'held');
  if (self.boot !== null)
    assert.equal(await hold(await leftBy('rebooted', JSON.stringify({ ...self, boot: 'x' }))), 'held');
  // The number of a process that ended, given to a later one: this test itself.
  if (self.start !== null)
    assert.equal(await hold(await leftBy('reused', JSON.stringify({ ...self, start: '1' }))), 'held');
});

test('a lock is let go when the work fails, and even when that cannot be written down', async () => {
  const folder = path.join(top, 'failing');
  const work = async (): Promise<never> => Promise.reject(new Error('the work failed'));
  await assert.rejects(withLock(realDisk, folder, work), { message: 'the work failed' });
  assert.equal(await hold(folder), 'held');
  const cannotSeal: Disk = { ...realDisk, seal: () => Promise.reject(new Error('read-only file system')) };
  assert.equal(await hold(folder, cannotSeal), 'held');
  assert.equal(await hold(folder), 'held');
  const link = (): Promise<never> => Promise.reject(Object.assign(new Error('no links'), { code: 'ENOTSUP' }));
  await assert.rejects(hold(folder, diskOn({ ...realFileSystem, link })), { code: 'LOCK_UNSUPPORTED' });
});

test('many takers at once, slow file systems, holders that die: never two inside, and few files stay', async () => {
  const folder = path.join(top, 'race');
  const random = seededRandom(11, 'lock');
  const slow = Object.fromEntries(
    Object.entries(realFileSystem).map(([name, real]) => [
      name,
      async (...args: never[]) => {
        const pause = async (): Promise<void> => {
          if (random.below(3) === 0) await new Promise((resolve) => setTimeout(resolve, random.unit() * 4));
        };
        await pause();
        const result = await (real as (...args: never[]) => Promise<unknown>)(...args);
        await pause();
        return result;
      },
    ]),
  ) as unknown as FileSystem;
  const disk = diskOn(slow);
  // One in three never seals its lock and is found dead.
  const dying: Disk = {
    ...disk,
    seal: async (file) => {
      const holder = JSON.parse(await readFile(file, 'utf8')) as Record<string, unknown>;
      await writeFile(file, JSON.stringify({ ...holder, pid: 2 ** 22 + 1, start: '1' }));
    },
  };
  let inside = 0;
  let turns = 0;
  const taker = async (): Promise<void> => {
    for (let i = 0; i < 12; i++) {
      await withLock(random.below(3) === 0 ? dying : disk, folder, async () => {
        assert.equal(++inside, 1, 'two inside');
        await new Promise((resolve) => setTimeout(resolve, random.unit() * 2));
        inside--;
        turns++;
      });
    }
  };
  await Promise.all(Array.from({ length: 8 }, taker));
  assert.equal(turns, 96);
  const files = await readdir(folder);
  assert.ok(files.length <= 66, `${files.length} files`);
});
