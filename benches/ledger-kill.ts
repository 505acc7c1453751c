/**
 * The ledger under `kill -9`: two writers on one room, 500 kills (40 with `--quick`). Run alone it prints the line of JSON of
 * every bench; `bench:main` takes its figures from `measureKills`.
 */
import { pathToFileURL } from 'node:url';
import { killWriters } from '../src/ledger/testing/kill.js';
import { type BenchCall, type Goal, type Measurement, runBench } from './harness.js';

export const KILL_GOALS: Readonly<Record<string, Goal>> = {
  kills: { atLeast: 500 },
  lost: { atMost: 0 },
  logVerifyClean: { atLeast: 1 },
};

/** Figures `kills`, `lost` (acknowledged statements that are gone) and `logVerifyClean` (1 when no check found a problem). */
export async function measureKills({ quick, seed, say }: BenchCall): Promise<Measurement> {
  const report = await killWriters(quick ? 40 : 500, seed, say);
  for (const problem of report.problems) say(problem);
  // With no event in n trials the rate's 95 % upper bound is 1 − 0.025^(1/n) (Clopper–Pearson); given as a count.
  const upper = report.lost === 0 ? report.acknowledged * (1 - 0.025 ** (1 / Math.max(1, report.acknowledged))) : null;
  return {
    figures: {
      kills: { value: report.kills, n: report.kills, interval95: null },
      lost: { value: report.lost, n: report.acknowledged, interval95: upper === null ? null : [0, upper] },
      logVerifyClean: { value: report.clean ? 1 : 0, n: Math.floor(report.kills / 10) + 1, interval95: null },
    },
    notMeasured: [],
  };
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href)
  await runBench('ledger-kill', KILL_GOALS, measureKills);
