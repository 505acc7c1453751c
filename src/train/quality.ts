/** The exported model itself on test data: how good, how fast. */
import { inputError } from '../base/index.js';
import { createSession } from '../compute/index.js';
import type { ModelCard } from './card.js';
import { argmax } from './cross-fit.js';
import { INPUT, PROBABILITIES, VALUE } from './export.js';
import {
  type BinaryQuality,
  binaryQuality,
  type ClassQuality,
  classQuality,
  type ForecastQuality,
  forecastQuality,
} from './metrics.js';
import type { Prepared } from './prepare.js';

export type Quality =
  | ({ readonly kind: 'binary' } & BinaryQuality)
  | ({ readonly kind: 'classes' } & ClassQuality)
  | ({ readonly kind: 'forecast' } & ForecastQuality);

export interface Latency {
  /** Median milliseconds for one example, on this machine, one thread. */
  readonly milliseconds: number;
  /** 95th percentile. */
  readonly p95: number;
  /** Calls measured. */
  readonly n: number;
}

/** Inputs per call: bounds the memory of activations. */
const BATCH = 4_096;

/**
 * Probabilities [n, K] or values [n] for raw inputs.
 * @param shape [n, …], the shape of `inputs`
 * @throws `TRAIN_CARD_INVALID` when graph and card disagree
 */
export async function outputsOf(
  model: Uint8Array | string,
  card: ModelCard,
  inputs: Float32Array,
  shape: readonly number[],
): Promise<Float32Array> {
  const session = await createSession(model, { threads: 1 });
  try {
    const [count = 0, ...rest] = shape;
    const width = rest.reduce((product, n) => product * n, 1);
    const name = card.task === 'classify' ? PROBABILITIES : VALUE;
    const outputs = card.task === 'classify' ? card.classes.length : 1;
    const parts: Float32Array[] = [];
    for (let start = 0; start < count; start += BATCH) {
      const end = Math.min(count, start + BATCH);
      const data = inputs.subarray(start * width, end * width);
      const result = await session.run({ [INPUT]: { data, shape: [end - start, ...rest] } });
      const values = result[name]?.data;
      if (!(values instanceof Float32Array) || values.length !== (end - start) * outputs) {
        throw inputError('TRAIN_CARD_INVALID', 'the graph does not answer as the model describes', {
          expected: `${outputs} float values a row in '${name}'`,
          got: Object.entries(result)
            .map(([key, { shape: found }]) => `${key} [${found.join(', ')}]`)
            .join('; '),
        });
      }
      parts.push(values);
    }
    const out = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of parts) {
      out.set(part, at);
      at += part.length;
    }
    return out;
  } finally {
    await session.close();
  }
}

export async function qualityOf(model: Uint8Array, card: ModelCard, test: Prepared['test']): Promise<Quality> {
  const outputs = await outputsOf(model, card, test.inputs, test.shape);
  if (card.task === 'forecast') return { kind: 'forecast', ...forecastQuality(outputs, test.targets) };
  const classes = card.classes.length;
  if (classes === 2) {
    const scores = Float64Array.from(test.targets, (_, i) => outputs[2 * i + 1]!);
    const positive = Array.from(test.targets, (label) => label === 1);
    return { kind: 'binary', ...binaryQuality(scores, positive, card.threshold ?? 0.5) };
  }
  const said = Array.from(test.targets, (_, i) => argmax(outputs, i * classes, classes));
  return { kind: 'classes', ...classQuality(said, test.targets, classes) };
}

export async function latencyOf(model: Uint8Array, test: Prepared['test'], n = 200): Promise<Latency> {
  const session = await createSession(model, { threads: 1 });
  try {
    const [, ...rest] = test.shape;
    const width = rest.reduce((product, size) => product * size, 1);
    const one = { [INPUT]: { data: test.inputs.slice(0, width), shape: [1, ...rest] } };
    for (let i = 0; i < 10; i++) await session.run(one);
    const times = new Float64Array(n);
    for (let i = 0; i < n; i++) {
      const start = performance.now();
      await session.run(one);
      times[i] = performance.now() - start;
    }
    times.sort();
    return { milliseconds: times[n >> 1]!, p95: times[Math.floor(0.95 * n)]!, n };
  } finally {
    await session.close();
  }
}
