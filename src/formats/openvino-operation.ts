/** One layer of an OpenVINO IR while it is translated: what its translation may ask. */
import { MAX_OPENVINO_INTS, MAX_OPENVINO_STATE } from './limits.js';
import type { NodeSink } from './onnx-terms.js';
import { type Constant, tensorOf } from './openvino-constants.js';
import type { Scope } from './openvino-graph.js';
import type { Layer } from './openvino-ir.js';
import type { Operation } from './openvino-operators.js';

/** @param end the layer whose outputs are given: the operator itself, or what is fused behind it */
export function operationOf(
  end: Layer,
  { plan, nameOf }: Scope,
  sinkOf: (outputs: readonly string[]) => NodeSink,
): Operation {
  const fused = plan.fused.get(end);
  const layer = fused?.first ?? end;
  const { uses, forms } = plan;
  const outputs = end.outputs.map((_, output) => nameOf({ layer: end, output }));
  const rows = plan.rows.get(layer);
  const inputs = layer.from.map((source, k) => nameOf(k === 1 && rows !== undefined ? rows : source));
  const isFormed = (input: number): boolean => {
    const constant = uses.constant(layer, input);
    return constant !== null && forms.has(constant.layer);
  };
  const beside = (one: { readonly layer: Layer; readonly input: number } | null | undefined): string | undefined =>
    one ? nameOf(one.layer.from[one.input]!) : undefined;
  const weight = uses.behind(layer, 1)?.layer;
  const codes = weight && (plan.quantised.get(weight) ?? plan.ranges.get(weight))?.codes;
  const scaled = fused?.scale;
  const numbers = async (input: number, isRead: (constant: Constant) => boolean): Promise<readonly number[] | null> => {
    const constant = uses.constant(layer, input);
    if (constant === null || constant.elements > MAX_OPENVINO_INTS || !isRead(constant)) return null;
    return [...(await tensorOf(constant, '', undefined).read(0, constant.elements))];
  };
  return {
    ...sinkOf(outputs),
    layer,
    inputs,
    sinkOf,
    isFormed,
    shape: (input) => uses.constant(layer, input)?.shape ?? layer.inputs[input]?.shape ?? null,
    result: layer.outputs[0]?.shape ?? null,
    ints: (input) => numbers(input, ({ dtype }) => /^[IU](8|16|32|64)$/.test(dtype)),
    numbers: (input) => numbers(input, ({ dtype }) => dtype !== 'STRING'),
    isConstant: (input) => uses.constant(layer, input) !== null,
    isSame(a, b) {
      const [one, other] = [uses.constant(layer, a), uses.constant(layer, b)];
      return one !== null && one.dtype === other?.dtype && one.stretch.offset === other.stretch.offset;
    },
    hasRows: rows !== undefined || isFormed(1) || (codes !== undefined && forms.has(codes.layer)),
    async isZeros(input) {
      const stretched = uses.behind(layer, input)?.layer;
      const constant = stretched?.type === 'Broadcast' ? uses.constant(stretched, 0) : null;
      if (constant === null || constant.elements > MAX_OPENVINO_STATE || constant.dtype === 'STRING') return false;
      return (await tensorOf(constant, '', undefined).read(0, constant.elements)).every((value) => value === 0);
    },
    isTaken: (output) => uses.of(layer, output).length > 0,
    scale: beside(fused?.scale),
    bias: beside(fused?.bias),
    isAlongChannels: scaled ? (uses.constant(scaled.layer, scaled.input)?.shape.at(-1) ?? 0) === 1 : false,
    text: (name) => layer.data[name] ?? '',
    flag: (name) => layer.data[name] === 'true' || layer.data[name] === '1',
    list: (name) => integers(layer.data[name] ?? ''),
    number: (name) => {
      const text = layer.data[name]?.trim() ?? '';
      return text !== '' && Number.isFinite(Number(text)) ? Number(text) : null;
    },
  };
}

const integers = (text: string): readonly number[] =>
  text.length > 1000 || text.trim() === ''
    ? []
    : text
        .split(',')
        .map(Number)
        .filter((one) => Number.isSafeInteger(one));
