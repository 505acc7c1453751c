/**
 * Power, shown and not claimed: the named tweaks are applied to the reference and run through the same pipeline as the
 * suspect. Only where all are found in every trial may a comparison say `no-evidence` (theory §11).
 */
import { countHits, matchGroup, speakers, type TestPlan, testedGroups, type WeightTable } from '../align/index.js';
import { clopperPearson, log10PooledHits } from '../stats/index.js';
import { mersenneTwister } from './mersenne.js';
import { NAMED_TWEAKS, type NamedTweak, tweakTable } from './tweaks.js';

export const TRIALS = 20;

export interface PowerOfTweak {
  readonly tweak: NamedTweak;
  readonly found: number;
  readonly trials: number;
  /** Clopper–Pearson, 95 %, of the share found. */
  readonly interval95: readonly [number, number];
}

/** @param level log10 p at which a copy counts as found: the level at which the verdict would have been `related` */
export function showPower(plan: TestPlan, reference: WeightTable, level: number): readonly PowerOfTweak[] {
  return NAMED_TWEAKS.map((tweak) => {
    let count = 0;
    for (let trial = 0; trial < TRIALS; trial++) if (found(plan, reference, tweak, trial, level)) count++;
    return { tweak, found: count, trials: TRIALS, interval95: clopperPearson(count, TRIALS) };
  });
}

/** One trial: tweak, match, pool, as for a suspect. Group by group, stopping once the tail over all groups is passed. */
function found(plan: TestPlan, reference: WeightTable, tweak: NamedTweak, trial: number, level: number): boolean {
  const groups = testedGroups(plan);
  const next = mersenneTwister(1 + trial * NAMED_TWEAKS.length + NAMED_TWEAKS.indexOf(tweak));
  const uniform = () => (next() + 0.5) / 4294967296;
  let hits = 0;
  for (const group of groups) {
    const speaking = speakers(plan, group).map((tensor) => tensor.name);
    const own = { tensors: new Map([...reference.tensors].filter(([name]) => speaking.includes(name))) };
    const copy = tweakTable(own, tweak, uniform);
    hits += countHits(matchGroup(plan, group, reference, copy, new Map()));
    // Further groups only add hits, so the answer can no longer change.
    if (log10PooledHits(hits, groups.length) <= level) return true;
  }
  return false;
}

export const hasPower = (power: readonly PowerOfTweak[]): boolean =>
  power.length > 0 && power.every(({ found, trials }) => found === trials && trials >= 20);
