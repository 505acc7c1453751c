/**
 * Deflated bytes (RFC 1951) as a `ByteSource`: inflated forwards as far as it is asked for, never beyond its declared
 * size. Small contents are kept while in use; of large ones only what is being read, and going back starts again.
 */
import { pipeline, Readable } from 'node:stream';
import { crc32, createInflateRaw } from 'node:zlib';
import { type ByteSource, checkRange, inputError } from '../base/index.js';
import { MAX_INFLATED_KEPT } from './limits.js';

/** What the entries of one archive share: one holder at a time keeps inflated bytes, and reads wait for each other. */
export interface InflateSlot {
  holder: { drop(): Promise<void> } | null;
  last: Promise<unknown>;
}

export const inflateSlot = (): InflateSlot => ({ holder: null, last: Promise.resolve() });

interface Inflated {
  readonly size: number;
  readonly crc32: number;
}

/** Packed bytes fetched at a time. */
const CHUNK = 64 * 1024;

async function* chunksOf(packed: ByteSource): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < packed.byteLength; at += CHUNK) {
    yield packed.slice(at, Math.min(packed.byteLength, at + CHUNK));
  }
}

/** Yields the content; throws `ZIP_INFLATE`, `ZIP_SIZE`, `ZIP_CRC`. */
async function* inflated(packed: ByteSource, { size, crc32: expected }: Inflated): AsyncGenerator<Uint8Array> {
  const where = packed.name;
  const inflater = createInflateRaw({ chunkSize: CHUNK });
  // An error of either side ends the loop below by way of the inflater.
  pipeline(Readable.from(chunksOf(packed)), inflater, () => {});
  let seen = 0;
  let sum = 0;
  const facts = { expected: `${size} bytes`, where, todo: 'the archive is damaged or lies about its sizes' };
  try {
    for await (const chunk of inflater as AsyncIterable<Buffer>) {
      seen += chunk.length;
      if (seen > size) throw inputError('ZIP_SIZE', 'an entry unpacks to more than it declares', facts);
      sum = crc32(chunk, sum);
      yield chunk;
    }
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? '';
    if (!/^Z_/.test(code)) throw cause;
    throw inputError('ZIP_INFLATE', 'an entry cannot be unpacked', { where, todo: 'fetch the archive again', cause });
  } finally {
    inflater.destroy();
  }
  if (seen < size) {
    throw inputError('ZIP_SIZE', 'an entry unpacks to less than it declares', { ...facts, got: `${seen} bytes` });
  }
  if (sum !== expected) {
    throw inputError('ZIP_CRC', 'an entry is not what was packed: its checksum differs', {
      expected: expected.toString(16),
      got: sum.toString(16),
      where,
      todo: 'fetch the archive again',
    });
  }
}

export function inflatedSource(packed: ByteSource, entry: Inflated, slot: InflateSlot): ByteSource {
  let stream: AsyncGenerator<Uint8Array> | null = null;
  let kept: { readonly at: number; readonly bytes: Uint8Array }[] = [];
  let reached = 0;

  const holder = {
    async drop() {
      await stream?.return(undefined);
      stream = null;
      kept = [];
      reached = 0;
    },
  };
  const take = async (start: number, end: number): Promise<Uint8Array> => {
    if (slot.holder !== holder) await slot.holder?.drop();
    slot.holder = holder;
    if (stream === null || start < (kept[0]?.at ?? reached)) {
      await holder.drop();
      stream = inflated(packed, entry);
    }
    const out = new Uint8Array(end - start);
    const copy = ({ at, bytes }: (typeof kept)[number]): void => {
      const from = Math.max(start, at);
      const to = Math.min(end, at + bytes.length);
      if (from < to) out.set(bytes.subarray(from - at, to - at), from - start);
    };
    for (const chunk of kept) copy(chunk);
    // Asked for its end, the stream runs on to the checks that stand there.
    while (reached < end || end === entry.size) {
      const { value, done } = await stream.next();
      if (done === true) break;
      const chunk = { at: reached, bytes: value };
      reached += value.length;
      copy(chunk);
      if (entry.size > MAX_INFLATED_KEPT) kept = [];
      kept.push(chunk);
    }
    return out;
  };
  const source: ByteSource = {
    byteLength: entry.size,
    name: packed.name,
    slice(start, end) {
      checkRange(source, start, end);
      const next = slot.last.then(() => take(start, end));
      slot.last = next.catch(() => holder.drop());
      return next;
    },
    close: () => holder.drop(),
  };
  return source;
}
