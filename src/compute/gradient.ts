/**
 * Forward and backward pass of a net as ONNX nodes. Every rule is checked against central finite differences of an
 * independent float64 implementation (`gradient.test.ts`).
 */
import type { GraphBuilder } from './graph.js';
import type { NetPlan, PlannedLayer } from './net.js';

/** Softmax cross-entropy of logits against a distribution over classes, or mean squared error over outputs. */
export type Loss = 'cross-entropy' | 'mse';

/** Values that one layer's backward pass needs from its forward pass. */
interface Tape {
  readonly planned: PlannedLayer;
  readonly input: string;
  readonly output: string;
  readonly weight: string | null;
}

/** Splits the flat parameter vector into tensors. @returns parameter name → value name */
function splitParameters(g: GraphBuilder, plan: NetPlan, flat: string): ReadonlyMap<string, string> {
  const sizes = g.integers(plan.parameters.map(({ elements }) => elements));
  const parts = g.nodes('Split', [flat, sizes], plan.parameters.length, { axis: { int: 0 } });
  return new Map(
    plan.parameters.map(({ name, shape }, index) => [
      name,
      shape.length === 1 ? parts[index]! : g.node('Reshape', [parts[index]!, g.integers(shape)]),
    ]),
  );
}

const convolution = ({ layer }: PlannedLayer) => {
  if (layer.kind !== 'conv') throw new TypeError('not a convolution');
  return layer;
};

/** One layer forward: [batch, …input] → [batch, …output]. */
export function emitLayer(
  g: GraphBuilder,
  planned: PlannedLayer,
  input: string,
  weight: string | null,
  bias: string | null,
  output?: string,
): string {
  switch (planned.layer.kind) {
    case 'dense':
      return g.node('Gemm', [input, weight!, bias!], { transB: { int: 1 } }, output, planned.name);
    case 'conv': {
      const { kernel, stride, padding } = planned.layer;
      return g.node(
        'Conv',
        [input, weight!, bias!],
        { kernel_shape: { ints: [kernel] }, strides: { ints: [stride] }, pads: { ints: [padding, padding] } },
        output,
        planned.name,
      );
    }
    case 'relu':
      return g.node('Relu', [input], {}, output, planned.name);
    case 'flatten':
      return g.node('Flatten', [input], { axis: { int: 1 } }, output, planned.name);
    case 'mean':
      return g.node('ReduceMean', [input], { axes: { ints: [2] }, keepdims: { int: 0 } }, output, planned.name);
  }
}

/** Gradient of the loss by the layer's input, given that by its output. */
function emitInputGradient(g: GraphBuilder, { planned, weight, output }: Tape, delta: string): string {
  switch (planned.layer.kind) {
    case 'dense':
      return g.node('MatMul', [delta, weight!]);
    case 'conv': {
      const { kernel, stride, padding } = convolution(planned);
      const positions = planned.input[1]!;
      const reached = (planned.output[1]! - 1) * stride + kernel - 2 * padding;
      return g.node('ConvTranspose', [delta, weight!], {
        kernel_shape: { ints: [kernel] },
        strides: { ints: [stride] },
        pads: { ints: [padding, padding] },
        output_padding: { ints: [positions - reached] },
      });
    }
    case 'relu':
      // The output of a ReLU is never negative, so its sign is the derivative (0 at 0).
      return g.node('Mul', [delta, g.node('Sign', [output])]);
    case 'flatten':
      return g.node('Reshape', [delta, g.integers([-1, ...planned.input])]);
    case 'mean': {
      const positions = planned.input[1]!;
      const share = g.floats(new Float32Array(positions).fill(1 / positions), [1, 1, positions]);
      return g.node('Mul', [g.node('Unsqueeze', [delta, g.integers([2])]), share]);
    }
  }
}

/** Gradients by weight and bias of a dense or convolutional layer. */
function emitParameterGradients(g: GraphBuilder, { planned, input }: Tape, delta: string): readonly [string, string] {
  if (planned.layer.kind === 'dense') {
    return [
      g.node('Gemm', [delta, input], { transA: { int: 1 } }),
      g.node('ReduceSum', [delta, g.integers([0])], { keepdims: { int: 0 } }),
    ];
  }
  const { kernel, stride, padding } = convolution(planned);
  // dW[m,c,k] = Σ_{n,t} dY[n,m,t]·X[n,c,t·stride+k−pad]: a convolution with batch and channels exchanged,
  // dY as the kernel, dilated by the stride. Positions past the kernel (left over by the stride) are cut off.
  const swapped = { perm: { ints: [1, 0, 2] } };
  const raw = g.node('Conv', [g.node('Transpose', [input], swapped), g.node('Transpose', [delta], swapped)], {
    kernel_shape: { ints: [planned.output[1]!] },
    dilations: { ints: [stride] },
    pads: { ints: [padding, padding] },
  });
  const reached = planned.input[1]! + 2 * padding - stride * (planned.output[1]! - 1);
  const cut = reached === kernel ? raw : g.node('Slice', [raw, g.integers([0]), g.integers([kernel]), g.integers([2])]);
  return [
    g.node('Transpose', [cut], swapped),
    g.node('ReduceSum', [delta, g.integers([0, 2])], { keepdims: { int: 0 } }),
  ];
}

/**
 * Loss and its gradient by the outputs. Both are weighted means over the batch: Σ wᵢ lᵢ / Σ wᵢ.
 * @param outputs [batch, K] @param target [batch, K] @param weight [batch]
 */
function emitLoss(g: GraphBuilder, loss: Loss, outputs: string, target: string, weight: string, width: number) {
  const total = g.node('ReduceSum', [weight], { keepdims: { int: 1 } });
  const share = g.node('Unsqueeze', [g.node('Div', [weight, total]), g.integers([1])]);
  if (loss === 'cross-entropy') {
    const logs = g.node('LogSoftmax', [outputs], { axis: { int: 1 } });
    const weighted = g.node('Mul', [g.node('Mul', [target, logs]), share]);
    return {
      loss: g.node('Neg', [g.node('ReduceSum', [weighted], { keepdims: { int: 0 } })]),
      delta: g.node('Mul', [g.node('Sub', [g.node('Exp', [logs]), target]), share]),
    };
  }
  const difference = g.node('Sub', [outputs, target]);
  const weighted = g.node('Mul', [difference, g.node('Mul', [share, g.scalar(1 / width)])]);
  return {
    loss: g.node('ReduceSum', [g.node('Mul', [difference, weighted])], { keepdims: { int: 0 } }),
    delta: g.node('Mul', [weighted, g.scalar(2)]),
  };
}

/** Forward pass with the flat parameter vector: [batch, …input] → [batch, K]. */
export function emitForward(g: GraphBuilder, plan: NetPlan, flat: string, input: string, output?: string): string {
  const named = splitParameters(g, plan, flat);
  return forward(g, plan, named, input, output).output;
}

function forward(
  g: GraphBuilder,
  plan: NetPlan,
  named: ReadonlyMap<string, string>,
  input: string,
  output?: string,
): { output: string; tapes: readonly Tape[] } {
  const tapes: Tape[] = [];
  let value = input;
  for (const [index, planned] of plan.layers.entries()) {
    const weight = planned.weight === null ? null : named.get(planned.weight.name)!;
    const bias = planned.bias === null ? null : named.get(planned.bias.name)!;
    const made = emitLayer(g, planned, value, weight, bias, index === plan.layers.length - 1 ? output : undefined);
    tapes.push({ planned, input: value, output: made, weight });
    value = made;
  }
  return { output: value, tapes };
}

/** Loss (scalar) and gradient (flat, in the layout of the parameters) of one batch. */
export function emitGradient(
  g: GraphBuilder,
  plan: NetPlan,
  loss: Loss,
  values: { readonly flat: string; readonly input: string; readonly target: string; readonly weight: string },
): { loss: string; gradient: string } {
  const named = splitParameters(g, plan, values.flat);
  const { output, tapes } = forward(g, plan, named, values.input);
  const end = emitLoss(g, loss, output, values.target, values.weight, plan.output[0]!);
  const gradients = new Map<string, string>();
  const first = tapes.findIndex(({ weight }) => weight !== null);
  let delta = end.delta;
  for (let index = tapes.length - 1; index >= first; index--) {
    const tape = tapes[index]!;
    if (tape.planned.weight !== null && tape.planned.bias !== null) {
      const [weight, bias] = emitParameterGradients(g, tape, delta);
      gradients.set(tape.planned.weight.name, g.node('Reshape', [weight, g.integers([-1])]));
      gradients.set(tape.planned.bias.name, bias);
    }
    if (index > first) delta = emitInputGradient(g, tape, delta);
  }
  const flat = plan.parameters.map(({ name }) => gradients.get(name)!);
  return { loss: end.loss, gradient: g.node('Concat', flat, { axis: { int: 0 } }) };
}
