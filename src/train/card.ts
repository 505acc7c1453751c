/** What a model trained here says about itself: written into the ONNX metadata, read back by `predict` and `fineTune`. */
import { inputError, type Json, parseStrictJson } from '../base/index.js';
import type { NetSpec } from '../compute/index.js';

/** A raw input column. Categories enter the graph as their index in the list; anything else is no category at all. */
export type Column =
  | { readonly name: string; readonly kind: 'number'; readonly mean: number; readonly scale: number }
  | { readonly name: string; readonly kind: 'category'; readonly categories: readonly string[] };

/** Features added to the standardised numeric columns. Indices count the numeric columns, then the logarithms. */
export interface Derived {
  /** (log(max(x, least) + shift) − mean) / scale of the raw column; `least` as seen in training, so that 0 has a logarithm too. */
  readonly logs: readonly {
    readonly column: number;
    readonly least: number;
    readonly shift: number;
    readonly mean: number;
    readonly scale: number;
  }[];
  /** (a + sign·b)·scale of two standardised features. */
  readonly pairs: readonly { readonly a: number; readonly b: number; readonly sign: number; readonly scale: number }[];
}

export interface ModelCard {
  readonly version: 1;
  readonly task: 'classify' | 'forecast';
  readonly target: string;
  readonly net: NetSpec;
  /** Inputs in the order of the graph's axis 1: table columns, or the sensors of a window. */
  readonly columns: readonly Column[];
  readonly derived: Derived;
  /** Missing numbers are replaced by the column's mean in the graph. False: the training data had none. */
  readonly missing: boolean;
  /** Class labels in the order of the outputs; empty for a forecast. */
  readonly classes: readonly string[];
  /** Two classes: the probability of the second from which on it is the answer. */
  readonly threshold: number | null;
  /** Forecast: value = output·scale + mean. */
  readonly output: { readonly mean: number; readonly scale: number } | null;
  /** Forecast by windows: columns that name unit and time, readings per window. */
  readonly window: { readonly unit: string; readonly time: string; readonly length: number } | null;
}

const KEY = 'muniment.model';

/** @returns metadata entries of the ONNX file */
export const cardMetadata = (card: ModelCard): Readonly<Record<string, string>> => ({ [KEY]: JSON.stringify(card) });

/**
 * @returns null when the model was not trained by Muniment
 * @throws `TRAIN_CARD_INVALID` when the entry is there and not readable
 */
export function readCard(metadata: ReadonlyMap<string, string>, where: string): ModelCard | null {
  const text = metadata.get(KEY);
  if (text === undefined) return null;
  const value: Json = parseStrictJson(text, where);
  if (!isCard(value)) {
    throw inputError('TRAIN_CARD_INVALID', 'the description of this model inside its metadata is not valid', {
      where,
      expected: 'version 1 with task, net, columns and classes',
      got: text.slice(0, 80),
    });
  }
  return value;
}

const isText = (value: unknown): value is string => typeof value === 'string';
const isNumber = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value);
const listOf = (value: unknown, test: (item: never) => boolean): boolean =>
  Array.isArray(value) && value.every((item) => typeof item === 'object' && item !== null && test(item as never));
const nullOr = (value: unknown, test: (item: never) => boolean): boolean => value === null || listOf([value], test);

const isColumn = (column: Partial<Record<string, unknown>>): boolean =>
  isText(column.name) &&
  (column.kind === 'number'
    ? isNumber(column.mean) && isNumber(column.scale)
    : column.kind === 'category' && Array.isArray(column.categories) && column.categories.every(isText));

const isLayer = (layer: Partial<Record<string, unknown>>): boolean =>
  layer.kind === 'dense'
    ? isNumber(layer.units)
    : layer.kind === 'conv'
      ? [layer.channels, layer.kernel, layer.stride, layer.padding].every(isNumber)
      : layer.kind === 'relu' || layer.kind === 'flatten' || layer.kind === 'mean';

/** The metadata of a model comes from anyone: every field that is used is looked at. */
function isCard(value: unknown): value is ModelCard {
  if (typeof value !== 'object' || value === null) return false;
  const card = value as Partial<ModelCard>;
  const all = (item: Record<string, unknown>, names: readonly string[]): boolean =>
    names.every((name) => isNumber(item[name]));
  return (
    card.version === 1 &&
    (card.task === 'classify' || card.task === 'forecast') &&
    isText(card.target) &&
    listOf(card.columns, isColumn) &&
    Array.isArray(card.classes) &&
    card.classes.every(isText) &&
    (card.threshold === null || isNumber(card.threshold)) &&
    Array.isArray(card.net?.input) &&
    card.net.input.every(isNumber) &&
    listOf(card.net.layers, isLayer) &&
    listOf(card.derived?.logs, (one) => all(one, ['column', 'least', 'shift', 'mean', 'scale'])) &&
    listOf(card.derived?.pairs, (one) => all(one, ['a', 'b', 'sign', 'scale'])) &&
    nullOr(card.output, (one) => all(one, ['mean', 'scale'])) &&
    nullOr(card.window, (one: Record<string, unknown>) => isText(one.unit) && isText(one.time) && isNumber(one.length))
  );
}
