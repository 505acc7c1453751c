/**
 * Layers that move or gather positions: pooling, padding, cropping, enlarging. Sources: keras/src/layers/pooling and
 * /reshaping (Keras 2 and 3), tfjs-layers/src/layers/pooling.ts.
 */
import type { Json } from '../base/index.js';
import {
  addNode,
  flagIn,
  implied,
  impliedInts,
  type KerasValue,
  type LayerCall,
  type LayerRule,
  numberIn,
  plainOf,
  plainValue,
  rankOf,
  type Sizes,
  sizesIn,
  textIn,
  turnedValue,
} from './keras-graph-build.js';
import {
  imageSizes,
  imagesOf,
  isChannelsFirst,
  paddingOf,
  positions,
  valueOfImages,
} from './keras-graph-convolution.js';
import type { Attributes } from './onnx-terms.js';

const pooling =
  (op: string, dimensions: number): LayerRule =>
  (call) => {
    const [x] = call.inputs;
    const rank = dimensions + 2;
    const window = sizesIn(call.config, 'pool_size', dimensions) ?? sizesIn(call.config, 'pool_length', dimensions, 2);
    const padding = paddingOf(call);
    if (x === undefined || window === null || padding === null || padding === 'causal') return null;
    const strides = call.config.strides == null ? window : sizesIn(call.config, 'strides', dimensions);
    const sizes = imageSizes(call, x, rank);
    if (sizes === null || !strides?.every((size) => size > 0)) return null;
    const attributes = { auto_pad: padding === 'same' ? 'SAME_UPPER' : 'VALID', strides, kernel_shape: window };
    const name = addNode(call, op, [imagesOf(call, x, rank)], attributes);
    const spatial = sizes.spatial.map((size, k) => positions(size, window[k]!, strides[k]!, padding));
    return [valueOfImages(call, name, sizes.batch, sizes.channels, spatial)];
  };

const pooledWhole =
  (op: string, dimensions: number): LayerRule =>
  (call) => {
    const [x] = call.inputs;
    const sizes = x === undefined ? null : imageSizes(call, x, dimensions + 2);
    if (sizes === null) return null;
    const name = addNode(call, op, [imagesOf(call, x!, dimensions + 2)]);
    const { batch, channels } = sizes;
    const ones = Array<number>(dimensions).fill(1);
    if (flagIn(call.config, 'keepdims', false)) return [valueOfImages(call, name, batch, channels, ones)];
    const axes = ones.map((_, k) => k + 2);
    return [plainValue(addNode(call, 'Squeeze', [name], { axes }), [batch, channels])];
  };

/** Positions before and behind, axis by axis: one number for all, one for each, or a pair for each. */
function sidesOf(setting: Json | undefined, dimensions: number): readonly (readonly [number, number])[] | null {
  const isSize = (one: unknown): one is number => Number.isInteger(one) && (one as number) >= 0;
  if (isSize(setting)) return Array.from({ length: dimensions }, () => [setting, setting] as const);
  if (!Array.isArray(setting)) return null;
  const list = setting as readonly Json[];
  // Of one axis a flat pair is before and behind.
  if (dimensions === 1 && list.length === 2 && list.every(isSize)) return [[list[0], list[1]] as [number, number]];
  if (list.length !== dimensions) return null;
  const pairs = list.map((one): readonly [number, number] | null => {
    if (isSize(one)) return [one, one];
    const isPair = Array.isArray(one) && one.length === 2 && one.every(isSize);
    return isPair ? (one as unknown as readonly [number, number]) : null;
  });
  return pairs.every((pair) => pair !== null) ? pairs : null;
}

/** The value on whichever form there is, with its spatial axes there. */
function onSpatial(
  call: LayerCall,
  value: KerasValue,
  rank: number,
  spatial: Sizes,
  act: (x: string, first: number) => string,
): KerasValue {
  const { batch, channels } = imageSizes(call, value, rank)!;
  if (isChannelsFirst(call)) return plainValue(act(plainOf(call, value), 2), [batch, channels, ...spatial]);
  const sizes = [batch, ...spatial, channels];
  if (value.turned !== null) return turnedValue(act(value.turned, 2), sizes);
  return plainValue(act(plainOf(call, value), 1), sizes);
}

const zeroPadding =
  (dimensions: number): LayerRule =>
  (call) => {
    const [x] = call.inputs;
    const sides = sidesOf(call.config.padding ?? 1, dimensions);
    const rank = dimensions + 2;
    const sizes = x === undefined ? null : imageSizes(call, x, rank);
    if (sizes === null || sides === null) return null;
    const spatial = sizes.spatial.map((size, k) => (size === null ? null : size + sides[k]![0] + sides[k]![1]));
    return [
      onSpatial(call, x!, rank, spatial, (name, first) => {
        const side = (at: 0 | 1): readonly number[] =>
          Array.from({ length: rank }, (_, axis) => sides[axis - first]?.[at] ?? 0);
        return addNode(call, 'Pad', [name], { pads: [...side(0), ...side(1)] });
      }),
    ];
  };

const END = 2 ** 31 - 1;

const cropping =
  (dimensions: number): LayerRule =>
  (call) => {
    const [x] = call.inputs;
    const sides = sidesOf(call.config.cropping ?? 1, dimensions);
    const rank = dimensions + 2;
    const sizes = x === undefined ? null : imageSizes(call, x, rank);
    if (sizes === null || sides === null) return null;
    const spatial = sizes.spatial.map((size, k) =>
      size === null ? null : Math.max(0, size - sides[k]![0] - sides[k]![1]),
    );
    return [
      onSpatial(call, x!, rank, spatial, (name, first) =>
        addNode(call, 'Slice', [name], {
          starts: sides.map(([before]) => before),
          ends: sides.map(([, behind]) => (behind === 0 ? END : -behind)),
          axes: sides.map((_, k) => k + first),
        }),
      ),
    ];
  };

/** Each position several times, or numbers between. */
const enlarging =
  (dimensions: number): LayerRule =>
  (call) => {
    const [x] = call.inputs;
    const times = sizesIn(call.config, 'size', dimensions, 2) ?? sizesIn(call.config, 'length', dimensions, 2);
    const rank = dimensions + 2;
    const sizes = x === undefined ? null : imageSizes(call, x, rank);
    const sampling = samplingOf(call);
    if (sizes === null || times === null || sampling === null) return null;
    const scales = implied(call, 'scales', 'F32', [rank], [1, 1, ...times]);
    const name = addNode(call, 'Resize', [imagesOf(call, x!, rank), '', scales], sampling);
    const spatial = sizes.spatial.map((size, k) => (size === null ? null : size * times[k]!));
    return [valueOfImages(call, name, sizes.batch, sizes.channels, spatial)];
  };

/** To fixed sizes. */
const resizing: LayerRule = (call) => {
  const [x] = call.inputs;
  const [height, width] = [numberIn(call.config, 'height'), numberIn(call.config, 'width')];
  const sizes = x === undefined ? null : imageSizes(call, x, 4);
  const sampling = samplingOf(call, 'bilinear');
  const isOther =
    flagIn(call.config, 'crop_to_aspect_ratio', false) || flagIn(call.config, 'pad_to_aspect_ratio', false);
  if (sizes?.batch === undefined || height === null || width === null || sampling === null || isOther) return null;
  // ONNX takes the sizes of all axes or none, so that those of batch and channels have to be known.
  if (sizes.channels === null) return null;
  const shape = addNode(call, 'Shape', [imagesOf(call, x!, 4)]);
  const kept = addNode(call, 'Slice', [shape], { starts: [0], ends: [2], axes: [0] });
  const target = addNode(call, 'Concat', [kept, impliedInts(call, 'size', [height, width])], { axis: 0 });
  const name = addNode(call, 'Resize', [imagesOf(call, x!, 4), '', '', target], sampling);
  return [valueOfImages(call, name, sizes.batch, sizes.channels, [height, width])];
};

function samplingOf({ config, build }: LayerCall, otherwise = 'nearest'): Attributes | null {
  const kind = textIn(config, 'interpolation') ?? otherwise;
  if (kind === 'nearest') {
    return { mode: 'nearest', coordinate_transformation_mode: 'asymmetric', nearest_mode: 'floor' };
  }
  if (kind !== 'bilinear') return null;
  return {
    mode: 'linear',
    coordinate_transformation_mode: build.dialect.halfPixels ? 'half_pixel' : 'asymmetric',
  };
}

/** Sequences and one-dimensional images have no `data_format` in some layers: the channels are last. */
export const IMAGE_LAYERS: Readonly<Record<string, LayerRule>> = {
  ...Object.fromEntries(
    [1, 2, 3].flatMap((dimensions) => [
      [`MaxPooling${dimensions}D`, pooling('MaxPool', dimensions)],
      [`MaxPool${dimensions}D`, pooling('MaxPool', dimensions)],
      [`AveragePooling${dimensions}D`, pooling('AveragePool', dimensions)],
      [`AvgPool${dimensions}D`, pooling('AveragePool', dimensions)],
      [`GlobalMaxPooling${dimensions}D`, pooledWhole('GlobalMaxPool', dimensions)],
      [`GlobalMaxPool${dimensions}D`, pooledWhole('GlobalMaxPool', dimensions)],
      [`GlobalAveragePooling${dimensions}D`, pooledWhole('GlobalAveragePool', dimensions)],
      [`GlobalAvgPool${dimensions}D`, pooledWhole('GlobalAveragePool', dimensions)],
      [`ZeroPadding${dimensions}D`, zeroPadding(dimensions)],
      [`Cropping${dimensions}D`, cropping(dimensions)],
      [`UpSampling${dimensions}D`, enlarging(dimensions)],
    ]),
  ),
  Resizing: resizing,
};

export const rankKnown = (value: KerasValue | undefined): value is KerasValue & { readonly sizes: Sizes } =>
  value !== undefined && rankOf(value) !== null;
