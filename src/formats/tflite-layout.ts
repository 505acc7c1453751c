/** Which stored axis of a TFLite weight is its outputs: told by the operators that take it (schema.fbs, `BuiltinOperator`). */

import type { Table } from './flatbuffers.js';
import { MAX_NODES, MAX_RANK } from './limits.js';

type Layout = readonly number[];

/** Input that is the weight, and its outputs-first order. OHWI; 1HWO for depthwise; DHWIO. */
const WEIGHTS: Readonly<Record<number, { readonly input: number; readonly layout: Layout }>> = {
  3: { input: 1, layout: [0, 3, 1, 2] }, // CONV_2D
  4: { input: 1, layout: [3, 0, 1, 2] }, // DEPTHWISE_CONV_2D
  67: { input: 1, layout: [0, 3, 1, 2] }, // TRANSPOSE_CONV
  132: { input: 1, layout: [4, 3, 0, 1, 2] }, // CONV_3D
};
const BATCH_MATMUL = 126;
/** Float16, int8 and sparse weights are expanded before use: DEQUANTIZE, DENSIFY. */
const EXPANDS: ReadonlySet<number> = new Set([6, 124]);
const FULLY_CONNECTED = 9;

/** Field numbers of schema.fbs. */
export const OPERATOR = { code: 0, inputs: 1, outputs: 2, optionsType: 3, options: 4 } as const;
const OPERATOR_CODE = { deprecated: 0, builtin: 3 } as const;
const BATCH_MATMUL_OPTIONS = { adjointY: 1 } as const;
/** Inputs of one operator: Concatenation has as many as a model has branches. */
export const MAX_INPUTS = 65_536;

/** The builtin operator of each operator code: the older field holds those up to 127. */
export async function operatorCodes(model: Table, field: number): Promise<readonly number[]> {
  const codes: number[] = [];
  for await (const code of model.tables(field)) {
    codes.push(Math.max((await code.u8(OPERATOR_CODE.deprecated)) & 127, await code.i32(OPERATOR_CODE.builtin)));
  }
  return codes;
}

/** Order by the index of the tensor, for weights that one kind of operator alone takes. */
export async function layoutsIn(
  subgraph: Table,
  field: number,
  codes: readonly number[],
): Promise<(tensor: number, rank: number) => Layout | undefined> {
  const uses = new Map<number, (Layout | null)[]>();
  const expanded = new Map<number, number>();
  let operators = 0;
  for await (const operator of subgraph.tables(field)) {
    if (++operators > MAX_NODES) {
      subgraph.file.fail(
        'a graph has more operators than any real one',
        operator.at,
        { expected: `at most ${MAX_NODES}` },
        'TOO_MANY',
      );
    }
    const code = codes[await operator.u32(OPERATOR.code)];
    if (code === undefined) subgraph.file.fail('an operator has a kind that the file does not list', operator.at);
    const inputs = await operator.integers(OPERATOR.inputs, MAX_INPUTS);
    if (EXPANDS.has(code)) {
      const [output] = await operator.integers(OPERATOR.outputs, MAX_INPUTS);
      if (output !== undefined && inputs[0] !== undefined) expanded.set(output, inputs[0]);
    }
    const weight = inputs[EXPANDS.has(code) ? -1 : (WEIGHTS[code]?.input ?? 1)];
    const layout = await layoutOf(operator, code);
    if (weight !== undefined && weight >= 0 && layout !== undefined) {
      uses.set(weight, [...(uses.get(weight) ?? []).slice(0, MAX_RANK), layout]);
    }
  }
  // What is expanded twice is asked for by its last output.
  for (const [output, input] of [...expanded].reverse()) {
    const through = uses.get(output);
    if (through !== undefined) uses.set(input, [...(uses.get(input) ?? []), ...through].slice(0, MAX_RANK));
  }
  return (tensor, rank) => {
    const [first, ...others] = uses.get(tensor) ?? [];
    const isOne = others.every((other) => other?.join() === first?.join());
    return isOne && first?.length === rank ? first : undefined;
  };
}

/** Null where the weight lies outputs first already; undefined where the operator has no weight. */
async function layoutOf(operator: Table, code: number): Promise<Layout | null | undefined> {
  if (code === FULLY_CONNECTED) return null;
  if (code !== BATCH_MATMUL) return WEIGHTS[code]?.layout;
  const options = await operator.union(OPERATOR.optionsType, OPERATOR.options);
  return (await options?.table.u8(BATCH_MATMUL_OPTIONS.adjointY)) === 1 ? null : [1, 0];
}
