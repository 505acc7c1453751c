/** Two writers on one room, killed again and again at random instants: what was acknowledged must be there, and the log clean. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { seededRandom } from '../../base/index.js';
import { scriptWords } from '../../base/testing/script.js';
import { openLedger } from '../ledger.js';
import { verifyLog } from '../verify-log.js';
import { testKeys } from './keys.js';

export interface KillReport {
  readonly kills: number;
  readonly acknowledged: number;
  /** Acknowledged statements that are not in the log at the place that was acknowledged. */
  readonly lost: number;
  /** The log was verified after every tenth of the kills and at the end, without a problem. */
  readonly clean: boolean;
  readonly problems: readonly string[];
}

const WRITERS = 2;
/** Never with this process's own arguments: with `--eval` among them each writer would begin a run of its own. */
const writer = scriptWords('./writer', import.meta.url);

interface Writer {
  readonly process: ChildProcess;
  readonly ready: Promise<unknown>;
  readonly ended: Promise<unknown>;
}

function start(dir: string, keys: string, name: string, acknowledged: Map<string, number>): Writer {
  const child = spawn(process.execPath, [...writer, dir, keys, name], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let rest = '';
  let isReady: () => void;
  const ready = new Promise<void>((resolve) => {
    isReady = resolve;
  });
  child.stdout!.on('data', (text: Buffer) => {
    isReady();
    const lines = (rest + text.toString('latin1')).split('\n');
    // A line that the kill cut short was not acknowledged.
    rest = lines.pop() ?? '';
    for (const line of lines) {
      const match = /^(\d+) ([0-9a-f]{64})$/.exec(line);
      if (match !== null) acknowledged.set(match[2]!, Number(match[1]));
    }
  });
  const ended = once(child, 'close');
  return { process: child, ready: Promise.race([ready, ended]), ended };
}

/** @param kills how many processes are ended by SIGKILL while they write */
export async function killWriters(
  kills: number,
  seed: number,
  say: (line: string) => void = () => {},
): Promise<KillReport> {
  const top = await mkdtemp(path.join(os.tmpdir(), 'ledger-kill-'));
  const dir = path.join(top, 'room');
  const keyFile = path.join(top, 'keys.json');
  const keys = testKeys();
  const pem = { type: 'pkcs8', format: 'pem' } as const;
  await writeFile(
    keyFile,
    JSON.stringify({
      statements: keys.statements.privateKey.export(pem),
      log: keys.log.privateKey.export(pem),
      origin: keys.log.name,
    }),
  );
  const every = Math.max(10, Math.ceil(kills / 10));
  const random = seededRandom(seed, 'kills');
  const acknowledged = new Map<string, number>();
  const problems: string[] = [];
  const check = async (): Promise<void> => {
    for (const { code, where } of (await verifyLog(dir)).problems) problems.push(`${code} ${where}`);
  };
  const run = (i: number): Writer => start(dir, keyFile, `writer ${i}`, acknowledged);
  const running = Array.from({ length: WRITERS }, (_, i) => run(i));
  try {
    for (let kill = 0; kill < kills; kill++) {
      const slot = kill % WRITERS;
      const victim = running[slot]!;
      await victim.ready;
      // Its first append is acknowledged, so everything is loaded: the kill falls anywhere in the next few, lock and file writes.
      await new Promise((resolve) => setTimeout(resolve, random.unit() * 60));
      if (victim.process.exitCode !== null) throw new Error('a writer stopped by itself; its error is above');
      victim.process.kill('SIGKILL');
      await victim.ended;
      running[slot] = run(WRITERS + kill);
      if ((kill + 1) % every === 0) {
        await check();
        say(`${kill + 1} kills, ${acknowledged.size} statements acknowledged, ${problems.length} problems`);
      }
    }
  } finally {
    for (const { process: child, ended } of running) {
      child.kill('SIGKILL');
      await ended;
    }
  }
  await check();
  const logged = new Map<string, number>();
  for await (const { sha256, index } of openLedger(dir).statements()) logged.set(sha256, index);
  const lost = [...acknowledged].filter(([sha256, index]) => logged.get(sha256) !== index).length;
  await rm(top, { recursive: true, force: true });
  return { kills, acknowledged: acknowledged.size, lost, clean: problems.length === 0, problems };
}
