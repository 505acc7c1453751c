/**
 * Which tensor of one model is which of another: by values in any order, then by name, then by place and shape. Names,
 * formats and graphs may differ, layers may be missing, renumbered or added on either side.
 */
import { distance, type Fingerprint, fingerprints } from './fingerprint.js';
import { type Place, placePairs } from './place.js';
import type { Plannable, PlannableTensor } from './plan.js';
import type { Loadable, LoadableTensor } from './table.js';

export interface TensorPair {
  /** Names in the reference and in the suspect. */
  readonly a: string;
  readonly b: string;
  /** What told: values in any order, the name (its block may be another), or place and shape in order. */
  readonly by: 'values' | 'name' | 'place';
  /** How alike the values are whatever their order, 0 … 1; null where they were not read for this. */
  readonly likeness: number | null;
}

export interface Correspondence {
  readonly pairs: readonly TensorPair[];
  /** Reference name → suspect name. */
  readonly names: ReadonlyMap<string, string>;
}

/** What pairing needs of a model; a `Subject` of detect is one. */
export interface Correspondent extends Plannable, Loadable {
  readonly tensors: ReadonlyMap<string, PlannableTensor & LoadableTensor>;
  /** Without a graph the order of tensors is that of the file, and names tell more. */
  readonly fromGraph: boolean;
}

/** Quantiles of a copy stay within this under rounding to 8 bits and light training. */
const CLOSE = 0.02;
/** The next best must be this much further away: layers of one shape are drawn from one distribution. */
const CLEARLY = 4;
/** … and further than what rounding of equal values makes. */
const APART = 1e-5;
/** Pairs of one shape whose values are compared: more tensors of one shape are left to names and places. */
const MAX_COMPARED = 2 ** 20;

/** @throws what reading the tensors throws */
export async function correspond(reference: Correspondent, suspect: Correspondent): Promise<Correspondence> {
  const [ours, theirs] = [await learnedPrints(reference), await learnedPrints(suspect)];
  const names = new Map<string, string>();
  const by = new Map<string, TensorPair['by']>();
  const pair = (a: string, b: string, how: TensorPair['by']): void => {
    names.set(a, b);
    by.set(a, how);
  };
  for (const [a, b] of valuePairs(reference, suspect, ours, theirs)) pair(a, b, 'values');
  for (const [a, b] of namePairs(reference, suspect, names)) pair(a, b, 'name');
  for (const [a, b] of placePairs(places(reference), places(suspect), names)) pair(a, b, 'place');
  const pairs = [...reference.tensors.keys()].flatMap((name): TensorPair[] => {
    const other = names.get(name);
    if (other === undefined) return [];
    const [a, b] = [ours.get(name), theirs.get(other)];
    const apart = a === undefined || b === undefined ? Number.NaN : distance(a, b);
    const likeness = Number.isNaN(apart) ? null : 1 - apart;
    return [{ a: name, b: other, by: by.get(name)!, likeness }];
  });
  return { pairs, names };
}

const known = new WeakMap<object, Promise<ReadonlyMap<string, Fingerprint>>>();

/** Constants are alike everywhere and say nothing of which is which. A suspect meets many releases: it is read once. */
function learnedPrints({ tensors }: Correspondent): Promise<ReadonlyMap<string, Fingerprint>> {
  const before = known.get(tensors);
  if (before !== undefined) return before;
  const prints = fingerprints(new Map([...tensors].filter(([, { nature }]) => nature.kind === 'learned')));
  known.set(tensors, prints);
  return prints;
}

/** Each the nearest of the other among all of their shape, and clearly so. */
function valuePairs(
  reference: Correspondent,
  suspect: Correspondent,
  ours: ReadonlyMap<string, Fingerprint>,
  theirs: ReadonlyMap<string, Fingerprint>,
): [string, string][] {
  const found: [string, string][] = [];
  const others = byShape(suspect, theirs);
  for (const [shape, left] of byShape(reference, ours)) {
    const right = others.get(shape) ?? [];
    if (left.length * right.length > MAX_COMPARED) continue;
    const apart = left.map((a) => right.map((b) => distance(ours.get(a)!, theirs.get(b)!)));
    left.forEach((a, i) => {
      const j = nearest(apart[i]!);
      if (j === null) return;
      const back = apart.map((row) => row[j]!);
      if (nearest(back) === i) found.push([a, right[j]!]);
    });
  }
  return found;
}

/** The one that is close where the next is clearly further; null where none is. */
function nearest(apart: readonly number[]): number | null {
  let best: number | null = null;
  let next = Number.POSITIVE_INFINITY;
  for (const [k, value] of apart.entries()) {
    if (best === null || value < apart[best]!) {
      if (best !== null) next = Math.min(next, apart[best]!);
      best = k;
    } else next = Math.min(next, value);
  }
  if (best === null) return null;
  const least = apart[best]!;
  return least <= CLOSE && next >= CLEARLY * least && next >= APART ? best : null;
}

function byShape(model: Correspondent, prints: ReadonlyMap<string, Fingerprint>): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const name of prints.keys()) {
    const key = model.tensors.get(name)!.shape.join('×');
    found.set(key, [...(found.get(key) ?? []), name]);
  }
  return found;
}

/** `model.layers.7.mlp.up.weight`: what stands before the first whole number, the number, and what stands behind it. */
function blockOf(name: string): { readonly block: string; readonly rest: string } | null {
  const found = /^(.*?[./])(\d+)([./].*)$/.exec(name);
  return found === null ? null : { block: `${found[1]}${found[2]}`, rest: found[3]! };
}

/** Tensors of one name; in blocks that their values show to be renumbered, of that name in the other block. */
function namePairs(
  reference: Correspondent,
  suspect: Correspondent,
  paired: ReadonlyMap<string, string>,
): [string, string][] {
  const votes = new Map<string, Map<string, number>>();
  for (const [a, b] of paired) {
    const [from, to] = [blockOf(a), blockOf(b)];
    if (from === null || to === null || from.rest !== to.rest) continue;
    const counts = votes.get(from.block) ?? new Map<string, number>();
    votes.set(from.block, counts.set(to.block, (counts.get(to.block) ?? 0) + 1));
  }
  const moved = new Map(
    [...votes].map(([block, counts]) => [block, [...counts].sort((x, y) => y[1] - x[1])[0]![0]] as const),
  );
  const claimed = new Set(moved.values());
  const taken = new Set(paired.values());
  const found: [string, string][] = [];
  for (const [name, { shape }] of reference.tensors) {
    if (paired.has(name)) continue;
    const own = blockOf(name);
    const block = own === null ? undefined : moved.get(own.block);
    // A block of this number that another block of the reference went to is not this one.
    if (own !== null && block === undefined && claimed.has(own.block)) continue;
    const wanted = own === null || block === undefined ? name : `${block}${own.rest}`;
    const other = suspect.tensors.get(wanted);
    if (other === undefined || taken.has(wanted) || !couldPair(shape, other.shape)) continue;
    taken.add(wanted);
    found.push([name, wanted]);
  }
  return found;
}

/** Tensors of one name whose widths differ by more are other layers that happen to share a name. */
const MAX_WIDTH_RATIO = 8;

const couldPair = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length &&
  a.every((size, axis) => Math.max(size, b[axis]!) <= MAX_WIDTH_RATIO * Math.min(size, b[axis]!) || size === b[axis]);

/** In the order of the graph; without one in natural order of names, which keeps layer 10 behind layer 9. */
function places({ tensors, fromGraph }: Correspondent): readonly Place[] {
  const all = [...tensors].map(([name, { shape, role }]): Place => ({ name, shape, role }));
  return fromGraph ? all : all.sort((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true }));
}
