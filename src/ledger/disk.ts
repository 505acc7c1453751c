/**
 * The few file operations the ledger makes, each durable before it returns. They stand on a handful of primitives, so that
 * tests can fail each single one of them.
 */
import { chmod, link, mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';

export interface NewFile {
  readonly file: string;
  readonly bytes: Uint8Array;
}

export interface Disk {
  /** Bytes, or null where there is no such file. */
  read(file: string): Promise<Uint8Array | null>;
  /** Names in a folder; empty where there is none. */
  list(folder: string): Promise<readonly string[]>;
  /** Replaces the file as one act: bytes on disk, then the name, then the folder entry on disk. */
  replace(file: string, bytes: Uint8Array): Promise<void>;
  /** Replaces each file as one act, and syncs each folder once: a batch of thousands costs little more than its bytes. */
  replaceAll(files: readonly NewFile[]): Promise<void>;
  /** Creates the file whole, or returns false where it exists already. Not made durable: for locks. */
  create(file: string, bytes: Uint8Array): Promise<boolean>;
  remove(file: string): Promise<void>;
  /** Marks a file as done with, by taking its write permission: needs no space, so a full disk cannot prevent it. */
  seal(file: string): Promise<void>;
  /** True for a sealed file; null where there is none. */
  isSealed(file: string): Promise<boolean | null>;
}

/** What the file system itself does, one system call or two each. */
export interface FileSystem {
  read(file: string): Promise<Uint8Array>;
  list(folder: string): Promise<string[]>;
  mode(file: string): Promise<number>;
  /** Creates folders as needed; the topmost one that was new. */
  makeFolder(folder: string): Promise<string | undefined>;
  /** A new file with these bytes; fails where there is one. */
  write(file: string, bytes: Uint8Array): Promise<void>;
  syncFile(file: string): Promise<void>;
  syncFolder(folder: string): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  link(from: string, to: string): Promise<void>;
  remove(file: string): Promise<void>;
  chmod(file: string, mode: number): Promise<void>;
}

export const realFileSystem: FileSystem = {
  read: async (file) => Uint8Array.from(await readFile(file)),
  list: (folder) => readdir(folder),
  mode: async (file) => (await stat(file)).mode,
  makeFolder: (folder) => mkdir(folder, { recursive: true, mode: 0o700 }),
  write: (file, bytes) => withFile(file, 'wx', (handle) => handle.writeFile(bytes)),
  syncFile: (file) => withFile(file, 'r+', (handle) => handle.sync()),
  async syncFolder(folder) {
    // Windows opens no folders; NTFS journals names by itself.
    if (process.platform !== 'win32') await withFile(folder, 'r', (handle) => handle.sync());
  },
  rename,
  link,
  remove: (file) => rm(file, { force: true, recursive: true }),
  chmod,
};

async function withFile(
  file: string,
  flags: string,
  work: (handle: Awaited<ReturnType<typeof open>>) => Promise<void>,
): Promise<void> {
  const handle = await open(file, flags, 0o600);
  try {
    await work(handle);
  } finally {
    await handle.close();
  }
}

let temporaries = 0;
const temporaryFor = (file: string): string => `${file}.${process.pid}.${++temporaries}.tmp`;
/** Left behind only by a process that was killed; harmless, and named so that nothing takes them for data. */
export const isTemporary = (name: string): boolean => /\.\d+\.\d+\.tmp$/.test(name);

const errno = (error: unknown): string | undefined => (error as NodeJS.ErrnoException).code;

async function unlessMissing<T, U>(work: Promise<T>, missing: U): Promise<T | U> {
  try {
    return await work;
  } catch (error) {
    if (errno(error) === 'ENOENT') return missing;
    throw error;
  }
}

export function diskOn(fs: FileSystem): Disk {
  const durable = new Set<string>();

  /**
   * A folder is durable when its name in its parent is, and so on upwards. Once per process every ancestor is synced,
   * the new ones and those that a killed process may have made and not synced.
   */
  async function makeFolder(folder: string): Promise<void> {
    const isNew = (await fs.makeFolder(folder)) !== undefined;
    if (!isNew && durable.has(folder)) return;
    for (let at = path.resolve(folder); at !== path.dirname(at); at = path.dirname(at)) {
      await fs.syncFolder(path.dirname(at)).catch((error: unknown) => {
        // A parent that this user may not open was not made by this user.
        if (errno(error) !== 'EACCES' && errno(error) !== 'EPERM') throw error;
      });
    }
    durable.add(folder);
  }

  async function replaceAll(files: readonly NewFile[]): Promise<void> {
    const folders = [...new Set(files.map(({ file }) => path.dirname(file)))];
    for (const folder of folders) await makeFolder(folder);
    const moves = files.map(({ file, bytes }) => ({ file, bytes, temporary: temporaryFor(file) }));
    try {
      await inParallel(moves, async ({ temporary, bytes }) => {
        await fs.write(temporary, bytes);
        await fs.syncFile(temporary);
      });
      await inParallel(moves, ({ temporary, file }) => fs.rename(temporary, file));
    } catch (error) {
      await inParallel(moves, ({ temporary }) => fs.remove(temporary).catch(() => undefined));
      throw error;
    }
    await inParallel(folders, (folder) => fs.syncFolder(folder));
  }

  return {
    read: (file) => unlessMissing(fs.read(file), null),
    list: async (folder) => [...(await unlessMissing(fs.list(folder), []))].sort(),
    replace: (file, bytes) => replaceAll([{ file, bytes }]),
    replaceAll,
    async create(file, bytes) {
      const temporary = temporaryFor(file);
      await fs.makeFolder(path.dirname(file));
      try {
        await fs.write(temporary, bytes);
        // A hard link appears with its content or not at all, and never over another.
        await fs.link(temporary, file);
        return true;
      } catch (error) {
        if (errno(error) === 'EEXIST') return false;
        throw error;
      } finally {
        await fs.remove(temporary).catch(() => undefined);
      }
    },
    remove: (file) => fs.remove(file),
    seal: (file) => fs.chmod(file, 0o400),
    async isSealed(file) {
      const mode = await unlessMissing(fs.mode(file), null);
      return mode === null ? null : (mode & 0o200) === 0;
    },
  };
}

export const realDisk: Disk = diskOn(realFileSystem);

/**
 * 16 at once: enough to keep a disk busy, few enough for any limit on open files. Waits for all of them even when one
 * fails: nothing may still be writing when the lock is let go.
 */
export async function inParallel<T>(items: readonly T[], work: (item: T) => Promise<void>, atOnce = 16): Promise<void> {
  const queue = items.values();
  const outcomes = await Promise.allSettled(
    Array.from({ length: Math.min(atOnce, items.length) }, async () => {
      for (const item of queue) await work(item);
    }),
  );
  for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
}
