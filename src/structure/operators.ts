/** One rule per ONNX operator: which axes of inputs, weights and outputs carry the same units. No rule, no claim. */
import type { GraphNode } from '../formats/index.js';
import { type Axis, axisSize, freshAxis, limitScaling, pin, type Scaling, sliceAxis, unify } from './labels.js';
import { attributeOf, bare, nothing, pinValue, sizeOf, type Value } from './values.js';

export type Rule = (node: GraphNode, inputs: readonly (Value | undefined)[]) => readonly Value[] | null;
type Axes = readonly (Axis | null)[];

const { number, numbers, text } = attributeOf;
const limit = (axes: Axes, scaling: Scaling) => {
  for (const axis of axes) if (axis !== null) limitScaling(axis, scaling);
};
const join = (a: Axis | null | undefined, b: Axis | null | undefined): void => {
  if (a && b) unify(a, b);
  else if (a) pin(a, 'meets an axis of unknown size');
  else if (b) pin(b, 'meets an axis of unknown size');
};
const pinAxis = (axis: Axis | null | undefined, reason: string) => {
  if (axis) pin(axis, reason);
};
const from = (axis: number, rank: number) => (axis < 0 ? axis + rank : axis);

/** Numpy broadcasting: axes aligned from the last; size 1 stretches. */
function broadcast(values: readonly (Value | undefined)[], scaling: 'together' | 'product' | 'none'): Axes | null {
  const given = values.filter((value) => value !== undefined);
  if (given.some((value) => value.axes === null)) {
    for (const value of given) pinValue(value, 'meets a value of unknown rank');
    return null;
  }
  const rank = Math.max(...given.map((value) => value.axes!.length));
  return Array.from({ length: rank }, (_, at) => {
    const all = given.map((value) => value.axes![at - rank + value.axes!.length]);
    const wide = all.filter((axis): axis is Axis | null => axis !== undefined && sizeOf(axis) !== 1);
    const first = wide.find((axis) => axis !== null) ?? wide[0];
    if (first === undefined) return all.find((axis) => axis) ?? null;
    for (const axis of wide) if (axis !== first) join(first, axis);
    if (first !== null) {
      const shared = wide.length === given.length;
      if (scaling === 'none' || (scaling === 'together' ? !shared : shared)) limitScaling(first, 'none');
    }
    return first;
  });
}

const elementwise =
  (scaling: 'together' | 'product' | 'none'): Rule =>
  (_node, inputs) => [{ axes: broadcast(inputs, scaling) }];

const unary =
  (scaling: Scaling): Rule =>
  (_node, [x]) => {
    if (x?.axes) limit(x.axes, scaling);
    return [{ axes: x?.axes ?? null }];
  };

/** Same layout, same values: Identity, dropout at inference. */
const same: Rule = (_node, [x]) => [x ?? nothing];

/** ONNX TensorProto.DataType of the floating types; any other target rounds. */
const FLOATING = new Set([1, 10, 11, 16]);
const cast: Rule = (node, [x]) => {
  if (x?.axes && !FLOATING.has(number(node, 'to', 0))) limit(x.axes, 'none');
  return [x ?? nothing];
};

/** x[…, K] · w[…, K, N]. */
const matmul: Rule = (_node, [a, b]) => {
  if (!a?.axes || !b?.axes || a.axes.length < 2 || b.axes.length < 2) return null;
  const [x, w] = [a.axes, b.axes];
  join(x.at(-1), w.at(-2));
  // A product of two activations scales by the product of their scales.
  if (!a.stored && !b.stored) limit([...x, ...w], 'none');
  const batch = broadcast([{ axes: x.slice(0, -2) }, { axes: w.slice(0, -2) }], 'none');
  return [{ axes: [...(batch ?? []), x.at(-2) ?? null, w.at(-1) ?? null] }];
};

const gemm: Rule = (node, [a, b, c]) => {
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

/** A value of unknown rank carries no units (it was pinned where the rank was lost): only its rank is missing. */
const ofRank = (value: Value | undefined, rank: number): { readonly axes: Axes } => ({
  axes: value?.axes ?? Array<null>(rank).fill(null),
});

const conv: Rule = (node, [given, w, b]) => {
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

const convTranspose: Rule = (node, [x, w, b]) => {
  if (!x?.axes || !w?.axes || number(node, 'group', 1) !== 1) return null;
  for (const axis of [...x.axes.slice(2), ...w.axes.slice(2)]) pinAxis(axis, 'a spatial axis');
  join(x.axes[1], w.axes[0]);
  if (b) join(w.axes[1], b.axes?.[0]);
  return [{ axes: [x.axes[0] ?? null, w.axes[1] ?? null, ...x.axes.slice(2).map(() => null)] }];
};

const batchNorm: Rule = (_node, [x, ...parameters]) => {
  if (!x?.axes || x.axes.length < 2) return null;
  for (const parameter of parameters) join(x.axes[1], parameter?.axes?.[0]);
  return [{ axes: x.axes }];
};

const layerNorm: Rule = (node, [x, scale, bias]) => {
  if (!x?.axes || from(number(node, 'axis', -1), x.axes.length) !== x.axes.length - 1) return null;
  for (const parameter of [scale, bias]) if (parameter) join(x.axes.at(-1), parameter.axes?.at(-1));
  limit(x.axes, 'none');
  return [{ axes: x.axes }];
};

const instanceNorm: Rule = (_node, [x, scale, bias]) => {
  if (!x?.axes) return null;
  for (const parameter of [scale, bias]) join(x.axes[1], parameter?.axes?.[0]);
  for (const axis of x.axes.slice(2)) pinAxis(axis, 'a spatial axis');
  limit(x.axes, 'none');
  return [{ axes: x.axes }];
};

const pool: Rule = (node, [x]) => {
  if (!x?.axes) return null;
  for (const axis of x.axes.slice(2)) pinAxis(axis, 'a spatial axis');
  const whole = node.op.startsWith('Global');
  const window = whole ? x.axes.slice(2).map(() => bare(1)) : windowed(node, x.axes, numbers(node, 'kernel_shape'));
  // A mean keeps sign and scale, a maximum only positive scales; a norm takes the sign away.
  if (!node.op.endsWith('AveragePool')) limit(x.axes.slice(0, 2), 'positive');
  return [{ axes: [...x.axes.slice(0, 2), ...window] }];
};

const transpose: Rule = (node, [x]) => {
  if (!x?.axes) return null;
  const perm = numbers(node, 'perm') ?? x.axes.map((_, at) => x.axes!.length - 1 - at);
  if (perm.length !== x.axes.length) return null;
  const { stored } = x;
  return [
    {
      axes: perm.map((at) => x.axes![at] ?? null),
      stored: stored && { tensor: stored.tensor, perm: perm.map((at) => stored.perm[at]!) },
    },
  ];
};

const flatten: Rule = (node, [x]) => {
  if (!x?.axes) return null;
  const at = from(number(node, 'axis', 1), x.axes.length);
  return [{ axes: [mergeAxes(x.axes.slice(0, at)), mergeAxes(x.axes.slice(at))] }];
};

/** One axis out of several, row-major: the first that carries units keeps them, with the rest as repeats. */
function mergeAxes(axes: Axes): Axis | null {
  const real = axes.filter((axis) => sizeOf(axis) !== 1);
  if (real.length === 0) return bare(1);
  if (real.length === 1) return real[0]!;
  const [first, ...rest] = real;
  const inner = rest.reduce<number | null>((all, axis) => {
    const size = sizeOf(axis);
    return all === null || size === null ? null : all * size;
  }, 1);
  for (const axis of rest) pinAxis(axis, 'flattened behind another axis');
  if (!first || inner === null) {
    pinAxis(first, 'flattened with an axis of unknown size');
    return null;
  }
  return first.map((part) => ({ units: part.units, inner: part.inner * inner }));
}

const reshape: Rule = (_node, [x, shape]) => {
  const want = shape?.ints;
  if (!x?.axes || !want || want.some((size) => size === null)) return null;
  const target = want.map((size, at) => (size === 0 ? sizeOf(x.axes![at] ?? null) : size));
  const out: (Axis | null)[] = [];
  let used = 0;
  for (let at = 0; at < target.length; at++) {
    const rest = target.slice(at + 1);
    const axis = x.axes[used];
    const size = sizeOf(axis ?? null);
    const wanted = target[at]!;
    if (want[at] === 0 && used === at) out.push(x.axes[used++] ?? null);
    else if (wanted !== null && wanted !== -1 && axis && size === wanted) {
      out.push(axis);
      used++;
    } else if (wanted === 1) out.push(bare(1));
    else if (wanted === -1 && rest.length === 0) {
      out.push(mergeAxes(x.axes.slice(used)));
      used = x.axes.length;
    } else if (
      wanted === -1 &&
      rest.length === x.axes.length - used - 1 &&
      rest.every((size, k) => size === sizeOf(x.axes![used + 1 + k] ?? null))
    ) {
      out.push(axis ?? null);
      used++;
    } else if (rest.length === 0 && wanted !== null) {
      const left = x.axes.slice(used);
      if (left.some((axis) => axis === null)) return null;
      const merged = mergeAxes(left);
      if (sizeOf(merged) !== wanted) return null;
      out.push(merged);
      used = x.axes.length;
    } else return null;
  }
  if (x.axes.slice(used).some((axis) => sizeOf(axis) !== 1)) return null;
  return [{ axes: out }];
};

const axesArgument = (node: GraphNode, argument: Value | undefined): readonly number[] | null => {
  const given = numbers(node, 'axes') ?? argument?.ints ?? null;
  return given?.every((axis) => axis !== null) ? (given as readonly number[]) : null;
};

const squeeze: Rule = (node, [x, argument]) => {
  if (!x?.axes) return null;
  const drop = axesArgument(node, argument);
  if (drop === null) return null;
  const at = new Set(drop.map((axis) => from(axis, x.axes!.length)));
  return [{ axes: x.axes.filter((_, axis) => !at.has(axis)), ints: x.ints }];
};

const unsqueeze: Rule = (node, [x, argument]) => {
  const add = axesArgument(node, argument);
  if (!x?.axes || add === null) return null;
  const rank = x.axes.length + add.length;
  const at = new Set(add.map((axis) => from(axis, rank)));
  const rest = [...x.axes];
  return [
    {
      axes: Array.from({ length: rank }, (_, axis) => (at.has(axis) ? bare(1) : (rest.shift() ?? null))),
      ints: x.ints,
    },
  ];
};

const concat: Rule = (node, inputs) => {
  if (inputs.some((value) => !value?.axes)) return null;
  const all = inputs.map((value) => value!.axes!);
  const axis = from(number(node, 'axis', 0), all[0]!.length);
  const ints = inputs.every((value) => value!.ints) ? inputs.flatMap((value) => [...value!.ints!]) : undefined;
  const axes = all[0]!.map((first, at) => {
    if (at === axis) {
      if (all.every((other) => other[at])) return all.flatMap((other) => [...other[at]!]);
      for (const other of all) pinAxis(other[at], 'concatenated with an axis of unknown size');
      return null;
    }
    for (const other of all.slice(1)) join(first, other[at]);
    return first;
  });
  return [{ axes, ints }];
};

const split: Rule = (node, [x, sizes]) => {
  if (!x?.axes) return null;
  const axis = from(number(node, 'axis', 0), x.axes.length);
  const whole = x.axes[axis];
  const count = node.outputs.length;
  const given =
    numbers(node, 'split') ??
    sizes?.ints ??
    (whole && axisSize(whole) % count === 0 ? Array<number>(count).fill(axisSize(whole) / count) : null);
  if (!given || given.some((size) => size === null)) return null;
  let at = 0;
  return (given as number[]).map((size) => {
    const part = whole ? sliceAxis(whole, at, at + size) : null;
    at += size;
    return { axes: x.axes!.map((other, k) => (k === axis ? (part ?? bare(size)) : other)) };
  });
};

const slice: Rule = (node, [x, starts, ends, axes, steps]) => {
  const s = numbers(node, 'starts') ?? starts?.ints;
  const e = numbers(node, 'ends') ?? ends?.ints;
  if (!x?.axes || !s || !e) return null;
  const at = numbers(node, 'axes') ?? axes?.ints ?? s.map((_, k) => k);
  const by = steps?.ints ?? s.map(() => 1);
  const out = [...x.axes];
  for (const [k, axis] of at.entries()) {
    if (axis === null) return null;
    const where = from(axis, out.length);
    const size = sizeOf(out[where] ?? null);
    const [begin, end] = [s[k], e[k]];
    if (size === null || by[k] !== 1 || begin == null || end == null) {
      pinAxis(out[where], 'sliced');
      out[where] = null;
      continue;
    }
    const clamp = (v: number) => Math.min(size, Math.max(0, v < 0 ? v + size : v));
    if (clamp(begin) === 0 && clamp(end) === size) continue;
    out[where] = sliceAxis(out[where]!, clamp(begin), clamp(end)) ?? bare(Math.max(0, clamp(end) - clamp(begin)));
  }
  const ints =
    x.ints && at.length === 1 && by[0] === 1 && s[0] != null && e[0] != null ? x.ints.slice(s[0], e[0]) : undefined;
  return [{ axes: out, ints }];
};

const gather: Rule = (node, [x, index]) => {
  if (!x?.axes || !index?.axes) return null;
  const axis = from(number(node, 'axis', 0), x.axes.length);
  pinAxis(x.axes[axis], 'picked by index');
  pinValue(index, 'an index');
  const ints =
    x.ints && index.ints ? index.ints.map((at) => (at === null ? null : (x.ints!.at(at) ?? null))) : undefined;
  return [{ axes: [...x.axes.slice(0, axis), ...index.axes, ...x.axes.slice(axis + 1)], ints }];
};

const reduce: Rule = (node, [x, argument]) => {
  if (!x?.axes) return null;
  const given = axesArgument(node, argument) ?? (argument === undefined ? x.axes.map((_, at) => at) : null);
  // An empty list means all axes, or (noop_with_empty_axes) none.
  if (given === null || given.length === 0 || number(node, 'noop_with_empty_axes', 0) !== 0) return null;
  const at = new Set(given.map((axis) => from(axis, x.axes!.length)));
  // Sums and extremes over units do not depend on their order, but on their scales.
  limit(x.axes, 'none');
  const keep = number(node, 'keepdims', 1) === 1;
  return [{ axes: x.axes.flatMap((axis, k) => (at.has(k) ? (keep ? [bare(1)] : []) : [axis])) }];
};

const softmax: Rule = (_node, [x]) => {
  if (!x?.axes) return null;
  limit(x.axes, 'none');
  return [{ axes: x.axes }];
};

const pad: Rule = (node, [x, pads, , axes]) => {
  const given = numbers(node, 'pads') ?? pads?.ints;
  if (!x?.axes || axes !== undefined || !given || given.length !== 2 * x.axes.length) return null;
  const rank = x.axes.length;
  return [
    {
      axes: x.axes.map((axis, at) => {
        if (given[at] === 0 && given[at + rank] === 0) return axis;
        pinAxis(axis, 'padded');
        return null;
      }),
    },
  ];
};

const resize: Rule = (_node, [x]) => {
  if (!x?.axes || x.axes.length < 3) return null;
  for (const axis of x.axes.slice(2)) pinAxis(axis, 'a spatial axis');
  return [{ axes: [x.axes[0]!, x.axes[1]!, ...x.axes.slice(2).map(() => null)] }];
};

/** LSTM, GRU, RNN of one direction: every gate's rows, the recurrence's columns and the outputs are the hidden units. */
const recurrent =
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

const shapeOf: Rule = (_node, [x]) => [{ axes: [bare(x?.axes?.length ?? null)], ints: x?.axes?.map(sizeOf) }];

const isSingle = (value: Value | undefined): boolean =>
  value === undefined || (value.axes?.every((axis) => sizeOf(axis) === 1) ?? false);

/** Scales and zero points are single, or one per position of an axis; blocks (ONNX 21) are not proven: false. */
function alongAxis(axis: Axis | null | undefined, parameters: readonly (Value | undefined)[]): boolean {
  const many = parameters.filter((parameter) => !isSingle(parameter));
  if (many.some((parameter) => parameter!.axes?.length !== 1)) return false;
  for (const parameter of many) join(axis, parameter!.axes![0]);
  return true;
}

const dequantize: Rule = (node, [x, scale, zero]) => {
  if (!x?.axes) return null;
  const axis = from(number(node, 'axis', 1), x.axes.length);
  if (!alongAxis(x.axes[axis], [scale, zero])) return null;
  if (node.op === 'QuantizeLinear') limit(x.axes, 'none');
  return [{ axes: x.axes, stored: x.stored }];
};

const dynamicQuantize: Rule = (_node, [x]) => {
  if (x?.axes) limit(x.axes, 'none');
  return [{ axes: x?.axes ?? null }, { axes: [] }, { axes: [] }];
};

/** MatMulInteger and ConvInteger: zero points per output channel move with them. */
const integer =
  (rule: Rule): Rule =>
  (node, [a, b, zeroA, zeroB]) => {
    if (!isSingle(zeroA)) return null;
    const out = rule(node, [a, b]);
    const axes = out?.[0]?.axes;
    if (!axes) return null;
    limit(axes, 'none');
    return alongAxis(node.op === 'ConvInteger' ? axes[1] : axes.at(-1), [zeroB]) ? out : null;
  };

const qlinear =
  (rule: Rule): Rule =>
  (node, [a, scaleA, zeroA, b, scaleB, zeroB, scaleY, zeroY, bias]) => {
    if (![scaleA, zeroA, scaleY, zeroY].every(isSingle)) return null;
    const out = rule(node, bias === undefined ? [a, b] : [a, b, bias]);
    const axes = out?.[0]?.axes;
    if (!axes) return null;
    limit(axes, 'none');
    return alongAxis(node.op === 'QLinearConv' ? axes[1] : axes.at(-1), [scaleB, zeroB]) ? out : null;
  };

const prelu: Rule = (_node, inputs) => [{ axes: broadcast(inputs, 'none') }];

const list = (names: string, rule: Rule): [string, Rule][] => names.split(' ').map((name) => [name, rule]);

export const RULES: ReadonlyMap<string, Rule> = new Map([
  ...list('Relu LeakyRelu', unary('positive')),
  ...list('Neg', unary('any')),
  ...list(
    'Sigmoid Tanh Elu Selu Celu Gelu Softplus Softsign HardSigmoid HardSwish Mish Exp Log Sqrt Reciprocal Abs Erf Floor Ceil Round Sin Cos ThresholdedRelu Not Sign IsNaN',
    unary('none'),
  ),
  ...list('Clip', unary('none')),
  ...list('Identity', same),
  ...list('Cast', cast),
  ...list('Dropout', (node, inputs) => [...(same(node, inputs) ?? []), nothing]),
  ...list('Add Sub Sum', elementwise('together')),
  ...list('Mul Div', elementwise('product')),
  ...list('Pow Max Min Mean Equal Less Greater LessOrEqual GreaterOrEqual And Or Xor Where', elementwise('none')),
  ...list('PRelu', prelu),
  ...list('MatMul', matmul),
  ...list('MatMulInteger', integer(matmul)),
  ...list('ConvInteger', integer(conv)),
  ...list('QLinearConv', qlinear(conv)),
  ...list('QLinearMatMul', qlinear(matmul)),
  ...list('Gemm', gemm),
  ...list('Conv', conv),
  ...list('ConvTranspose', convTranspose),
  ...list('BatchNormalization', batchNorm),
  ...list('LayerNormalization', layerNorm),
  ...list('InstanceNormalization', instanceNorm),
  ...list('MaxPool AveragePool GlobalAveragePool GlobalMaxPool LpPool', pool),
  ...list('Transpose', transpose),
  ...list('Flatten', flatten),
  ...list('Reshape', reshape),
  ...list('Squeeze', squeeze),
  ...list('Unsqueeze', unsqueeze),
  ...list('Concat', concat),
  ...list('Split', split),
  ...list('Slice', slice),
  ...list('Gather', gather),
  ...list('ReduceMean ReduceSum ReduceMax ReduceMin ReduceL2 ReduceL1 ReduceSumSquare', reduce),
  ...list('Softmax LogSoftmax', softmax),
  ...list('Pad', pad),
  ...list('Resize Upsample', resize),
  ...list('LSTM', recurrent(4)),
  ...list('GRU', recurrent(3)),
  ...list('RNN', recurrent(1)),
  ...list('Shape', shapeOf),
  ...list('DequantizeLinear QuantizeLinear', dequantize),
  ...list('DynamicQuantizeLinear', dynamicQuantize),
]);
