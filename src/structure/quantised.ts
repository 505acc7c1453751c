/** Rules of operators on quantised numbers. */
import type { Axis } from './labels.js';
import { gemm } from './products.js';
import { from, isSingle, join, limit, type Rule } from './rule.js';
import { attributeOf, type Value } from './values.js';

const { number } = attributeOf;

/** Scales and zero points are single, or one per position of an axis; blocks (ONNX 21) are not proven: false. */
function alongAxis(axis: Axis | null | undefined, parameters: readonly (Value | undefined)[]): boolean {
  const many = parameters.filter((parameter) => !isSingle(parameter));
  if (axis === undefined && many.length > 0) return false;
  if (many.some((parameter) => parameter!.axes?.length !== 1)) return false;
  for (const parameter of many) join(axis, parameter!.axes![0]);
  return true;
}

export const dequantize: Rule = (node, [x, scale, zero]) => {
  if (!x?.axes) return null;
  const axis = from(number(node, 'axis', 1), x.axes.length);
  if (!alongAxis(x.axes[axis], [scale, zero])) return null;
  if (node.op === 'QuantizeLinear') limit(x.axes, 'none');
  return [{ axes: x.axes, stored: x.stored }];
};

export const dynamicQuantize: Rule = (_node, [x]) => {
  if (x?.axes) limit(x.axes, 'none');
  return [{ axes: x?.axes ?? null }, { axes: [] }, { axes: [] }];
};

/** MatMulInteger and ConvInteger: zero points per output channel move with them. */
export const integer =
  (rule: Rule): Rule =>
  (node, [a, b, zeroA, zeroB]) => {
    if (!isSingle(zeroA)) return null;
    const out = rule(node, [a, b]);
    const axes = out?.[0]?.axes;
    if (!axes) return null;
    limit(axes, 'none');
    return alongAxis(node.op === 'ConvInteger' ? axes[1] : axes.at(-1), [zeroB]) ? out : null;
  };

export const qlinear =
  (rule: Rule): Rule =>
  (node, [a, scaleA, zeroA, b, scaleB, zeroB, scaleY, zeroY, bias]) => {
    if (![scaleA, zeroA, scaleY, zeroY].every(isSingle)) return null;
    const out = rule(node, [a, b, bias]);
    const axes = out?.[0]?.axes;
    if (!axes) return null;
    limit(axes, 'none');
    return alongAxis(node.op === 'QLinearConv' ? axes[1] : axes.at(-1), [scaleB, zeroB]) ? out : null;
  };

/** com.microsoft.QGemm: the bias stands before the output's scale, and the weight may lie transposed. */
export const qgemm: Rule = (node, [a, scaleA, zeroA, b, scaleB, zeroB, bias, scaleY, zeroY]) => {
  if (![scaleA, zeroA, scaleY, zeroY].every(isSingle)) return null;
  const axes = gemm(node, [a, b, bias])?.[0]?.axes;
  if (!axes) return null;
  limit(axes, 'none');
  return alongAxis(axes[1], [scaleB, zeroB]) ? [{ axes }] : null;
};
