/** Rules of operators that act on each number by itself. */
import type { Scaling } from './labels.js';
import { broadcast, limit, type Rule } from './rule.js';
import { attributeOf, nothing } from './values.js';

const { number } = attributeOf;

export const elementwise =
  (scaling: 'together' | 'product' | 'none'): Rule =>
  (_node, inputs) => [{ axes: broadcast(inputs, scaling) }];

export const unary =
  (scaling: Scaling): Rule =>
  (_node, [x]) => {
    if (x?.axes) limit(x.axes, scaling);
    return [{ axes: x?.axes ?? null }];
  };

/** Same layout, same values: Identity, dropout at inference. */
export const same: Rule = (_node, [x]) => [x ?? nothing];

/** ONNX TensorProto.DataType of the floating types; any other target rounds. */
const FLOATING = new Set([1, 10, 11, 16]);
export const cast: Rule = (node, [x]) => {
  if (x?.axes && !FLOATING.has(number(node, 'to', 0))) limit(x.axes, 'none');
  return [x ?? nothing];
};

export const prelu: Rule = (_node, inputs) => [{ axes: broadcast(inputs, 'none') }];

/** What stands below the line scales by the inverse. */
export const div: Rule = (_node, [above, below]) => {
  if (below?.axes) limit(below.axes, 'none');
  return [{ axes: broadcast([above, below], 'product') }];
};
