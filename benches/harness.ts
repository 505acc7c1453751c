/**
 * What every bench has in common: `--quick`, a seed, intervals, goals, one line of JSON at the end, and a full run
 * appended to `benches/results/NAME.jsonl`. No run shrinks a goal; a missed one is listed, never dropped.
 */
import { appendFileSync, mkdirSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export interface Figure {
  readonly value: number;
  /** What the value was computed from: models, rows, draws. */
  readonly n: number;
  readonly interval95: readonly [number, number] | null;
}

export interface Goal {
  readonly atLeast?: number;
  readonly atMost?: number;
}

export interface Measurement {
  readonly figures: Readonly<Record<string, Figure>>;
  /** Keys that this run did not measure, and why. */
  readonly notMeasured: readonly { readonly key: string; readonly why: string }[];
  /** True where only a part was asked for: such a run is no full run and is not kept. */
  readonly partial?: boolean;
}

export interface BenchCall {
  /** Measures less, in under a minute, and says so. */
  readonly quick: boolean;
  readonly seed: number;
  /** To stderr. */
  say(line: string): void;
}

const here = path.dirname(fileURLToPath(import.meta.url));

/** `2 x86-64 cores`: what figures depend on, without naming a machine. */
export function machineDescription(): string {
  const architecture = { x64: 'x86-64', arm64: 'arm64' }[os.arch()] ?? os.arch();
  return `${os.availableParallelism()} ${architecture} cores, ${os.platform()}, Node ${process.versions.node.split('.')[0]}`;
}

const meets = ({ value }: Figure, { atLeast, atMost }: Goal): boolean =>
  (atLeast === undefined || value >= atLeast) && (atMost === undefined || value <= atMost);

/** Runs a bench from the command line: `[--quick] [--seed N]`. */
export async function runBench(
  name: string,
  goals: Readonly<Record<string, Goal>>,
  measure: (call: BenchCall) => Promise<Measurement>,
): Promise<void> {
  const quick = process.argv.includes('--quick');
  const at = process.argv.indexOf('--seed');
  const seed = at === -1 ? 1 : Number(process.argv[at + 1]);
  if (!Number.isSafeInteger(seed)) {
    console.error('--seed takes a whole number');
    process.exit(2);
  }
  const started = performance.now();
  const { figures, notMeasured, partial = false } = await measure({ quick, seed, say: (line) => console.error(line) });
  const absent = Object.keys(goals).filter((key) => !(key in figures) && !notMeasured.some((one) => one.key === key));
  const result = {
    bench: name,
    date: new Date().toISOString().slice(0, 10),
    machine: machineDescription(),
    quick,
    seed,
    seconds: Math.round((performance.now() - started) / 100) / 10,
    figures,
    goals,
    missed: Object.entries(goals).flatMap(([key, goal]) => {
      const figure = figures[key];
      return figure !== undefined && !meets(figure, goal) ? [key] : [];
    }),
    notMeasured: [...notMeasured, ...absent.map((key) => ({ key, why: 'this run does not measure it' }))],
  };
  const line = JSON.stringify(result);
  if (!quick && !partial) {
    mkdirSync(path.join(here, 'results'), { recursive: true });
    appendFileSync(path.join(here, 'results', `${name}.jsonl`), `${line}\n`);
  }
  console.log(line);
}

/** Mean of independent values with a normal 95 % interval of the mean; null for fewer than two. */
export function meanFigure(values: readonly number[]): Figure {
  const n = values.length;
  const mean = values.reduce((sum, value) => sum + value, 0) / n;
  if (n < 2) return { value: mean, n, interval95: null };
  const deviation = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (n - 1));
  const half = (1.96 * deviation) / Math.sqrt(n);
  return { value: mean, n, interval95: [mean - half, mean + half] };
}

/** A folder of public data: `MUNIMENT_DATA`, else `../shared/data` beside the repository. */
export const dataFolder = (): string => process.env.MUNIMENT_DATA ?? path.resolve(here, '..', '..', 'shared', 'data');
