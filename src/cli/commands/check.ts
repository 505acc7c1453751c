import path from 'node:path';
import { type Candidate, checkSuspect } from '../../detect/index.js';
import { releaseRoom } from '../../mark/index.js';
import type { Call, Command } from '../command.js';
import { openRoomFor } from '../open-room.js';
import { flagOption, textOption } from '../options.js';

export const command: Command = {
  name: 'check',
  summary: 'is this model one of ours, and whose copy is it?',
  usage: 'check SUSPECT [--obtained-on DATE] [--obtained-from WHERE] [--by WHO] [--keep]',
  description: `Holds the suspect against every release and every recorded original of the room. Each look is recorded, also one that
finds nothing, and makes later looks a little stricter. The answer says on which release the file depends and what was
done to it; it does not say who passed it on, nor that anybody did wrong.`,
  examples: [
    'muniment check suspect.onnx',
    'muniment check suspect.onnx --obtained-on 2026-11-20 --obtained-from "bought device, serial 1234" --by "A. Jansen" --keep',
    'muniment check suspect.safetensors --json',
  ],
  options: {
    'obtained-on': { type: 'string', value: 'DATE', help: 'when the file came to you' },
    'obtained-from': { type: 'string', value: 'WHERE', help: 'from where or whom' },
    by: { type: 'string', value: 'WHO', help: 'who secured it' },
    keep: { type: 'boolean', help: 'keep the suspect in the vault, for prove --expert' },
  },
  positionals: { names: ['SUSPECT'], min: 1, max: 1 },
  async run(call) {
    const opened = await openRoomFor(call, { unlock: true });
    const on = textOption(call, 'obtained-on');
    const from = textOption(call, 'obtained-from');
    const by = textOption(call, 'by');
    const answer = await checkSuspect(releaseRoom(opened), path.resolve(call.cwd, call.positionals[0]!), {
      custody: {
        ...(on === undefined ? {} : { obtainedOn: on }),
        ...(from === undefined ? {} : { obtainedFrom: from }),
        ...(by === undefined ? {} : { by }),
      },
      keep: flagOption(call, 'keep'),
      progress: (label) => call.progress(label),
    });
    const head = `${answer.id} (look ${answer.look} of this room): ${answer.suspect.name}, sha256 ${answer.suspect.sha256}`;
    const body = answer.candidates.map((candidate) => paragraph(candidate, call));
    const text = [head, ...(body.length === 0 ? ['  the room holds no model to compare with'] : body)].join('\n\n');
    return { json: answer, text };
  },
};

function paragraph(candidate: Candidate, call: Call): string {
  const whose =
    candidate.release === null
      ? `${candidate.model}, the original`
      : `${candidate.model}, ${candidate.release} for ${candidate.recipient}`;
  const p =
    candidate.log10p === null ? '' : ` (${candidate.kind}, log10 p ${candidate.log10p.toFixed(1)} after correction)`;
  const tweaks = candidate.tweaks.map(({ kind, ...figures }) => {
    const shown = Object.entries(figures).filter(([, value]) => !Array.isArray(value));
    return shown.length === 0 ? kind : `${kind} ${shown.map(([name, value]) => `${name} ${value}`).join(', ')}`;
  });
  const bold = candidate.verdict === 'related' ? call.style.bold(candidate.verdict) : candidate.verdict;
  return [
    `${bold}: ${whose}${p}`,
    `  ${candidate.reason}`,
    ...(tweaks.length === 0 ? [] : [`  what was done: ${tweaks.join('; ')}`]),
    ...(candidate.earliestTimestamp === null ? [] : [`  earliest time stamp: ${candidate.earliestTimestamp}`]),
  ].join('\n');
}
