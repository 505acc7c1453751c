/**
 * Popular framework seeds, regenerated: two models that started from one well-known seed hit each other unit by unit
 * though neither is a copy, even at different widths (docs/theory.md §6).
 */
import {
  loadTable,
  type PlanTensor,
  type TestPlan,
  takePositions,
  testedGroups,
  type WeightTable,
} from '../align/index.js';
import { seededRandom } from '../base/index.js';
import { torchUniform } from './mersenne.js';
import { orderStatistic } from './order.js';
import { elementsOf, learnedElements, type Subject } from './subject.js';

/** Seeds of tutorials, examples and habit. */
export const POPULAR_SEEDS: readonly number[] = [
  0, 1, 2, 3, 4, 5, 7, 8, 10, 13, 21, 42, 77, 99, 100, 111, 123, 200, 256, 314, 321, 420, 555, 666, 777, 999, 1000,
  1024, 1111, 1234, 1337, 2000, 2018, 2019, 2020, 2021, 2022, 2023, 2024, 2025, 2026, 3407, 4242, 9999, 12345, 31337,
  54321, 123456, 1234567, 20230, 314159,
];

export interface Framework {
  readonly name: string;
  /** Models of more parameters cannot come from it. */
  readonly mostParameters: number;
  /** Uniform on (0, 1), one draw a value, weights then bias per layer from the input. */
  uniform(seed: number): () => number;
}

/** Initialisers that draw U(±1/√fan-in), weight then bias, layer after layer. */
export const FRAMEWORKS: readonly Framework[] = [
  { name: 'PyTorch (nn.Linear, nn.Conv default)', mostParameters: Number.POSITIVE_INFINITY, uniform: torchUniform },
  {
    name: 'Muniment train',
    mostParameters: 2 ** 24,
    uniform: (seed) => {
      const stream = seededRandom(seed, 'initialise');
      return () => stream.unit();
    },
  },
];

/** Draws regenerated per seed: enough for the first layers of a small net, or 16 rows of a wide one. */
const MAX_DRAWS = 2 ** 17;
/** Units compared per group: 1/32! is 1e-35. */
const MAX_UNITS = 32;
/** Groups compared, from the input: those are drawn first, and a start that does not show there shows nowhere. */
const MAX_GROUPS = 3;
/** A start is recognised at this level over all seeds and frameworks tried. */
const LEVEL = -6;

export interface SeedMatch {
  readonly framework: string;
  readonly seed: number;
  readonly log10p: readonly [reference: number, suspect: number];
}

/**
 * The popular start that both models share, if any.
 * @param plan of the reference, over paired tensors, unsampled
 * @param names reference name → suspect name
 */
export async function sharedSeed(
  plan: TestPlan,
  reference: Subject,
  suspect: Subject,
  names: ReadonlyMap<string, string>,
  seeds: readonly number[] = POPULAR_SEEDS,
  frameworks: readonly Framework[] = FRAMEWORKS,
): Promise<SeedMatch | null> {
  const ours = await startOf(plan, reference, (name) => name);
  const theirs = await startOf(plan, suspect, (name) => names.get(name) ?? name);
  if (ours === null || theirs === null) return null;
  const level = LEVEL - Math.log10(seeds.length * frameworks.length);
  const parameters = Math.max(learnedElements(reference), learnedElements(suspect));
  for (const framework of frameworks) {
    if (parameters > framework.mostParameters) continue;
    for (const seed of seeds) {
      const first = orderStatistic(ours.plan, regenerate(ours, framework, seed), ours.table).log10p;
      if (first > level) continue;
      const second = orderStatistic(theirs.plan, regenerate(theirs, framework, seed), theirs.table).log10p;
      if (second <= level) return { framework: framework.name, seed, log10p: [first, second] };
    }
  }
  return null;
}

interface Start {
  readonly plan: TestPlan;
  readonly table: WeightTable;
  /** Every weight and bias in drawing order, with where its draws begin; those beyond the limit are absent. */
  readonly draws: readonly { readonly name: string; readonly shape: readonly number[]; readonly fanIn: number }[];
}

/** The first rows of the first layers, as far as MAX_DRAWS reach. */
async function startOf(plan: TestPlan, subject: Subject, rename: (name: string) => string): Promise<Start | null> {
  const draws = drawingOrder(subject);
  const reach = new Map<string, number>();
  let offset = 0;
  for (const { name, shape } of draws) {
    const row = elementsOf(shape.slice(1));
    reach.set(name, Math.max(0, Math.min(shape[0] ?? 0, Math.floor((MAX_DRAWS - offset) / row))));
    offset += elementsOf(shape);
  }
  const size = new Map<string, number>();
  const tensors = plan.tensors.flatMap((tensor): PlanTensor[] => {
    const own = tensor.axes.find((axis) => axis.group === tensor.group);
    const plain =
      own?.axis === 0 && own.segments.length === 1 && own.segments[0]!.start === 0 && own.segments[0]!.repeat === 1;
    const rows = Math.min(reach.get(rename(tensor.name)) ?? 0, tensor.shape[0]!, MAX_UNITS);
    if (!plain || rows < 2 || (size.size >= MAX_GROUPS && !size.has(own.group))) return [];
    size.set(own.group, Math.min(size.get(own.group) ?? rows, rows));
    return [{ ...tensor, axes: [own] }];
  });
  const cut = tensors.map((tensor): PlanTensor => {
    const rows = size.get(tensor.group!)!;
    const full = subject.tensors.get(rename(tensor.name))!.shape;
    const select = tensor.select?.map((positions) => positions) ?? tensor.shape.map(() => null);
    select[0] = Array.from({ length: rows }, (_, row) => row);
    return { ...tensor, full, shape: [rows, ...tensor.shape.slice(1)], select };
  });
  const groups = testedGroups(plan)
    .filter((group) => size.has(group.id))
    .map((group) => ({ ...group, size: size.get(group.id)! }));
  if (groups.length === 0) return null;
  const startPlan: TestPlan = { version: 1, groups, tensors: cut, leftOut: [] };
  const table = await loadTable(subject, startPlan, rename);
  return {
    plan: startPlan,
    table,
    draws: draws.map((draw) => ({ ...draw, name: inverse(plan, rename).get(draw.name) ?? draw.name })),
  };
}

function inverse(plan: TestPlan, rename: (name: string) => string): ReadonlyMap<string, string> {
  return new Map(plan.tensors.map((tensor) => [rename(tensor.name), tensor.name]));
}

/** Weights in file order, each followed by the bias that shares its stem or, failing that, comes next. */
function drawingOrder(subject: Subject): { name: string; shape: readonly number[]; fanIn: number }[] {
  const out: { name: string; shape: readonly number[]; fanIn: number }[] = [];
  const tensors = [...subject.tensors.values()].filter((tensor) => tensor.nature.kind === 'learned');
  const biases = tensors.filter((tensor) => tensor.role === 'bias');
  const used = new Set<string>();
  for (const weight of tensors) {
    if (weight.role !== 'weight' || weight.shape.length < 2) continue;
    const fanIn = elementsOf(weight.shape.slice(1));
    out.push({ name: weight.name, shape: weight.shape, fanIn });
    const stem = weight.name.replace(/weight$/, '');
    const bias =
      biases.find((tensor) => tensor.name === `${stem}bias`) ??
      biases.find(
        (tensor) => !used.has(tensor.name) && tensor.shape.length === 1 && tensor.shape[0] === weight.shape[0],
      );
    if (bias !== undefined && !used.has(bias.name)) {
      used.add(bias.name);
      out.push({ name: bias.name, shape: bias.shape, fanIn });
    }
  }
  return out;
}

function regenerate(start: Start, framework: Framework, seed: number): WeightTable {
  const uniform = framework.uniform(seed);
  const wanted = new Map(start.plan.tensors.map((tensor) => [tensor.name, tensor]));
  const tensors = new Map<string, { shape: readonly number[]; values: Float64Array }>();
  let missing = wanted.size;
  for (const { name, shape, fanIn } of start.draws) {
    if (missing === 0) break;
    const planned = wanted.get(name);
    const bound = 1 / Math.sqrt(fanIn);
    const row = elementsOf(shape.slice(1));
    const total = elementsOf(shape);
    // Rows beyond those compared are drawn only if something after them is compared.
    const rows = planned !== undefined && missing === 1 ? planned.shape[0]! : shape[0]!;
    const values = new Float64Array(Math.min(total, rows * row));
    for (let k = 0; k < values.length; k++) values[k] = (2 * uniform() - 1) * bound;
    if (planned === undefined) continue;
    missing--;
    tensors.set(name, { shape: planned.shape, values: cropTo(values, shape, planned) });
  }
  return { tensors };
}

/** The rows and columns of the freshly drawn tensor that the plan reads. */
function cropTo(values: Float64Array, shape: readonly number[], planned: PlanTensor): Float64Array {
  const rows = planned.shape[0]!;
  const rowLength = elementsOf(shape.slice(1));
  let out = values.subarray(0, rows * rowLength);
  let at: readonly number[] = [rows, ...shape.slice(1)];
  for (let axis = 1; axis < shape.length; axis++) {
    const chosen = planned.select?.[axis] ?? null;
    if (chosen === null) continue;
    out = takePositions(out, at, axis, chosen);
    at = at.map((size, a) => (a === axis ? chosen.length : size));
  }
  return Float64Array.from(out);
}
