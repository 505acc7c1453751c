/** A stream that ends, such as standard input, as a source that can be read anywhere: through a file without a name. */
import { open, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { toHex } from './bytes.js';
import { inputError } from './errors.js';
import { secretBytes } from './hash.js';
import { type ByteSource, fileSource } from './source.js';

/** A stream may never end; this is more than any model that is piped. */
const MAX_SPOOLED = 64 * 1024 ** 3;

/** @throws `SPOOL_TOO_LONG`, `SPOOL_EMPTY` */
export async function spooledSource(stream: AsyncIterable<Uint8Array>, name: string): Promise<ByteSource> {
  const file = path.join(os.tmpdir(), `muniment-${toHex(secretBytes(8))}.spool`);
  const handle = await open(file, 'wx', 0o600);
  try {
    let length = 0;
    for await (const chunk of stream) {
      length += chunk.length;
      if (length > MAX_SPOOLED) {
        throw inputError('SPOOL_TOO_LONG', 'the stream does not end where models end', {
          expected: `at most ${MAX_SPOOLED} bytes`,
          where: name,
        });
      }
      await handle.writeFile(chunk);
    }
    if (length === 0)
      throw inputError('SPOOL_EMPTY', 'nothing came in', { where: name, todo: 'pipe a model file into it' });
    const source = await fileSource(file);
    return {
      byteLength: source.byteLength,
      name,
      slice: (start, end) => source.slice(start, end),
      async close() {
        await source.close();
        await rm(file, { force: true });
      },
    };
  } finally {
    await handle.close();
    // Opened once, the bytes stay reachable until the source is closed, and nothing is left behind. Windows removes no
    // open file; there it goes when the source is closed.
    await rm(file, { force: true }).catch(() => undefined);
  }
}
