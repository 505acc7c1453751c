/**
 * One way to read bytes, wherever they are: `{byteLength, slice}`. Nothing above this file knows
 * whether a model lies in memory, in a file or behind an HTTP range server.
 */
import { type FileHandle, open } from 'node:fs/promises';
import { inputError } from './errors.js';

export interface ByteSource {
  /** Total length in bytes. */
  readonly byteLength: number;
  /** A name for messages: a path or URL. */
  readonly name: string;
  /**
   * Exactly the bytes [start, end); may be a view, never to be written to.
   * @throws `SOURCE_RANGE` when the range leaves the source; `SOURCE_TRUNCATED` when the file shrank.
   */
  slice(start: number, end: number): Promise<Uint8Array>;
  close(): Promise<void>;
}

export function checkRange(source: { byteLength: number; name: string }, start: number, end: number): void {
  if (
    !(
      Number.isSafeInteger(start) &&
      Number.isSafeInteger(end) &&
      0 <= start &&
      start <= end &&
      end <= source.byteLength
    )
  ) {
    throw inputError('SOURCE_RANGE', 'a read leaves the file', {
      expected: `a range inside 0–${source.byteLength}`,
      got: `${start}–${end}`,
      where: source.name,
      todo: 'the file is truncated, or its header lies about sizes; fetch it again',
    });
  }
}

export function memorySource(bytes: Uint8Array, name = 'memory'): ByteSource {
  const source = {
    byteLength: bytes.length,
    name,
    async slice(start: number, end: number) {
      checkRange(source, start, end);
      return bytes.subarray(start, end);
    },
    async close() {},
  };
  return source;
}

/** Positional reads on an open file. The caller closes it. */
export async function fileSource(path: string): Promise<ByteSource> {
  const handle: FileHandle = await open(path, 'r');
  try {
    const stat = await handle.stat();
    if (!stat.isFile()) {
      throw inputError('SOURCE_NOT_A_FILE', `not a regular file: ${path}`, {
        where: path,
        todo: 'name the model file itself',
      });
    }
    const source: ByteSource = {
      byteLength: stat.size,
      name: path,
      async slice(start, end) {
        checkRange(source, start, end);
        const out = new Uint8Array(end - start);
        let at = 0;
        while (at < out.length) {
          const { bytesRead } = await handle.read(out, at, out.length - at, start + at);
          if (bytesRead === 0) {
            throw inputError('SOURCE_TRUNCATED', 'the file became shorter while it was read', {
              expected: `${stat.size} bytes`,
              got: `end at byte ${start + at}`,
              where: path,
            });
          }
          at += bytesRead;
        }
        return out;
      },
      close: () => handle.close(),
    };
    return source;
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** A source that counts what is read through it: `bytesRead` in every `compare` answer comes from here. */
export interface CountingSource extends ByteSource {
  readonly bytesRead: number;
}

export function countingSource(inner: ByteSource): CountingSource {
  let bytesRead = 0;
  return {
    byteLength: inner.byteLength,
    name: inner.name,
    get bytesRead() {
      return bytesRead;
    },
    async slice(start, end) {
      const bytes = await inner.slice(start, end);
      bytesRead += bytes.length;
      return bytes;
    },
    close: () => inner.close(),
  };
}
