/**
 * A writer that is there to be killed: opens the room named first, says `ready`, waits for a byte on stdin, then appends
 * batches until it dies. Every acknowledged statement's digest goes out on a line of its own before the next append.
 */
import { writeSync } from 'node:fs';
import { sha256Hex, utf8 } from '../../src/base/index.js';
import { openRoom } from '../../src/room/index.js';

const [dir, label] = process.argv.slice(2) as [string, string];
const { ledger } = await openRoom(dir, { unlock: { passphrase: process.env.MUNIMENT_PASSPHRASE ?? '' } });
writeSync(1, 'ready\n');
await new Promise((resolve) => process.stdin.once('data', resolve));
for (let batch = 0; ; batch++) {
  const size = 1 + (batch % 3);
  const receipts = await ledger.append(
    Array.from({ length: size }, (_, k) => ({
      kind: 'withdrawal',
      subjects: [],
      predicate: { withdraws: sha256Hex(utf8(label)), reason: `${label} ${batch} ${k + 1}/${size}` },
    })),
  );
  // A synchronous write: what was printed was acknowledged, and what was acknowledged is printed unless the kill comes between.
  for (const { sha256 } of receipts) writeSync(1, `${sha256}\n`);
}
