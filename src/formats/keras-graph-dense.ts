/**
 * Layers of products, tables and normalisation. Sources: keras/src/layers/{core,normalization} (Keras 2 and 3),
 * tfjs-layers/src/layers/{core,embeddings,normalization}.ts.
 */
import { activated } from './keras-graph-activations.js';
import {
  addNode,
  axisOf,
  flagIn,
  implied,
  impliedFloat,
  type LayerCall,
  type LayerRule,
  numberIn,
  plainOf,
  plainValue,
  rankOf,
  turnedOf,
  turnedValue,
  weightOf,
} from './keras-graph-build.js';

const dense: LayerRule = (call) => {
  const [x] = call.inputs;
  const kernel = call.weights.get('kernel');
  const isBiased = flagIn(call.config, 'use_bias', true);
  if (x === undefined || kernel?.shape.length !== 2 || (isBiased && !call.weights.has('bias'))) return null;
  const input = plainOf(call, x);
  const weight = weightOf(call, 'kernel')!;
  const bias = isBiased ? weightOf(call, 'bias')! : null;
  const sizes = x.sizes && [...x.sizes.slice(0, -1), kernel.shape[1]!];
  if (rankOf(x) === 2) {
    const name = addNode(call, 'Gemm', bias === null ? [input, weight] : [input, weight, bias]);
    return [activated(call, plainValue(name, sizes), call.config.activation)];
  }
  const made = addNode(call, 'MatMul', [input, weight]);
  const name = bias === null ? made : addNode(call, 'Add', [made, bias]);
  return [activated(call, plainValue(name, sizes), call.config.activation)];
};

/** Indices may come as floats. */
const embedding: LayerRule = (call) => {
  const [x] = call.inputs;
  const table = call.weights.get('embeddings');
  if (x === undefined || table?.shape.length !== 2) return null;
  const indices = addNode(call, 'Cast', [plainOf(call, x)], { to: 7 });
  const name = addNode(call, 'Gather', [weightOf(call, 'embeddings')!, indices], { axis: 0 });
  return [plainValue(name, x.sizes && [...x.sizes, table.shape[1]!])];
};

/** A single axis: a number, or a list of one. */
function singleAxis(call: LayerCall, rank: number): number | null {
  const given = call.config.axis ?? -1;
  const axis = Array.isArray(given) && given.length === 1 ? given[0] : given;
  return typeof axis === 'number' && Number.isInteger(axis) ? axisOf(axis, rank) : null;
}

/** γ of ones and β of zeros where a layer has none. */
function scaleAndShift(call: LayerCall, size: number): readonly [string, string] {
  const same = (what: string, value: number): string =>
    implied(call, what, 'F32', [size], Array<number>(size).fill(value));
  return [weightOf(call, 'gamma') ?? same('ones', 1), weightOf(call, 'beta') ?? same('zeros', 0)];
}

/** Implied constants are held in memory. */
const MAX_IMPLIED = 2 ** 20;

const batchNormalization: LayerRule = (call) => {
  const [x] = call.inputs;
  const [mean, variance] = [call.weights.get('moving_mean'), call.weights.get('moving_variance')];
  if (x === undefined || mean?.shape.length !== 1 || variance?.shape.length !== 1) return null;
  const rank = rankOf(x);
  const axis = rank === null ? null : singleAxis(call, rank);
  const size = mean.shape[0]!;
  if (rank === null || axis === null || rank < 2 || size > MAX_IMPLIED) return null;
  const parameters = [...scaleAndShift(call, size), weightOf(call, 'moving_mean')!, weightOf(call, 'moving_variance')!];
  const attributes = { epsilon: numberIn(call.config, 'epsilon') ?? 1e-3 };
  if (axis === 1) {
    return [plainValue(addNode(call, 'BatchNormalization', [plainOf(call, x), ...parameters], attributes), x.sizes)];
  }
  if (axis !== rank - 1) return null;
  const name = addNode(call, 'BatchNormalization', [turnedOf(call, x, rank), ...parameters], attributes);
  return [turnedValue(name, x.sizes)];
};

const layerNormalization: LayerRule = (call) => {
  const [x] = call.inputs;
  const rank = x === undefined ? null : rankOf(x);
  const axis = rank === null ? null : singleAxis(call, rank);
  const size = call.weights.get('gamma')?.shape ?? call.weights.get('beta')?.shape ?? [x?.sizes?.at(-1) ?? null];
  if (x === undefined || rank === null || axis !== rank - 1 || size.length !== 1 || size[0] === null) return null;
  if (size[0]! > MAX_IMPLIED || flagIn(call.config, 'rms_scaling', false)) return null;
  const attributes = { axis: -1, epsilon: numberIn(call.config, 'epsilon') ?? 1e-3 };
  const inputs = [plainOf(call, x), ...scaleAndShift(call, size[0]!)];
  return [plainValue(addNode(call, 'LayerNormalization', inputs, attributes), x.sizes)];
};

/** (x − mean) / max(√variance, 1e-7), along the last axis. */
const normalization: LayerRule = (call) => {
  const [x] = call.inputs;
  const rank = x === undefined ? null : rankOf(x);
  const [mean, variance] = [call.weights.get('mean'), call.weights.get('variance')];
  if (x === undefined || rank === null || mean === undefined || variance === undefined) return null;
  const isLast = mean.shape.length === 0 || (mean.shape.length === 1 && singleAxis(call, rank) === rank - 1);
  if (!isLast || variance.shape.join() !== mean.shape.join() || flagIn(call.config, 'invert', false)) return null;
  const deviation = addNode(call, 'Sqrt', [weightOf(call, 'variance')!]);
  const bounded = addNode(call, 'Max', [deviation, impliedFloat(call, 'epsilon', 1e-7)]);
  const centred = addNode(call, 'Sub', [plainOf(call, x), weightOf(call, 'mean')!]);
  return [plainValue(addNode(call, 'Div', [centred, bounded]), x.sizes)];
};

/** Its value is what it is given, once the model is trained. */
const same: LayerRule = ({ inputs: [x] }) => (x === undefined ? null : [x]);

const IDENTITIES = `
  Dropout SpatialDropout1D SpatialDropout2D SpatialDropout3D GaussianDropout GaussianNoise AlphaDropout
  ActivityRegularization RandomFlip RandomRotation RandomZoom RandomContrast RandomTranslation RandomBrightness
  RandomHeight RandomWidth`
  .trim()
  .split(/\s+/);

export const DENSE_LAYERS: Readonly<Record<string, LayerRule>> = {
  Dense: dense,
  Embedding: embedding,
  BatchNormalization: batchNormalization,
  BatchNormalizationV1: batchNormalization,
  BatchNormalizationV2: batchNormalization,
  SyncBatchNormalization: batchNormalization,
  LayerNormalization: layerNormalization,
  Normalization: normalization,
  ...Object.fromEntries(IDENTITIES.map((name) => [name, same])),
  // Positions that hold the mask's value alone become zeros: nothing to do where they are.
  Masking: (call) => ((numberIn(call.config, 'mask_value') ?? 0) === 0 ? same(call) : null),
};
