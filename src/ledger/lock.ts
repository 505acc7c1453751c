/**
 * An exclusive lock between processes that survives `kill -9`, without native code.
 *
 * Each holder makes the next generation `lock/<g>`; a hard link makes it appear whole and only once. The highest
 * generation counts: it is held until its file is sealed (made read-only), or its process is gone (same machine start, same
 * process start time). A waiter that makes a generation late sees a higher one and withdraws. The highest file is
 * never removed, and old ones only far below it, so that a late waiter cannot fail to see one.
 *
 * Age decides nothing here: a paused writer keeps its lock (proper-lockfile would give it away).
 */
import { readFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { environmentError, equalBytes, fromUtf8, secretBytes, toHex, utf8 } from '../base/index.js';
import type { Disk } from './disk.js';

interface Holder {
  readonly host: string;
  /** Identifies this start of the machine; null where the system does not tell. */
  readonly boot: string | null;
  readonly pid: number;
  /** Start time of the process in clock ticks; null where the system does not tell. */
  readonly start: string | null;
}

/** Generations kept below the highest, so that a listing that races with removals still meets some of them. */
const KEPT = 64;

export interface LockOptions {
  /** Milliseconds to wait for a living holder. */
  readonly patience?: number;
}

/** Runs `work` while holding the lock of `folder`. @throws `LOCK_HELD`, `LOCK_FOREIGN`, `LOCK_UNSUPPORTED` */
export async function withLock<T>(
  disk: Disk,
  folder: string,
  work: () => Promise<T>,
  { patience = 30_000 }: LockOptions = {},
): Promise<T> {
  const release = await acquire(disk, folder, patience);
  try {
    return await work();
  } finally {
    await release();
  }
}

async function acquire(disk: Disk, folder: string, patience: number): Promise<() => Promise<void>> {
  const self = await ourselves();
  const deadline = Date.now() + patience;
  for (let wait = 2; ; wait = Math.min(50, wait * 2)) {
    const highest = (await generations(disk, folder)).at(-1) ?? 0;
    const holder = await holderOf(disk, folder, highest);
    if (holder === null || !(await isAlive(holder, self, folder))) {
      const mine = fileOf(folder, highest + 1);
      if (await take(disk, folder, highest + 1, self)) return () => release(disk, mine);
    }
    if (Date.now() > deadline) {
      throw environmentError('LOCK_HELD', 'another process is writing to this room', {
        got: holder === null ? 'a lock that others keep taking' : `process ${holder.pid} on ${holder.host}`,
        where: folder,
        todo: 'wait until it has finished, or end it, and try again',
      });
    }
    await new Promise((resolve) => setTimeout(resolve, wait * (0.5 + Math.random())));
  }
}

/** Who holds a generation, or null where it is free. */
async function holderOf(disk: Disk, folder: string, generation: number): Promise<Holder | null> {
  const file = fileOf(folder, generation);
  const free = generation === 0 || unsealed.has(file) || (await disk.isSealed(file)) !== false;
  return free ? null : readHolder(disk, file);
}

/** Makes a generation; true when it is the highest, and so ours to hold. */
async function take(disk: Disk, folder: string, generation: number, self: Holder): Promise<boolean> {
  const mine = fileOf(folder, generation);
  const bytes = utf8(JSON.stringify({ ...self, token: toHex(secretBytes(16)) }));
  try {
    if (!(await disk.create(mine, bytes))) return false;
    const now = await generations(disk, folder);
    if (now.at(-1) === generation) {
      for (const old of now.filter((g) => g < generation - KEPT)) {
        // Old generations cost a name each; one that cannot be removed now is removed next time.
        await disk.remove(fileOf(folder, old)).catch(() => undefined);
      }
      return true;
    }
    await disk.remove(mine);
    return false;
  } catch (error) {
    // The file may be there although its creation was reported as failed: this process must not seem to hold it.
    const there = await disk.read(mine).catch(() => bytes);
    if (there !== null && equalBytes(there, bytes)) await release(disk, mine);
    if (!['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'].includes((error as NodeJS.ErrnoException).code ?? ''))
      throw error;
    throw environmentError('LOCK_UNSUPPORTED', 'this file system refuses hard links, so writers cannot be kept apart', {
      where: folder,
      todo: 'keep the room on a local disk (not exFAT, and not a share without links), or check its permissions',
      cause: error,
    });
  }
}

/** Lock files that this process let go of but could not seal: the work they guarded is done and must not be reported as failed. */
const unsealed = new Set<string>();

async function release(disk: Disk, file: string): Promise<void> {
  unsealed.add(file);
  await disk.seal(file).then(
    () => unsealed.delete(file),
    () => undefined,
  );
}

const fileOf = (folder: string, generation: number): string => path.join(folder, String(generation).padStart(12, '0'));

async function generations(disk: Disk, folder: string): Promise<number[]> {
  return (await disk.list(folder))
    .filter((name) => /^\d{12,15}$/.test(name))
    .map(Number)
    .sort((a, b) => a - b);
}

async function readHolder(disk: Disk, file: string): Promise<Holder | null> {
  const bytes = await disk.read(file);
  if (bytes === null) return null;
  try {
    return JSON.parse(fromUtf8(bytes)) as Holder;
  } catch {
    // A power failure can leave an empty file where nothing was synced; no process outlives one.
    return null;
  }
}

async function isAlive(holder: Holder, self: Holder, folder: string): Promise<boolean> {
  if (holder.host !== self.host) {
    throw environmentError('LOCK_FOREIGN', 'a process on another machine holds this room, or died holding it', {
      got: `process ${holder.pid} on ${holder.host}`,
      where: folder,
      todo: `make sure that nothing on ${holder.host} writes here, then remove the folder ${folder}`,
    });
  }
  if (holder.boot !== null && self.boot !== null && holder.boot !== self.boot) return false;
  try {
    process.kill(holder.pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
  }
  const start = await processStart(holder.pid);
  return holder.start === null || start === null || start === holder.start;
}

const readText = (file: string): Promise<string | null> => readFile(file, 'utf8').catch(() => null);

/** Field 22 of /proc/<pid>/stat: tells a process from a later one with the same number (proc(5)). A zombie counts as gone. */
async function processStart(pid: number): Promise<string | null> {
  const stat = await readText(`/proc/${pid}/stat`);
  if (stat === null) return null;
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields[0] === 'Z' || fields[0] === 'X' ? 'ended' : (fields[19] ?? null);
}

async function ourselves(): Promise<Holder> {
  return {
    host: os.hostname(),
    boot: (await readText('/proc/sys/kernel/random/boot_id'))?.trim() ?? null,
    pid: process.pid,
    start: await processStart(process.pid),
  };
}
