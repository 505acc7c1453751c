/**
 * Power of the exact lines, shown on the release itself: the named tweaks, in seeded trials, through the same alignment
 * and tests as a suspect. It does not depend on the suspect, so it is measured once a release and kept (theory §11).
 */
import { alignTables, carryUnits, type TableTensor, type WeightTable } from '../align/index.js';
import { type RandomStream, randomPermutation, seededRandom } from '../base/index.js';
import {
  deviation,
  eachMarkedRow,
  groupOrders,
  type OpenedKeys,
  permuteAxis,
  type ReleasePlan,
  strengthOf,
} from '../mark/index.js';
import { clopperPearson } from '../stats/index.js';
import { markTest, orderTest } from './exact.js';
import { EXACT_LEVEL } from './order.js';
import { TRIALS } from './power.js';
import { NAMED_TWEAKS, type NamedTweak, prune, quantise, tweakTable } from './tweaks.js';

export const PERMUTED = 'permuted and rescaled';
/** What an informed thief does: another order and scale, tuned further, half of it pruned, 4 bits. */
export const EVERYTHING = 'all at once';
type ExactTweak = NamedTweak | typeof PERMUTED | typeof EVERYTHING;
/** Those that `no-evidence` rests on. */
const TWEAKS: readonly ExactTweak[] = [...NAMED_TWEAKS, PERMUTED];

/** An order line at or below this is found whatever the correction: the mark, which costs more, need not be read as well. */
const PLAIN = -30;

/** Uncorrected log10 p of the better line in each trial, by tweak. */
export type ExactTrials = Readonly<Record<string, readonly number[]>>;

export interface ExactPower {
  readonly tweak: string;
  readonly found: number;
  readonly trials: number;
  /** Clopper–Pearson, 95 %, of the share found. */
  readonly interval95: readonly [number, number];
}

/** w0 with the marks of the open batches, folded, in w0's own order. */
export function markedTable(plan: ReleasePlan, reference: WeightTable, keys: OpenedKeys): WeightTable {
  const tensors = new Map(reference.tensors);
  for (const marked of plan.marked) {
    const own = reference.tensors.get(marked.tensor);
    if (own === undefined) continue;
    const values = Float64Array.from(own.values);
    const size = strengthOf(plan, marked) * deviation(own.values);
    eachMarkedRow(plan, marked, keys, (row, chips) => {
      const start = row * marked.width;
      for (let k = 0; k < chips.length; k++) values[start + k] = values[start + k]! + size * chips[k]!;
    });
    tensors.set(marked.tensor, { shape: own.shape, values });
  }
  return { tensors };
}

/** The release as a table: marked and permuted, before rounding to its storage type. */
export function releasedTable(plan: ReleasePlan, reference: WeightTable, keys: OpenedKeys): WeightTable {
  const orders = groupOrders(plan, keys);
  const tensors = new Map<string, TableTensor>();
  for (const [name, { shape, values }] of markedTable(plan, reference, keys).tensors) {
    let out = values;
    for (const { axis, group, segments } of axesOf(plan, name)) {
      const order = orders.get(group);
      if (order !== undefined) out = permuteAxis(out, shape, axis, segments, order);
    }
    tensors.set(name, { shape, values: out });
  }
  return { tensors };
}

const axesOf = (plan: ReleasePlan, tensor: string) => plan.test.tensors.find((one) => one.name === tensor)?.axes ?? [];

export function exactTrials(
  plan: ReleasePlan,
  reference: WeightTable,
  keys: OpenedKeys,
  {
    tweaks = TWEAKS,
    trials = TRIALS,
    onTrial = () => {},
  }: {
    readonly tweaks?: readonly ExactTweak[];
    readonly trials?: number;
    readonly onTrial?: (done: number, of: number) => void;
  } = {},
): ExactTrials {
  const released = releasedTable(plan, reference, keys);
  let done = 0;
  return Object.fromEntries(
    tweaks.map((tweak) => [
      tweak,
      Array.from({ length: trials }, (_, trial) => {
        const suspect = tweaked(plan, released, tweak, seededRandom(trial, `exact power ${tweak}`));
        onTrial(++done, tweaks.length * trials);
        const order = orderTest({ plan, reference, suspect, keys, alignment: null }).log10p;
        if (order <= PLAIN) return order;
        const alignment = alignTables(plan.test, reference, suspect, 1);
        return Math.min(order, markTest({ plan, reference, suspect, keys, alignment }).log10p);
      }),
    ]),
  );
}

function tweaked(plan: ReleasePlan, released: WeightTable, tweak: ExactTweak, random: RandomStream): WeightTable {
  const uniform = () => random.unit();
  if (tweak === PERMUTED) return disguise(plan, tweakTable(released, 'noise 30 %', uniform), random);
  if (tweak !== EVERYTHING) return tweakTable(released, tweak, uniform);
  const tuned = tweakTable(disguise(plan, released, random), 'noise 30 %', uniform);
  return {
    tensors: new Map(
      [...tuned.tensors].map(([name, { shape, values }]) => [
        name,
        { shape, values: shape.length < 2 ? values : quantise(prune(values, 0.5), 4) },
      ]),
    ),
  };
}

/** Every group in a new random order, every unit that may be rescaled by e^(±½), so that the order line is blind. */
export function disguise(plan: ReleasePlan, table: WeightTable, random: RandomStream): WeightTable {
  const moves = new Map(
    plan.test.groups.map((group) => [
      group.id,
      {
        order: randomPermutation(group.size, random),
        scale: Float64Array.from({ length: group.size }, () =>
          group.scaling === 'none' ? 1 : Math.exp(random.unit() - 0.5),
        ),
      },
    ]),
  );
  const tensors = new Map<string, TableTensor>();
  for (const [name, { shape, values }] of table.tensors) {
    let out = values;
    for (const { axis, group, side, segments } of axesOf(plan, name)) {
      const { order, scale } = moves.get(group)!;
      out = carryUnits(out, shape, axis, segments, order, side === 'in' ? scale : scale.map((value) => 1 / value));
    }
    tensors.set(name, { shape, values: out });
  }
  return { tensors };
}

/** @param factor the correction that a suspect's lines carry */
export const exactPower = (trials: ExactTrials, factor: number): readonly ExactPower[] =>
  Object.entries(trials).map(([tweak, values]) => {
    const found = values.filter((log10p) => log10p + Math.log10(factor) <= EXACT_LEVEL).length;
    return { tweak, found, trials: values.length, interval95: clopperPearson(found, values.length) };
  });
