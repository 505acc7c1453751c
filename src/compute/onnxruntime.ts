/** The one place that loads onnxruntime-node: an optional dependency, imported on first use only. */
import type { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node';
import { environmentError, inputError } from '../base/index.js';

export type OnnxRuntime = typeof import('onnxruntime-node');

/** Two threads: more gain nothing on the small nets here, and a command should not take over the machine. */
const DEFAULT_THREADS = 2;

let loading: Promise<OnnxRuntime> | undefined;

/** @throws `COMPUTE_NO_ONNXRUNTIME` where the optional part is not installed or does not load on this platform */
export function loadOnnxRuntime(): Promise<OnnxRuntime> {
  loading ??= import('onnxruntime-node').catch((cause: unknown) => {
    loading = undefined;
    throw environmentError('COMPUTE_NO_ONNXRUNTIME', 'this command needs the optional package onnxruntime-node', {
      todo: 'npm install onnxruntime-node --ignore-scripts (Linux, macOS or Windows; x64 or arm64)',
      cause,
    });
  });
  return loading;
}

export interface Feed {
  readonly data: Float32Array | Float64Array | BigInt64Array | Int32Array | Uint8Array | readonly string[];
  readonly shape: readonly number[];
}
export type Feeds = Readonly<Record<string, Feed>>;
export interface Output {
  readonly data: Float32Array | BigInt64Array | Uint8Array | Float64Array | Int32Array;
  readonly shape: readonly number[];
}

export interface Session {
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** @throws `COMPUTE_RUN_FAILED` when the model refuses these inputs */
  run(feeds: Feeds): Promise<Readonly<Record<string, Output>>>;
  close(): Promise<void>;
}

export interface SessionOptions {
  /** Threads inside one operator. One makes results repeatable bit for bit on one machine. Default 2. */
  readonly threads?: number;
  /** A name for messages. */
  readonly name?: string;
}

const TYPES = [
  [Float32Array, 'float32'],
  [Float64Array, 'float64'],
  [BigInt64Array, 'int64'],
  [Int32Array, 'int32'],
  [Uint8Array, 'uint8'],
] as const;

/**
 * @param model ONNX bytes, or a path (external data is found beside the file)
 * @throws `COMPUTE_MODEL_REFUSED` when onnxruntime cannot load the model
 */
export async function createSession(model: Uint8Array | string, options: SessionOptions = {}): Promise<Session> {
  const ort = await loadOnnxRuntime();
  const where = options.name ?? (typeof model === 'string' ? model : 'memory');
  const settings: InferenceSession.SessionOptions = {
    executionProviders: ['cpu'],
    intraOpNumThreads: options.threads ?? DEFAULT_THREADS,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    logSeverityLevel: 3,
  };
  let session: InferenceSession;
  try {
    session =
      typeof model === 'string'
        ? await ort.InferenceSession.create(model, settings)
        : await ort.InferenceSession.create(model, settings);
  } catch (cause) {
    throw inputError('COMPUTE_MODEL_REFUSED', 'onnxruntime cannot load this model', {
      where,
      got: cause instanceof Error ? cause.message.slice(0, 300) : String(cause),
      cause,
    });
  }
  const toTensor = ({ data, shape }: Feed): OrtTensor => {
    if (Array.isArray(data)) return new ort.Tensor('string', data as string[], shape);
    const type = TYPES.find(([kind]) => data instanceof kind)![1];
    return new ort.Tensor(type, data as Float32Array, shape);
  };
  return {
    inputs: session.inputNames,
    outputs: session.outputNames,
    async run(feeds) {
      const tensors = Object.fromEntries(Object.entries(feeds).map(([name, feed]) => [name, toTensor(feed)]));
      let results: InferenceSession.OnnxValueMapType;
      try {
        results = await session.run(tensors);
      } catch (cause) {
        throw inputError('COMPUTE_RUN_FAILED', 'onnxruntime refused these inputs', {
          where,
          got: cause instanceof Error ? cause.message.slice(0, 300) : String(cause),
          cause,
        });
      }
      return Object.fromEntries(
        Object.entries(results).map(([name, value]) => {
          const { data, dims } = value as OrtTensor;
          return [name, { data: data as Output['data'], shape: dims }];
        }),
      );
    },
    close: () => session.release(),
  };
}

/** Opens a model, runs it once and closes it. */
export async function runModel(
  model: Uint8Array | string,
  feeds: Feeds,
  options: SessionOptions = {},
): Promise<Readonly<Record<string, Output>>> {
  const session = await createSession(model, options);
  try {
    return await session.run(feeds);
  } finally {
    await session.close();
  }
}
