/**
 * Sampling, so that the cost of a comparison does not grow with the model: of a large group the same m units are read
 * on both sides, of long rows the same run of columns. Reading the same m units makes n := m; what is read is drawn
 * from a hash of both models' headers, so nobody chooses it (docs/theory.md §1, §2).
 */
import { keyedStream, sha256, utf8 } from '../base/index.js';
import type { PlanAxis, PlanGroup, PlanTensor, TestPlan } from './plan.js';
import { unitPositions } from './units.js';

/** Multiplications that one group may cost before it is sampled: 20 ms of plain float64, a hundred times in showing power. */
const MAX_PRODUCTS = 2 ** 24;
/** Elements that one group may read before it is sampled. */
const MAX_READ = 2 ** 22;
/** Units of a sampled group: 1/128! is 1e-215, beyond any key's entropy. */
const UNITS = 128;
/** Columns of a sampled row: chance cosines have s.d. 1/√256 = 0.06. */
const COLUMNS = 256;

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
    .filter((tensor) => tensor.group === group.id)
    .reduce((sum, tensor) => sum + product(tensor.shape), 0);
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
  const drop = (tensor: PlanTensor, reason: string): null => {
    leftOut.push({ tensor: tensor.name, reason });
    return null;
  };
  const units = new Map<string, readonly number[]>();
  for (const group of plan.groups) {
    if (!isLarge(plan, group)) continue;
    units.set(group.id, drawSorted(group.size, Math.min(UNITS, group.size), seed, group.id));
  }
  const wholeRows = new Map<string, number>();
  const tensors = plan.tensors.flatMap((tensor) => {
    const own = tensor.axes.find((axis) => axis.group === tensor.group);
    if (own === undefined) return [sampleSilent(tensor, seed)];
    if (tensor.use === 'invariant' && own.axis === 0 && units.has(own.group)) {
      const read =
        (wholeRows.get(own.group) ?? 0) + (units.get(own.group)!.length * product(tensor.shape)) / tensor.shape[0]!;
      if (read > MAX_WHOLE_ROWS) return drop(tensor, 'not sampled: others of its group say as much') ?? [];
      wholeRows.set(own.group, read);
    }
    const chosen = units.get(own.group) ?? null;
    if (own.axis !== 0 && product(tensor.shape) > MAX_READ) {
      return drop(tensor, 'not sampled: its units lie along columns, which would read it whole') ?? [];
    }
    return [sampleTensor(tensor, own, chosen, seed)];
  });
  const groups = plan.groups
    .filter((group) => group.tested && tensors.some((tensor) => tensor.group === group.id))
    .map((group) => ({ ...group, size: units.get(group.id)?.length ?? group.size }));
  return { version: 1, groups, tensors, leftOut };
}

function sampleTensor(
  tensor: PlanTensor,
  own: PlanAxis,
  chosen: readonly number[] | null,
  seed: Uint8Array,
): PlanTensor {
  const select = tensor.shape.map((size, axis): readonly number[] | null => {
    if (axis === own.axis) return chosen === null ? null : chosen.flatMap((unit) => unitPositions(own.segments, unit));
    // Sorted rows are invariant only when whole.
    if (chosen === null || axis === 0 || size <= COLUMNS || tensor.use === 'invariant') return null;
    const start = keyedStream(sha256(seed, utf8(`columns ${tensor.name} ${axis}`))).below(size - COLUMNS + 1);
    return Array.from({ length: COLUMNS }, (_, k) => start + k);
  });
  const places = own.segments.reduce((sum, segment) => sum + segment.repeat, 0);
  const compact = {
    tensor: tensor.name,
    axis: own.axis,
    start: 0,
    unitStride: places,
    repeat: places,
    repeatStride: 1,
  };
  return {
    ...tensor,
    shape: tensor.shape.map((size, axis) => select[axis]?.length ?? size),
    axes: [{ ...own, segments: chosen === null ? own.segments : [compact] }],
    select: within(tensor, select),
  };
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
  return { ...tensor, shape, axes: [], group: null, select: within(tensor, select) };
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
