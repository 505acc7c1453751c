/** Splits the work into pieces that can be taken up again, hands them to workers, looks again at what is slow, and keeps the mutants of findings. */
import { appendFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Fault } from './attempt.js';
import { mutantOf } from './mutant.js';
import { type Reader, readReader } from './seeds.js';
import { added, EMPTY, type Finding, faultOf, MOST_MS, type Tally } from './tally.js';
import { watchRange } from './watch.js';
import type { Report } from './worker.js';

export interface Campaign {
  readonly readers: readonly string[];
  readonly seed: number;
  readonly mutants: number;
  readonly jobs: number;
  /** Where mutants of findings are kept, and what is done; the same folder and seed go on where they were left. */
  readonly folder: string;
  readonly subject?: string | undefined;
  progress(done: number, of: number, findings: number): void;
}

interface Piece {
  readonly reader: string;
  readonly from: number;
  readonly to: number;
}

/** Of one process: long enough that its start does not count, short enough that little is lost. */
const PIECE = 5000;

/** @returns what came, by reader in the order asked for */
export async function runCampaign(campaign: Campaign): Promise<ReadonlyMap<string, Tally>> {
  const { readers, mutants, folder, seed } = campaign;
  mkdirSync(folder, { recursive: true });
  const journal = path.join(folder, `done-${seed}.jsonl`);
  const before = doneIn(journal);
  const tallies = new Map(readers.map((reader) => [reader, EMPTY]));
  const pieces = readers.flatMap((reader) =>
    Array.from({ length: Math.ceil(mutants / PIECE) }, (_, i) => ({
      reader,
      from: i * PIECE,
      to: Math.min(mutants, (i + 1) * PIECE),
    })),
  );
  const count = (reader: string, tally: Tally): void => {
    tallies.set(reader, added(tallies.get(reader)!, tally));
  };
  const queue = pieces.filter((piece) => {
    const known = before.get(keyOf(piece));
    if (known !== undefined) count(piece.reader, known);
    return known === undefined;
  });
  const sum = (of: (tally: Tally) => number): number => [...tallies.values()].reduce((all, one) => all + of(one), 0);
  const lane = async (): Promise<void> => {
    for (let piece = queue.shift(); piece !== undefined; piece = queue.shift()) {
      const tally = await runPiece(campaign, piece);
      appendFileSync(journal, `${JSON.stringify({ piece: keyOf(piece), tally })}\n`);
      count(piece.reader, tally);
      const done = sum((one) => one.mutants);
      campaign.progress(
        done,
        mutants * readers.length,
        sum((one) => one.findings.length),
      );
    }
  };
  await Promise.all(Array.from({ length: campaign.jobs }, lane));
  return tallies;
}

const keyOf = ({ reader, from, to }: Piece): string => `${reader} ${from} ${to}`;

function doneIn(journal: string): ReadonlyMap<string, Tally> {
  if (!existsSync(journal)) return new Map();
  // The last line is half written where the power went.
  const lines = readFileSync(journal, 'utf8').split('\n').slice(0, -1);
  return new Map(
    lines.map((line) => {
      const { piece, tally } = JSON.parse(line) as { piece: string; tally: Tally };
      return [piece, tally];
    }),
  );
}

async function runPiece({ seed, folder, subject }: Campaign, piece: Piece): Promise<Tally> {
  const begun = performance.now();
  const codes: Record<string, number> = {};
  const suspects: Report[] = [];
  let [mutants, models, slowestMs, peakBytes] = [0, 0, 0, 0];
  let over = false;
  await watchRange({ ...piece, seed, subject }, (report) => {
    mutants++;
    if (report.code === 'model') models++;
    else if (report.fault === null) codes[report.code] = (codes[report.code] ?? 0) + 1;
    if (report.milliseconds <= MOST_MS) slowestMs = Math.max(slowestMs, report.milliseconds);
    peakBytes = Math.max(peakBytes, report.peakBytes);
    const fault = faultOf(report);
    // The peak stays: all that comes after the first is above the limit too.
    if (fault !== null && !(fault.what === 'memory' && over)) suspects.push(report);
    over ||= fault?.what === 'memory';
  });
  const reader = readReader(piece.reader);
  const findings: Finding[] = [];
  for (const report of suspects) {
    const second = await again(report, { ...piece, seed, subject });
    slowestMs = Math.max(slowestMs, Math.min(report.milliseconds, second.milliseconds));
    const fault = faultOf(second);
    if (fault === null) continue;
    findings.push({ reader: piece.reader, step: report.step, ...fault });
    keep(folder, reader, seed, report.step, fault);
  }
  const seconds = (performance.now() - begun) / 1000;
  const notAgain = suspects.length - findings.length;
  return { mutants, models, codes, slowestMs, peakBytes, findings, notAgain, seconds };
}

/** Time and memory are looked at again in a process that does nothing else; other faults stand. */
async function again(report: Report, range: Piece & { seed: number; subject?: string | undefined }): Promise<Report> {
  const what = faultOf(report)?.what;
  if (what !== 'slow' && what !== 'memory') return report;
  let second = report;
  await watchRange({ ...range, from: report.step, to: report.step + 1 }, (alone) => {
    second = alone;
  });
  return second;
}

/** The mutant with all its files, what was wrong, and how to make it again. */
export function keep(folder: string, reader: Reader, seed: number, step: number, fault: Fault): string {
  const mutant = mutantOf(reader, seed, step);
  const place = path.join(folder, `${reader.name}-${seed}-${step}-${fault.what.replaceAll(' ', '-')}`);
  mkdirSync(place, { recursive: true });
  writeFileSync(path.join(place, path.basename(mutant.name)), mutant.bytes);
  for (const [name, bytes] of mutant.beside) writeFileSync(path.join(place, name), bytes);
  const command = `npm run fuzz -- --reader ${reader.name} --seed ${seed} --step ${step}`;
  writeFileSync(path.join(place, 'finding.txt'), `${command}\n${mutant.how}\n\n${fault.what}: ${fault.detail}\n`);
  return place;
}
