import { readFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { usageError } from '../../base/index.js';
import { initRoom } from '../../room/index.js';
import type { Command } from '../command.js';
import { textOption, textsOption } from '../options.js';

export const command: Command = {
  name: 'init',
  summary: 'open a room: the ledger, the vault and the keys, in one folder',
  usage: 'init [--owner NAME] [--tsa URL --tsa-root FILE] [--origin NAME]',
  description: `Makes .muniment in this folder (or --room DIR). The vault is always encrypted, with MUNIMENT_PASSPHRASE or --key-file;
whoever loses it loses the seeds and the originals. Name a time-stamp authority (RFC 3161) to have time vouched for
by someone else; without one, verify says that time is self-asserted.`,
  examples: [
    'muniment init --owner "Example Works BV"',
    'muniment init --owner "Example Works BV" --tsa https://freetsa.org/tsr --tsa-root freetsa-root.pem',
    'muniment init --room /srv/titles --key-file /media/key/room.key',
  ],
  options: {
    owner: { type: 'string', value: 'NAME', help: 'who owns what is recorded here (default: the name of this user)' },
    origin: { type: 'string', value: 'NAME', help: 'name of the log in its checkpoints, such as example.com/titles' },
    tsa: { type: 'string', multiple: true, value: 'URL', help: 'time-stamp authority' },
    'tsa-root': {
      type: 'string',
      multiple: true,
      value: 'FILE',
      help: 'its root certificate (PEM), one for each --tsa',
    },
  },
  positionals: { names: [], min: 0, max: 0 },
  async run(call) {
    const urls = textsOption(call, 'tsa');
    const roots = textsOption(call, 'tsa-root');
    if (urls.length !== roots.length) {
      throw usageError('OPTION_VALUE', 'each --tsa goes with one --tsa-root', {
        expected: '--tsa URL --tsa-root FILE',
        got: `${urls.length} and ${roots.length}`,
        todo: 'the root certificate is what stamps are checked against; get it from the authority by another way',
      });
    }
    const dir = path.resolve(call.cwd, textOption(call, 'room') ?? '.muniment');
    const owner = textOption(call, 'owner') ?? os.userInfo().username;
    const origin = textOption(call, 'origin');
    const tsa = await Promise.all(
      urls.map(async (url, index) => ({ url, root: await readFile(path.resolve(call.cwd, roots[index]!), 'utf8') })),
    );
    const room = await initRoom(dir, {
      ...(await call.unlock(true)),
      owner,
      clock: call.clock,
      ...(call.vaultCost === undefined ? {} : { vaultCost: call.vaultCost }),
      ...(origin === undefined ? {} : { origin }),
      ...(tsa.length === 0 ? {} : { tsa }),
    });
    call.onExit(() => room.close());
    return { json: { room: dir, owner }, text: `opened a room for ${owner} in ${dir}` };
  },
};
