/**
 * Tree marks on AI4I 2020: what they cost on rows that training never saw, what is left of them after what a thief can
 * do, and whom a mixture of copies names. The table is in docs/design/tree-mark.md.
 */
import { log10NormalTail } from '../../src/stats/index.js';
import type { Figure } from '../harness.js';
import type { Figures, Workplace } from '../main/section.js';
import {
  AI4I_TREES,
  answersOf,
  copyOf,
  f1,
  type TreeBed,
  type TreeData,
  treeBed,
  treeData,
  treeKeys,
  zOf,
} from './trees-bed.js';
import { COLLUSIONS, collude, dropTrees, noise, roundDigits, snap, type Theft, theftRandom } from './trees-thief.js';

/** By key of the figure, or null for what is only said. */
const thefts = ({ train, heldOut }: TreeData): Readonly<Record<string, readonly [string | null, Theft]>> => ({
  'as it is': ['tree_z_copy', (copy) => copy],
  'half of the trees dropped': ['tree_z_half_dropped', dropTrees(0.5)],
  'four fifths dropped': [null, dropTrees(0.8)],
  '5 digits': [null, roundDigits(5)],
  '4 digits': ['tree_z_4_digits', roundDigits(4)],
  '3 digits': ['tree_z_3_digits', roundDigits(3)],
  'noise of 0.3 % of each input’s deviation': [null, noise(0.003, heldOut.rows)],
  'noise of 1 %': ['tree_z_noise_1', noise(0.01, heldOut.rows)],
  'noise of 3 %': [null, noise(0.03, heldOut.rows)],
  'noise of 10 %': [null, noise(0.1, heldOut.rows)],
  'set to the middle, 300 other rows': ['tree_z_set_anew_300', snap(heldOut.rows.slice(0, 300), 'middle')],
  'set to the middle, 3,000 other rows': [null, snap(heldOut.rows, 'middle')],
  'set to the middle, the training rows': ['tree_z_set_anew', snap(train.rows, 'middle')],
  'set anywhere in the gap, the training rows': [null, snap(train.rows, 'anywhere')],
});

const COLLUDERS = [2, 3, 5, 10];
const INNOCENTS = 20;
/** For log10 p ≤ −6 after the correction of a first look in a room of ten releases. */
const FOUND = -6 - Math.log10(10 * 2 * 2);

const least = (values: readonly number[]): Figure => ({
  value: Math.min(...values),
  n: values.length,
  interval95: null,
});
const mean = (values: readonly number[]): number => values.reduce((sum, one) => sum + one, 0) / values.length;
const fixed = (value: number, digits = 1): string => value.toFixed(digits);

/** @param keys recipients for each ensemble */
export async function treeMarks({ say }: Workplace, keys: number): Promise<Figures | { readonly notMeasured: string }> {
  const data = await treeData();
  if (data === null) return { notMeasured: 'AI4I 2020 is not at hand (MUNIMENT_DATA)' };
  const z = new Map<string, number[]>();
  const costs: number[] = [];
  const colluders = new Map<number, boolean[]>();
  let [accused, innocents] = [0, 0];
  for (const name of AI4I_TREES) {
    const bed = await treeBed(name, data);
    try {
      costs.push(...stolen(bed, data, keys, z, say));
      for (const count of COLLUDERS) {
        const found = together(bed, count, keys, say);
        accused += found.accused;
        innocents += found.innocents;
        colluders.set(count, [...(colluders.get(count) ?? []), ...found.named]);
      }
    } finally {
      await bed.model.close();
    }
  }
  return {
    ...Object.fromEntries([...z].map(([key, values]) => [key, least(values)])),
    tree_cost_f1_points: { value: mean(costs), n: costs.length, interval95: null },
    ...Object.fromEntries(
      [...colluders].map(([count, named]) => [
        `tree_colluders_named_of_${count}`,
        { value: (count * named.filter(Boolean).length) / named.length, n: named.length, interval95: null },
      ]),
    ),
    tree_innocents_accused: { value: accused, n: innocents, interval95: null },
  };
}

/** @returns points of F1 that each unchanged copy loses on rows that training never saw */
function stolen(
  bed: TreeBed,
  data: TreeData,
  keys: number,
  z: Map<string, number[]>,
  say: (line: string) => void,
): readonly number[] {
  const { rows, failed } = data.heldOut;
  const before = answersOf(bed.trees, rows);
  const score = f1(before, failed);
  const splits = bed.trees.feature.filter((input) => input !== -1).length;
  say(`${bed.name}: ${splits} splits in ${bed.gaps.length} gaps; F1 ${fixed(score, 3)}`);
  let costs: readonly number[] = [];
  for (const [what, [key, theft]] of Object.entries(thefts(data))) {
    const found: number[] = [];
    const lost: number[] = [];
    const changed: number[] = [];
    for (let k = 0; k < keys; k++) {
      const own = treeKeys(`recipient ${k}`);
      const suspect = theft(copyOf(bed, own), theftRandom(`${what} ${k}`));
      found.push(zOf(bed, suspect, own));
      const answers = answersOf(suspect, rows);
      lost.push(100 * (score - f1(answers, failed)));
      changed.push(answers.filter((one, row) => one !== before[row]).length);
    }
    if (key !== null) z.set(key, [...(z.get(key) ?? []), ...found]);
    if (what === 'as it is') costs = lost;
    say(
      `  ${what}: z ${fixed(mean(found))} (least ${fixed(Math.min(...found))}), F1 ${fixed(-mean(lost), 2)} points, ${fixed(mean(changed))} of ${rows.length} answers changed`,
    );
  }
  return costs;
}

function together(bed: TreeBed, count: number, rounds: number, say: (line: string) => void) {
  const named: boolean[] = [];
  let [accused, innocents] = [0, 0];
  for (const how of COLLUSIONS) {
    const found: number[] = [];
    for (let k = 0; k < rounds; k++) {
      const guilty = Array.from({ length: count }, (_, j) => treeKeys(`colluder ${k} ${j}`));
      const copies = guilty.map((one) => copyOf(bed, one));
      const suspect = collude(copies, how, theftRandom(`${how} ${count} ${k}`));
      found.push(...guilty.map((one) => zOf(bed, suspect, one)));
      for (let j = 0; j < INNOCENTS; j++) {
        innocents++;
        if (log10NormalTail(zOf(bed, suspect, treeKeys(`innocent ${k} ${j}`))) <= FOUND) accused++;
      }
    }
    const above = found.map((z) => log10NormalTail(z) <= FOUND);
    named.push(...above);
    say(
      `  ${count} copies, ${how}: z ${fixed(mean(found))} (${fixed(Math.min(...found))}–${fixed(Math.max(...found))}), ${above.filter(Boolean).length} of ${above.length} named`,
    );
  }
  return { named, accused, innocents };
}
