/** Dense stacks of `align/testing` as subjects of a comparison. */

import { type Dense, denseModel } from '../../align/testing/dense.js';
import { sha256, utf8 } from '../../base/index.js';
import type { TensorNature, UnitGroup } from '../../structure/index.js';
import type { Subject, SubjectTensor } from '../subject.js';

export interface DenseOptions {
  readonly name?: string;
  readonly groups?: readonly UnitGroup[];
  readonly nature?: (name: string) => TensorNature;
  readonly dtype?: string;
}

const roleOf = (name: string): SubjectTensor['role'] => (name.endsWith('bias') ? 'bias' : 'weight');

/** Any named values as a subject. Without `groups` they are read as the dense stack fc0, fc1, …. */
export function subjectOf(net: Dense, { name = 'net', groups, nature, dtype = 'F32' }: DenseOptions = {}): Subject {
  const layers = [...net.keys()].filter((key) => /^fc\d+\.weight$/.test(key)).length;
  const widths = [net.get('fc0.weight')?.shape[1] ?? 0];
  for (let l = 0; l < layers; l++) widths.push(net.get(`fc${l}.weight`)!.shape[0]!);
  const tensors = new Map<string, SubjectTensor>();
  for (const [key, { shape, values }] of net) {
    const row = shape.slice(1).reduce((n, size) => n * size, 1);
    tensors.set(key, {
      name: key,
      shape,
      role: roleOf(key),
      nature: nature?.(key) ?? { kind: 'learned' },
      dtype,
      quantisation: null,
      packed: null,
      read: async () => Float64Array.from(values),
      readRows: async (rows) => {
        const out = new Float64Array(rows.length * row);
        rows.forEach((r, i) => {
          out.set(values.subarray(r * row, (r + 1) * row), i * row);
        });
        return out;
      },
    });
  }
  return {
    name,
    format: 'safetensors',
    tensors,
    groups: groups ?? denseModel(widths).groups,
    leftOut: [],
    fromGraph: true,
    digest: sha256(utf8(name)),
    foldFactors: async () => null,
  };
}
