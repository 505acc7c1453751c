/** Reading files that someone else may have prepared, and reporting instead of stopping. For `verifyLog` alone. */
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { evidenceError, MunimentError } from '../base/index.js';

export type Report = (code: string, where: string, message: string) => void;

/** The bytes of a regular file of at most `limit` bytes; null where there is none. Never waits on a pipe, never fills the memory. */
export async function readBounded(file: string, limit: number): Promise<Uint8Array | null> {
  let handle: Awaited<ReturnType<typeof open>>;
  try {
    // O_NONBLOCK: opening a named pipe must not wait for a writer.
    handle = await open(file, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
  try {
    const stat = await handle.stat();
    if (!stat.isFile() || stat.size > limit) {
      throw evidenceError('LOG_FILE_FORM', 'not a regular file, or larger than any ledger writes', {
        expected: `a file of at most ${limit} bytes`,
        got: stat.isFile() ? `${stat.size} bytes` : 'another thing than a file',
        where: file,
      });
    }
    return Uint8Array.from(await handle.readFile());
  } finally {
    await handle.close();
  }
}

export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
export const codeOf = (error: unknown, otherwise: string): string =>
  error instanceof MunimentError ? error.code : otherwise;
