/** Who took part in a mixed copy: colluders align their copies, mix them, and disguise the mixture. */
import { alignTables, type WeightTable } from '../../src/align/index.js';
import { type RandomStream, seededRandom } from '../../src/base/index.js';
import { mlp, type NetSpec } from '../../src/compute/index.js';
import { disguise } from '../../src/detect/exact-power.js';
import { correlate, markDirection, releasedTable } from '../../src/detect/index.js';
import { addNoise, quantise } from '../../src/detect/tweaks.js';
import { eachMarkedRow, type ReleasePlan } from '../../src/mark/index.js';
import { log10NormalTail } from '../../src/stats/index.js';
import { sharedData } from '../main/nets.js';
import { countFigure, type Figures, type Workplace } from '../main/section.js';
import { type Bed, keysOf, makeBed } from './bed.js';

const FEATURES = 16;
/** P(any innocent recipient is accused), by Bonferroni over all recipients. */
const LEVEL = -9;

export interface Collusion {
  readonly key: 'colluders_1e4' | 'colluders_1e6';
  readonly net: NetSpec;
  readonly colluders: number;
  readonly recipients: number;
  readonly rounds: number;
}

export const SMALL: Collusion = {
  key: 'colluders_1e4',
  net: mlp(FEATURES, [91, 91], 2), // 9,919 marked weights
  colluders: 5,
  recipients: 1_000,
  rounds: 5,
};
export const LARGE: Collusion = {
  key: 'colluders_1e6',
  net: mlp(FEATURES, [990, 990], 2), // 997,920 marked weights
  colluders: 20,
  recipients: 10_000,
  rounds: 1,
};

type Mix = (values: Float64Array, random: RandomStream) => number;
const least = (values: Float64Array): number => values.reduce((a, b) => Math.min(a, b));
const most = (values: Float64Array): number => values.reduce((a, b) => Math.max(a, b));
const ATTACKS: Readonly<Record<string, Mix>> = {
  mean: (values) => values.reduce((a, b) => a + b) / values.length,
  median: (values) => values.sort()[values.length >> 1]!,
  min: least,
  max: most,
  'half of min and max': (values) => (least(values) + most(values)) / 2,
  'random pick': (values, random) => values[random.below(values.length)]!,
};
const CUT = 'cut and paste';
const TWEAKED = 'mean, then noise and int8';
export const ATTACK_NAMES: readonly string[] = [...Object.keys(ATTACKS), CUT, TWEAKED];

/** Value by value, whole rows of one colluder's, or the mean tuned further (10 % noise) and rounded to 8 bits. */
function mixed(copies: readonly WeightTable[], attack: string, random: RandomStream): WeightTable {
  const mix = ATTACKS[attack] ?? ATTACKS.mean!;
  const held = new Float64Array(copies.length);
  return {
    tensors: new Map(
      [...copies[0]!.tensors].map(([name, { shape, values }]) => {
        const all = copies.map((copy) => copy.tensors.get(name)!.values);
        const width = values.length / shape[0]!;
        let from = 0;
        const out = Float64Array.from(values, (_, k) => {
          if (attack === CUT) {
            if (k % width === 0) from = random.below(copies.length);
            return all[from]![k]!;
          }
          for (let j = 0; j < all.length; j++) held[j] = all[j]![k]!;
          return mix(held, random);
        });
        return [
          name,
          {
            shape,
            values:
              attack === TWEAKED
                ? quantise(
                    addNoise(out, 0.1, () => random.unit()),
                    8,
                  )
                : out,
          },
        ];
      }),
    ),
  };
}

export async function collusion(place: Workplace, which: Collusion): Promise<Figures> {
  const found: number[] = [];
  let accused = 0;
  let innocents = 0;
  for (let round = 0; round < which.rounds; round++) {
    const bed = await makeBed(place.folder, {
      net: which.net,
      seed: 60 + 100 * place.seed + round,
      data: sharedData(FEATURES, 'everybody', 6_000),
      strength: sharedData(FEATURES, 'the owner’s test set', 10_000),
    });
    const result = mixAndTrace(bed, place, which, round);
    found.push(...result.found);
    accused += result.accused;
    innocents += result.innocents;
    await bed.model.close();
  }
  return {
    [which.key]: { value: Math.min(...found), n: found.length, interval95: null },
    [`innocents_accused_${which.key.split('_')[1]}`]: countFigure(accused, innocents),
  };
}

function mixAndTrace(bed: Bed, { seed, say }: Workplace, which: Collusion, round: number) {
  const { plan, reference } = bed;
  const label = (recipient: number): string => `recipient ${seed} ${round} ${recipient}`;
  const random = seededRandom(seed, `collusion ${round}`);
  const first = releasedTable(plan, reference, keysOf(plan, label(0)));
  // Colluders see only each other's copies, in other orders: they align them to the first one's, as we would.
  const copies = Array.from({ length: which.colluders }, (_, j) =>
    j === 0 ? first : alignTables(plan.test, first, releasedTable(plan, reference, keysOf(plan, label(j))), 1).aligned,
  );
  const suspects = ATTACK_NAMES.map((attack) => disguise(plan, mixed(copies, attack, random), random));
  const directions = suspects.map((suspect) =>
    markDirection(plan, reference, suspect, alignTables(plan.test, reference, suspect, 1)),
  );
  const z = zOfAll(plan, directions, which.recipients, label);
  const found: number[] = [];
  let accused = 0;
  ATTACK_NAMES.forEach((attack, index) => {
    const named = (from: number, to: number): number =>
      z[index]!.subarray(from, to).filter((one) => log10NormalTail(one) + Math.log10(which.recipients) <= LEVEL).length;
    found.push(named(0, which.colluders));
    accused += named(which.colluders, which.recipients);
    const guilty = z[index]!.subarray(0, which.colluders);
    const rest = z[index]!.subarray(which.colluders);
    if (round === 0) {
      say(
        `${which.key} ${attack}: ${found.at(-1)} of ${which.colluders}, z ${Math.min(...guilty).toFixed(1)} to ${Math.max(...guilty).toFixed(1)}; innocent at most ${rest.reduce((a, b) => Math.max(a, b)).toFixed(2)}`,
      );
    }
  });
  return { found, accused, innocents: ATTACK_NAMES.length * (which.recipients - which.colluders) };
}

/** z of every recipient against every mixture, as `correlate` gives it, with the chips of each derived once. */
function zOfAll(
  plan: ReleasePlan,
  directions: readonly ReadonlyMap<string, Float64Array>[],
  recipients: number,
  label: (recipient: number) => string,
): readonly Float64Array[] {
  const norms = directions.map((own) => {
    let squares = 0;
    for (const { tensor } of plan.marked) for (const value of own.get(tensor) ?? []) squares += value * value;
    return Math.sqrt(squares);
  });
  const out = directions.map(() => new Float64Array(recipients));
  for (let recipient = 0; recipient < recipients; recipient++) {
    const keys = keysOf(plan, label(recipient));
    for (const marked of plan.marked) {
      const all = directions.map((own) => own.get(marked.tensor));
      eachMarkedRow(plan, marked, keys, (row, chips) => {
        all.forEach((d, index) => {
          if (d === undefined) return;
          let sum = 0;
          for (let k = 0, at = row * marked.width; k < chips.length; k++, at++) sum += chips[k]! * d[at]!;
          out[index]![recipient] = out[index]![recipient]! + sum / norms[index]!;
        });
      });
    }
    if (recipient > 0) continue;
    directions.forEach((own, index) => {
      const { z } = correlate(plan, keys, own);
      if (!(Math.abs(z - out[index]![0]!) < 1e-6)) throw new Error(`z ${out[index]![0]} here, ${z} in check`);
    });
  }
  return out;
}
