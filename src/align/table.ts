/** Weight tables: the plain values that every test runs on. A bundle's opened rows make one just as a file does. */
import { inputError } from '../base/index.js';
import type { TestPlan } from './plan.js';
import { around } from './units.js';

export interface TableTensor {
  /** As in the plan: after sampling. */
  readonly shape: readonly number[];
  /** Row-major, canonical, dequantised, with what follows folded in. */
  readonly values: Float64Array;
}

export interface WeightTable {
  readonly tensors: ReadonlyMap<string, TableTensor>;
}

/** What loading needs of a canonical model. */
export interface Loadable {
  readonly tensors: ReadonlyMap<string, LoadableTensor>;
  /** Per canonical row, γ/√(var + ε) of the batch normalisation that follows; null if none. */
  foldFactors(name: string): Promise<Float64Array | null>;
}

export interface LoadableTensor {
  readonly shape: readonly number[];
  read(): Promise<Float64Array>;
  /**
   * Whole rows of axis 0; or, where the reader can, of each row only positions [start, end) of axis 1.
   * A reader that cannot gives whole rows.
   */
  readRows(rows: readonly number[], columns?: readonly [start: number, end: number]): Promise<Float64Array>;
}

/** A tensor of more elements than this is refused whole; the plan must be sampled first. 2^26 float64 are 512 MB. */
export const MAX_TABLE_ELEMENTS = 2 ** 26;

/**
 * Reads what a plan needs, and no more, into a table in folded canonical space.
 * @param name maps the plan's tensor names to the model's own, where they differ
 * @throws `TABLE_MISSING`, `TABLE_SHAPE`, `TABLE_TOO_LARGE`
 */
export async function loadTable(
  model: Loadable,
  plan: TestPlan,
  name: (tensor: string) => string = (tensor) => tensor,
): Promise<WeightTable> {
  const tensors = new Map<string, TableTensor>();
  for (const planned of plan.tensors) {
    const stored = name(planned.name);
    const tensor = model.tensors.get(stored);
    if (tensor === undefined) throw inputError('TABLE_MISSING', 'the model has no such tensor', { where: stored });
    const values = await readPlanned(tensor, planned, stored);
    const fold = await model.foldFactors(stored);
    if (fold !== null) foldRows(values, planned.shape, planned.select?.[0] ?? null, fold);
    tensors.set(planned.name, { shape: planned.shape, values });
  }
  return { tensors };
}

async function readPlanned(
  tensor: LoadableTensor,
  planned: TestPlan['tensors'][number],
  stored: string,
): Promise<Float64Array> {
  const { full, select, shape } = planned;
  const fits =
    tensor.shape.length === full.length &&
    tensor.shape.every((size, axis) => (select?.[axis] == null ? size === full[axis] : size > maximum(select[axis])));
  if (!fits) {
    throw inputError('TABLE_SHAPE', 'a tensor has not the shape that the plan names', {
      expected: full.join(' × '),
      got: tensor.shape.join(' × '),
      where: stored,
    });
  }
  const rows = select?.[0] ?? null;
  const read = rows === null ? full : [rows.length, ...tensor.shape.slice(1)];
  const elements = product(read);
  if (elements > MAX_TABLE_ELEMENTS) {
    throw inputError('TABLE_TOO_LARGE', 'a tensor is too large to be read whole', {
      expected: `at most ${MAX_TABLE_ELEMENTS} elements`,
      got: String(elements),
      where: stored,
    });
  }
  const run = rows === null ? null : contiguous(select?.[1] ?? null);
  let values = rows === null ? await tensor.read() : await tensor.readRows(rows, ...(run === null ? [] : [run]));
  let at: readonly number[] = rows === null ? tensor.shape : [rows.length, ...tensor.shape.slice(1)];
  const narrow = run === null ? at : at.map((size, axis) => (axis === 1 ? run[1] - run[0] : size));
  const isNarrow = run !== null && values.length === product(narrow) && values.length < product(at);
  if (isNarrow) at = narrow;
  for (let axis = isNarrow ? 2 : 1; axis < shape.length; axis++) {
    const chosen = select?.[axis] ?? null;
    if (chosen === null) continue;
    values = takePositions(values, at, axis, chosen);
    at = at.map((size, a) => (a === axis ? chosen.length : size));
  }
  return values;
}

const product = (sizes: readonly number[]): number => sizes.reduce((all, size) => all * size, 1);

/** [start, end) where the positions are one run. */
function contiguous(positions: readonly number[] | null): readonly [number, number] | null {
  if (positions === null || positions.length === 0) return null;
  const start = positions[0]!;
  return positions.every((position, k) => position === start + k) ? [start, start + positions.length] : null;
}

const maximum = (values: readonly number[]): number => values.reduce((most, value) => Math.max(most, value), -1);

/** Only the chosen positions along one axis, in the order given. */
export function takePositions(
  values: Float64Array,
  shape: readonly number[],
  axis: number,
  chosen: readonly number[],
): Float64Array {
  const { outer, length, inner } = around(shape, axis);
  const out = new Float64Array(outer * chosen.length * inner);
  let at = 0;
  for (let o = 0; o < outer; o++) {
    for (const position of chosen) {
      const from = (o * length + position) * inner;
      for (let k = 0; k < inner; k++) out[at++] = values[from + k]!;
    }
  }
  return out;
}

/** Multiplies each row by its fold factor, in place. */
export function foldRows(
  values: Float64Array,
  shape: readonly number[],
  rows: readonly number[] | null,
  factors: Float64Array,
): void {
  const { length, inner } = around(shape, 0);
  for (let row = 0; row < length; row++) {
    const factor = factors[rows === null ? row : rows[row]!]!;
    for (let k = row * inner; k < (row + 1) * inner; k++) values[k] = values[k]! * factor;
  }
}

/** Names of tensors of a table that hold NaN or an infinity. */
export function poisonedTensors(table: WeightTable): string[] {
  return [...table.tensors]
    .filter(([, tensor]) => tensor.values.some((value) => !Number.isFinite(value)))
    .map(([name]) => name);
}
