/** Runs command lines in the test's own process. */
import { type Clock, systemClock } from '../../base/index.js';
import type { Io } from '../io.js';
import { runMain } from '../run.js';

export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  /** The one document on stdout. */
  readonly json: () => Record<string, unknown>;
}

export interface World {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly clock?: Clock;
  readonly terminal?: boolean;
  readonly answers?: readonly string[];
}

/** A vault opens at every command; at its real cost, half a second, that would be most of what tests do. `test/package.test.ts` pays it. */
const VAULT_COST = 1024;

export async function muniment(argv: readonly string[], world: World = {}): Promise<Ran> {
  let stdout = '';
  let stderr = '';
  const answers = [...(world.answers ?? [])];
  const cleanups: (() => void | Promise<void>)[] = [];
  const isTTY = world.terminal ?? false;
  const io: Io = {
    stdout: { write: (text) => (stdout += text), isTTY },
    stderr: { write: (text) => (stderr += text), isTTY, columns: 100 },
    askSecret: isTTY ? async () => answers.shift() ?? '' : null,
    env: world.env ?? {},
    cwd: world.cwd ?? process.cwd(),
    clock: world.clock ?? systemClock,
    vaultCost: VAULT_COST,
    signal: new AbortController().signal,
    onExit: (cleanup) => cleanups.push(cleanup),
  };
  const code = await runMain(argv, io);
  for (const cleanup of cleanups.reverse()) await cleanup();
  return { code, stdout, stderr, json: () => JSON.parse(stdout) as Record<string, unknown> };
}
