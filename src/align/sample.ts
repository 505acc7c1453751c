/**
 * Sampling, so that the cost of a comparison does not grow with the model: of a large group the same m units are read
 * on both sides, of long rows the same run of columns. Reading the same m units makes n := m; what is read is drawn
 * from a hash of both models' headers, so nobody chooses it (docs/theory.md §1, §2).
 */
import { keyedStream, sha256, utf8 } from '../base/index.js';
import { type PlanAxis, type PlanGroup, type PlanTensor, speaksFor, spokenGroups, type TestPlan } from './plan.js';
import { unitPositions } from './units.js';

/** Multiplications that one group may cost before it is sampled: 20 ms of plain float64, a hundred times in showing power. */
const MAX_PRODUCTS = 2 ** 24;
/** Elements that one group may read before it is sampled. */
const MAX_READ = 2 ** 22;
/** Units of a sampled group: 1/128! is 1e-215, beyond any key's entropy. */
const UNITS = 128;
/** Columns of a sampled row: chance cosines have s.d. 1/√256 = 0.06. */
const COLUMNS = 256;

/** Places read of a unit that has many along one axis (rows of a head): the same of every unit. */
const PLACES = 8;
/** Groups read of those that lie in the units of one outer group (dimensions of its heads, hidden units of its experts). */
const SIBLINGS = 1;

/** Rows of a tensor that only needs describing. */
const SILENT_ROWS = 16;
/** Elements of whole rows read for the invariants of one group: two tensors of 8,192 columns. */
const MAX_WHOLE_ROWS = 2 ** 21;

const product = (sizes: readonly number[]): number => sizes.reduce((all, size) => all * size, 1);

/** True where the plan as it stands would read or compute too much. */
export function needsSampling(plan: TestPlan): boolean {
  return (
    plan.groups.some((group) => isLarge(plan, group)) || plan.tensors.some((tensor) => product(tensor.shape) > MAX_READ)
  );
}

function isLarge(plan: TestPlan, group: PlanGroup): boolean {
  const elements = plan.tensors
    .filter((tensor) => speaksFor(tensor, group.id))
    .reduce((sum, tensor) => sum + product(tensor.shape) / (1 + (tensor.beside?.length ?? 0)), 0);
  return elements > MAX_READ || elements * group.size > MAX_PRODUCTS;
}

/**
 * A plan over sampled units and columns, for models whose units stand in the same order (the conditional order test).
 * Tables loaded by it are small whatever the model; axes of other groups are dropped, since their order is the identity.
 * @param seed 32 bytes that neither party chose
 */
export function samplePlan(plan: TestPlan, seed: Uint8Array): TestPlan {
  if (!needsSampling(plan)) return plan;
  const leftOut = [...plan.leftOut];
  const drop = (tensor: PlanTensor, reason: string): readonly PlanTensor[] => {
    leftOut.push({ tensor: tensor.name, reason });
    return [];
  };
  const kept = keptGroups(plan, seed);
  const units = new Map<string, readonly number[]>();
  for (const group of plan.groups) {
    if (!kept.has(group.id) || !isLarge(plan, group)) continue;
    units.set(group.id, drawSorted(group.size, Math.min(UNITS, group.size), seed, group.id));
  }
  const byRows = new Set(
    plan.tensors.flatMap((tensor) => ownAxes(tensor, kept).flatMap(({ axis, group }) => (axis === 0 ? [group] : []))),
  );
  const wholeRows = new Map<string, number>();
  const tensors = plan.tensors.flatMap((tensor): readonly PlanTensor[] => {
    const own = ownAxes(tensor, kept);
    const [first] = own;
    if (first === undefined) return [sampleSilent(tensor, seed)];
    if (tensor.use === 'invariant' && first.axis === 0 && units.has(first.group)) {
      const read =
        (wholeRows.get(first.group) ?? 0) + (units.get(first.group)!.length * product(tensor.shape)) / tensor.shape[0]!;
      if (read > MAX_WHOLE_ROWS) return drop(tensor, 'not sampled: others of its group say as much');
      wholeRows.set(first.group, read);
    }
    if (
      first.axis !== 0 &&
      product(tensor.shape) > MAX_READ &&
      (byRows.has(first.group) || tensor.use === 'invariant')
    ) {
      return drop(tensor, 'not sampled: its units lie along columns, which would read it whole');
    }
    return [sampleTensor(tensor, own, plan, units, seed)];
  });
  const spoken = spokenGroups(tensors);
  const groups = plan.groups
    .filter((group) => group.tested && spoken.has(group.id))
    .map((group) => ({ ...group, size: units.get(group.id)?.length ?? group.size }));
  return { version: 1, groups, tensors, leftOut };
}

/** All but those whose like, in another unit of the same outer group, is read already. */
function keptGroups(plan: TestPlan, seed: Uint8Array): ReadonlySet<string> {
  const alike = new Map<string, PlanGroup[]>();
  for (const group of plan.groups) {
    const key = group.within === undefined ? group.id : `${group.size} in ${group.within.group}`;
    alike.set(key, [...(alike.get(key) ?? []), group]);
  }
  return new Set(
    [...alike].flatMap(([key, groups]) =>
      groups.length <= SIBLINGS
        ? groups.map(({ id }) => id)
        : drawSorted(groups.length, SIBLINGS, seed, key).map((k) => groups[k]!.id),
    ),
  );
}

/** The axes along which a tensor speaks, for groups that are read. */
const ownAxes = (tensor: PlanTensor, kept: ReadonlySet<string>): readonly PlanAxis[] =>
  tensor.axes.filter(({ group }) => kept.has(group) && speaksFor(tensor, group));

/** @param own axes of the groups that it speaks for, all along one axis of the tensor */
function sampleTensor(
  { beside, pooled: _, ...tensor }: PlanTensor,
  own: readonly PlanAxis[],
  plan: TestPlan,
  units: ReadonlyMap<string, readonly number[]>,
  seed: Uint8Array,
): PlanTensor {
  const [first, ...others] = own;
  const isWhole = beside === undefined && !units.has(first!.group);
  const compact: PlanAxis[] = [];
  const positions: number[] = [];
  for (const axis of own) {
    const size = plan.groups.find(({ id }) => id === axis.group)!.size;
    const chosen = units.get(axis.group);
    const places = placesOf(axis, tensor.use !== 'invariant', tensor.name, seed);
    const start = positions.length;
    for (const unit of chosen ?? Array.from({ length: size }, (_, k) => k)) {
      const all = unitPositions(axis.segments, unit);
      positions.push(...places.map((place) => all[place]!));
    }
    const segment = { tensor: tensor.name, axis: axis.axis, start, repeatStride: 1 };
    compact.push({ ...axis, segments: [{ ...segment, unitStride: places.length, repeat: places.length }] });
  }
  const isLargeTensor = product(tensor.shape) > MAX_READ;
  const select = tensor.shape.map((size, axis): readonly number[] | null => {
    if (axis === first!.axis) return isWhole ? null : positions;
    // Sorted rows are invariant only when whole.
    if (isWhole || size <= COLUMNS || tensor.use === 'invariant') return null;
    if (axis === 0) return isLargeTensor ? drawSorted(size, COLUMNS, seed, `rows ${tensor.name}`) : null;
    const start = keyedStream(sha256(seed, utf8(`columns ${tensor.name} ${axis}`))).below(size - COLUMNS + 1);
    return Array.from({ length: COLUMNS }, (_, k) => start + k);
  });
  return {
    ...tensor,
    group: first!.group,
    ...(others.length === 0 ? {} : { beside: others.map(({ group }) => group) }),
    shape: tensor.shape.map((size, axis) => select[axis]?.length ?? size),
    axes: isWhole ? own : compact,
    select: within(tensor, select),
  };
}

/** Which of a unit's places along an axis are read: the same of every unit, so that units stay comparable. */
function placesOf({ segments }: PlanAxis, isSampled: boolean, tensor: string, seed: Uint8Array): readonly number[] {
  const all = segments.reduce((sum, { repeat }) => sum + repeat, 0);
  return isSampled && all > PLACES
    ? drawSorted(all, PLACES, seed, `places ${tensor}`)
    : Array.from({ length: all }, (_, place) => place);
}

/** Positions in the stored tensor: the plan may have been cut to the units that both models have. */
function within(tensor: PlanTensor, select: readonly (readonly number[] | null)[]): PlanTensor['select'] {
  const stored = select.map((positions, axis) => {
    const before = tensor.select?.[axis] ?? null;
    return positions === null || before === null ? (positions ?? before) : positions.map((at) => before[at]!);
  });
  return stored.some((positions) => positions !== null) ? stored : null;
}

/** A few rows of a tensor that speaks for no group: enough to describe whether it is shared. */
export function sampleSilent(tensor: PlanTensor, seed: Uint8Array): PlanTensor {
  const [rows = 1, columns = 1] = tensor.shape;
  const label = `silent ${tensor.name}`;
  const select = tensor.shape.map((size, axis): readonly number[] | null => {
    if (axis === 0) return size <= SILENT_ROWS ? null : drawSorted(rows, SILENT_ROWS, seed, label);
    if (axis > 1 || size <= COLUMNS) return null;
    const start = keyedStream(sha256(seed, utf8(label))).below(columns - COLUMNS + 1);
    return Array.from({ length: COLUMNS }, (_, k) => start + k);
  });
  const shape = tensor.shape.map((size, axis) => select[axis]?.length ?? size);
  const { beside: _, pooled: __, ...rest } = tensor;
  return { ...rest, shape, axes: [], group: null, select: within(tensor, select) };
}

/** m distinct units of 0 … n − 1, ascending, by Floyd's method. */
function drawSorted(n: number, m: number, seed: Uint8Array, label: string): number[] {
  const stream = keyedStream(sha256(seed, utf8(`units ${label}`)));
  const drawn = new Set<number>();
  for (let j = n - m; j < n; j++) {
    const t = stream.below(j + 1);
    drawn.add(drawn.has(t) ? j : t);
  }
  return [...drawn].sort((a, b) => a - b);
}
