/** Wrong keys and unrelated models: the null of the weight mark and of the order, through the whole pipeline. */

import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { seededRandom } from '../../src/base/index.js';
import { mlp } from '../../src/compute/index.js';
import { correlate, EXACT_LEVEL, markDirection, orderTest } from '../../src/detect/index.js';
import { ksUniform, log10NormalTail, lookCost } from '../../src/stats/index.js';
import {
  disguise,
  OWNER_SEED,
  parametersIn,
  prune,
  quantise,
  sharedData,
  train,
  trainFrom,
  writeWith,
} from '../main/nets.js';
import { countFigure, type Figures, type Workplace } from '../main/section.js';
import { aligned, type Bed, copyFor, keysOf, makeBed } from './bed.js';

const FEATURES = 16;
const net = mlp(FEATURES, [64, 64], 2);
/** A room with a thousand releases, two rules each, at its first look: what a suspect's p is multiplied by. */
const RELEASES = 1_000;
const FACTOR = RELEASES * 2 * lookCost(1);

export interface NullSize {
  /** Wrong keys in all. */
  readonly draws: number;
  /** Independent models, and keys tried on each: as many false accusations are possible. */
  readonly models: number;
  readonly keys: number;
}

export async function wrongKeys(place: Workplace, size: NullSize): Promise<Figures> {
  const { folder, seed, say } = place;
  const bed = await makeBed(folder, { net, seed: 40 + seed, data: sharedData(FEATURES), strength: 0.05 });
  try {
    const suspects = await suspectsOf(bed, place);
    const tails: number[] = [];
    for (const [index, file] of suspects.entries()) {
      const { suspect, alignment } = await aligned(bed, file);
      const directions = markDirection(bed.plan, bed.reference, suspect, alignment);
      for (let k = 0; k < size.draws / suspects.length; k++) {
        const { z } = correlate(bed.plan, keysOf(bed.plan, `wrong ${seed} ${index} ${k}`), directions);
        tails.push(10 ** log10NormalTail(z));
      }
    }
    const p = ksUniform(tails);
    say(`${tails.length} wrong keys on ${suspects.length} suspects: KS p ${p.toFixed(3)}`);
    return { ks_p: { value: p, n: tails.length, interval95: null }, ...(await accusations(bed, place, size)) };
  } finally {
    await bed.model.close();
  }
}

/** A copy, a disguised one, an independent model of the same data, and its disguised copy. */
async function suspectsOf(bed: Bed, { folder, seed }: Workplace): Promise<readonly string[]> {
  const copy = await copyFor(bed, keysOf(bed.plan, `the right key ${seed}`));
  const random = seededRandom(seed, 'suspects');
  const tuning = { data: sharedData(FEATURES, 'thief', 500), epochs: 10, rate: 1e-3, seed };
  const at = (name: string): string => path.join(folder, `${name}.onnx`);
  const taken = prune(net, await trainFrom(disguise(net, copy.parameters, random), bed.card, tuning), 0.5);
  const rival = at('rival');
  await writeFile(rival, (await train(net, 3 * OWNER_SEED + seed)).model);
  const rivals = disguise(net, await parametersIn(rival, net), random);
  return [
    copy.file,
    await writeWith(copy.file, net, quantise(net, taken, 4), at('taken')),
    rival,
    await writeWith(rival, net, quantise(net, rivals, 8), at('disguised-rival')),
  ];
}

/** Both exact lines of releases that a model cannot depend on, corrected as `check` corrects them. */
async function accusations(bed: Bed, { folder, seed, say }: Workplace, { models, keys }: NullSize): Promise<Figures> {
  let accused = 0;
  let least = 0;
  for (let index = 0; index < models; index++) {
    const file = path.join(folder, 'unrelated.onnx');
    await writeFile(file, (await train(net, 5 * OWNER_SEED + 10_000 * seed + index)).model);
    const { suspect, alignment } = await aligned(bed, file);
    const { plan, reference } = bed;
    const directions = markDirection(plan, reference, suspect, alignment);
    for (let k = 0; k < keys; k++) {
      const own = keysOf(plan, `unrelated ${seed} ${index} ${k}`);
      const mark = correlate(plan, own, directions).bound;
      const order = orderTest({ plan, reference, suspect, keys: own, alignment }).bound;
      const corrected = Math.min(mark, order) + Math.log10(FACTOR);
      least = Math.min(least, corrected);
      if (corrected <= EXACT_LEVEL) accused++;
    }
    if (index === 0 || (index + 1) % 20 === 0) say(`${index + 1} unrelated models: least log10 p ${least.toFixed(2)}`);
  }
  return { false_accusations: countFigure(accused, models * keys) };
}
