/**
 * What an axis carries: a list of parts, each the units of one class repeated. Unification of such lists, in the manner
 * of first-order terms, says which axes must move together; a class that meets anything unproven is pinned.
 */
export type Scaling = 'none' | 'positive' | 'any';

export interface UnitClass {
  readonly order: number;
  readonly size: number;
  /** How many splits lie above it at most. */
  depth: number;
  parent: UnitClass | null;
  /** Split or factored into parts; then it is no class of its own any more. */
  bound: Axis | null;
  /** Why its units must stay where they are; null while nothing speaks against moving them. */
  pinned: string | null;
  scaling: Scaling;
}

/** Unit u of the class lies at `inner` positions from u·inner on. */
export interface Part {
  readonly units: UnitClass;
  readonly inner: number;
}
export type Axis = readonly Part[];

/** Parts of one axis: a flattened 7 × 7 map makes 49; more would be an adversary's. */
export const MAX_PARTS = 4096;
/** Splits within splits: real models slice a few times; a chain of slices as long as the graph would exhaust the stack. */
const MAX_SPLITS = 256;

let made = 0;

export const freshClass = (size: number, pinned: string | null = null): UnitClass => ({
  order: made++,
  size,
  depth: 0,
  parent: null,
  bound: null,
  pinned,
  scaling: 'any',
});

export const freshAxis = (size: number, pinned: string | null = null): Axis => [
  { units: freshClass(size, pinned), inner: 1 },
];

export function root(units: UnitClass): UnitClass {
  let at = units;
  while (at.parent !== null) {
    if (at.parent.parent !== null) at.parent = at.parent.parent;
    at = at.parent;
  }
  return at;
}

const WEAKEST: readonly Scaling[] = ['any', 'positive', 'none'];
const weaker = (a: Scaling, b: Scaling): Scaling => WEAKEST[Math.max(WEAKEST.indexOf(a), WEAKEST.indexOf(b))]!;

/** The axis in classes that are not split further. */
export function partsOf(axis: Axis): Part[] {
  const out: Part[] = [];
  for (const part of axis) {
    const units = root(part.units);
    if (units.bound === null) out.push({ units, inner: part.inner });
    else for (const inside of partsOf(units.bound)) out.push({ units: inside.units, inner: inside.inner * part.inner });
  }
  return out;
}

export const axisSize = (axis: Axis): number => axis.reduce((sum, { units, inner }) => sum + units.size * inner, 0);

export function pin(axis: Axis, reason: string): void {
  for (const { units } of partsOf(axis)) units.pinned ??= reason;
}

export function limitScaling(axis: Axis, scaling: Scaling): void {
  for (const { units } of partsOf(axis)) units.scaling = weaker(units.scaling, scaling);
}

function bind(units: UnitClass, to: Axis): boolean {
  const parts = partsOf(to);
  if (units.depth >= MAX_SPLITS || parts.some((part) => part.units === units)) return false;
  for (const part of parts) part.units.depth = Math.max(part.units.depth, units.depth + 1);
  units.bound = to;
  if (units.pinned !== null) pin(to, units.pinned);
  limitScaling(to, units.scaling);
  return true;
}

function union(a: UnitClass, b: UnitClass): void {
  if (a === b) return;
  const [first, second] = a.order < b.order ? [a, b] : [b, a];
  second.parent = first;
  first.depth = Math.max(first.depth, second.depth);
  first.pinned ??= second.pinned;
  first.scaling = weaker(first.scaling, second.scaling);
}

/** Makes two axes carry the same units; where that cannot be proven both are pinned. */
export function unify(a: Axis, b: Axis): void {
  const failure = mismatch(a, b);
  if (failure === null) return;
  pin(a, failure);
  pin(b, failure);
}

function mismatch(a: Axis, b: Axis): string | null {
  if (axisSize(a) !== axisSize(b)) return 'sizes differ';
  // One class against many parts becomes these at once: cut off one by one they would nest as deep as there are parts.
  for (const [whole, parts] of [
    [partsOf(a), b],
    [partsOf(b), a],
  ] as const) {
    if (whole.length === 1 && whole[0]!.inner === 1 && partsOf(parts).length > 2 && bind(whole[0]!.units, parts)) {
      return null;
    }
  }
  for (let at = 0, done = 0; done < axisSize(a); at++) {
    if (at > MAX_PARTS) return 'too many parts';
    const left = partAt(a, done);
    const right = partAt(b, done);
    if (left === null || right === null) return 'parts overlap';
    const [l, r] = [left.units.size * left.inner, right.units.size * right.inner];
    if (l === r && left.inner === right.inner) union(left.units, right.units);
    else if (l === r && left.inner === 1 && bind(left.units, [right])) continue;
    else if (l === r && right.inner === 1 && bind(right.units, [left])) continue;
    else if (l > r && divide(left, r)) continue;
    else if (r > l && divide(right, l)) continue;
    else return 'parts do not fit';
    done += l;
  }
  return null;
}

/** The part that begins at a position. */
function partAt(axis: Axis, position: number): Part | null {
  let start = 0;
  for (const part of partsOf(axis)) {
    if (start === position) return part;
    start += part.units.size * part.inner;
    if (start > position) return null;
  }
  return null;
}

/** Splits a class so that its first part fills `length` positions. */
function divide({ units, inner }: Part, length: number): boolean {
  const first = length / inner;
  if (!Number.isInteger(first)) return false;
  return bind(units, [...freshAxis(first), ...freshAxis(units.size - first)]);
}

/** Positions [start, end) of an axis, its classes split there; null (and pinned) where a split falls inside a unit. */
export function sliceAxis(axis: Axis, start: number, end: number): Axis | null {
  const parts = partsOf(axis);
  // Nothing of it can move, and neither can a piece: no need to split.
  if (parts.every(({ units }) => units.pinned !== null))
    return freshAxis(Math.max(0, end - start), parts[0]?.units.pinned);
  for (const cut of [start, end]) {
    let at = 0;
    for (const part of partsOf(axis)) {
      const length = part.units.size * part.inner;
      if (cut > at && cut < at + length && !divide(part, cut - at)) {
        pin(axis, 'cut inside a unit');
        return null;
      }
      at += length;
    }
  }
  const out: Part[] = [];
  let at = 0;
  for (const part of partsOf(axis)) {
    if (at >= start && at < end) out.push(part);
    at += part.units.size * part.inner;
  }
  // A split of a class that lies here twice may have moved boundaries: what does not fit is not proven.
  if (axisSize(out) !== end - start) {
    pin(axis, 'cut inside a unit');
    return null;
  }
  return out;
}
