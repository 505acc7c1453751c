/** The process: signals, closed pipes and crashes around `runMain`. */
import { systemClock } from '../base/index.js';
import { runMain } from './run.js';
import { secretPrompt } from './terminal.js';

/** How long clean-up may take after a signal (milliseconds): long enough to remove a file, short enough to wait for. */
const CLEAN_UP_LIMIT = 5000;

const interrupted = new AbortController();
const cleanups: (() => void | Promise<void>)[] = [];

async function cleanUp(): Promise<void> {
  for (let cleanup = cleanups.pop(); cleanup !== undefined; cleanup = cleanups.pop()) {
    try {
      await cleanup();
    } catch (error) {
      process.stderr.write(`muniment: cleaning up failed: ${error instanceof Error ? error.message : error}\n`);
    }
  }
}

for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const) {
  process.on(signal, () => {
    // The second Ctrl-C means now.
    if (interrupted.signal.aborted) process.exit(code);
    interrupted.abort();
    setTimeout(() => process.exit(code), CLEAN_UP_LIMIT).unref();
    void cleanUp().then(() => process.exit(code));
  });
}

// `muniment log | head`: the reader has enough. The work goes on to its end; only the printing stops.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') process.exit(4);
  });
}

function crash(error: unknown): void {
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  process.stderr.write(
    `error: a fault of muniment itself (INTERNAL)\n  to do:    please report it with the command that led here\n${text}\n`,
  );
  if (process.argv.includes('--json')) {
    const message = error instanceof Error ? error.message : String(error);
    process.stdout.write(`${JSON.stringify({ error: { code: 'INTERNAL', kind: 'internal', message } })}\n`);
  }
  process.exit(70);
}
process.on('uncaughtException', crash);
process.on('unhandledRejection', crash);

const code = await runMain(process.argv.slice(2), {
  stdout: process.stdout,
  stderr: process.stderr,
  askSecret: secretPrompt(process.stdin, process.stderr),
  env: process.env,
  cwd: process.cwd(),
  clock: systemClock,
  signal: interrupted.signal,
  onExit: (cleanup) => cleanups.push(cleanup),
});
// After a signal its handler ends the process, with its own code, when the clean-up is done.
if (!interrupted.signal.aborted) {
  await cleanUp();
  // Engines keep threads that would hold the process open; what was printed must be out before it ends.
  process.stdout.write('', () => process.exit(code));
}
