/** Constants told from learned tensors: what everybody computes alike is no evidence. */
import type { TensorNature } from './types.js';

const constant = (what: string): TensorNature => ({ kind: 'constant', what });
/** Formula values stored in float16 still lie this close, relative to the largest. */
const CLOSE = 2e-3;

/** @param shape canonical */
export function natureOf(values: Float64Array, shape: readonly number[]): TensorNature {
  const n = values.length;
  if (n === 0) return constant('empty');
  const first = values[0]!;
  if (values.every((value) => value === first)) {
    // A scalar −∞ fills attention masks; a whole tensor of infinities is damage, which must be named as such.
    return n > 1 && !Number.isFinite(first) ? { kind: 'learned' } : constant('one value');
  }
  if (isIdentity(values, shape)) return constant('identity');
  if (n > 8 && values.every((value) => value === 0 || value === first || value === 1) && hasOnly01(values)) {
    return constant('0/1 mask');
  }
  if (n > 2 && isArithmetic(values)) return constant('arithmetic range');
  const rows = shape.length === 0 ? 1 : shape[0]!;
  const width = n / rows;
  if (shape.length === 1 && n >= 16 && isWindow(values)) return constant('window');
  if (rows >= 4 && width >= 16) {
    if (isFourier(values, rows, width)) return constant('Fourier basis');
    if (isSinusoidal(values, rows, width)) return constant('sinusoidal positions');
  }
  return { kind: 'learned' };
}

const hasOnly01 = (values: Float64Array) => values.every((value) => value === 0 || value === 1);

function isIdentity(values: Float64Array, shape: readonly number[]): boolean {
  const rows = shape[0] ?? 1;
  return (
    rows > 1 &&
    rows * rows === values.length &&
    values.every((value, k) => value === (Math.floor(k / rows) === k % rows ? 1 : 0))
  );
}

function isArithmetic(values: Float64Array): boolean {
  const step = values[1]! - values[0]!;
  const range = Math.abs(step) * values.length;
  return step !== 0 && values.every((value, k) => Math.abs(value - values[0]! - k * step) <= 1e-6 * range);
}

/** Cosine-sum windows (Hann, Hamming, Blackman): three cosines fit every sample, periodic or symmetric. */
function isWindow(values: Float64Array): boolean {
  const n = values.length;
  const peak = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  return [n, n - 1].some((period) => {
    const fit = [
      [0.5, 0.5, 0],
      [0.54, 0.46, 0],
      [0.42, 0.5, 0.08],
    ];
    return fit.some(([a, b, c]) =>
      values.every((value, k) => {
        const t = (2 * Math.PI * k) / period;
        return Math.abs(value / peak - (a! - b! * Math.cos(t) + c! * Math.cos(2 * t))) < CLOSE;
      }),
    );
  });
}

/**
 * Rows that are one window times cos or sin of whole multiples of 2π/width: then cosine row k satisfies, with the
 * window w = row 0 of the cosines, row[k] = w · cos(2πkt/width). Real and imaginary parts are stacked, as exports do.
 */
function isFourier(values: Float64Array, rows: number, width: number): boolean {
  const bins = rows / 2;
  if (!Number.isInteger(bins)) return false;
  let peak = 0;
  for (let t = 0; t < width; t++) peak = Math.max(peak, Math.abs(values[t]!));
  if (peak === 0) return false;
  let worst = 0;
  for (let k = 0; k < bins && worst < CLOSE; k++) {
    for (let t = 0; t < width; t++) {
      const w = values[t]!;
      const angle = (2 * Math.PI * k * t) / width;
      const cosine = Math.abs(values[k * width + t]! - w * Math.cos(angle));
      const sine = Math.abs(Math.abs(values[(bins + k) * width + t]!) - Math.abs(w * Math.sin(angle)));
      worst = Math.max(worst, cosine / peak, sine / peak);
    }
  }
  return worst < CLOSE;
}

/** Vaswani et al. 2017 §3.5: sin and cos of position / 10000^(2i/d), interleaved or in halves. */
function isSinusoidal(values: Float64Array, rows: number, width: number): boolean {
  if (width % 2 !== 0) return false;
  const half = width / 2;
  return [true, false].some((interleaved) =>
    values.every((value, at) => {
      const position = Math.floor(at / width);
      const column = at % width;
      const i = interleaved ? Math.floor(column / 2) : column % half;
      const isSine = interleaved ? column % 2 === 0 : column < half;
      const angle = position / 10000 ** ((2 * i) / width);
      return position < rows && Math.abs(value - (isSine ? Math.sin(angle) : Math.cos(angle))) < CLOSE;
    }),
  );
}
