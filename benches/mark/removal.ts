/** What a thief who knows the method does to get rid of a mark: what is left of it, and what he pays in accuracy. */
import path from 'node:path';
import { alignTables, planGroups } from '../../src/align/index.js';
import { denseModel } from '../../src/align/testing/dense.js';
import { type RandomStream, seededRandom } from '../../src/base/index.js';
import { ADAM, createTrainer, mlp, type Trainer } from '../../src/compute/index.js';
import { markTest, orderTest } from '../../src/detect/index.js';
import { addNoise } from '../../src/detect/tweaks.js';
import { openModel, writeModel } from '../../src/formats/index.js';
import { planRelease, releasedValues } from '../../src/mark/index.js';
import { canonicalise } from '../../src/structure/index.js';
import type { LabelledArrays } from '../../src/train/index.js';
import {
  denseOf,
  disguise,
  flatOf,
  OWNER_SEED,
  parametersIn,
  prune,
  quantise,
  sharedData,
  train,
  trainFrom,
  writeWith,
} from '../main/nets.js';
import { type Figures, shareFigure, type Workplace } from '../main/section.js';
import { aligned, type Bed, copyFor, keysOf, makeBed } from './bed.js';
import { accuracy } from './strength.js';

const FEATURES = 16;
const net = mlp(FEATURES, [96, 96], 2);
const HELD_OUT = 20_000;
/** What thieves have: examples of their own. */
const OWN_EXAMPLES = 1_000;
/** A mark counts as found at log10 p of a room with a thousand releases: 10⁻⁶ after correction. */
const FOUND = -10;

interface Thief {
  readonly bed: Bed;
  readonly trainer: Trainer;
  /** The copy that he bought, and a second one. */
  readonly copy: Float32Array;
  readonly second: Float32Array;
  readonly data: LabelledArrays;
  readonly random: RandomStream;
}

type Attack = (thief: Thief) => Promise<Float32Array> | Float32Array;

const tune = (thief: Thief, start: Float32Array, epochs: number, rate = 1e-3): Promise<Float32Array> =>
  trainFrom(start, thief.bed.card, { data: thief.data, epochs, rate, seed: 7 });

/** Both of his copies in one order: found by laying the second on the first, as we lay suspects on originals. */
function together({ copy, second }: Thief): readonly [Float32Array, Float32Array] {
  const own = denseOf(net, copy);
  const other = denseOf(net, second);
  const plan = planGroups(denseModel([FEATURES, 96, 96, 2]));
  const laid = alignTables(plan, { tensors: own }, { tensors: other }, 1).aligned;
  return [copy, flatOf(new Map([...own.keys()].map((name) => [name, laid.tensors.get(name) ?? other.get(name)!])))];
}

const noisy =
  (share: number): Attack =>
  ({ copy, random }) => {
    const out = new Map(
      [...denseOf(net, copy)].map(([name, { shape, values }]) => [
        name,
        { shape, values: shape.length < 2 ? values : addNoise(values, share, () => random.unit()) },
      ]),
    );
    return flatOf(out);
  };

/** Every row moved by a share of its own mean size against its mean: SoK's weight shifting. */
const shifted =
  (share: number): Attack =>
  ({ copy }) =>
    flatOf(
      new Map(
        [...denseOf(net, copy)].map(([name, { shape, values }]) => {
          if (shape.length < 2) return [name, { shape, values }];
          const width = shape[1]!;
          return [
            name,
            {
              shape,
              values: Float64Array.from(values, (value, k) => {
                const row = values.subarray(Math.floor(k / width) * width, (Math.floor(k / width) + 1) * width);
                return value - share * (row.reduce((a, b) => a + b, 0) / width);
              }),
            },
          ];
        }),
      ),
    );

/** Liu et al. 2018: the units that his data excites least are cut off, and the rest is tuned. */
const finePruned =
  (share: number): Attack =>
  async (thief) => {
    const { copy, data } = thief;
    const dense = denseOf(net, copy);
    let inputs: Float64Array = Float64Array.from(data.inputs);
    const rows = data.targets.length;
    const out = new Map(
      [...dense].map(([name, { shape, values }]) => [name, { shape, values: Float64Array.from(values) }]),
    );
    for (const layer of [0, 1]) {
      const [weight, bias, next] = [
        dense.get(`fc${layer}.weight`)!,
        dense.get(`fc${layer}.bias`)!,
        out.get(`fc${layer + 1}.weight`)!,
      ];
      const [units, width] = weight.shape as [number, number];
      const active = new Float64Array(rows * units);
      const mean = new Float64Array(units);
      for (let row = 0; row < rows; row++) {
        for (let unit = 0; unit < units; unit++) {
          let sum = bias.values[unit]!;
          for (let k = 0; k < width; k++) sum += weight.values[unit * width + k]! * inputs[row * width + k]!;
          active[row * units + unit] = Math.max(0, sum);
          mean[unit] = mean[unit]! + Math.max(0, sum);
        }
      }
      const cut = Float64Array.from(mean).sort()[Math.floor(share * units)]!;
      for (let unit = 0; unit < units; unit++) {
        if (mean[unit]! >= cut) continue;
        for (let o = 0; o < next.shape[0]!; o++) next.values[o * units + unit] = 0;
        out.get(`fc${layer}.weight`)!.values.fill(0, unit * width, (unit + 1) * width);
        out.get(`fc${layer}.bias`)!.values[unit] = 0;
      }
      inputs = active;
    }
    return tune(thief, flatOf(out), 10);
  };

/** A net of his own, of the same shape, taught by the copy's answers on as many inputs as he likes to make up. */
const distilled: Attack = async ({ copy, trainer }) => {
  const { inputs } = sharedData(FEATURES, 'queries', 6_000);
  const said = await trainer.predict(copy, inputs, 6_000);
  const targets = Array.from({ length: 6_000 }, (_, row) => Number(said[2 * row + 1]! > said[2 * row]!));
  return (await train(net, 9 * OWNER_SEED, { inputs, targets })).parameters;
};

/** A release of his own, by our tool: another order, and his mark on top. */
const remarked =
  (strength: number): Attack =>
  async ({ bed, copy }) => {
    const file = await writeWith(bed.file, net, copy, path.join(bed.folder, 'bought.onnx'));
    const model = await openModel(file);
    try {
      const canonical = await canonicalise(model);
      const plan = planRelease(canonical, { strength });
      const out = path.join(bed.folder, 'remarked.onnx');
      await writeModel(model, releasedValues(canonical, plan, keysOf(plan, 'the thief’s own')), out);
      return parametersIn(out, net);
    } finally {
      await model.close();
    }
  };

const ATTACKS: Readonly<Record<string, Attack>> = {
  none: ({ copy }) => copy,
  'permuted and rescaled': ({ copy, random }) => disguise(net, copy, random),
  're-marked, strength 0.05': remarked(0.05),
  're-marked, strength 0.2': remarked(0.2),
  're-marked, strength 0.5': remarked(0.5),
  'mean of two copies': (thief) => {
    const [a, b] = together(thief);
    return a.map((value, k) => (value + b[k]!) / 2);
  },
  'two copies, twice one less the other': (thief) => {
    const [a, b] = together(thief);
    return a.map((value, k) => 2 * b[k]! - value);
  },
  'int8 and back': ({ copy }) => quantise(net, copy, 8),
  'int4 and back': ({ copy }) => quantise(net, copy, 4),
  'int3 and back': ({ copy }) => quantise(net, copy, 3),
  'half pruned': ({ copy }) => prune(net, copy, 0.5),
  '80 % pruned, tuned': async (thief) => tune(thief, prune(net, thief.copy, 0.8), 30),
  '80 % pruned, tuned, permuted and rescaled': async (thief) =>
    disguise(net, await tune(thief, prune(net, thief.copy, 0.8), 30), thief.random),
  'fine-pruned, 30 % of the units': finePruned(0.3),
  'fine-pruned, 60 % of the units': finePruned(0.6),
  'weights shifted by 50 % of row means': shifted(0.5),
  'noise of 30 %': noisy(0.3),
  'noise of 100 %': noisy(1),
  'noise of 100 %, tuned': async (thief) => tune(thief, await noisy(1)(thief), 60),
  'tuned 300 epochs': (thief) => tune(thief, thief.copy, 300),
  'tuned 100 epochs at ten times the rate': (thief) => tune(thief, thief.copy, 100, 1e-2),
  'permuted, rescaled, noise 50 %, half pruned, tuned, int4': async (thief) => {
    const start = disguise(net, await noisy(0.5)(thief), thief.random);
    return quantise(net, await tune(thief, prune(net, start, 0.5), 30), 4);
  },
  'distilled into a new net': distilled,
};
/** What takes only the answers leaves no weight behind: no mark of weights can see it. */
const EXTRACTED: ReadonlySet<string> = new Set(['distilled into a new net']);

export async function removal({ folder, seed, say }: Workplace, nets: number): Promise<Figures> {
  const heldOut = sharedData(FEATURES, 'held out', HELD_OUT);
  const trainer = await createTrainer({ net, loss: 'cross-entropy', batch: 64, adam: { ...ADAM, rate: 1e-3 } });
  let found = 0;
  let tried = 0;
  try {
    for (let index = 0; index < nets; index++) {
      const bed = await makeBed(folder, {
        net,
        seed: 20_000 + 100 * seed + index,
        data: sharedData(FEATURES, 'everybody', 6_000),
        strength: sharedData(FEATURES, 'the owner’s test set', 10_000),
      });
      const keys = keysOf(bed.plan, `bought ${seed} ${index}`);
      const copy = (await copyFor(bed, keys)).parameters;
      const second = (await copyFor(bed, keysOf(bed.plan, `second ${seed} ${index}`))).parameters;
      const before = await accuracy(trainer, copy, heldOut);
      const data = sharedData(FEATURES, `thief ${index}`, OWN_EXAMPLES);
      for (const [name, attack] of Object.entries(ATTACKS)) {
        const random = seededRandom(seed + index, name);
        const taken = await attack({ bed, trainer, copy, second, data, random });
        const cost = before - (await accuracy(trainer, taken, heldOut));
        const file = await writeWith(bed.file, net, taken, path.join(folder, 'taken.onnx'));
        const { suspect, alignment } = await aligned(bed, file);
        const { plan, reference } = bed;
        const mark = markTest({ plan, reference, suspect, keys, alignment });
        const order = orderTest({ plan, reference, suspect, keys, alignment });
        const log10p = Math.min(mark.log10p, order.log10p);
        if (!EXTRACTED.has(name)) {
          tried++;
          if (log10p <= FOUND) found++;
        }
        say(
          `net ${index}, ${name}: z ${mark.z.toFixed(1)}, order ${order.hits} of ${order.units}, log10 p ${log10p.toFixed(1)}; costs ${cost.toFixed(2)} points`,
        );
      }
      await bed.model.close();
    }
  } finally {
    await trainer.close();
  }
  return { removal_found: shareFigure(found, tried) };
}
