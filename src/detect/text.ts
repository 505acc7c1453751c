/** A comparison in words, line by line; what prints it adds colour. */
import type { Comparison, EvidenceLine, SharedTensor, Tweak } from './types.js';

export interface ComparisonText {
  readonly verdict: string;
  readonly reason: string;
  /** Name and value pairs, in reading order. */
  readonly facts: readonly (readonly [string, string])[];
}

export function comparisonText(answer: Comparison): ComparisonText {
  const facts: (readonly [string, string])[] = [];
  for (const line of answer.lines) facts.push([`${line.test} (${line.kind})`, lineText(line)]);
  for (const line of answer.lines) facts.push(['assuming', line.assumption]);
  if (answer.tweaks.length > 0) facts.push(['what was done', answer.tweaks.map(tweakText).join('; ')]);
  if (answer.lines.length > 0) {
    facts.push([
      'scope',
      `${percent(answer.scope.comparable)} of the learned parameters comparable, ${percent(answer.scope.related)} related`,
    ]);
  }
  if (answer.correspondence.length > 0) facts.push(['tensors matched', matchedText(answer.correspondence)]);
  for (const [nature, tensors] of byNature(answer.shared))
    facts.push([`shared ${nature}`, listed(tensors.map(({ a }) => a))]);
  if (answer.leftOut.length > 0) {
    facts.push([
      'left out',
      listed(
        answer.leftOut.map(({ tensor, reason }) => `${tensor} (${reason})`),
        3,
      ),
    ]);
  }
  for (const line of answer.lines) facts.push([`${line.test} cannot see`, line.blindTo.join('; ')]);
  facts.push(['read', `${bytesText(answer.bytesRead)} in ${answer.seconds.toFixed(2)} s`]);
  return { verdict: answer.verdict, reason: answer.reason, facts };
}

const lineText = (line: EvidenceLine): string =>
  `${Number.isInteger(line.statistic) ? line.statistic : line.statistic.toFixed(2)} of ${line.n}, log10 p ≤ ${line.log10p.toFixed(2)}`;

const WORDS: Readonly<Record<string, (tweak: Tweak) => string>> = {
  'exact-copy': () => 'exact copy',
  converted: (tweak) =>
    tweak.from === undefined ? `converted (${tweak.precision})` : `converted from ${tweak.from} to ${tweak.to}`,
  quantised: (tweak) =>
    `quantised to ${tweak.bits} bits, one scale per ${tweak.granularity}${tweak.tensors === undefined ? '' : `, in ${tweak.tensors} of ${tweak.of} tensors`}`,
  pruned: (tweak) => `${percent(Number(tweak.share))} pruned`,
  'fine-tuned': (tweak) => `fine-tuned (drift ${percent(Number(tweak.drift))})`,
  noise: (tweak) => `noise added (${percent(Number(tweak.drift))})`,
  mixed: (tweak) => `mixed from ${tweak.copies} released copies, or more`,
  permuted: (tweak) => `hidden units re-ordered in ${tweak.groups} of ${tweak.of} groups`,
  rescaled: (tweak) => `hidden units rescaled in ${tweak.groups} groups`,
  'trees-dropped': (tweak) => `${tweak.trees} of ${tweak.of} trees dropped`,
  'trees-added': (tweak) => `${tweak.trees} of ${tweak.of} trees added`,
  'leaves-changed': (tweak) => `${percent(Number(tweak.share))} of the leaf values changed`,
  'thresholds-moved': (tweak) => `${percent(Number(tweak.share))} of the thresholds moved`,
  'inputs-changed': (tweak) => `inputs re-ordered or rescaled (${tweak.trees} trees)`,
  'sign-flipped': (tweak) => `${tweak.units} hidden units with flipped sign`,
};

/** One tweak in words. */
export const tweakText = (tweak: Tweak): string => WORDS[tweak.kind]?.(tweak) ?? tweak.kind;

const TOLD_BY = { values: 'by values in any order', name: 'by name', place: 'by place and shape' } as const;

function matchedText(pairs: Comparison['correspondence']): string {
  const parts = (['values', 'name', 'place'] as const).flatMap((by) => {
    const count = pairs.filter((pair) => pair.by === by).length;
    return count === 0 ? [] : `${count} ${TOLD_BY[by]}`;
  });
  const alike = pairs.flatMap(({ likeness }) => likeness ?? []).sort((a, b) => a - b);
  const middle = alike[Math.floor(alike.length / 2)];
  return `${parts.join(', ')}${middle === undefined ? '' : `; median likeness of values ${middle.toFixed(3)}`}`;
}

function byNature(shared: readonly SharedTensor[]): Map<string, SharedTensor[]> {
  const groups = new Map<string, SharedTensor[]>();
  for (const tensor of shared) groups.set(tensor.nature, [...(groups.get(tensor.nature) ?? []), tensor]);
  return groups;
}

const listed = (names: readonly string[], most = 6): string =>
  names.length <= most ? names.join(', ') : `${names.slice(0, most).join(', ')} and ${names.length - most} more`;

const percent = (share: number): string => `${(100 * share).toFixed(share > 0 && share < 0.1 ? 1 : 0)} %`;

function bytesText(bytes: number): string {
  const units = ['bytes', 'kB', 'MB', 'GB'];
  let size = bytes;
  let unit = 0;
  while (size >= 1000 && unit < units.length - 1) {
    size /= 1000;
    unit++;
  }
  return `${unit === 0 ? size : size.toFixed(1)} ${units[unit]}`;
}
