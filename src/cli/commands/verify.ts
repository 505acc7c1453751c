import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { readTrust, type VerifyError, verifyBundle } from '../../evidence/index.js';
import type { Call, Command } from '../command.js';
import { textOption } from '../options.js';

const SIGNS = { holds: 'holds  ', fails: 'FAILS  ', unknown: 'unknown' } as const;

export const command: Command = {
  name: 'verify',
  summary: 'check a bundle of evidence, offline, without the room',
  usage: 'verify BUNDLE [--trust FILE] [--suspect FILE] [--original FILE [--released FILE] [--beacon FILE|URL]]',
  description: `Checks every file, signature, inclusion proof and stamp, the order of acts, and in an expert bundle recomputes every
number. With a trust file (owners' keys, log keys, roots of time-stamp authorities, got another way) it says verified;
without one only: internally consistent; identity and time self-asserted. Where the bundle opens every batch of a
release, --original makes the released file again, bit for bit, from the original, the seeds, the plan and the beacon
round; --beacon compares that round with one that you got yourself. Exit code 1 when something does not hold.`,
  examples: [
    'muniment verify bundle',
    'muniment verify bundle --trust trust.yaml',
    'muniment verify bundle --suspect suspect.onnx --json',
    'muniment verify whole-release --original net.onnx --released net-acme.onnx',
    'muniment verify whole-release --original net.onnx --beacon round.json --trust trust.yaml',
  ],
  options: {
    trust: { type: 'string', value: 'FILE', help: 'keys and roots that you trust (YAML or JSON)' },
    suspect: {
      type: 'string',
      value: 'FILE',
      help: 'the examined file: ties the opened rows of an expert bundle to it',
    },
    original: {
      type: 'string',
      value: 'FILE',
      help: 'the unmarked original (a folder or main file where it has several): recomputes the release',
    },
    released: { type: 'string', value: 'FILE', help: 'the copy as it was delivered: compares it with the statement' },
    graph: { type: 'string', value: 'FILE', help: 'the ONNX file that was given as --graph to release' },
    beacon: {
      type: 'string',
      value: 'FILE|URL',
      help: 'the drand round as you got it, or a relay to fetch it from: compares it with the bundle’s',
    },
  },
  positionals: { names: ['BUNDLE'], min: 1, max: 1 },
  async run(call) {
    const trust = textOption(call, 'trust');
    const at = (name: string): Record<string, string> => {
      const file = textOption(call, name);
      if (file === undefined) return {};
      return { [name]: /^https?:\/\//.test(file) ? file : path.resolve(call.cwd, file) };
    };
    const report = await verifyBundle(
      path.resolve(call.cwd, call.positionals[0]!),
      trust === undefined ? null : await readTrust(path.resolve(call.cwd, trust)),
      {
        ...at('suspect'),
        ...at('original'),
        ...at('released'),
        ...at('graph'),
        ...at('beacon'),
        ...(textOption(call, 'original') === undefined ? {} : { workshop: await workshopOf(call) }),
        progress: (label) => call.progress(label),
      },
    );
    const text = [
      call.style.bold(report.says),
      ...report.steps.map((step) => `  ${SIGNS[step.outcome]}  ${step.step}: ${step.says}`),
      ...errorLines(report.error),
    ].join('\n');
    return { json: report, text, exitCode: report.result === 'bad' ? 1 : 0 };
  },
};

/** A marked copy must not be left behind when the work is interrupted. */
async function workshopOf(call: Call): Promise<string> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'muniment-verify-'));
  call.onExit(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

function errorLines(error: VerifyError | null): readonly string[] {
  if (error === null) return [];
  const facts = (['expected', 'got', 'where', 'todo'] as const).flatMap((fact) =>
    error[fact] === undefined ? [] : [`    ${`${fact === 'todo' ? 'to do' : fact}:`.padEnd(9)} ${error[fact]}`],
  );
  return [`  ${error.code}`, ...facts];
}
