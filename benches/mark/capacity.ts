/** Bits that a mark carries through fine-tuning and int8, each misread in fewer than one of a million. */

import path from 'node:path';
import type { alignTables, WeightTable } from '../../src/align/index.js';
import { seededRandom } from '../../src/base/index.js';
import { mlp, type NetSpec, planNet } from '../../src/compute/index.js';
import { markDirection, markedTable, readMessage } from '../../src/detect/index.js';
import { quantise } from '../../src/detect/tweaks.js';
import { clopperPearson } from '../../src/stats/index.js';
import { disguise, quantise as quantised, sharedData, trainFrom, writeWith } from '../main/nets.js';
import type { Figures, Workplace } from '../main/section.js';
import { aligned, type Bed, copyFor, keysOf, makeBed } from './bed.js';

const FEATURES = 16;
/** Real fine-tunes of marked copies, whose drifts all others are given. */
const TUNED = 12;

export interface Capacity {
  readonly key: 'bits_1e4' | 'bits_1e5';
  readonly net: NetSpec;
  readonly bits: number;
  /** Bits read in all. */
  readonly total: number;
}

export const CAPACITY_1E4: Capacity = { key: 'bits_1e4', net: mlp(FEATURES, [91, 91], 2), bits: 128, total: 3.1e6 };
export const CAPACITY_1E5: Capacity = { key: 'bits_1e5', net: mlp(FEATURES, [307, 307], 2), bits: 1_024, total: 3.1e6 };

/**
 * Fine-tuning three million bits' worth of copies would take weeks: a few marked copies are tuned in earnest, read
 * through the whole pipeline (disguise and alignment included), and their drifts are given to all the others, each with
 * its own key and message, before it is rounded to int8 and read.
 */
export async function capacity(place: Workplace, { key, net, bits, total }: Capacity): Promise<Figures> {
  const { folder, seed, say } = place;
  const bed = await makeBed(folder, {
    net,
    seed: 80 + seed,
    data: sharedData(FEATURES, 'everybody', 6_000),
    strength: sharedData(FEATURES, 'the owner’s test set', 10_000),
  });
  try {
    const random = seededRandom(seed, key);
    const message = (): string => Array.from({ length: bits / 4 }, () => random.below(16).toString(16)).join('');
    const drifts: WeightTable[] = [];
    let wrong = 0;
    let read = 0;
    let weakest = Number.POSITIVE_INFINITY;
    for (let n = 0; n < TUNED; n++) {
      const own = { ...bed, plan: { ...bed.plan, message: message() } };
      const keys = keysOf(own.plan, `tuned ${seed} ${n}`);
      const copy = await copyFor(own, keys);
      const tuning = { data: sharedData(FEATURES, `thief ${n}`, 500), epochs: 30, rate: 1e-3, seed: n };
      const moved = disguise(net, copy.parameters, random);
      const tuned = quantised(net, await trainFrom(moved, bed.card, tuning), 8);
      const { suspect, alignment } = await aligned(
        own,
        await writeWith(copy.file, net, tuned, path.join(folder, 'tuned.onnx')),
      );
      const found = readMessage(own.plan, keys, markDirection(own.plan, bed.reference, suspect, alignment))!;
      wrong += found.wrong;
      read += bits;
      weakest = Math.min(weakest, found.weakest);
      drifts.push(await driftOf(own, keys, tuning));
    }
    say(
      `${key}: ${TUNED} copies tuned, disguised and rounded: ${wrong} of ${read} bits misread, least |z| ${weakest.toFixed(1)}`,
    );
    while (read < total) {
      const plan = { ...bed.plan, message: message() };
      const keys = keysOf(plan, `bits ${seed} ${read}`);
      const marked = markedTable(plan, bed.reference, keys);
      const drift = drifts[random.below(drifts.length)]!;
      const suspect: WeightTable = {
        tensors: new Map(
          [...marked.tensors].map(([name, { shape, values }]) => {
            const change = drift.tensors.get(name)!.values;
            const tuned = values.map((value, k) => value + change[k]!);
            return [name, { shape, values: shape.length < 2 ? tuned : quantise(tuned, 8) }];
          }),
        ),
      };
      const found = readMessage(plan, keys, markDirection(plan, bed.reference, suspect, unmoved(bed, suspect)))!;
      wrong += found.wrong;
      read += bits;
      weakest = Math.min(weakest, found.weakest);
    }
    const [, high] = clopperPearson(wrong, read);
    say(
      `${key}: ${wrong} of ${read} bits misread at ${bits} a copy, so at most ${high.toExponential(1)}; least |z| ${weakest.toFixed(2)}`,
    );
    // A message counts where its error is shown to be below one in a million.
    const shown = wrong === 0 && 3 / read <= 1e-6;
    return {
      [key]: { value: shown ? bits : 0, n: read, interval95: null },
      [`${key.replace('bits', 'bit_errors')}`]: { value: wrong, n: read, interval95: null },
    };
  } finally {
    await bed.model.close();
  }
}

/** The alignment of a suspect that nobody moved. */
function unmoved({ plan }: Bed, suspect: WeightTable) {
  const groups = plan.test.groups.map(({ id, size }) => ({
    id,
    assignment: Int32Array.from({ length: size }, (_, unit) => unit),
    scale: new Float64Array(size).fill(1),
    sign: new Int8Array(size).fill(1),
  }));
  return { groups, aligned: suspect } as unknown as ReturnType<typeof alignTables>;
}

/** What fine-tuning adds to a marked copy in the original's order. */
async function driftOf(
  bed: Bed,
  keys: ReturnType<typeof keysOf>,
  tuning: Parameters<typeof trainFrom>[2],
): Promise<WeightTable> {
  const still = { ...bed, plan: { ...bed.plan, groups: [] } };
  const { parameters } = await copyFor(still, keys);
  const tuned = await trainFrom(parameters, bed.card, tuning);
  return {
    tensors: new Map(
      planNet(bed.net).parameters.map(({ name, shape, offset, elements }) => [
        name,
        {
          shape,
          values: Float64Array.from({ length: elements }, (_, k) => tuned[offset + k]! - parameters[offset + k]!),
        },
      ]),
    ),
  };
}
