/** The nature of a stored tensor, from a few runs of its elements where those already refute every formula. */
import type { Tensor } from '../formats/index.js';
import type { Layout } from './layout.js';
import { natureOf } from './nature.js';
import type { TensorNature } from './types.js';

/** Up to here a tensor is read whole: 512 KiB as float64, some 0.1 ms; all but the largest formula tables of real models. */
export const MAX_WHOLE_ELEMENTS = 2 ** 16;
/** Of larger tensors so many runs are read first, evenly spaced: odd, so that one lies where a window is highest. */
export const SAMPLED_RUNS = 9;
/** Longer than a row of most formula tables: the first run then holds the window that a Fourier basis is told by. */
export const RUN_ELEMENTS = 2048;
/** What the runs do not refute is read whole, up to a causal mask of 4096²; larger tensors count as learned. */
export const MAX_CONFIRMED_ELEMENTS = 2 ** 24;

/**
 * The same answer as reading everything, up to `MAX_CONFIRMED_ELEMENTS`: one value refutes a formula, so that `learned`
 * needs `SAMPLED_RUNS · RUN_ELEMENTS` elements at most, and only what looks like a formula is read whole.
 * @param decode stored number and canonical position → value
 */
export async function sampledNatureOf(
  tensor: Tensor,
  layout: Layout,
  decode: (value: number, at: number) => number,
): Promise<TensorNature> {
  const { elements, dtype } = tensor;
  if (dtype === 'STRING') return { kind: 'constant', what: 'text' };
  if (elements > MAX_WHOLE_ELEMENTS) {
    const starts = runStarts(tensor.shape, elements);
    const values = new Float64Array(starts.length * RUN_ELEMENTS);
    const at = new Float64Array(values.length);
    for (const [run, start] of starts.entries()) {
      const read = await tensor.read(start, start + RUN_ELEMENTS);
      read.forEach((value, k) => {
        const position = layout.canonical(start + k);
        at[run * RUN_ELEMENTS + k] = position;
        values[run * RUN_ELEMENTS + k] = decode(value, position);
      });
    }
    const seen = natureOf({ values, at }, layout.shape);
    if (seen.kind === 'learned' || elements > MAX_CONFIRMED_ELEMENTS) return { kind: 'learned' };
  }
  return natureOf(layout.toCanonical(await tensor.read(0, elements)).map(decode), layout.shape);
}

/** Stored positions: the first run at 0, the last at the end, those between at the beginning of a stored row where rows are short. */
function runStarts(shape: readonly number[], elements: number): readonly number[] {
  const last = elements - RUN_ELEMENTS;
  const apart = last / (SAMPLED_RUNS - 1);
  const row = shape.at(-1) ?? 1;
  const unit = row <= apart ? row : 1;
  return Array.from({ length: SAMPLED_RUNS }, (_, run) =>
    run === SAMPLED_RUNS - 1 ? last : Math.floor((apart * run) / unit) * unit,
  );
}
