/** How much a release's outputs differ from the original's, measured by running both. */

import { MunimentError, type RandomStream, seededRandom } from '../base/index.js';
import { createSession, type Feed } from '../compute/index.js';
import { openModel } from '../formats/index.js';
import { type ModelCard, readCard } from '../train/index.js';

export interface OutputDrift {
  /** Inputs measured: drawn by a fixed seed from the columns' own range where the model describes them, else from N(0, 1). */
  readonly inputs: number;
  /** max |Δ| / max |y| over all outputs and inputs. */
  readonly largest: number;
  /** Root mean square of Δ over that of y. */
  readonly rms: number;
  /** Share of inputs whose largest output stays the same one; null where outputs have no classes. */
  readonly sameClass: number | null;
}

const INPUTS = 64;
/** A free dimension is 1; inputs larger than this are not invented. */
const MAX_INPUT = 2 ** 22;

/** An original that ran on the invented inputs, against which copies are measured. */
export interface DriftBed {
  /** @returns null where the copy gives no answer that is a number */
  drift(copy: string): Promise<OutputDrift | null>;
}

/**
 * Runs a model in onnxruntime on invented inputs.
 * @returns null where that cannot be done: no graph, inputs that are not float, no onnxruntime
 */
export async function driftBed(original: string): Promise<DriftBed | null> {
  const inputs = await floatInputs(original);
  if (inputs === null) return null;
  const feeds = inventedFeeds(inputs);
  const answers = await answersOf(original, feeds);
  if (answers === null) return null;
  return {
    async drift(copy) {
      const theirs = await answersOf(copy, feeds);
      if (theirs === null) return null;
      return measure(
        answers.flatMap((ours, n) => Object.keys(ours).map((name) => [ours[name]!, theirs[n]![name]!] as const)),
      );
    },
  };
}

/** Runs both models in onnxruntime on the same invented inputs. @returns null as `driftBed` and its `drift` do */
export const outputDrift = async (original: string, copy: string): Promise<OutputDrift | null> =>
  (await (await driftBed(original))?.drift(copy)) ?? null;

interface FloatInputs {
  readonly shapes: ReadonlyMap<string, readonly number[]>;
  readonly card: ModelCard | null;
}

function inventedFeeds({ shapes, card }: FloatInputs): readonly Readonly<Record<string, Feed>>[] {
  const random = seededRandom(1, 'output drift');
  return Array.from({ length: INPUTS }, () =>
    Object.fromEntries(
      [...shapes].map(([name, shape]): [string, Feed] => {
        const size = shape.reduce((all, length) => all * length, 1);
        const data = Float32Array.from({ length: size }, (_, k) => inventedValue(card, k, random));
        return [name, { data, shape: [...shape] }];
      }),
    ),
  );
}

async function answersOf(
  file: string,
  feeds: readonly Readonly<Record<string, Feed>>[],
): Promise<readonly Readonly<Record<string, Float64Array>>[] | null> {
  try {
    const session = await createSession(file, { threads: 1 });
    try {
      const out: Record<string, Float64Array>[] = [];
      for (const feed of feeds) {
        const found = Object.entries(await session.run(feed));
        out.push(Object.fromEntries(found.map(([name, { data }]) => [name, Float64Array.from(data, Number)])));
      }
      return out;
    } finally {
      await session.close();
    }
  } catch (error) {
    if (error instanceof MunimentError && error.code.startsWith('COMPUTE_')) return null;
    throw error;
  }
}

async function floatInputs(file: string): Promise<FloatInputs | null> {
  const model = await openModel(file);
  try {
    const { graph } = model;
    if (graph === null) return null;
    const out = new Map<string, readonly number[]>();
    for (const { name, dtype, shape } of graph.inputs) {
      if (graph.initialisers.has(name)) continue;
      const sizes = shape?.map((size) => (typeof size === 'number' && size > 0 ? size : 1));
      if (dtype !== 'F32' || sizes === undefined || sizes.reduce((all, size) => all * size, 1) > MAX_INPUT) return null;
      out.set(name, sizes);
    }
    return out.size === 0 ? null : { shapes: out, card: readCard(model.metadata, file) };
  } finally {
    await model.close();
  }
}

/** Value k of an invented input: as its column was in training, where the model says so. */
function inventedValue(card: ModelCard | null, k: number, random: RandomStream): number {
  // Sum of twelve uniforms less six: close enough to normal for an input, and no engine's logarithm.
  const normal = Array.from({ length: 12 }, () => random.unit()).reduce((x, y) => x + y, -6);
  if (card === null) return normal;
  const column = card.columns[Math.floor(k / (card.window?.length ?? 1)) % card.columns.length]!;
  if (column.kind === 'category') return random.below(Math.max(1, column.categories.length));
  return column.mean + column.scale * normal;
}

const isFinitePair = ([a, b]: readonly [Float64Array, Float64Array]): boolean =>
  [a, b].every((values) => values.every((value) => Number.isFinite(value)));

function measure(all: readonly (readonly [Float64Array, Float64Array])[]): OutputDrift | null {
  const pairs = all.filter(isFinitePair);
  if (pairs.length === 0) return null;
  let most = 0;
  let size = 0;
  let squares = 0;
  let energy = 0;
  let same = 0;
  let classes = 0;
  for (const [a, b] of pairs) {
    for (let k = 0; k < a.length; k++) {
      most = Math.max(most, Math.abs(a[k]! - b[k]!));
      size = Math.max(size, Math.abs(a[k]!));
      squares += (a[k]! - b[k]!) ** 2;
      energy += a[k]! ** 2;
    }
    if (a.length < 2) continue;
    classes++;
    if (a.indexOf(Math.max(...a)) === b.indexOf(Math.max(...b))) same++;
  }
  return {
    inputs: Math.round((INPUTS * pairs.length) / all.length),
    largest: size === 0 ? 0 : most / size,
    rms: energy === 0 ? 0 : Math.sqrt(squares / energy),
    sameClass: classes === 0 ? null : same / classes,
  };
}
