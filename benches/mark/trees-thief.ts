/** What a thief can do to the thresholds of a copy, or of several. */
import { type RandomStream, seededRandom } from '../../src/base/index.js';
import { keepTrees } from '../../src/detect/tree-tweaks.js';
import type { TreeEnsemble } from '../../src/formats/index.js';
import { canonicalTrees } from '../../src/structure/index.js';
import type { Rows } from './trees-bed.js';

export type Theft = (copy: TreeEnsemble, random: RandomStream) => TreeEnsemble;

const isSplit = ({ feature }: TreeEnsemble, node: number): boolean => feature[node] !== -1;

const moved = (trees: TreeEnsemble, to: (cut: number, input: number) => number): TreeEnsemble => {
  const round = trees.precision === 'F32' ? Math.fround : (value: number) => value;
  return {
    ...trees,
    threshold: trees.threshold.map((cut, node) => (isSplit(trees, node) ? round(to(cut, trees.feature[node]!)) : cut)),
  };
};

/** Every tree is kept with this chance. */
export const dropTrees =
  (share: number): Theft =>
  (copy, random) => {
    const trees = canonicalTrees(copy);
    return keepTrees(
      trees,
      [...trees.root.keys()].filter(() => random.unit() >= share),
    );
  };

export const roundDigits =
  (digits: number): Theft =>
  (copy) =>
    moved(copy, (cut) => Number(cut.toPrecision(digits)));

/** Noise of its own at every split, normal, in shares of the input's standard deviation. */
export const noise =
  (size: number, rows: Rows): Theft =>
  (copy, random) => {
    const spread = deviations(rows);
    return moved(copy, (cut, input) => cut + size * spread[input]! * normal(random));
  };

const normal = (random: RandomStream): number =>
  Array.from({ length: 12 }, () => random.unit()).reduce((sum, one) => sum + one, -6);

function deviations(rows: Rows): readonly number[] {
  return rows[0]!.map((_, input) => {
    const mean = rows.reduce((sum, row) => sum + row[input]!, 0) / rows.length;
    return Math.sqrt(rows.reduce((sum, row) => sum + (row[input]! - mean) ** 2, 0) / rows.length);
  });
}

/** Every threshold to the middle of the gap in which it lies among the thief's own rows, or to a random place in it. */
export const snap =
  (rows: Rows, where: 'middle' | 'upper edge' | 'anywhere'): Theft =>
  (copy, random) => {
    const values = rows[0]!.map((_, input) => Float64Array.from(new Set(rows.map((row) => row[input]!))).sort());
    const drawn = new Map<string, number>();
    return moved(copy, (cut, input) => {
      const own = values[input]!;
      const above = own.findIndex((value) => value >= cut);
      if (above <= 0) return cut;
      const [low, high] = [own[above - 1]!, own[above]!];
      if (where === 'middle') return low + (high - low) / 2;
      if (where === 'upper edge') return high;
      const key = `${input} ${above}`;
      const part = drawn.get(key) ?? 0.05 + 0.9 * random.unit();
      drawn.set(key, part);
      return low + part * (high - low);
    });
  };

export const theftRandom = (label: string): RandomStream => seededRandom(1, `tree thief ${label}`);

export const COLLUSIONS = ['mean', 'median', 'least', 'greatest', 'random pick'] as const;
export type Collusion = (typeof COLLUSIONS)[number];

/** Node by node over the colluders' copies, which differ in their thresholds alone. */
export function collude(copies: readonly TreeEnsemble[], how: Collusion, random: RandomStream): TreeEnsemble {
  const [first] = copies;
  const threshold = first!.threshold.map((_, node) => {
    const all = copies.map((copy) => copy.threshold[node]!).sort((a, b) => a - b);
    if (how === 'mean') return all.reduce((sum, one) => sum + one, 0) / all.length;
    if (how === 'median') return (all[(all.length - 1) >> 1]! + all[all.length >> 1]!) / 2;
    if (how === 'least') return all[0]!;
    return how === 'greatest' ? all.at(-1)! : all[random.below(all.length)]!;
  });
  return { ...first!, threshold: first!.precision === 'F32' ? threshold.map(Math.fround) : threshold };
}
