/** The tweaks against which power is shown, applied to a weight table. Each trial drifts first, as a copy in use would. */
import type { TableTensor, WeightTable } from '../align/index.js';

/** Uniform on (0, 1). */
export type Uniform = () => number;

export type NamedTweak = 'int8' | 'int4' | 'prune 50 %' | 'noise 30 %';

export const NAMED_TWEAKS: readonly NamedTweak[] = ['int8', 'int4', 'prune 50 %', 'noise 30 %'];

/** Drift of every trial before its tweak, as a share of the tensor's root mean square. */
const DRIFT = 0.05;

/** A tweaked copy of a reference. Vectors (biases) keep their precision, as quantisers and pruners leave them. */
export function tweakTable(table: WeightTable, tweak: NamedTweak, uniform: Uniform): WeightTable {
  const tensors = new Map<string, TableTensor>();
  for (const [name, { shape, values }] of table.tensors) {
    const drifted = addNoise(values, tweak === 'noise 30 %' ? 0.3 : DRIFT, uniform);
    tensors.set(name, { shape, values: shape.length < 2 ? drifted : applyTweak(drifted, tweak) });
  }
  return { tensors };
}

function applyTweak(values: Float64Array, tweak: NamedTweak): Float64Array {
  switch (tweak) {
    case 'int8':
      return quantise(values, 8);
    case 'int4':
      return quantise(values, 4);
    case 'prune 50 %':
      return prune(values, 0.5);
    case 'noise 30 %':
      return values;
  }
}

/** Symmetric, one scale per tensor: the coarsest way in use. */
export function quantise(values: Float64Array, bits: number): Float64Array {
  const levels = 2 ** (bits - 1) - 1;
  const step = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0) / levels;
  return step > 0 ? values.map((value) => Math.round(value / step) * step) : values;
}

/** Sets the share of smallest magnitude to zero. */
export function prune(values: Float64Array, share: number): Float64Array {
  const cut = Float64Array.from(values, Math.abs).sort()[Math.floor(share * values.length)] ?? 0;
  return values.map((value) => (Math.abs(value) < cut ? 0 : value));
}

/** Gaussian noise of the given share of the tensor's root mean square, by Box and Muller's pairs. */
export function addNoise(values: Float64Array, share: number, uniform: Uniform): Float64Array {
  let square = 0;
  for (const value of values) square += value * value;
  const size = share * Math.sqrt(square / Math.max(1, values.length));
  const out = Float64Array.from(values);
  for (let k = 0; k < out.length; k += 2) {
    const radius = size * Math.sqrt(-2 * Math.log(uniform()));
    const angle = 2 * Math.PI * uniform();
    out[k] = out[k]! + radius * Math.cos(angle);
    if (k + 1 < out.length) out[k + 1] = out[k + 1]! + radius * Math.sin(angle);
  }
  return out;
}
