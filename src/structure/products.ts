/** Rules of operators that multiply by a weight: its rows make units, its columns take them in. */
import type { GraphNode } from '../formats/index.js';
import { freshAxis, pin } from './labels.js';
import { type Axes, broadcast, join, limit, ofRank, pinAxis, type Rule } from './rule.js';
import { attributeOf, bare, pinValue, sizeOf, type Value } from './values.js';

const { number, numbers, text } = attributeOf;

/** x[…, K] · w[…, K, N]. */
export const matmul: Rule = (_node, [a, b]) => {
  if (!a?.axes || !b?.axes || a.axes.length < 2 || b.axes.length < 2) return null;
  const [x, w] = [a.axes, b.axes];
  join(x.at(-1), w.at(-2));
  // A product of two activations scales by the product of their scales.
  if (!a.stored && !b.stored) limit([...x, ...w], 'none');
  const batch = broadcast([{ axes: x.slice(0, -2) }, { axes: w.slice(0, -2) }], 'none');
  return [{ axes: [...(batch ?? []), x.at(-2) ?? null, w.at(-1) ?? null] }];
};

export const gemm: Rule = (node, [a, b, c]) => {
  if (a?.axes?.length !== 2 || b?.axes?.length !== 2) return null;
  const x = number(node, 'transA', 0) ? [a.axes[1]!, a.axes[0]!] : a.axes;
  const w = number(node, 'transB', 0) ? [b.axes[1]!, b.axes[0]!] : b.axes;
  join(x[1], w[0]);
  const product: Value = { axes: [x[0] ?? null, w[1] ?? null] };
  return [{ axes: c === undefined ? product.axes : broadcast([product, c], 'together') }];
};

/**
 * Sizes behind a convolution or pooling window (ONNX Conv, MaxPool: output shape), null where the input's is unknown.
 * @param kernel sizes of the window, one per spatial axis
 */
function windowed(node: GraphNode, axes: Axes, kernel: readonly (number | null)[] | null): Axes {
  const [strides, dilations, pads] = [numbers(node, 'strides'), numbers(node, 'dilations'), numbers(node, 'pads')];
  const auto = text(node, 'auto_pad', 'NOTSET');
  const rank = axes.length - 2;
  return axes.slice(2).map((axis, at) => {
    const size = sizeOf(axis);
    const width = kernel?.[at] ?? null;
    if (size === null || width === null || kernel!.length !== rank) return null;
    const stride = strides?.[at] ?? 1;
    if (auto === 'SAME_UPPER' || auto === 'SAME_LOWER') return bare(Math.ceil(size / stride));
    const padded = auto === 'VALID' ? 0 : (pads?.[at] ?? 0) + (pads?.[at + rank] ?? 0);
    const steps = (size + padded - (dilations?.[at] ?? 1) * (width - 1) - 1) / stride;
    // With ceil_mode the last window may start in the padding: runtimes differ there, so only exact divisions are known.
    if (number(node, 'ceil_mode', 0) === 1 && !Number.isInteger(steps)) return null;
    return steps < 0 ? null : bare(Math.floor(steps) + 1);
  });
}

export const conv: Rule = (node, [given, w, b]) => {
  if (!given || !w?.axes || w.axes.length < 3) return null;
  const x = ofRank(given, w.axes.length);
  const groups = number(node, 'group', 1);
  const [channels, out, into] = [x.axes[1], w.axes[0], w.axes[1]];
  for (const axis of [...x.axes.slice(2), ...w.axes.slice(2)]) pinAxis(axis, 'a spatial axis');
  if (groups === 1) join(channels, into);
  else if (groups === sizeOf(channels ?? null) && groups === sizeOf(out ?? null)) {
    join(channels, out);
    limit([out ?? null], 'none');
  } else {
    pinAxis(channels, 'grouped convolution');
    pinAxis(out, 'grouped convolution');
    pinAxis(into, 'grouped convolution');
  }
  if (b) join(out, b.axes?.[0]);
  const kernel = w.axes.slice(2).map(sizeOf);
  return [{ axes: [x.axes[0] ?? null, out ?? null, ...windowed(node, x.axes, kernel)] }];
};

export const convTranspose: Rule = (node, [x, w, b]) => {
  if (!x?.axes || !w?.axes || number(node, 'group', 1) !== 1) return null;
  for (const axis of [...x.axes.slice(2), ...w.axes.slice(2)]) pinAxis(axis, 'a spatial axis');
  join(x.axes[1], w.axes[0]);
  if (b) join(w.axes[1], b.axes?.[0]);
  return [{ axes: [x.axes[0] ?? null, w.axes[1] ?? null, ...x.axes.slice(2).map(() => null)] }];
};

export const pool: Rule = (node, [x]) => {
  if (!x?.axes) return null;
  for (const axis of x.axes.slice(2)) pinAxis(axis, 'a spatial axis');
  const whole = node.op.startsWith('Global');
  const window = whole ? x.axes.slice(2).map(() => bare(1)) : windowed(node, x.axes, numbers(node, 'kernel_shape'));
  // A mean keeps sign and scale, a maximum only positive scales; a norm takes the sign away.
  if (!node.op.endsWith('AveragePool')) limit(x.axes.slice(0, 2), 'positive');
  return [{ axes: [...x.axes.slice(0, 2), ...window] }];
};

/** LSTM, GRU, RNN of one direction: every gate's rows, the recurrence's columns and the outputs are the hidden units. */
export const recurrent =
  (gates: number): Rule =>
  (node, [given, w, r, b, lengths, h0, c0, peephole]) => {
    const x = ofRank(given, 3);
    const hidden = number(node, 'hidden_size', 0);
    if (
      !given ||
      !w?.axes ||
      !r?.axes ||
      hidden < 1 ||
      peephole !== undefined ||
      sizeOf(w.axes[0] ?? null) !== 1 ||
      number(node, 'layout', 0) !== 0
    )
      return null;
    const unit = freshAxis(hidden);
    limit([unit], 'none');
    const repeated = (times: number) => Array.from({ length: times }, () => unit).flat();
    join(x.axes[2], w.axes[2]);
    limit([x.axes[2] ?? null], 'any');
    join(w.axes[1], repeated(gates));
    join(r.axes[1], repeated(gates));
    join(r.axes[2], unit);
    if (b) join(b.axes?.[1], repeated(2 * gates));
    for (const state of [h0, c0])
      if (state) {
        if (state.axes) join(state.axes[2], unit);
        else pin(unit, 'a state of unknown rank');
      }
    pinValue(lengths, 'lengths');
    const [time, batch] = [x.axes[0] ?? null, x.axes[1] ?? null];
    return [{ axes: [time, bare(1), batch, unit] }, { axes: [bare(1), batch, unit] }, { axes: [bare(1), batch, unit] }];
  };
