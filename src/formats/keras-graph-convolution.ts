/**
 * Convolutions of Keras: kernels are spatial axes × inputs × outputs, transposed and depthwise ones spatial axes × outputs ×
 * inputs and × channels × multiplier. Sources: keras/src/layers/convolutional (Keras 2 and 3), tfjs-layers/src/layers.
 */
import { activated } from './keras-graph-activations.js';
import {
  addNode,
  flagIn,
  impliedInts,
  type KerasValue,
  type LayerCall,
  type LayerRule,
  numberIn,
  plainOf,
  plainValue,
  type Sizes,
  sizesIn,
  textIn,
  turnedOf,
  turnedValue,
  weightOf,
} from './keras-graph-build.js';
import type { Tensor } from './model.js';
import type { Attributes } from './onnx-terms.js';

export const isChannelsFirst = ({ config }: LayerCall): boolean => textIn(config, 'data_format') === 'channels_first';

/** The input as ONNX takes images: channels second. */
export const imagesOf = (call: LayerCall, value: KerasValue, rank: number): string =>
  isChannelsFirst(call) ? plainOf(call, value) : turnedOf(call, value, rank);

/** Images as ONNX gives them. @param spatial sizes without batch and channels; null where the rank is not known */
export function valueOfImages(
  call: LayerCall,
  name: string,
  batch: number | null,
  channels: number | null,
  spatial: Sizes,
): KerasValue {
  return isChannelsFirst(call)
    ? plainValue(name, [batch, channels, ...spatial])
    : turnedValue(name, [batch, ...spatial, channels]);
}

/** Sizes of batch, channels and spatial axes of a value of this rank; all unknown where its rank is. */
export function imageSizes(
  call: LayerCall,
  { sizes }: KerasValue,
  rank: number,
): { readonly batch: number | null; readonly channels: number | null; readonly spatial: Sizes } | null {
  const all: Sizes = sizes ?? Array<null>(rank).fill(null);
  if (all.length !== rank) return null;
  const [batch = null, ...rest] = all;
  return isChannelsFirst(call)
    ? { batch, channels: rest[0] ?? null, spatial: rest.slice(1) }
    : { batch, channels: rest.at(-1) ?? null, spatial: rest.slice(0, -1) };
}

export type Padding = 'valid' | 'same' | 'causal';
/** Keras 1 called it `border_mode`. */
export function paddingOf({ config }: LayerCall): Padding | null {
  const given = textIn(config, 'padding') ?? textIn(config, 'border_mode') ?? 'valid';
  return given === 'valid' || given === 'same' || given === 'causal' ? given : null;
}

/** Positions of a window along one axis. @param reach of the window, dilation included */
export function positions(size: number | null, reach: number, stride: number, padding: Padding): number | null {
  if (size === null) return null;
  return padding === 'valid' ? Math.max(0, Math.floor((size - reach) / stride) + 1) : Math.ceil(size / stride);
}

/** What a sliding window needs; null where a setting is missing or strange. */
interface Window {
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  readonly padding: Padding;
}

function windowOf(call: LayerCall, dimensions: number): Window | null {
  const { config } = call;
  const strides = sizesIn(config, 'strides', dimensions, 1);
  const dilations = sizesIn(config, 'dilation_rate', dimensions, 1);
  const padding = paddingOf(call);
  const isFit = strides?.every((size) => size > 0) && dilations?.every((size) => size > 0);
  return isFit && padding !== null ? { strides: strides!, dilations: dilations!, padding } : null;
}

function windowAttributes({ strides, dilations, padding }: Window, kernel: readonly number[]): Attributes {
  const pads: Attributes =
    padding === 'causal'
      ? { pads: [...kernel.map((size, k) => (size - 1) * dilations[k]!), ...kernel.map(() => 0)] }
      : { auto_pad: padding === 'same' ? 'SAME_UPPER' : 'VALID' };
  return { ...pads, strides, dilations, kernel_shape: kernel };
}

/** Spatial axes behind the two others: HWIO → OIHW. */
const outputsFirst = (rank: number): readonly number[] => [rank - 1, rank - 2, ...spatialAxes(rank)];
const spatialAxes = (rank: number): readonly number[] => Array.from({ length: rank - 2 }, (_, k) => k);

interface Convolved {
  readonly name: string;
  readonly spatial: Sizes;
}

function convolved(
  call: LayerCall,
  x: string,
  before: Sizes,
  weight: string,
  kernel: readonly number[],
  bias: string | null,
  group: number,
  window: Window,
): Convolved {
  const inputs = bias === null ? [x, weight] : [x, weight, bias];
  const name = addNode(call, 'Conv', inputs, { ...windowAttributes(window, kernel), group });
  const spatial = before.map((size, k) =>
    positions(size, (kernel[k]! - 1) * window.dilations[k]! + 1, window.strides[k]!, window.padding),
  );
  return { name, spatial };
}

/** Bias, where the layer uses one; undefined where it is missing. */
function biasOf(call: LayerCall): string | null | undefined {
  if (!flagIn(call.config, 'use_bias', true)) return null;
  return weightOf(call, 'bias') ?? undefined;
}

const convolution =
  (dimensions: number): LayerRule =>
  (call) => {
    const [x] = call.inputs;
    const rank = dimensions + 2;
    const kernel = call.weights.get('kernel');
    const window = windowOf(call, dimensions);
    const group = numberIn(call.config, 'groups') ?? 1;
    if (x === undefined || kernel?.shape.length !== rank || window === null || group < 1) return null;
    const sizes = imageSizes(call, x, rank);
    const bias = biasOf(call);
    if (sizes === null || bias === undefined) return null;
    const weight = addNode(call, 'Transpose', [weightOf(call, 'kernel')!], { perm: outputsFirst(rank) });
    const images = imagesOf(call, x, rank);
    const shape = kernel.shape.slice(0, dimensions);
    const { name, spatial } = convolved(call, images, sizes.spatial, weight, shape, bias, group, window);
    return [
      activated(call, valueOfImages(call, name, sizes.batch, kernel.shape.at(-1)!, spatial), call.config.activation),
    ];
  };

/** Weight of a depthwise convolution as ONNX has it: channel by channel its outputs, each of one input. */
function depthwiseWeight(call: LayerCall, name: string, kernel: Tensor): string {
  const rank = kernel.shape.length;
  const perm = [rank - 2, rank - 1, ...spatialAxes(rank)];
  const turned = addNode(call, 'Transpose', [weightOf(call, name)!], { perm });
  const [channels, several] = kernel.shape.slice(-2);
  if (several === 1) return turned;
  const shape = [channels! * several!, 1, ...kernel.shape.slice(0, -2)];
  return addNode(call, 'Reshape', [turned, impliedInts(call, 'kernel_shape', shape)]);
}

const depthwise =
  (dimensions: number): LayerRule =>
  (call) => {
    const [x] = call.inputs;
    const rank = dimensions + 2;
    const key = call.weights.has('depthwise_kernel') ? 'depthwise_kernel' : 'kernel';
    const kernel = call.weights.get(key);
    const window = windowOf(call, dimensions);
    if (x === undefined || kernel?.shape.length !== rank || window === null) return null;
    const sizes = imageSizes(call, x, rank);
    const bias = biasOf(call);
    if (sizes === null || bias === undefined) return null;
    const [channels, several] = kernel.shape.slice(-2) as [number, number];
    const weight = depthwiseWeight(call, key, kernel);
    const images = imagesOf(call, x, rank);
    const shape = kernel.shape.slice(0, dimensions);
    const { name, spatial } = convolved(call, images, sizes.spatial, weight, shape, bias, channels, window);
    return [
      activated(call, valueOfImages(call, name, sizes.batch, channels * several, spatial), call.config.activation),
    ];
  };

/** A depthwise convolution, then one of 1 × 1 with the bias. */
const separable =
  (dimensions: number): LayerRule =>
  (call) => {
    const [x] = call.inputs;
    const rank = dimensions + 2;
    const [deep, point] = [call.weights.get('depthwise_kernel'), call.weights.get('pointwise_kernel')];
    const window = windowOf(call, dimensions);
    if (x === undefined || deep?.shape.length !== rank || point?.shape.length !== rank || window === null) return null;
    const sizes = imageSizes(call, x, rank);
    const bias = biasOf(call);
    if (sizes === null || bias === undefined) return null;
    const channels = deep.shape.at(-2)!;
    const weight = depthwiseWeight(call, 'depthwise_kernel', deep);
    const images = imagesOf(call, x, rank);
    const shape = deep.shape.slice(0, dimensions);
    const between = convolved(call, images, sizes.spatial, weight, shape, null, channels, window);
    const pointwise = addNode(call, 'Transpose', [weightOf(call, 'pointwise_kernel')!], { perm: outputsFirst(rank) });
    const ones = Array<number>(dimensions).fill(1);
    const { name, spatial } = convolved(call, between.name, between.spatial, pointwise, ones, bias, 1, {
      strides: ones,
      dilations: ones,
      padding: 'valid',
    });
    return [
      activated(call, valueOfImages(call, name, sizes.batch, point.shape.at(-1)!, spatial), call.config.activation),
    ];
  };

/**
 * Keras gives size · stride outputs along an axis (`same`), else what all windows reach; ONNX cuts pads off, and adds
 * `output_padding` behind. Settings that change this by hand are not followed.
 */
const transposed =
  (dimensions: number): LayerRule =>
  (call) => {
    const [x] = call.inputs;
    const rank = dimensions + 2;
    const kernel = call.weights.get('kernel');
    const window = windowOf(call, dimensions);
    if (x === undefined || kernel?.shape.length !== rank || window === null || window.padding === 'causal') return null;
    if (window.dilations.some((rate) => rate !== 1) || (call.config.output_padding ?? null) !== null) return null;
    const sizes = imageSizes(call, x, rank);
    const bias = biasOf(call);
    if (sizes === null || bias === undefined) return null;
    const shape = kernel.shape.slice(0, dimensions);
    const { strides } = window;
    const over = shape.map((size, k) => (window.padding === 'same' ? Math.max(0, size - strides[k]!) : 0));
    const attributes: Attributes = {
      strides,
      dilations: window.dilations,
      kernel_shape: shape,
      pads: [...over.map((all) => Math.floor(all / 2)), ...over.map((all) => Math.ceil(all / 2))],
      output_padding: shape.map((size, k) => Math.max(0, strides[k]! - size)),
    };
    const weight = addNode(call, 'Transpose', [weightOf(call, 'kernel')!], { perm: outputsFirst(rank) });
    const images = imagesOf(call, x, rank);
    const inputs = bias === null ? [images, weight] : [images, weight, bias];
    const name = addNode(call, 'ConvTranspose', inputs, attributes);
    const spatial = sizes.spatial.map((size, k) => {
      if (size === null) return null;
      return size * strides[k]! + (window.padding === 'same' ? 0 : Math.max(0, shape[k]! - strides[k]!));
    });
    return [
      activated(call, valueOfImages(call, name, sizes.batch, kernel.shape.at(-2)!, spatial), call.config.activation),
    ];
  };

export const CONVOLUTION_LAYERS: Readonly<Record<string, LayerRule>> = {
  Conv1D: convolution(1),
  Conv2D: convolution(2),
  Conv3D: convolution(3),
  Convolution1D: convolution(1),
  Convolution2D: convolution(2),
  DepthwiseConv1D: depthwise(1),
  DepthwiseConv2D: depthwise(2),
  SeparableConv1D: separable(1),
  SeparableConv2D: separable(2),
  Conv1DTranspose: transposed(1),
  Conv2DTranspose: transposed(2),
  Conv3DTranspose: transposed(3),
};
