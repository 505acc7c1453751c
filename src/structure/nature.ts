/** Constants told from learned tensors: what everybody computes alike is no evidence. */
import { follows, type Seen } from './seen.js';
import { isFilterBank, isFourier } from './spectral.js';
import type { TensorNature } from './types.js';

/** Numbers of a tensor and where they lie: all of them, or a sample. */
export interface Sample {
  readonly values: Float64Array;
  /** Canonical position of values[k], row-major. Not given: the sample is the whole tensor, in canonical order. */
  readonly at?: Float64Array;
}

const constant = (what: string): TensorNature => ({ kind: 'constant', what });
const LEARNED: TensorNature = { kind: 'learned' };

/** Formula values stored in float16 still lie this close, relative to the largest. */
const CLOSE = 2e-3;
/** A sample need not hold the largest value of a window: what a sample refutes is further off than any rounding. */
const CLOSE_IN_SAMPLE = 0.1;
/** Ranges are stored in float32 or better. */
const STEP = 1e-6;

/**
 * Whether these values follow a formula. On a whole tensor the answer is exact; of a sample `learned` is exact (one
 * value refutes a formula), `constant` says only that nothing in the sample speaks against it.
 * @param shape canonical
 */
export function natureOf(sample: Sample | Float64Array, shape: readonly number[]): TensorNature {
  const { values, at }: Sample = sample instanceof Float64Array ? { values: sample } : sample;
  if (values.length === 0) return constant('empty');
  const n = shape.reduce((all, size) => all * size, 1);
  const seen: Seen = {
    n,
    rows: shape[0] ?? 1,
    width: n / (shape[0] ?? 1),
    values,
    at: at === undefined ? (k) => k : (k) => at[k]!,
    sampled: at !== undefined,
    close: at === undefined ? CLOSE : CLOSE_IN_SAMPLE,
    peak: values.reduce((most, value) => Math.max(most, Math.abs(value)), 0),
  };
  const first = values[0]!;
  if (values.every((value) => value === first)) {
    // A scalar −∞ fills attention masks; a whole tensor of infinities is damage, which must be named as such.
    return n > 1 && at === undefined && !Number.isFinite(first) ? LEARNED : constant('one value');
  }
  if (isMask(values)) return constant('attention mask');
  if (isIdentity(seen)) return constant('identity');
  if (n > 8 && values.every((value) => value === 0 || value === 1)) return constant('0/1 mask');
  if (n > 2 && isArithmetic(seen)) return constant('arithmetic range');
  if (shape.length === 1 && n >= 16 && isWindow(seen)) return constant('window');
  if (seen.rows >= 4 && seen.width >= 16) {
    if (isFourier(seen)) return constant('Fourier basis');
    if (isFilterBank(seen)) return constant('filter bank');
    if (isSinusoidal(seen)) return constant('sinusoidal positions');
  }
  return LEARNED;
}

/** Softmax makes nothing of this and less beside 0; libraries write −10,000, −65,504, −10⁹, the lowest float32 or −∞. */
const MASKED = -1e4;

/** 0 where attention may look, one very low number where it may not: no training makes weights of these two alone. */
function isMask(values: Float64Array): boolean {
  const low = values.find((value) => value !== 0);
  return low !== undefined && low <= MASKED && values.every((value) => value === 0 || value === low);
}

const isIdentity = (seen: Seen): boolean =>
  seen.rows > 1 &&
  seen.rows * seen.rows === seen.n &&
  follows(seen, (at) => (Math.floor(at / seen.rows) === at % seen.rows ? 1 : 0), 0);

/** Equal steps from the first value seen to the last. */
function isArithmetic(seen: Seen): boolean {
  const { values, at, n } = seen;
  const last = values.length - 1;
  const [from, to] = [at(0), at(last)];
  if (from === to) return false;
  const step = (values[last]! - values[0]!) / (to - from);
  return step !== 0 && follows(seen, (position) => values[0]! + (position - from) * step, STEP * Math.abs(step) * n);
}

/** Cosine-sum windows (Hann, Hamming, Blackman): three cosines fit every sample, periodic or symmetric. */
function isWindow(seen: Seen): boolean {
  const fits = [
    [0.5, 0.5, 0],
    [0.54, 0.46, 0],
    [0.42, 0.5, 0.08],
  ] as const;
  return [seen.n, seen.n - 1].some((period) =>
    fits.some(([a, b, c]) =>
      follows(
        seen,
        (at) => {
          const t = (2 * Math.PI * at) / period;
          return seen.peak * (a - b * Math.cos(t) + c * Math.cos(2 * t));
        },
        seen.close * seen.peak,
      ),
    ),
  );
}

/** Vaswani et al. 2017 §3.5: sin and cos of position / 10000^(2i/d), interleaved or in halves. */
function isSinusoidal(seen: Seen): boolean {
  const { width, close } = seen;
  if (width % 2 !== 0) return false;
  const half = width / 2;
  return [true, false].some((interleaved) =>
    follows(
      seen,
      (at) => {
        const [position, column] = [Math.floor(at / width), at % width];
        const i = interleaved ? Math.floor(column / 2) : column % half;
        const angle = position / 10000 ** ((2 * i) / width);
        return (interleaved ? column % 2 === 0 : column < half) ? Math.sin(angle) : Math.cos(angle);
      },
      close,
    ),
  );
}
