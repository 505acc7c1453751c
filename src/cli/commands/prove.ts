import path from 'node:path';
import { type Proved, proveBundle } from '../../evidence/index.js';
import type { Command } from '../command.js';
import { openRoomFor } from '../open-room.js';
import { flagOption, numberOption, textOption } from '../options.js';

export const command: Command = {
  name: 'prove',
  summary: 'make a bundle of evidence that others verify without us',
  usage: 'prove CHECK|last|RELEASE|MODEL --out FOLDER [--expert [--batch N | --all-batches] [--suspect FILE]]',
  description: `A public bundle shows statements, proofs, stamps and a report; its numbers are claims. An expert bundle also opens one
batch of the release's keys and the rows that were tested, so that verify recomputes every number; that batch then
proves nothing any more against whoever has seen it, and the opening is recorded first. --all-batches opens every batch,
so that whoever has the original recomputes the released file bit for bit: all keys of that release are then burnt.`,
  examples: [
    'muniment prove last --out bundle',
    'muniment prove c-0123456789abcdef --expert --suspect suspect.onnx --out for-the-expert',
    'muniment prove r-0123456789abcdef --expert --all-batches --out whole-release',
    'muniment prove pump-model --out title',
  ],
  options: {
    out: { type: 'string', value: 'FOLDER', help: 'where the bundle goes; must not exist' },
    expert: { type: 'boolean', help: 'open one batch of keys and the tested rows, for recomputation' },
    release: { type: 'string', value: 'ID', help: 'the release to open (default: the one found most related)' },
    batch: { type: 'string', value: 'N', help: 'the batch to open (default: the first that nobody has seen)' },
    'all-batches': {
      type: 'boolean',
      help: 'open every batch, to recompute the release: none is left for another court',
    },
    suspect: { type: 'string', value: 'FILE', help: 'the examined file, where the check did not keep it' },
  },
  positionals: { names: ['CHECK|last|RELEASE|MODEL'], min: 1, max: 1 },
  async run(call) {
    const room = await openRoomFor(call, { unlock: true });
    const target = call.positionals[0]!;
    const at = (name: string) => {
      const text = textOption(call, name);
      return text === undefined ? undefined : path.resolve(call.cwd, text);
    };
    const release = textOption(call, 'release');
    const batch = numberOption(call, 'batch');
    const suspect = at('suspect');
    const proved = await proveBundle(room, {
      target,
      out: at('out') ?? path.resolve(call.cwd, `muniment-${target.replaceAll(/[^A-Za-z0-9._-]/g, '_')}`),
      expert: flagOption(call, 'expert'),
      allBatches: flagOption(call, 'all-batches'),
      ...(release === undefined ? {} : { release }),
      ...(batch === undefined ? {} : { batch }),
      ...(suspect === undefined ? {} : { suspect }),
    });
    for (const failure of proved.failures) call.note(`no stamp from ${failure.url}: ${failure.error.message}`);
    const text = [
      `${proved.form} bundle about ${proved.about.name}: ${proved.statements} statements, ${proved.tokens} time stamps`,
      ...(proved.opened === null ? [] : [openedText(proved.opened)]),
      `in ${proved.dir}: read report.html; check with sh verify.sh, or with muniment verify`,
    ].join('\n');
    return {
      json: { ...proved, failures: proved.failures.map((one) => ({ url: one.url, code: one.error.code })) },
      text,
    };
  },
};

const openedText = ({ release, batches, all }: NonNullable<Proved['opened']>): string =>
  all
    ? `opened all ${batches.length} batches of ${release}: every key of it is burnt for whoever sees this, and the log records it; no batch is left for another court`
    : `opened batch ${batches.join(', ')} of ${release}: it is burnt for whoever sees this`;
