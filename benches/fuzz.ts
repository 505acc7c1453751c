/**
 * `npm run fuzz`: many mutants of model files, reader by reader; each becomes a model or a coded refusal, within 2 s and
 * 512 MB, and nothing is run, reached or opened.
 *
 *   --mutants N     of each reader, 100,000
 *   --reader NAME   one of `benches/fuzz/readers.json`; several times for several
 *   --seed S        another seed, other mutants
 *   --jobs J        processes at once, 2
 *   --folder DIR    where mutants of findings are kept and what is done is noted; the same folder goes on
 *   --step N        this one mutant of --reader and --seed, with all that is known of it
 *   --json          nothing but the line of JSON on stdout
 *   --quick         1,000 mutants of each
 */
import { appendFileSync, mkdirSync, mkdtempSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { keep, runCampaign } from './fuzz/campaign.js';
import { mutantOf } from './fuzz/mutant.js';
import { readerNames, readReader } from './fuzz/seeds.js';
import { type EMPTY, faultOf, MOST_BYTES, MOST_MS, megabytes, summaryOf, tableOf } from './fuzz/tally.js';
import { watchRange } from './fuzz/watch.js';
import { machineDescription } from './harness.js';

/** A run of as many is kept in `results/`. */
const FULL = 100_000;
const QUICK = 1000;

const { values: options } = parseArgs({
  options: {
    mutants: { type: 'string' },
    reader: { type: 'string', multiple: true },
    seed: { type: 'string', default: '1' },
    jobs: { type: 'string', default: '2' },
    folder: { type: 'string' },
    step: { type: 'string' },
    json: { type: 'boolean', default: false },
    quick: { type: 'boolean', default: false },
    // For the test of this bench: a module that stands for the readers.
    subject: { type: 'string' },
  },
});

function whole(name: string, text: string, least: number): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value >= least) return value;
  console.error(`--${name} takes a whole number from ${least}, not ${text}`);
  process.exit(2);
}

const seed = whole('seed', options.seed, 0);
const jobs = whole('jobs', options.jobs, 1);
const mutants = whole('mutants', options.mutants ?? String(options.quick ? QUICK : FULL), 1);
const readers = options.reader ?? readerNames();
const unknown = readers.find((name) => !readerNames().includes(name));
if (unknown !== undefined) {
  console.error(`no reader ${unknown}; there are ${readerNames().join(', ')}`);
  process.exit(2);
}
const folder = options.folder ?? mkdtempSync(path.join(os.tmpdir(), 'muniment-fuzz-'));
await (options.step === undefined ? fuzz() : one(whole('step', options.step, 0)));

async function one(step: number): Promise<void> {
  const [name] = readers as [string];
  const reader = readReader(name);
  const range = { reader: name, seed, from: step, to: step + 1, subject: options.subject };
  console.log(mutantOf(reader, seed, step).how);
  await watchRange(range, (report) => {
    const fault = faultOf(report);
    const place = keep(folder, reader, seed, step, fault ?? { what: 'no fault', detail: report.code });
    console.log(
      `${report.code}, ${Math.round(report.milliseconds)} ms, ${megabytes(report.peakBytes)} MB; in ${place}`,
    );
    if (fault === null) return;
    console.log(`${fault.what}: ${fault.detail}`);
    process.exitCode = 1;
  });
}

async function fuzz(): Promise<void> {
  const started = performance.now();
  let shown = 0;
  const progress = (done: number, of: number, findings: number): void => {
    const seconds = (performance.now() - started) / 1000;
    if (!process.stderr.isTTY && seconds - shown < 30 && done < of) return;
    shown = seconds;
    console.error(`${done} of ${of} mutants, ${findings} findings, ${seconds.toFixed(0)} s`);
  };
  const tallies = await runCampaign({ readers, seed, mutants, jobs, folder, subject: options.subject, progress });
  const all = [...tallies.values()];
  const findings = all.flatMap((tally) => tally.findings);
  const worst = (of: (tally: typeof EMPTY) => number): number => Math.max(...all.map(of));
  const n = all.reduce((sum, tally) => sum + tally.mutants, 0);
  const figures = {
    findings: { value: findings.length, n, interval95: null },
    slowest_ms: { value: Math.round(worst((tally) => tally.slowestMs)), n, interval95: null },
    peak_mb: { value: megabytes(worst((tally) => tally.peakBytes)), n, interval95: null },
  };
  const goals = {
    findings: { atMost: 0 },
    slowest_ms: { atMost: MOST_MS },
    peak_mb: { atMost: megabytes(MOST_BYTES) },
  };
  const line = JSON.stringify({
    bench: 'fuzz',
    date: new Date().toISOString().slice(0, 10),
    machine: machineDescription(),
    quick: mutants < FULL,
    seed,
    // Of all pieces, those that an earlier run did too.
    seconds: Math.round(all.reduce((sum, tally) => sum + tally.seconds, 0) / jobs),
    figures,
    goals,
    missed: Object.entries(goals).flatMap(([key, { atMost }]) =>
      figures[key as keyof typeof figures].value > atMost ? [key] : [],
    ),
    notMeasured: readerNames()
      .filter((name) => !readers.includes(name))
      .map((key) => ({ key, why: 'this run was asked for other readers' })),
    readers: Object.fromEntries([...tallies].map(([name, tally]) => [name, summaryOf(tally)])),
  });
  if (mutants >= FULL && options.subject === undefined) {
    const results = path.join(path.dirname(fileURLToPath(import.meta.url)), 'results');
    mkdirSync(results, { recursive: true });
    appendFileSync(path.join(results, 'fuzz.jsonl'), `${line}\n`);
  }
  for (const { reader, step, what, detail } of findings) {
    console.error(`FINDING ${reader} ${step}: ${what}: ${detail.split('\n').slice(0, 4).join('\n')}`);
  }
  if (findings.length > 0) {
    console.error(`the mutants are in ${folder}`);
    process.exitCode = 1;
  }
  console.log(options.json ? line : `${tableOf(tallies)}\n${line}`);
}
