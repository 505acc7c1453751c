/** `kill -9` of writers at random instants: what was acknowledged stays, whole batches only, and the log verifies. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type RandomStream, seededRandom } from '../../src/base/index.js';
import { verifyLog } from '../../src/ledger/index.js';
import { collect } from '../../src/record/index.js';
import { initRoom, openRoom } from '../../src/room/index.js';
import { countFigure, type Figures, shareFigure, type Workplace } from './section.js';

const KILLS_A_ROOM = 10;
const WRITERS = 2;
/** Longest life of a writer after it begins (milliseconds): a dozen appends or so. */
const LONGEST_LIFE = 150;
const PASSPHRASE = 'bench';

const loader = fileURLToPath(new URL('../../node_modules/tsx/dist/loader.mjs', import.meta.url));
const script = fileURLToPath(new URL('./kill-writer.ts', import.meta.url));

interface Writer {
  readonly child: ChildProcess;
  readonly ready: Promise<void>;
  /** Digests acknowledged, and everything printed, once the process is gone. */
  readonly gone: Promise<readonly string[]>;
}

function startWriter(dir: string, label: string): Writer {
  const child = spawn(process.execPath, ['--import', loader, script, dir, label], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, MUNIMENT_PASSPHRASE: PASSPHRASE },
  });
  let said = '';
  let complaint = '';
  child.stderr!.on('data', (chunk) => {
    complaint += String(chunk);
  });
  // A writer that was killed does not read any more.
  child.stdin!.on('error', () => undefined);
  const gone = once(child, 'close').then(([code, signal]) => {
    if (signal !== 'SIGKILL') throw new Error(`a writer ended by itself (${code}): ${complaint}`);
    // What follows the last line end was not said to its end.
    return said
      .split('\n')
      .slice(0, -1)
      .filter((line) => line !== 'ready');
  });
  const ready = new Promise<void>((resolve, reject) => {
    child.stdout!.on('data', (chunk) => {
      said += String(chunk);
      if (said.startsWith('ready\n')) resolve();
    });
    gone.then(() => resolve(), reject);
  });
  // Whoever awaits them learns; a writer that is only waiting must not end the process.
  for (const promise of [ready, gone]) promise.catch(() => undefined);
  return { child, ready, gone };
}

interface Outcome {
  readonly acknowledged: number;
  readonly lost: number;
  readonly problem: string | null;
}

export async function killWriters({ folder, seed, say }: Workplace, kills: number): Promise<Figures> {
  const random = seededRandom(seed, 'kills');
  const outcomes: Outcome[] = [];
  for (let done = 0; done < kills; done += KILLS_A_ROOM) {
    const dir = path.join(folder, `room-${done}`);
    outcomes.push(await oneRoom(dir, Math.min(KILLS_A_ROOM, kills - done), random));
    const { problem } = outcomes.at(-1)!;
    if (problem !== null) say(`WRONG after ${done} kills: ${problem}`);
  }
  const sum = (of: (one: Outcome) => number): number => outcomes.reduce((total, one) => total + of(one), 0);
  const acknowledged = sum((one) => one.acknowledged);
  say(`${kills} kills, ${acknowledged} statements acknowledged, ${outcomes.length} logs verified`);
  if (acknowledged === 0) throw new Error('no statement was acknowledged, so nothing was shown');
  const clean = outcomes.filter(({ problem }) => problem === null).length;
  return {
    kill_lost: countFigure(
      sum((one) => one.lost),
      acknowledged,
    ),
    kill_clean: shareFigure(clean, outcomes.length),
    kills: { value: kills, n: kills, interval95: null },
  };
}

/** Two writers at a time; whichever is killed is followed by a new one, started beforehand. */
async function oneRoom(dir: string, kills: number, random: RandomStream): Promise<Outcome> {
  await (await initRoom(dir, { owner: 'the bench', passphrase: PASSPHRASE, vaultCost: 1024 })).close();
  let labels = 0;
  const start = (): Writer => startWriter(dir, `w${labels++}`);
  const waiting = Array.from({ length: Math.min(kills, WRITERS) }, start);
  const writing: Writer[] = [];
  const said: Promise<readonly string[]>[] = [];
  try {
    for (let k = 0; k < kills; k++) {
      while (writing.length < WRITERS && waiting.length > 0) {
        const next = waiting.shift()!;
        await next.ready;
        next.child.stdin!.write('go\n');
        writing.push(next);
        if (labels < kills) waiting.push(start());
      }
      await sleep(random.below(LONGEST_LIFE));
      const [victim] = writing.splice(random.below(writing.length), 1);
      victim!.child.kill('SIGKILL');
      said.push(victim!.gone);
    }
    const acknowledged = (await Promise.all(said)).flat();
    return { acknowledged: acknowledged.length, ...(await judge(dir, acknowledged)) };
  } finally {
    for (const { child } of [...waiting, ...writing]) child.kill('SIGKILL');
    await Promise.allSettled([...waiting, ...writing].map(({ gone }) => gone));
  }
}

async function judge(dir: string, acknowledged: readonly string[]): Promise<Omit<Outcome, 'acknowledged'>> {
  const report = await verifyLog(dir);
  const room = await openRoom(dir);
  const statements = await collect(room.ledger.statements());
  const present = new Set(statements.map(({ sha256 }) => sha256));
  const lost = acknowledged.filter((sha256) => !present.has(sha256)).length;
  const batches = new Map<string, number>();
  for (const { kind, predicate } of statements) {
    if (kind !== 'withdrawal') continue;
    const [label, batch, part] = String(predicate.reason).split(' ');
    const key = `${label} ${batch} ${part!.split('/')[1]}`;
    batches.set(key, (batches.get(key) ?? 0) + 1);
  }
  const torn = [...batches].filter(([key, count]) => count !== Number(key.split(' ')[2]));
  const problems = [
    ...report.problems.map(({ code, where }) => `${code} ${where}`),
    ...torn.map(([key]) => `only a part of batch ${key}`),
    ...(lost === 0 ? [] : [`${lost} acknowledged statements are not there`]),
  ];
  return { lost, problem: report.ok && problems.length === 0 ? null : problems.join('; ') };
}
