/** Runs workers over a range of steps and watches them: one that stands still or dies is a finding, and the next goes on behind it. */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type { Report } from './worker.js';

export interface Range {
  readonly reader: string;
  readonly seed: number;
  readonly from: number;
  readonly to: number;
  /** A module whose `openModel` is tried instead of Muniment's. */
  readonly subject?: string | undefined;
}

/** An attempt may take two seconds; what takes ten is not waited for. Starting is another matter. */
const STANDS_STILL = 10_000;
const STARTS_WITHIN = 120_000;
/** Of V8's heap: four times what is allowed, so that what is too much is measured before it is fatal. */
const HEAP_MB = 2048;
const LAST_WORDS = 2000;

const worker = fileURLToPath(new URL('./worker.ts', import.meta.url));
const argv = ['--disallow-code-generation-from-strings', `--max-old-space-size=${HEAP_MB}`, '--import', 'tsx', worker];

/** @param report called for every step of the range, in order */
export async function watchRange(range: Range, report: (report: Report) => void): Promise<void> {
  let { from } = range;
  while (from < range.to) from = await runWorker({ ...range, from }, report);
}

/** @returns the step at which to go on */
async function runWorker(
  { reader, seed, from, to, subject }: Range,
  report: (report: Report) => void,
): Promise<number> {
  const words = [reader, seed, from, to, ...(subject === undefined ? [] : [subject])].map(String);
  const child = spawn(process.execPath, [...argv, ...words], { stdio: ['ignore', 'ignore', 'pipe', 'pipe'] });
  let said = '';
  child.stderr!.on('data', (chunk) => {
    said = (said + String(chunk)).slice(-LAST_WORDS);
  });
  let next = from;
  let last = performance.now();
  let ready = false;
  let still = false;
  const watch = setInterval(() => {
    still = performance.now() - last > (ready ? STANDS_STILL : STARTS_WITHIN);
    if (still) child.kill('SIGKILL');
  }, 250);
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve(code));
  });
  try {
    for await (const line of createInterface({ input: child.stdio[3] as Readable })) {
      last = performance.now();
      const found = JSON.parse(line) as Report | { readonly ready: true };
      if ('ready' in found) ready = true;
      else {
        report(found);
        next = found.step + 1;
      }
    }
    const code = await ended;
    if (next >= to) return to;
    if (!ready) throw new Error(`a worker did not start: ${said}`);
    const what = still ? 'stands still' : 'crash';
    const detail = still ? `no answer within ${STANDS_STILL / 1000} s` : `exit ${code}\n${said}`;
    const milliseconds = performance.now() - last;
    report({ step: next, code: what, fault: { what, detail }, milliseconds, peakBytes: 0 });
    return next + 1;
  } finally {
    clearInterval(watch);
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
  }
}
