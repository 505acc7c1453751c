/**
 * How the layers of a network stand together for ONNX: what ONNX has in one node (a convolution with its bias, a
 * normalisation with scale and bias, quantised weights), and the shapes in which it has their constants.
 */
import type { Constant, Constants, Form } from './openvino-constants.js';
import type { Layer, Network, Source } from './openvino-ir.js';
import { askQuantised, merged, type Quantised, quantisedBy, type Ranges, rangedBy } from './openvino-quantised.js';
import { askRecurrent, isRecurrent } from './openvino-recurrent.js';
import { type Requests, requests, type Uses, usesIn } from './openvino-uses.js';

/** An operator with what is added or multiplied behind it; known by the last of these layers. */
export interface Fused {
  readonly first: Layer;
  /** Inputs of the layers behind. */
  readonly scale: { readonly layer: Layer; readonly input: number } | null;
  readonly bias: { readonly layer: Layer; readonly input: number } | null;
}

export interface Plan {
  readonly uses: Uses;
  readonly constants: Constants;
  readonly forms: ReadonlyMap<Layer, Form>;
  readonly fused: ReadonlyMap<Layer, Fused>;
  /** By the layer whose output the values are. */
  readonly quantised: ReadonlyMap<Layer, Quantised>;
  readonly ranges: ReadonlyMap<Layer, Ranges>;
  /** Convolutions in groups whose weight is parted for them: the value that holds all rows in one axis. */
  readonly rows: ReadonlyMap<Layer, Source>;
  /** Layers that another one speaks for. */
  readonly absorbed: ReadonlySet<Layer>;
}

const CONVOLUTIONS: ReadonlySet<string> = new Set([
  'Convolution',
  'GroupConvolution',
  'ConvolutionBackpropData',
  'GroupConvolutionBackpropData',
]);
export const isGrouped = ({ type }: Layer): boolean => type.startsWith('GroupConvolution');
const isTransposed = ({ type }: Layer): boolean => type.endsWith('BackpropData');

export function planOf(network: Network, constants: Constants): Plan {
  const uses = usesIn(network, constants);
  const asked = requests();
  const fused = new Map<Layer, Fused>();
  const quantised = new Map<Layer, Quantised>();
  const ranges = new Map<Layer, Ranges>();
  const rows = new Map<Layer, Source>();
  const between = new Set<Layer>();
  for (const layer of network.layers) {
    const codes = quantisedBy(layer, uses);
    const ranged = codes === null ? rangedBy(layer, uses) : null;
    if (codes !== null) quantised.set(layer, codes);
    else if (ranged !== null) ranges.set(layer, ranged);
    for (const one of codes?.between ?? ranged?.between ?? []) between.add(one);
  }
  for (const [layer, codes] of [...quantised]) {
    if (codes.axis !== 'groups') continue;
    quantised.delete(layer);
    // What else takes the codes takes them as they are stored.
    if (uses.ends(codes.codes) !== 1) continue;
    const end = laidOut(layer, codes.codes, uses);
    quantised.set(end, codes);
    if (end !== layer) between.add(layer);
  }
  for (const layer of network.layers) {
    if (isGrouped(layer) && layer.from.length > 1) {
      const behind = rowsBehind(layer, uses);
      if (behind === null) askMerged(layer, uses, quantised, ranges, asked);
      else {
        rows.set(layer, behind.rows);
        between.add(behind.reshape);
      }
    }
    const whole = fusedAt(layer, uses, asked);
    if (whole !== null) fused.set(whole.end, whole.fused);
    else if (layer.type === 'MatMul') askRowBias(layer, uses, quantised, asked);
    else if (layer.type === 'PReLU') askSlopes(layer, uses, asked);
    else if (isRecurrent(layer)) askRecurrent(layer, uses, asked);
  }
  for (const codes of quantised.values()) askQuantised(codes, asked);
  const forms = asked.granted(uses);
  const takes = (layer: Layer): boolean => quantised.has(layer) || ranges.has(layer) || rows.has(layer);
  const absorbed = new Set<Layer>();
  for (const layer of [...network.layers].reverse()) {
    if (between.has(layer) && uses.of(layer).every(({ layer: taker }) => absorbed.has(taker) || takes(taker)))
      absorbed.add(layer);
  }
  for (const [end, { first, scale, bias }] of fused) {
    const parameters = [scale, bias].flatMap((one) => (one === null ? [] : [uses.constant(one.layer, one.input)!]));
    // A constant that others take in its own shape is left to them, and the layers stand apart.
    if (parameters.some((one) => !forms.has(one.layer))) fused.delete(end);
    else for (const layer of [first, scale?.layer, bias?.layer]) if (layer && layer !== end) absorbed.add(layer);
  }
  return { uses, constants, forms, fused, quantised, ranges, rows, absorbed };
}

/** Codes in groups are laid out as their weight by the Reshape behind. */
function laidOut(multiply: Layer, { elements }: Constant, uses: Uses): Layer {
  const [use, ...others] = uses.of(multiply);
  if (others.length > 0 || use?.layer.type !== 'Reshape' || use.input !== 0) return multiply;
  const sizes = use.layer.outputs[0]?.shape;
  const product = sizes?.reduce<number>((all, size) => all * (size ?? Number.NaN), 1);
  return product === elements ? use.layer : multiply;
}

/** A Reshape that only parts the rows of a weight into groups. */
function rowsBehind(layer: Layer, uses: Uses): { readonly rows: Source; readonly reshape: Layer } | null {
  const reshape = layer.from[1]?.layer;
  if (reshape?.type !== 'Reshape' || uses.of(reshape).length !== 1) return null;
  const [groups, rows, ...rest] = reshape.outputs[0]?.shape ?? [];
  const before = reshape.inputs[0]?.shape;
  if (groups == null || rows == null || before?.join() !== [groups * rows, ...rest].join()) return null;
  return { rows: reshape.from[0]!, reshape };
}

/** Weights of groups, [groups, …]: ONNX has all rows in one axis. */
function askMerged(
  layer: Layer,
  uses: Uses,
  quantised: Map<Layer, Quantised>,
  ranges: ReadonlyMap<Layer, Ranges>,
  { ask }: Requests,
): void {
  const source = uses.behind(layer, 1)!.layer;
  const isOwn = uses.next(source)?.layer === layer;
  const codes = quantised.get(source);
  const ranged = ranges.get(source);
  const one = codes === undefined ? null : merged(codes);
  if (codes !== undefined && isOwn && one !== null) {
    quantised.set(source, one);
    askRows(codes.codes, ask);
  } else if (
    ranged !== undefined &&
    isOwn &&
    (ranged.axis === null || (ranged.axis === 0 && ranged.codes.shape[1] === 1))
  )
    askRows(ranged.codes, ask);
  const plain = uses.constant(layer, 1);
  if (plain !== null) askRows(plain, ask);
}

function askRows(constant: Constant, ask: Requests['ask']): void {
  const [groups, rows, ...rest] = constant.shape;
  if (groups !== undefined && rows !== undefined && rest.length > 1) ask(constant, { shape: [groups * rows, ...rest] });
}

/** Outputs of a convolution, by its weight. */
function channelsOf(layer: Layer): number | null {
  const sizes = layer.inputs[1]?.shape ?? [];
  const [groups, rest] = isGrouped(layer) ? [sizes[0], sizes.slice(1)] : [1, sizes];
  const rows = rest[isTransposed(layer) ? 1 : 0];
  return groups == null || rows == null ? null : groups * rows;
}

function fusedAt(layer: Layer, uses: Uses, asked: Requests): { readonly end: Layer; readonly fused: Fused } | null {
  if (CONVOLUTIONS.has(layer.type)) {
    const channels = channelsOf(layer);
    const bias = channels === null ? null : besideConstant(layer, 'Add', uses, 1, channels);
    if (bias === null || channels === null) return null;
    asked.ask(bias.constant, { shape: [channels] });
    return { end: bias.layer, fused: { first: layer, scale: null, bias } };
  }
  if (layer.type !== 'MVN') return null;
  for (const axis of normalisedAxes(layer)) {
    const channels = layer.outputs[0]?.shape?.[axis] ?? null;
    const scale = channels === null ? null : besideConstant(layer, 'Multiply', uses, axis, channels);
    if (channels === null || scale === null) continue;
    const bias = besideConstant(scale.layer, 'Add', uses, axis, channels);
    for (const one of [scale, bias]) if (one !== null) asked.ask(one.constant, { shape: [channels] });
    return { end: bias?.layer ?? scale.layer, fused: { first: layer, scale, bias } };
  }
  return null;
}

/**
 * Along which axis scale and bias may lie behind an MVN: the last, where it alone is normalised (a layer's), or the
 * channels, where all behind them are (an instance's). Which it is, the axes tell when the operator is translated.
 */
function normalisedAxes(layer: Layer): readonly number[] {
  const rank = layer.outputs[0]?.shape?.length ?? 0;
  const count = layer.inputs[1]?.shape?.[0];
  return [...(count === 1 ? [rank - 1] : []), ...(rank > 2 && count === rank - 2 ? [1] : [])];
}

interface Beside {
  readonly layer: Layer;
  readonly input: number;
  readonly constant: Constant;
}

/** The only layer behind, where it takes a constant with one number per position of an axis. */
function besideConstant(layer: Layer, type: string, uses: Uses, axis: number, size: number): Beside | null {
  const [use, ...others] = uses.of(layer);
  if (use === undefined || others.length > 0 || use.layer.type !== type || use.layer.from.length !== 2) return null;
  const input = 1 - use.input;
  const constant = uses.constant(use.layer, input);
  const rank = layer.outputs[0]?.shape?.length ?? 0;
  if (constant === null || !liesAlong(constant, axis, size, rank)) return null;
  return { layer: use.layer, input, constant };
}

/** One number per position of this axis, counted from the last as broadcasting does. */
function liesAlong({ shape, elements, dtype }: Constant, axis: number, size: number, rank: number): boolean {
  const at = axis - rank + shape.length;
  return elements === size && shape.length <= rank && shape[at] === size && /^B?F(16|32|64)$/.test(dtype);
}

/** A bias behind a product of rows is a list in ONNX. */
function askRowBias(layer: Layer, uses: Uses, quantised: ReadonlyMap<Layer, Quantised>, { ask }: Requests): void {
  const [use, ...others] = uses.of(layer);
  const width = layer.outputs[0]?.shape?.at(-1);
  const hasWeight = [0, 1].some((input) => {
    const source = uses.behind(layer, input)?.layer;
    return uses.constant(layer, input) !== null || (source !== undefined && quantised.has(source));
  });
  if (!hasWeight || use?.layer.type !== 'Add' || others.length > 0 || width == null) return;
  const bias = uses.constant(use.layer, 1 - use.input);
  if (bias !== null && liesAlong(bias, bias.shape.length - 1, width, bias.shape.length)) ask(bias, { shape: [width] });
}

/** One slope per channel, which ONNX broadcasts from the last axis. */
function askSlopes(layer: Layer, uses: Uses, { ask }: Requests): void {
  const rank = layer.inputs[0]?.shape?.length ?? 0;
  const slopes = uses.constant(layer, 1);
  if (slopes === null || slopes.shape.length !== 1 || slopes.elements === 1 || rank < 3) return;
  ask(slopes, { shape: [slopes.elements, ...new Array<number>(rank - 2).fill(1)] });
}
