/** What the tree operators of ONNX say in their attributes. */
import { type ErrorFacts, inputError } from '../base/index.js';
import type { GraphNode, Tensor } from './model.js';
import { type Comparison, MISSING_LEFT } from './trees.js';
import type { StoredNode } from './trees-builder.js';

/** The attributes of one node by kind. @throws by its methods `TREES_LIST` */
export class Attributes {
  readonly where: string;
  readonly #values: GraphNode['attributes'];

  constructor(node: GraphNode, where: string) {
    this.where = where;
    this.#values = node.attributes;
  }

  fail(message: string, facts: ErrorFacts): never {
    throw inputError('TREES_LIST', message, { where: this.where, ...facts });
  }
  has(name: string): boolean {
    return this.#values.has(name);
  }
  text(name: string, otherwise: string): string {
    const value = this.#values.get(name);
    return typeof value === 'string' ? value : otherwise;
  }
  number(name: string, otherwise: number): number {
    const value = this.#values.get(name);
    return typeof value === 'number' ? value : otherwise;
  }
  texts(name: string, length: number): readonly string[] {
    const value = this.#values.get(name) ?? [];
    return this.#list(
      name,
      length,
      Array.isArray(value) && value.every((item) => typeof item === 'string') ? value : null,
    );
  }
  /** @param length null: any */
  numbers(name: string, length: number | null): readonly number[] {
    const value = this.#values.get(name) ?? [];
    return this.#list(
      name,
      length,
      Array.isArray(value) && value.every((item) => typeof item === 'number') ? value : null,
    );
  }
  async tensor(name: string): Promise<{ readonly values: Float64Array; readonly isDouble: boolean } | null> {
    const value = this.#values.get(name);
    if (value === undefined) return null;
    const tensor = this.storedTensor(name);
    return { values: await tensor.read(0, tensor.elements), isDouble: tensor.dtype === 'F64' };
  }

  /** The tensor as it is stored. */
  storedTensor(name: string): Tensor {
    const value = this.#values.get(name);
    if (value === undefined || typeof value !== 'object' || !('dtype' in value))
      return this.fail(`${name} is no tensor`, {});
    return value as Tensor;
  }

  #list<T>(name: string, length: number | null, value: readonly T[] | null): readonly T[] {
    if (value === null || (length !== null && value.length !== length)) {
      return this.fail(`${name} is missing, or of another length than the lists beside it`, {
        expected: length === null ? 'a list' : `${length} elements`,
        got: value === null ? 'something else' : String(value.length),
      });
    }
    return value;
  }
}

/** One split by its mode. An equal sign is a set of one category, and NaN differs from every number. */
export function splitNode(
  comparison: Exclude<Comparison, 'leaf'>,
  feature: number,
  value: number,
  tracksTrue: boolean,
  children: { readonly left: number; readonly right: number },
  categories: ArrayLike<number> = [value],
): StoredNode {
  if (comparison !== 'in' && comparison !== 'not in')
    return { comparison, feature, threshold: value, missing: tracksTrue ? MISSING_LEFT : 0, ...children };
  const missing = tracksTrue || comparison === 'not in' ? MISSING_LEFT : 0;
  return { comparison, feature, threshold: 0, missing, ...children, categories };
}
