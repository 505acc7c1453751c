/**
 * Which tensor of the suspect stands for which of the plan. The owner names the pairs when he already knows the keys, so
 * a tensor that has its namesake may have no other partner and may not be left out, and where names differ every other
 * choice that he had is paid for: p holds for each pairing by itself, so for the best of W it is at most W·p.
 */
import type { TestPlan } from '../align/index.js';
import { evidenceError } from '../base/index.js';
import { type CommittedTensor, foldName, type ModelCommitment } from '../mark/index.js';
import { lnChoose, lnFactorial, log10Add } from '../stats/index.js';

/** Plan tensor → the suspect's name for it; tensors that have no partner are not there. */
export type Pairs = Readonly<Record<string, string>>;

/** No tensor of any file is named so. */
const NONE = '\u0000none';

export const partnerIn =
  (pairs: Pairs) =>
  (tensor: string): string =>
    Object.hasOwn(pairs, tensor) ? pairs[tensor]! : NONE;

const sizeOf = (place: CommittedTensor): string => `${place.rows} × ${place.width}`;
const placesOf = (layout: readonly CommittedTensor[]): ReadonlyMap<string, CommittedTensor> =>
  new Map(layout.filter(({ tensor }) => !tensor.endsWith(foldName(''))).map((place) => [place.tensor, place]));

/**
 * @param original, suspect layouts as committed
 * @returns log10 of how many pairings could have been named, 0 where there was no choice
 * @throws `BUNDLE_PAIRING`
 */
export function pairingChoices(
  plan: TestPlan,
  pairs: Pairs,
  original: Pick<ModelCommitment, 'layout'>,
  suspect: Pick<ModelCommitment, 'layout'>,
): number {
  const [ours, theirs] = [placesOf(original.layout), placesOf(suspect.layout)];
  const isNamesake = (tensor: string): boolean => {
    const [own, other] = [ours.get(tensor), theirs.get(tensor)];
    return own !== undefined && other !== undefined && sizeOf(own) === sizeOf(other);
  };
  const partner = partnerIn(pairs);
  const taken = new Set<string>();
  const open = new Map<string, number>();
  for (const { name } of plan.tensors) {
    const own = ours.get(name);
    const named = partner(name);
    const other = theirs.get(named);
    const fits = own !== undefined && other !== undefined && sizeOf(own) === sizeOf(other);
    const wrong = isNamesake(name) ? named !== name : named !== NONE && (!fits || isNamesake(named));
    if (wrong || taken.has(named)) {
      throw evidenceError('BUNDLE_PAIRING', 'a tensor is not compared with the one of its name and size', {
        expected: isNamesake(name) ? name : 'a tensor of the same size that has no namesake, once',
        got: named === NONE ? 'none' : named,
        where: name,
      });
    }
    if (named !== NONE) taken.add(named);
    if (!isNamesake(name) && own !== undefined) open.set(sizeOf(own), (open.get(sizeOf(own)) ?? 0) + 1);
  }
  let choices = 0;
  for (const [size, wanting] of open) {
    const free = [...theirs.values()].filter((place) => sizeOf(place) === size && !isNamesake(place.tensor)).length;
    choices += log10Injections(wanting, free);
  }
  return choices;
}

/** log10 of Σ_k C(a, k)·C(b, k)·k!: ways to give some of a tensors a partner each among b. */
function log10Injections(a: number, b: number): number {
  let sum = 0;
  for (let k = 1; k <= Math.min(a, b); k++) {
    sum = log10Add(sum, (lnChoose(a, k) + lnChoose(b, k) + lnFactorial(k)) / Math.LN10);
  }
  return sum;
}
