import { access, mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { usageError } from '../../base/index.js';
import type { Command } from '../command.js';
import { journey, PASSPHRASE } from '../demo/journey.js';
import { textOption } from '../options.js';

/** Marks a folder as one that a demo may clear. */
const MARKER = '.muniment-demo';

export const command: Command = {
  name: 'demo',
  summary: 'walk the whole journey on a simulated fleet, with real numbers',
  usage: 'demo [--out FOLDER]',
  description: `A fleet, a model and its cost, two customers with a marked copy each, a thief who hides one of them, an honest
competitor, the check that tells them apart, and evidence that verifies without us. Takes about half a minute. All of it is
computed now and left in the folder. The people are invented; the times are the demo's clock, not evidence.`,
  examples: ['muniment demo', 'muniment demo --out /tmp/journey --json'],
  options: { out: { type: 'string', value: 'FOLDER', help: 'where everything is left (default: demo-out)' } },
  positionals: { names: [], min: 0, max: 0 },
  async run(call) {
    const folder = path.resolve(call.cwd, textOption(call, 'out') ?? 'demo-out');
    await prepare(folder);
    let steps = 0;
    const result = await journey(folder, call.clock, {
      step(title, typed) {
        call.note(`\n${++steps}. ${title}`);
        if (typed !== undefined) call.note(`   $ ${typed}`);
      },
      say: (line) => call.note(`   ${line}`),
      progress: (label) => call.progress(label),
    });
    const right =
      result.thief.verdict === 'related' &&
      result.thief.recipient === 'Harbour Works' &&
      result.competitor.verdict !== 'related' &&
      result.verified.trusted === 'verified' &&
      result.verified.tampered === 'bad';
    const text = [
      '',
      `${right ? 'As it should be' : 'NOT as it should be'}: suspect.onnx depends on the copy for ${result.thief.recipient ?? 'nobody'} (log10 p ${result.thief.log10p?.toFixed(1) ?? '–'}); competitor.onnx: ${result.competitor.verdict}.`,
      `${result.seconds.toFixed(1)} s. Everything is in ${folder}; open bundle/report.html. Demo clock, not evidence.`,
      `To go on in that room: cd there, export MUNIMENT_PASSPHRASE="${PASSPHRASE}", and muniment rights, log, or what you like.`,
    ].join('\n');
    return { json: result, text, exitCode: right ? 0 : 70 };
  },
};

async function prepare(folder: string): Promise<void> {
  const there = await readdir(folder).catch(() => null);
  const ours = await access(path.join(folder, MARKER)).then(
    () => true,
    () => false,
  );
  if (there !== null && there.length > 0 && !ours) {
    throw usageError('DEMO_OUT_EXISTS', 'this folder holds something that is not from a former demo', {
      where: folder,
      todo: 'name another with --out',
    });
  }
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  await writeFile(path.join(folder, MARKER), '');
}
