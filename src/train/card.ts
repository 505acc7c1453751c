/** What a model trained here says about itself: written into the ONNX metadata, read back by `predict` and `fineTune`. */
import { inputError, type Json, parseStrictJson } from '../base/index.js';
import type { NetSpec } from '../compute/index.js';

/** A raw input column. Categories enter the graph as their index in the list; anything else is no category at all. */
export type Column =
  | { readonly name: string; readonly kind: 'number'; readonly mean: number; readonly scale: number }
  | { readonly name: string; readonly kind: 'category'; readonly categories: readonly string[] };

/** Features added to the standardised numeric columns. Indices count the numeric columns, then the logarithms. */
export interface Derived {
  /** (log(max(x, 0) + shift) − mean) / scale of the raw column. */
  readonly logs: readonly {
    readonly column: number;
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

function isCard(value: unknown): value is ModelCard {
  if (typeof value !== 'object' || value === null) return false;
  const card = value as Partial<ModelCard>;
  return (
    card.version === 1 &&
    (card.task === 'classify' || card.task === 'forecast') &&
    typeof card.target === 'string' &&
    Array.isArray(card.columns) &&
    Array.isArray(card.classes) &&
    Array.isArray(card.net?.input) &&
    Array.isArray(card.net?.layers)
  );
}
