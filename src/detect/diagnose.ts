/** What was done to a copy: quantised, pruned, drifted, permuted, rescaled. A description of the file, not evidence of its origin. */
import type { AlignedGroup, TestPlan, WeightTable } from '../align/index.js';
import { type DType, roundTo } from '../formats/index.js';
import { type TensorGrid, tensorGrid } from './grid.js';
import type { Tweak } from './types.js';

/** What shares one scale. */
export type Granularity = 'tensor' | 'channel' | 'block';

export interface DiagnosisInput {
  readonly plan: TestPlan;
  readonly reference: WeightTable;
  /** The suspect as stored (same units as the reference's plan, its own order and scale). */
  readonly stored: WeightTable;
  /** The suspect in the reference's order and scale; `stored` itself where nothing was permuted. */
  readonly aligned: WeightTable;
  /** From the alignment; [] where none was made. */
  readonly groups: readonly AlignedGroup[];
  /** Quantisation that the file itself states, by reference name. */
  readonly stated?: (tensor: string) => { readonly bits: number; readonly granularity: Granularity } | null;
  /** Container and storage type of both. */
  readonly formats?: { readonly reference: string; readonly suspect: string };
}

/** As seen in the values, or as the file states it. */
type Grid = Omit<TensorGrid, 'granularity'> & { readonly granularity: Granularity };

/** Relative spacing of storage types coarser than float32. */
const PRECISIONS = [
  { dtype: 'F16', step: 2 ** -11 },
  { dtype: 'BF16', step: 2 ** -8 },
] as const;

/** Differences beyond rounding to float32 count as drift. */
const ROUNDING = 1e-6;
/** More zeros than rounding explains, as a share, before a copy is called pruned. */
const PRUNED = 0.05;

export function diagnose(input: DiagnosisInput): readonly Tweak[] {
  const moved = movedUnits(input);
  const { reference, aligned } = input;
  const weights = [...reference.tensors].filter(([name, { shape }]) => shape.length > 1 && aligned.tensors.has(name));
  const grids = new Map(weights.map(([name, { shape }]) => [name, statedOrSeen(input, name, shape[0]!)]));
  const pairs = weights.map(([name, { values }]) => ({
    name,
    ours: values,
    theirs: aligned.tensors.get(name)!.values,
  }));
  const worst = pairs.reduce((most, { ours, theirs }) => Math.max(most, largestDifference(ours, theirs)), 0);
  if (worst <= ROUNDING) return [...unchanged(input, worst, moved.length > 0), ...moved];
  const precision = PRECISIONS.find(
    ({ dtype, step }) =>
      pairs.every(({ ours, theirs }) => roundedTo(ours, theirs, step)) &&
      pairs.every(({ name }) => isOf(dtype, input.stored.tensors.get(name)!.values)),
  );
  if (precision !== undefined && moved.every((tweak) => tweak.kind !== 'rescaled')) {
    return [{ kind: 'converted', precision: precision.dtype }, ...moved];
  }
  const found = [
    ...quantisation(grids, pairs),
    ...pruning(input, pairs, grids),
    ...drift(pairs, grids, input),
    ...moved,
  ];
  return found.length > 0 ? found : [{ kind: 'converted', precision: `within ${roundedUp(worst)}` }];
}

function unchanged(input: DiagnosisInput, worst: number, moved: boolean): readonly Tweak[] {
  const { formats } = input;
  if (formats !== undefined && formats.reference !== formats.suspect) {
    return [{ kind: 'converted', from: formats.reference, to: formats.suspect }];
  }
  return moved ? [] : worst === 0 ? [{ kind: 'exact-copy' }] : [{ kind: 'converted', precision: 'rounding only' }];
}

/** One digit, never less than it is. */
function roundedUp(value: number): string {
  const power = 10 ** Math.floor(Math.log10(value));
  return (Math.ceil(value / power) * power).toExponential(0);
}

function largestDifference(ours: Float64Array, theirs: Float64Array): number {
  let size = 0;
  let most = 0;
  for (let k = 0; k < ours.length; k++) {
    size = Math.max(size, Math.abs(ours[k]!));
    most = Math.max(most, Math.abs(ours[k]! - theirs[k]!));
  }
  return size === 0 ? most : most / size;
}

/** Every value within half a unit in the last place of a type with this spacing, subnormals apart. */
const roundedTo = (ours: Float64Array, theirs: Float64Array, step: number): boolean =>
  ours.every((value, k) => Math.abs(value - theirs[k]!) <= Math.abs(value) * step * 1.01 + 1e-7);

/** Values looked at of each tensor: one that the type does not have refutes it. */
const LOOKED_AT = 4096;

const isOf = (dtype: DType, values: Float64Array): boolean =>
  values.subarray(0, LOOKED_AT).every((value) => roundTo(dtype, value) === value);

function statedOrSeen(input: DiagnosisInput, name: string, rows: number): Grid | null {
  const seen = tensorGrid(input.stored.tensors.get(name)!.values, rows);
  const stated = input.stated?.(name) ?? null;
  if (stated === null) return seen;
  return { step: 0, steps: [], ...seen, bits: stated.bits, granularity: stated.granularity };
}

/** Asked of what changed: some programs leave small or first layers as they were. */
function quantisation(grids: ReadonlyMap<string, Grid | null>, pairs: readonly Pair[]): readonly Tweak[] {
  const changed = pairs.filter(({ ours, theirs }) => largestDifference(ours, theirs) > ROUNDING);
  const found = changed.flatMap(({ name }) => grids.get(name) ?? []);
  if (found.length === 0 || found.length < changed.length / 2) return [];
  const bits = Math.max(...found.map((grid) => grid.bits));
  const shared = (what: Granularity): number => found.filter((grid) => grid.granularity === what).length;
  const granularity = (['channel', 'block'] as const).find((what) => shared(what) > found.length / 2) ?? 'tensor';
  const share = found.length < pairs.length / 2 ? { tensors: found.length, of: pairs.length } : {};
  return [{ kind: 'quantised', bits, granularity, ...share }];
}

interface Pair {
  readonly name: string;
  readonly ours: Float64Array;
  readonly theirs: Float64Array;
}

const zeros = (values: Float64Array): number => values.reduce((count, value) => count + (value === 0 ? 1 : 0), 0);

/** Values that rounding to the grid alone would have made 0. */
function roundedAway(pair: Pair, grid: Grid | null): number {
  if (grid === null || grid.steps.length === 0) return 0;
  const width = pair.ours.length / grid.steps.length;
  let count = 0;
  for (let k = 0; k < pair.ours.length; k++) {
    if (Math.abs(pair.ours[k]!) < (grid.steps[Math.floor(k / width)] ?? 0) / 2) count++;
  }
  return count;
}

function pruning(
  input: DiagnosisInput,
  pairs: readonly Pair[],
  grids: ReadonlyMap<string, Grid | null>,
): readonly Tweak[] {
  let all = 0;
  let gone = 0;
  let expected = 0;
  for (const pair of pairs) {
    all += pair.ours.length;
    gone += zeros(input.stored.tensors.get(pair.name)!.values);
    expected += Math.max(zeros(pair.ours), roundedAway(pair, grids.get(pair.name) ?? null));
  }
  return all > 0 && (gone - expected) / all > PRUNED ? [{ kind: 'pruned', share: round(gone / all) }] : [];
}

function drift(
  pairs: readonly Pair[],
  grids: ReadonlyMap<string, Grid | null>,
  input: DiagnosisInput,
): readonly Tweak[] {
  const layers = pairs.map((pair) =>
    layerDrift(pair, grids.get(pair.name) ?? null, input.stored.tensors.get(pair.name)!.values),
  );
  const known = layers.filter((layer) => layer.kept > 0);
  const overall = Math.sqrt(
    sum(known.map((layer) => layer.square)) / Math.max(sum(known.map((layer) => layer.energy)), 1e-300),
  );
  if (!(overall > 0.01)) return [];
  const perLayer = layers.map((layer) => round(layer.relative));
  const large = known.filter((layer) => layer.kept >= 256);
  const even =
    large.length >= 2 &&
    Math.max(...large.map((layer) => layer.relative)) < 1.15 * Math.min(...large.map((layer) => layer.relative)) &&
    large.every((layer) => Math.abs(layer.kurtosis - 3) < 0.4);
  return [{ kind: even ? 'noise' : 'fine-tuned', drift: round(overall), perLayer }];
}

/** Drift of what was kept (not 0), with the variance that rounding to the grid adds taken off. */
function layerDrift(pair: Pair, grid: Grid | null, stored: Float64Array) {
  let kept = 0;
  let square = 0;
  let fourth = 0;
  let energy = 0;
  let beyond = 0;
  const steps = grid?.steps ?? [];
  const width = pair.ours.length / Math.max(1, steps.length);
  const pruned = zeros(stored) > 0;
  for (let k = 0; k < pair.ours.length; k++) {
    if (pruned && pair.theirs[k] === 0) continue;
    const d = pair.theirs[k]! - pair.ours[k]!;
    kept++;
    if (Math.abs(d) > 0.51 * (steps[Math.floor(k / width)] ?? 0)) beyond++;
    square += d * d;
    fourth += d ** 4;
    energy += pair.ours[k]! ** 2;
  }
  const rounding = steps.length === 0 ? 0 : (kept * sum(steps.map((step) => step * step))) / steps.length / 12;
  const kurtosis = square > 0 ? (fourth * kept) / (square * square) : 0;
  // Where nearly all lies within half a step, rounding explains all.
  const own = beyond <= 1e-3 * kept ? 0 : Math.max(0, square - rounding);
  return { kept, square: own, energy, kurtosis, relative: energy > 0 ? Math.sqrt(own / energy) : 0 };
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
const round = (value: number): number => Math.round(value * 1e4) / 1e4;

function movedUnits(input: DiagnosisInput): readonly Tweak[] {
  const out: Tweak[] = [];
  const permuted = input.groups.filter((group) => share(group, (unit) => group.assignment[unit] !== unit) > 0.1);
  if (permuted.length > 0) out.push({ kind: 'permuted', groups: permuted.length, of: input.groups.length });
  const rescaled = input.groups.filter((group) => group.scale.some((scale) => scale !== 1));
  if (rescaled.length > 0) {
    const logs = rescaled.flatMap((group) => Array.from(group.scale, Math.log));
    const mean = sum(logs) / logs.length;
    const spread = Math.sqrt(sum(logs.map((value) => (value - mean) ** 2)) / logs.length);
    out.push({ kind: 'rescaled', groups: rescaled.length, spread: round(spread) });
  }
  const flipped = sum(input.groups.map((group) => group.sign.filter((sign) => sign < 0).length));
  if (flipped > 0) out.push({ kind: 'sign-flipped', units: flipped });
  return out;
}

const share = (group: AlignedGroup, is: (unit: number) => boolean): number =>
  group.assignment.reduce((count, _, unit) => count + (is(unit) ? 1 : 0), 0) / Math.max(1, group.assignment.length);
