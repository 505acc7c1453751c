/** A bench of several sections, each with goals of its own. `--only NAME` runs one; such a run is not kept. */
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { type BenchCall, type Figure, type Goal, type Measurement, runBench } from './harness.js';
import { type Figures, type Workplace, workplace } from './main/section.js';

export interface Section {
  readonly name: string;
  readonly goals: Readonly<Record<string, Goal>>;
  run(place: Workplace, quick: boolean): Promise<Figures | { readonly notMeasured: string }>;
}

export async function runSections(bench: string, sections: readonly Section[]): Promise<void> {
  const only = process.argv.includes('--only') ? process.argv[process.argv.indexOf('--only') + 1] : undefined;
  const goals = Object.assign({}, ...sections.map((section) => section.goals)) as Readonly<Record<string, Goal>>;
  await runBench(bench, goals, (call) => measure(call, sections, only));
}

async function measure(call: BenchCall, sections: readonly Section[], only: string | undefined): Promise<Measurement> {
  const figures: Record<string, Figure> = {};
  const notMeasured: { key: string; why: string }[] = [];
  for (const { name, goals, run } of sections) {
    if (only !== undefined && only !== name) continue;
    const folder = await mkdtemp(path.join(os.tmpdir(), `muniment-bench-${name}-`));
    const started = performance.now();
    try {
      const found = await run(workplace(call, folder), call.quick);
      if ('notMeasured' in found) {
        for (const key of Object.keys(goals)) notMeasured.push({ key, why: String(found.notMeasured) });
      } else Object.assign(figures, found);
    } catch (error) {
      // One section's fault must not lose what the others found; the run itself then counts as failed.
      const why = `the section failed: ${error instanceof Error ? error.message : String(error)}`;
      for (const key of Object.keys(goals)) notMeasured.push({ key, why });
      call.say(error instanceof Error ? String(error.stack) : why);
      process.exitCode = 70;
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
    call.say(`${name}: ${((performance.now() - started) / 1000).toFixed(1)} s`);
  }
  return { figures, notMeasured, partial: only !== undefined };
}
