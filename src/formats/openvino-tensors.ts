/** The constants of one network as tensors: in ONNX's shape, and with where their outputs lie. */
import { tensorOf } from './openvino-constants.js';
import type { Layer, Network } from './openvino-ir.js';
import type { Plan } from './openvino-plan.js';
import { expanded, type Quantised } from './openvino-quantised.js';
import type { StoredTensor } from './stored-tensor.js';

export interface Titled {
  /** The layer whose output the tensor is. */
  readonly layer: Layer;
  readonly tensor: StoredTensor;
}

/** @param titles of the constants, unique in the model */
export function* tensorsIn(network: Network, plan: Plan, titles: ReadonlyMap<Layer, string>): Generator<Titled> {
  const grouped = new Map<Layer, { readonly end: Layer; readonly quantised: Quantised }>();
  const within = new Set<Layer>();
  for (const [end, quantised] of plan.quantised) {
    if (quantised.axis !== 'groups') continue;
    grouped.set(quantised.codes.layer, { end, quantised });
    // Scales of groups are part of the values, unless something else takes them.
    for (const one of [quantised.scale, quantised.zero]) if (one && plan.uses.ends(one) === 1) within.add(one.layer);
  }
  for (const layer of network.layers) {
    const constant = plan.constants.get(layer);
    if (constant === undefined || within.has(layer)) continue;
    const title = titles.get(layer)!;
    const group = grouped.get(layer);
    if (group === undefined) {
      const tensor = tensorOf(constant, title, plan.forms.get(layer));
      yield { layer, tensor: placed(tensor, outputsFirst(layer, plan)) };
    } else {
      const { end, quantised } = group;
      const sizes = end.type === 'Reshape' ? end.outputs[0]!.shape : constant.shape;
      const tensor = expanded(quantised, title, sizes as readonly number[]);
      yield { layer: end, tensor: placed(tensor, outputsFirst(end, plan)) };
    }
  }
}

const placed = (tensor: StoredTensor, layout: readonly number[] | undefined): StoredTensor =>
  layout === undefined || layout.length !== tensor.shape.length ? tensor : { ...tensor, outputsFirst: layout };

/** Where one operator takes the weight, through what makes its values. */
function outputsFirst(layer: Layer, plan: Plan): readonly number[] | undefined {
  const { uses, quantised, ranges, absorbed } = plan;
  let use = uses.next(layer);
  while (use !== null && (quantised.has(use.layer) || ranges.has(use.layer) || absorbed.has(use.layer))) {
    if (isProduct(use.layer)) break;
    use = uses.next(use.layer);
  }
  if (use === null || use.input !== 1) return undefined;
  const { type, data, inputs } = use.layer;
  const rank = inputs[1]?.shape?.length ?? 0;
  if (type === 'MatMul') return data.transpose_b === 'true' || rank !== 2 ? undefined : [1, 0];
  return type === 'ConvolutionBackpropData' ? [1, 0, ...Array.from({ length: rank - 2 }, (_, k) => k + 2)] : undefined;
}

const isProduct = ({ type }: Layer): boolean => /^(MatMul|(Group)?Convolution(BackpropData)?)$/.test(type);
