/** Rules of operators that gather a statistic over units or positions. */
import { axesArgument, from, join, limit, pinAxis, type Rule } from './rule.js';
import { attributeOf, bare } from './values.js';

const { number } = attributeOf;

export const batchNorm: Rule = (_node, [x, ...parameters]) => {
  if (!x?.axes || x.axes.length < 2) return null;
  for (const parameter of parameters) join(x.axes[1], parameter?.axes?.[0]);
  return [{ axes: x.axes }];
};

export const layerNorm: Rule = (node, [x, scale, bias]) => {
  if (!x?.axes || from(number(node, 'axis', -1), x.axes.length) !== x.axes.length - 1) return null;
  for (const parameter of [scale, bias]) if (parameter) join(x.axes.at(-1), parameter.axes?.at(-1));
  limit(x.axes, 'none');
  return [{ axes: x.axes }];
};

export const instanceNorm: Rule = (_node, [x, scale, bias]) => {
  if (!x?.axes) return null;
  for (const parameter of [scale, bias]) join(x.axes[1], parameter?.axes?.[0]);
  for (const axis of x.axes.slice(2)) pinAxis(axis, 'a spatial axis');
  limit(x.axes, 'none');
  return [{ axes: x.axes }];
};

export const reduce: Rule = (node, [x, argument]) => {
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

export const softmax: Rule = (_node, [x]) => {
  if (!x?.axes) return null;
  limit(x.axes, 'none');
  return [{ axes: x.axes }];
};
