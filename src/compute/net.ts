/** The two families of nets that Muniment trains: perceptrons with ReLU and one-dimensional convolutional nets. */
import { inputError } from '../base/index.js';

export type Layer =
  /** Fully connected: out = W·in + b, W (units × in). */
  | { readonly kind: 'dense'; readonly units: number }
  /** One-dimensional convolution over positions, W (channels × in × kernel). */
  | {
      readonly kind: 'conv';
      readonly channels: number;
      readonly kernel: number;
      readonly stride: number;
      readonly padding: number;
    }
  | { readonly kind: 'relu' }
  /** channels × positions → channels·positions, channel major. */
  | { readonly kind: 'flatten' }
  /** Mean over positions: channels × positions → channels. */
  | { readonly kind: 'mean' };

export interface NetSpec {
  /** One example without the batch axis: [features], or [channels, positions]. */
  readonly input: readonly number[];
  readonly layers: readonly Layer[];
}

/** One trained tensor and where it lies in the flat parameter vector. */
export interface Parameter {
  /** `fc1.weight`, `fc1.bias`, `conv1.weight`, …: numbered per kind from the input. */
  readonly name: string;
  readonly shape: readonly number[];
  readonly offset: number;
  readonly elements: number;
  /** Inputs per unit: the initialiser's scale follows from it. */
  readonly fanIn: number;
}

/** A layer with the shapes of its input and output and its parameters. */
export interface PlannedLayer {
  readonly layer: Layer;
  readonly name: string;
  readonly input: readonly number[];
  readonly output: readonly number[];
  readonly weight: Parameter | null;
  readonly bias: Parameter | null;
}

export interface NetPlan {
  readonly layers: readonly PlannedLayer[];
  readonly parameters: readonly Parameter[];
  /** Length of the flat parameter vector. */
  readonly size: number;
  readonly output: readonly number[];
}

/** Larger nets belong to training frameworks; the bound keeps three float32 copies (weights, two moments) under 200 MB. */
const MAX_PARAMETERS = 1 << 24;

/** input → (dense, ReLU) per hidden width → dense. */
export function mlp(features: number, hidden: readonly number[], outputs: number): NetSpec {
  const body = hidden.flatMap((units): Layer[] => [{ kind: 'dense', units }, { kind: 'relu' }]);
  return { input: [features], layers: [...body, { kind: 'dense', units: outputs }] };
}

export interface ConvolutionSpec {
  readonly channels: number;
  readonly kernel: number;
  readonly stride?: number;
  readonly padding?: number;
}

/** channels × positions → (conv, ReLU) … → flatten or mean → (dense, ReLU) … → dense. */
export function cnn(
  input: readonly [channels: number, positions: number],
  convolutions: readonly ConvolutionSpec[],
  hidden: readonly number[],
  outputs: number,
  pool: 'flatten' | 'mean' = 'flatten',
): NetSpec {
  return {
    input,
    layers: [
      ...convolutions.flatMap((spec): Layer[] => [
        { kind: 'conv', stride: 1, padding: Math.floor(spec.kernel / 2), ...spec },
        { kind: 'relu' },
      ]),
      { kind: pool },
      ...mlp(1, hidden, outputs).layers,
    ],
  };
}

function refuse(where: string, expected: string, got: string): never {
  throw inputError('COMPUTE_NET_INVALID', 'the layers of this net do not fit together', { where, expected, got });
}

const isCount = (n: number): boolean => Number.isSafeInteger(n) && n >= 1;

/**
 * Shapes of every layer and the flat layout of the parameters.
 * @throws `COMPUTE_NET_INVALID` naming the layer
 */
export function planNet(spec: NetSpec): NetPlan {
  const layers: PlannedLayer[] = [];
  const parameters: Parameter[] = [];
  const numbers = { fc: 0, conv: 0 };
  let size = 0;
  let shape: readonly number[] = spec.input;
  if (!(shape.length === 1 || shape.length === 2) || !shape.every(isCount)) {
    refuse('input', '[features] or [channels, positions]', `[${shape.join(', ')}]`);
  }
  const parameter = (name: string, dimensions: readonly number[], fanIn: number): Parameter => {
    const elements = dimensions.reduce((product, n) => product * n, 1);
    const made = { name, shape: dimensions, offset: size, elements, fanIn };
    parameters.push(made);
    size += elements;
    return made;
  };
  for (const [index, layer] of spec.layers.entries()) {
    const where = `layer ${index} (${layer.kind})`;
    const input = shape;
    let name = layer.kind;
    let weight: Parameter | null = null;
    let bias: Parameter | null = null;
    if (layer.kind === 'dense') {
      if (input.length !== 1) refuse(where, 'a flat input: put flatten or mean before it', `[${input.join(', ')}]`);
      if (!isCount(layer.units)) refuse(where, 'at least one unit', String(layer.units));
      numbers.fc += 1;
      const fc = `fc${numbers.fc}`;
      weight = parameter(`${fc}.weight`, [layer.units, input[0]!], input[0]!);
      bias = parameter(`${fc}.bias`, [layer.units], input[0]!);
      shape = [layer.units];
      layers.push({ layer, name: fc, input, output: shape, weight, bias });
      continue;
    }
    if (layer.kind === 'conv') {
      if (input.length !== 2) refuse(where, 'channels × positions', `[${input.join(', ')}]`);
      if (![layer.channels, layer.kernel, layer.stride].every(isCount) || !(layer.padding >= 0)) {
        refuse(where, 'channels, kernel and stride of at least 1, padding of at least 0', JSON.stringify(layer));
      }
      const [channels, positions] = input as readonly [number, number];
      const out = Math.floor((positions + 2 * layer.padding - layer.kernel) / layer.stride) + 1;
      if (out < 1) refuse(where, `a kernel of at most ${positions + 2 * layer.padding}`, String(layer.kernel));
      numbers.conv += 1;
      const conv = `conv${numbers.conv}`;
      weight = parameter(`${conv}.weight`, [layer.channels, channels, layer.kernel], channels * layer.kernel);
      bias = parameter(`${conv}.bias`, [layer.channels], channels * layer.kernel);
      shape = [layer.channels, out];
      layers.push({ layer, name: conv, input, output: shape, weight, bias });
      continue;
    }
    if (layer.kind === 'flatten' || layer.kind === 'mean') {
      if (input.length !== 2) refuse(where, 'channels × positions', `[${input.join(', ')}]`);
      shape = layer.kind === 'flatten' ? [input[0]! * input[1]!] : [input[0]!];
    }
    name = layer.kind;
    layers.push({ layer, name: `${name}${index}`, input, output: shape, weight, bias });
  }
  if (size > MAX_PARAMETERS) refuse('parameters', `at most ${MAX_PARAMETERS} parameters`, String(size));
  if (shape.length !== 1 || layers.at(-1)?.layer.kind !== 'dense')
    refuse('last layer', 'a dense layer', `[${shape.join(', ')}]`);
  return { layers, parameters, size, output: shape };
}

/** Multiply–accumulate operations for one example: the machine-independent half of the accuracy-against-speed record. */
export function operationsOf(spec: NetSpec): number {
  return planNet(spec).layers.reduce((sum, { weight, output }) => {
    if (weight === null) return sum;
    return sum + weight.elements * (output.length === 2 ? output[1]! : 1);
  }, 0);
}

/** The tensor of one parameter as a view into the flat vector. */
export const parameterView = (flat: Float32Array, { offset, elements }: Parameter): Float32Array =>
  flat.subarray(offset, offset + elements);
