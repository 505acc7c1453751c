/** What is written where tensors lie in the same bytes, or partly in no file. */
import { type ByteSource, inputError } from '../base/index.js';
import type { Stretch } from './stored-tensor.js';

/** New bytes of a stretch. */
export interface NewBytes extends Stretch {
  /** Bytes that take the place of the stretch, where they are not as many. */
  readonly size?: number;
  /** Bytes [from, to) of what is written. */
  read(from: number, to: number): Promise<Uint8Array>;
}

const COMPARED_BYTES = 4 * 1024 * 1024;

/**
 * Stretches of several tensors (OpenVINO writes equal constants once) are written once, where all get the same bytes.
 * @throws `WRITE_OVERLAP`
 */
export async function writtenOnce<T extends NewBytes>(patches: readonly T[]): Promise<readonly T[]> {
  const bySource = new Map<ByteSource, Map<string, T>>();
  const once: T[] = [];
  for (const patch of patches) {
    const here = bySource.get(patch.source) ?? new Map<string, T>();
    bySource.set(patch.source, here);
    const key = `${patch.offset} ${patch.length}`;
    const same = here.get(key);
    if (same === undefined) {
      here.set(key, patch);
      once.push(patch);
    } else if (!(await holdSame(same, patch))) {
      throw inputError('WRITE_OVERLAP', 'two tensors share bytes of the file, and are to get different values', {
        where: `${patch.source.name} byte ${patch.offset}`,
      });
    }
  }
  return once;
}

async function holdSame(a: NewBytes, b: NewBytes): Promise<boolean> {
  for (let from = 0; from < a.length; from += COMPARED_BYTES) {
    const to = Math.min(a.length, from + COMPARED_BYTES);
    if (Buffer.compare(await a.read(from, to), await b.read(from, to)) !== 0) return false;
  }
  return true;
}

/**
 * What no file holds (zeros that a format leaves unsaid) has to stay what it is.
 * @throws `WRITE_NOT_WRITABLE`
 */
export async function checkUnsaid(sources: readonly ByteSource[], patches: readonly NewBytes[]): Promise<void> {
  for (const { source, offset, length, read } of patches) {
    if (sources.includes(source)) continue;
    const [before, after] = [await source.slice(offset, offset + length), await read(0, length)];
    if (Buffer.compare(before, after) !== 0) {
      throw inputError('WRITE_NOT_WRITABLE', 'the new values change numbers that the format leaves unsaid', {
        where: source.name,
        todo: 'leave them as they are: the bias of a recurrent layer’s state is zero in OpenVINO',
      });
    }
  }
}
