/** What a weight mark costs, and what is left of it after an informed thief. */
import path from 'node:path';
import { seededRandom } from '../../src/base/index.js';
import { ADAM, createTrainer, mlp, type Trainer } from '../../src/compute/index.js';
import { markTest, orderTest } from '../../src/detect/index.js';
import type { LabelledArrays } from '../../src/train/index.js';
import { meanFigure } from '../harness.js';
import { disguise, prune, quantise, sharedData, trainFrom, writeWith } from '../main/nets.js';
import { type Figures, shareFigure, type Workplace, worst } from '../main/section.js';
import { aligned, copyFor, keysOf, makeBed } from './bed.js';

const FEATURES = 16;
/** 16·96 + 96·96 + 96·2 = 10,944 marked weights. */
const net = mlp(FEATURES, [96, 96], 2);
const KEYS = 4;
const HELD_OUT = 100_000;

/** Share of right answers in points. */
export async function accuracy(trainer: Trainer, flat: Float32Array, { inputs, targets }: LabelledArrays) {
  const outputs = await trainer.predict(flat, inputs, targets.length);
  const right = Array.from(targets).filter(
    (target, row) => Number(outputs[2 * row + 1]! > outputs[2 * row]!) === Number(target),
  );
  return (100 * right.length) / targets.length;
}

export async function markCost({ folder, seed, say }: Workplace, nets: number): Promise<Figures> {
  const heldOut = sharedData(FEATURES, 'held out', HELD_OUT);
  const trainer = await createTrainer({ net, loss: 'cross-entropy', batch: 64, adam: { ...ADAM, rate: 1e-3 } });
  const costs: number[] = [];
  const thiefCosts: number[] = [];
  const log10p: number[] = [];
  try {
    for (let index = 0; index < nets; index++) {
      const bed = await makeBed(folder, {
        net,
        seed: 1_000 * seed + index,
        data: sharedData(FEATURES, 'everybody', 6_000),
        strength: sharedData(FEATURES, 'the owner’s test set', 10_000),
      });
      const before = await accuracy(trainer, bed.parameters, heldOut);
      for (let k = 0; k < KEYS; k++) {
        const keys = keysOf(bed.plan, `cost ${seed} ${index} ${k}`);
        const copy = await copyFor(bed, keys);
        costs.push(before - (await accuracy(trainer, copy.parameters, heldOut)));
        const moved = disguise(net, copy.parameters, seededRandom(seed + k, `thief ${index}`));
        const tuning = { data: sharedData(FEATURES, `thief ${k}`, 500), epochs: 30, rate: 1e-3, seed: k };
        const taken = quantise(net, prune(net, await trainFrom(moved, bed.card, tuning), 0.5), 4);
        thiefCosts.push(before - (await accuracy(trainer, taken, heldOut)));
        const file = await writeWith(copy.file, net, taken, path.join(folder, 'thief.onnx'));
        const { suspect, alignment } = await aligned(bed, file);
        const { plan, reference } = bed;
        const mark = markTest({ plan, reference, suspect, keys, alignment });
        log10p.push(mark.log10p);
        if (k > 0) continue;
        const order = orderTest({ plan, reference, suspect, keys, alignment });
        const strengths = plan.marked.map((one) => one.strength ?? plan.strength).join(', ');
        say(
          `net ${index}: accuracy ${before.toFixed(2)}, strength ${plan.strength} (${strengths}), cost ${costs.at(-1)!.toFixed(3)}; thief loses ${thiefCosts.at(-1)!.toFixed(1)}: z ${mark.z.toFixed(1)}, order hits ${order.hits}`,
        );
      }
      await bed.model.close();
    }
  } finally {
    await trainer.close();
  }
  return {
    mark_cost_points: meanFigure(costs),
    mark_log10p: worst(log10p),
    mark_found: shareFigure(log10p.filter((one) => one <= -30).length, log10p.length),
    thief_cost_points: meanFigure(thiefCosts),
  };
}
