/** The few file operations the ledger makes, each durable before it returns. Injected, so that tests can fail any of them. */
import { chmod, link, mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';

export interface Disk {
  /** Bytes, or null where there is no such file. */
  read(file: string): Promise<Uint8Array | null>;
  /** Names in a folder; empty where there is none. */
  list(folder: string): Promise<readonly string[]>;
  /** Replaces the file as one act: bytes on disk, then the name, then the folder entry on disk. */
  replace(file: string, bytes: Uint8Array): Promise<void>;
  /** Creates the file whole, or returns false where it exists already. Not made durable: for locks. */
  create(file: string, bytes: Uint8Array): Promise<boolean>;
  remove(file: string): Promise<void>;
  /** Marks a file as done with, by taking its write permission: needs no space, so a full disk cannot prevent it. */
  seal(file: string): Promise<void>;
  /** True for a sealed file; null where there is none. */
  isSealed(file: string): Promise<boolean | null>;
}

let temporaries = 0;
const temporaryFor = (file: string): string => `${file}.${process.pid}.${++temporaries}.tmp`;
/** Left behind only by a process that was killed; harmless, and named so that nothing takes them for data. */
export const isTemporary = (name: string): boolean => /\.\d+\.\d+\.tmp$/.test(name);

export const realDisk: Disk = {
  async read(file) {
    try {
      return Uint8Array.from(await readFile(file));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
      throw error;
    }
  },
  async list(folder) {
    try {
      return (await readdir(folder)).sort();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
      throw error;
    }
  },
  async replace(file, bytes) {
    const temporary = temporaryFor(file);
    await makeFolder(path.dirname(file));
    try {
      await writeSynced(temporary, bytes);
      await rename(temporary, file);
    } catch (error) {
      await rm(temporary, { force: true }).catch(() => undefined);
      throw error;
    }
    await syncFolder(path.dirname(file));
  },
  async create(file, bytes) {
    const temporary = temporaryFor(file);
    await makeFolder(path.dirname(file));
    try {
      const handle = await open(temporary, 'wx', 0o600);
      try {
        await handle.writeFile(bytes);
      } finally {
        await handle.close();
      }
      // A hard link appears with its content or not at all, and never over another.
      await link(temporary, file);
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
      throw error;
    } finally {
      await rm(temporary, { force: true }).catch(() => undefined);
    }
  },
  remove: (file) => rm(file, { force: true, recursive: true }),
  seal: (file) => chmod(file, 0o400),
  async isSealed(file) {
    try {
      return ((await stat(file)).mode & 0o200) === 0;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
      throw error;
    }
  },
};

async function writeSynced(file: string, bytes: Uint8Array): Promise<void> {
  const handle = await open(file, 'wx', 0o600);
  try {
    await handle.writeFile(bytes);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** New folders are made durable too: their entry in the parent is part of the path to the data. */
async function makeFolder(folder: string): Promise<void> {
  const first = await mkdir(folder, { recursive: true, mode: 0o700 });
  if (first === undefined) return;
  for (let at = folder; ; at = path.dirname(at)) {
    await syncFolder(path.dirname(at));
    if (path.resolve(at) === path.resolve(first)) return;
  }
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
