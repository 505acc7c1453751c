/** One conditional order test from two models to hits: pairing, plan, sample, tables. */
import {
  type Correspondence,
  correspond,
  loadTable,
  poisonedTensors,
  samplePlan,
  type TestPlan,
  type WeightTable,
} from '../align/index.js';
import { inputError, sha256 } from '../base/index.js';
import { type OrderStatistic, orderStatistic } from './order.js';
import { pairedPlan, withSilent } from './paired-plan.js';
import type { Subject } from './subject.js';

/** What one order test read and found. */
export interface Tested {
  readonly reference: Subject;
  readonly suspect: Subject;
  readonly pairing: Correspondence;
  /** Unsampled. */
  readonly full: TestPlan;
  /** What the tables were loaded by. */
  readonly plan: TestPlan;
  readonly ours: WeightTable;
  readonly theirs: WeightTable;
  readonly order: OrderStatistic;
  readonly poisoned: readonly string[];
}

/** Pairs, plans, samples, loads and counts hits. A tensor with NaN or an infinity on either side is left out and named. */
export async function testOrder(reference: Subject, suspect: Subject): Promise<Tested> {
  const pairing = await correspond(reference, suspect);
  const rename = (name: string): string => pairing.names.get(name) ?? name;
  const seed = sha256(reference.digest, suspect.digest);
  const first = await loadBoth(reference, suspect, pairing, seed, new Set());
  const poisoned = [...new Set([...poisonedTensors(first.ours), ...poisonedTensors(first.theirs)])];
  if (poisoned.length > 0 && first.plan.tensors.every((tensor) => poisoned.includes(tensor.name))) {
    throw inputError('COMPARE_NOTHING_LEFT', 'every tensor that could be compared holds NaN or an infinity', {
      where: poisoned.slice(0, 5).map(rename).join(', '),
      todo: 'fetch the file again; a model of NaN computes nothing',
    });
  }
  const read = poisoned.length === 0 ? first : await loadBoth(reference, suspect, pairing, seed, new Set(poisoned));
  const order = orderStatistic(read.plan, read.ours, read.theirs);
  return { reference, suspect, pairing, ...read, order, poisoned };
}

async function loadBoth(
  reference: Subject,
  suspect: Subject,
  pairing: Correspondence,
  seed: Uint8Array,
  poisoned: ReadonlySet<string>,
): Promise<Pick<Tested, 'full' | 'plan' | 'ours' | 'theirs'>> {
  const full = pairedPlan(reference, suspect, pairing, (name) =>
    poisoned.has(name) ? 'holds NaN or an infinity' : null,
  );
  const spoken = samplePlan(full, seed);
  const silent = withSilent(spoken, reference, suspect, pairing, seed);
  const plan = { ...silent, tensors: silent.tensors.filter(({ name }) => !poisoned.has(name)) };
  const ours = await loadTable(reference, plan);
  const theirs = await loadTable(suspect, plan, (name) => pairing.names.get(name) ?? name);
  return { full, plan, ours, theirs };
}
