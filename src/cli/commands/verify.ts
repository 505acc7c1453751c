import path from 'node:path';
import { readTrust, verifyBundle } from '../../evidence/index.js';
import type { Command } from '../command.js';
import { textOption } from '../options.js';

const SIGNS = { holds: 'holds  ', fails: 'FAILS  ', unknown: 'unknown' } as const;

export const command: Command = {
  name: 'verify',
  summary: 'check a bundle of evidence, offline, without the room',
  usage: 'verify BUNDLE [--trust FILE] [--suspect FILE]',
  description: `Checks every file, signature, inclusion proof and stamp, the order of acts, and in an expert bundle recomputes every
number. With a trust file (owners' keys, log keys, roots of time-stamp authorities, got another way) it says verified;
without one only: internally consistent; identity and time self-asserted. Exit code 1 when something does not hold.`,
  examples: [
    'muniment verify bundle',
    'muniment verify bundle --trust trust.yaml',
    'muniment verify bundle --suspect suspect.onnx --json',
  ],
  options: {
    trust: { type: 'string', value: 'FILE', help: 'keys and roots that you trust (YAML or JSON)' },
    suspect: {
      type: 'string',
      value: 'FILE',
      help: 'the examined file: ties the opened rows of an expert bundle to it',
    },
  },
  positionals: { names: ['BUNDLE'], min: 1, max: 1 },
  async run(call) {
    const trust = textOption(call, 'trust');
    const suspect = textOption(call, 'suspect');
    const report = await verifyBundle(
      path.resolve(call.cwd, call.positionals[0]!),
      trust === undefined ? null : await readTrust(path.resolve(call.cwd, trust)),
      suspect === undefined ? {} : { suspect: path.resolve(call.cwd, suspect) },
    );
    const text = [
      call.style.bold(report.says),
      ...report.steps.map((step) => `  ${SIGNS[step.outcome]}  ${step.step}: ${step.says}`),
      ...(report.error === null
        ? []
        : [`  ${report.error.code}${report.error.where === undefined ? '' : ` at ${report.error.where}`}`]),
    ].join('\n');
    return { json: report, text, exitCode: report.result === 'bad' ? 1 : 0 };
  },
};
