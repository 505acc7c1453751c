/** Rules of operators that move numbers without changing them. */
import { type Axis, axisSize, freshAxis, limitScaling, MAX_PARTS, partsOf, sliceAxis } from './labels.js';
import { type Axes, axesArgument, from, join, pinAxis, type Rule } from './rule.js';
import { attributeOf, bare, pinValue, sizeOf } from './values.js';

const { number, numbers, text } = attributeOf;

export const transpose: Rule = (node, [x]) => {
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

export const flatten: Rule = (node, [x]) => {
  if (!x?.axes) return null;
  const at = from(number(node, 'axis', 1), x.axes.length);
  return [{ axes: [mergeAxes(x.axes.slice(0, at)), mergeAxes(x.axes.slice(at))] }];
};

/** Every unit of it stays where it is. */
const isPinned = (axis: Axis): boolean => partsOf(axis).every(({ units }) => units.pinned !== null);

/**
 * One axis out of several, row-major: the first that carries units keeps them, with the rest as repeats. Positions that
 * stay where they are (channels last) repeat all that lies behind them.
 */
function mergeAxes(axes: Axes): Axis | null {
  const real = axes.filter((axis) => sizeOf(axis) !== 1);
  if (real.length === 0) return bare(1);
  if (real.length === 1) return real[0]!;
  const begin = real.findIndex((axis) => axis === null || !isPinned(axis));
  if (begin > 0) {
    const times = real.slice(0, begin).reduce((all, axis) => all * axisSize(axis!), 1);
    const behind = mergeAxes(real.slice(begin));
    const parts = behind === null ? [] : partsOf(behind);
    if (parts.length > 0 && times * parts.length <= MAX_PARTS) return Array<Axis>(times).fill(parts).flat();
    pinAxis(behind, 'flattened behind too many positions');
    return behind === null ? null : bare(times * axisSize(behind));
  }
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

/** Where the last axes begin that hold as much as these sizes: what lies before them is the −1, of whatever size. */
function beginOf(axes: Axes, used: number, sizes: readonly (number | null)[]): number | null {
  const wanted = sizes.reduce<number | null>((all, size) => (all === null || size === null ? null : all * size), 1);
  let held = 1;
  for (let begin = axes.length; wanted !== null && begin > used; begin--) {
    const size = sizeOf(axes[begin - 1] ?? null);
    if (size === null || held >= wanted) return held === wanted ? begin : null;
    held *= size;
  }
  return held === wanted ? used : null;
}

/** Whether the last of these sizes are those of the axes, and more than one size stands before them. */
function endsWith(target: readonly (number | null)[], axes: Axes, at: number): boolean {
  const begin = target.length - axes.length;
  return begin > at + 1 && axes.every((axis, k) => axis !== null && sizeOf(axis) === target[begin + k]);
}

export const reshape: Rule = (_node, [x, shape]) => {
  if (!x?.axes || !shape?.ints) return null;
  // One size that is not known follows from the others, as −1 does.
  const want = shape.ints.map((size) => size ?? -1);
  if (want.filter((size) => size === -1).length > 1) return null;
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
    } else if (wanted === -1 && beginOf(x.axes, used, rest) !== null) {
      const begin = beginOf(x.axes, used, rest)!;
      out.push(mergeAxes(x.axes.slice(used, begin)));
      used = begin;
    } else if (
      axis !== undefined &&
      (axis === null || isPinned(axis)) &&
      endsWith(target, x.axes.slice(used + 1), at)
    ) {
      // An axis without units made several; what lies behind it stays.
      const last = target.length - (x.axes.length - used - 1);
      for (; at < last; at++) out.push(target[at] === -1 ? null : bare(target[at]!));
      at--;
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

export const squeeze: Rule = (node, [x, argument]) => {
  if (!x?.axes) return null;
  const drop = axesArgument(node, argument);
  if (drop === null) return null;
  const at = new Set(drop.map((axis) => from(axis, x.axes!.length)));
  return [{ axes: x.axes.filter((_, axis) => !at.has(axis)), ints: x.ints }];
};

export const unsqueeze: Rule = (node, [x, argument]) => {
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

export const concat: Rule = (node, inputs) => {
  if (inputs.some((value) => !value?.axes)) return null;
  const all = inputs.map((value) => value!.axes!);
  const axis = from(number(node, 'axis', 0), all[0]!.length);
  const ints = inputs.every((value) => value!.ints) ? inputs.flatMap((value) => [...value!.ints!]) : undefined;
  const axes = all[0]!.map((first, at) => {
    if (at === axis) {
      const known = all.every((other) => other[at]);
      const parts = known ? all.flatMap((other) => partsOf(other[at]!)) : [];
      if (known && parts.length <= MAX_PARTS) return parts;
      for (const other of all)
        pinAxis(other[at], known ? 'concatenated too often' : 'concatenated with an axis of unknown size');
      return known ? bare(axisSize(parts)) : null;
    }
    for (const other of all.slice(1)) join(first, other[at]);
    return first;
  });
  return [{ axes, ints }];
};

export const split: Rule = (node, [x, sizes]) => {
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

export const slice: Rule = (node, [x, starts, ends, axes, steps]) => {
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

export const gather: Rule = (node, [x, index]) => {
  if (!x?.axes || !index?.axes) return null;
  const axis = from(number(node, 'axis', 0), x.axes.length);
  pinAxis(x.axes[axis], 'picked by index');
  pinValue(index, 'an index');
  const ints =
    x.ints && index.ints ? index.ints.map((at) => (at === null ? null : (x.ints!.at(at) ?? null))) : undefined;
  return [{ axes: [...x.axes.slice(0, axis), ...index.axes, ...x.axes.slice(axis + 1)], ints }];
};

/**
 * Channels of one constant may change places among themselves: behind the units of the axis stands a class of its own,
 * which a residual sum may tie to units that are made. Zeros bear any scale.
 */
export const pad: Rule = (node, [x, pads, value, axes]) => {
  const given = numbers(node, 'pads') ?? pads?.ints;
  if (!x?.axes || axes !== undefined || !given || given.length !== 2 * x.axes.length) return null;
  const rank = x.axes.length;
  const constant = text(node, 'mode', 'constant') === 'constant';
  const zero = value === undefined ? number(node, 'value', 0) === 0 : value.ints?.[0] === 0;
  const added = (size: number): Axis => {
    const axis = freshAxis(size);
    if (!zero) limitScaling(axis, 'none');
    return axis;
  };
  return [
    {
      axes: x.axes.map((axis, at) => {
        const [before, after] = [given[at], given[at + rank]];
        if (before === 0 && after === 0) return axis;
        if (axis === null || before == null || after == null || before < 0 || after < 0 || !constant) {
          pinAxis(axis, 'padded');
          return null;
        }
        return [...(before > 0 ? added(before) : []), ...axis, ...(after > 0 ? added(after) : [])];
      }),
    },
  ];
};

/** One number everywhere: any order of its places is the same value. */
export const constantOfShape: Rule = (node, [shape]) => {
  if (!shape?.ints) return null;
  const value = node.attributes.get('value');
  const axes = shape.ints.map((size) => (size === null ? null : freshAxis(size)));
  // The value, where one is given, is a tensor that only reading would tell; absent, it is zero.
  if (value !== undefined) for (const axis of axes) if (axis !== null) limitScaling(axis, 'none');
  return [{ axes }];
};

export const resize: Rule = (_node, [x]) => {
  if (!x?.axes || x.axes.length < 3) return null;
  for (const axis of x.axes.slice(2)) pinAxis(axis, 'a spatial axis');
  return [{ axes: [x.axes[0]!, x.axes[1]!, ...x.axes.slice(2).map(() => null)] }];
};

export const shapeOf: Rule = (_node, [x]) => [{ axes: [bare(x?.axes?.length ?? null)], ints: x?.axes?.map(sizeOf) }];
