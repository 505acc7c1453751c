/**
 * Looks at the mutants of one reader from one step to another, in a process of its own, and writes a line of JSON for each
 * to file descriptor 3: `worker.ts READER SEED FROM TO [SUBJECT]`. Whoever started it watches the time between the lines.
 */
import { writeSync } from 'node:fs';
import type { openModel } from '../../src/formats/index.js';
import { attempt, type Fault } from './attempt.js';
import { mutantOf } from './mutant.js';
import { readReader } from './seeds.js';

export interface Report {
  readonly step: number;
  readonly code: string;
  readonly fault: Fault | null;
  readonly milliseconds: number;
  /** Of the process so far, resident. */
  readonly peakBytes: number;
}

const [name, seed, from, to, subject] = process.argv.slice(2) as [string, string, string, string, string?];
const { openModel: open } = (await import(subject ?? '../../src/formats/index.js')) as { openModel: typeof openModel };
const reader = readReader(name);
const write = writeSync;
write(3, '{"ready":true}\n');
for (let step = Number(from); step < Number(to); step++) {
  const mutant = mutantOf(reader, Number(seed), step);
  const begun = performance.now();
  const { code, fault } = await attempt(open, mutant);
  const milliseconds = performance.now() - begun;
  const peakBytes = 1024 * process.resourceUsage().maxRSS;
  write(3, `${JSON.stringify({ step, code, fault, milliseconds, peakBytes } satisfies Report)}\n`);
}
