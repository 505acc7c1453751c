/** One act on a room in a process of its own, for tests that run two, take their rights away, or kill them: `worker.ts ACT DIR [ARGUMENT]`. */
import { type ByteSource, MunimentError, toMunimentError, utf8 } from '../../base/index.js';
import { initRoom, openRoom } from '../index.js';

const [act, dir, argument] = process.argv.slice(2) as [string, string, string | undefined];
const unlock = { passphrase: 'correct horse' };

/** Bytes without end in sight; tells how far it was read. */
const endless = (byteLength: number): ByteSource => ({
  byteLength,
  name: 'endless',
  async slice(start, end) {
    if (start >= 8 * 1024 * 1024) process.stdout.write('half-way\n');
    return new Uint8Array(end - start).fill(7);
  },
  close: async () => undefined,
});

const ACTS: Readonly<Record<string, () => Promise<unknown>>> = {
  init: () => initRoom(dir, { ...unlock, owner: argument || 'Example Works', vaultCost: 1024 }),
  async write() {
    const room = await openRoom(dir, { unlock });
    for (let i = 0; i < 10; i++) {
      await room.vault!.put(`${argument} ${i}`, utf8(`${argument} ${i}`));
      await room.vault!.put('shared', new Uint8Array(100_000).fill(Number(argument)));
      await room.ledger.append([
        { kind: 'withdrawal', subjects: [], predicate: { withdraws: '0'.repeat(64), reason: `${argument} ${i}` } },
      ]);
    }
  },
  async large() {
    const room = await openRoom(dir, { unlock });
    await room.vault!.putFile(endless(2 ** 36), 'large');
  },
  async nobody() {
    // Rights bind everybody but root.
    if (process.getuid?.() === 0) {
      process.setgid?.(65534);
      process.setuid?.(65534);
    }
    await ACTS[argument!]!();
  },
  async put() {
    await (await openRoom(dir, { unlock })).vault!.put('item', utf8('x'));
  },
};

process.stdout.write('ready\n');
process.stdin.once('data', () => {
  ACTS[act]!().then(
    () => process.stdout.write('done\n'),
    (error: unknown) => {
      const { code, kind } = error instanceof MunimentError ? error : toMunimentError(error);
      process.stdout.write(`${kind} ${code}\n`);
    },
  );
  process.stdin.unref?.();
});
