/** OpenVINO's operators that move numbers without changing them, as ONNX nodes. */
import { ALL_OUTPUTS, lastNode, slicedNodes } from './onnx-terms.js';
import type { Translation } from './openvino-operators.js';

export const reshape: Translation = async (operation) => {
  // Without `special_zero` a zero is a size of zero, not one that is kept.
  const sizes = operation.flag('special_zero') ? null : await operation.ints(1);
  return !sizes?.includes(0) && lastNode(operation, undefined, 'Reshape', operation.inputs);
};

export const squeeze: Translation = async (operation) => {
  const given = operation.inputs.length > 1 ? await operation.ints(1) : [];
  const sizes = operation.shape(0);
  if (given === null || sizes === null || (given.length === 0 && sizes.includes(null))) return false;
  const axes = given.length > 0 ? given : sizes.flatMap((size, axis) => (size === 1 ? [axis] : []));
  return lastNode(operation, undefined, 'Squeeze', operation.inputs.slice(0, 1), { axes });
};

export const unsqueeze: Translation = async (operation) => {
  const axes = await operation.ints(1);
  return axes !== null && lastNode(operation, undefined, 'Unsqueeze', operation.inputs.slice(0, 1), { axes });
};

export const transpose: Translation = async (operation) => {
  const perm = await operation.ints(1);
  if (perm === null) return false;
  return lastNode(operation, undefined, 'Transpose', operation.inputs.slice(0, 1), perm.length === 0 ? {} : { perm });
};

export const concat: Translation = (operation) => {
  const axis = operation.number('axis');
  return axis !== null && lastNode(operation, undefined, 'Concat', operation.inputs, { axis });
};

/** Lengths, where there are any, may leave one to follow from the others. */
export const split: Translation = async (operation) => {
  const [x] = operation.inputs;
  const [axis] = (await operation.ints(1)) ?? [];
  if (x === undefined || axis === undefined) return false;
  if (operation.inputs.length < 3) {
    operation.node('Split', [x], { axis }, ALL_OUTPUTS);
    return true;
  }
  const lengths = await operation.ints(2);
  const whole = operation.shape(0)?.at(axis);
  const open = lengths?.indexOf(-1) ?? -1;
  if (lengths === null || (open >= 0 && whole == null)) return false;
  const rest = (whole ?? 0) - lengths.reduce((sum, length) => sum + Math.max(0, length), 0);
  operation.node('Split', [x], { axis, split: lengths.map((length) => (length === -1 ? rest : length)) }, ALL_OUTPUTS);
  return true;
};

/** Inputs: data, start, stop, step, axes. */
export const slice: Translation = (operation) => {
  const [x, start, stop, step, axes] = operation.inputs;
  if (!x || !start || !stop || !step) return false;
  return lastNode(operation, undefined, 'Slice', [x, start, stop, axes ?? '', step]);
};

/** Masks are lists of 0 and 1, one per axis. */
export const stridedSlice: Translation = async (operation) => {
  const [begin, end] = [await operation.ints(1), await operation.ints(2)];
  const steps = operation.inputs.length > 3 ? await operation.ints(3) : (begin?.map(() => 1) ?? null);
  const mask = (name: string): number =>
    operation.list(name).reduce((bits, one, axis) => (one === 1 && axis < 31 ? bits | (1 << axis) : bits), 0);
  return slicedNodes(operation, operation.inputs[0]!, {
    begin,
    end,
    steps,
    fromStart: mask('begin_mask'),
    toEnd: mask('end_mask'),
    dropped: mask('shrink_axis_mask'),
    others: mask('new_axis_mask') | mask('ellipsis_mask'),
  });
};

export const gather: Translation = async (operation) => {
  const [x, index] = operation.inputs;
  const [axis] = (await operation.ints(2)) ?? [];
  if (!x || !index || axis === undefined || (operation.number('batch_dims') ?? 0) !== 0) return false;
  return lastNode(operation, undefined, 'Gather', [x, index], { axis });
};

/** Inputs: data, positions before and behind, perhaps the value. */
export const pad: Translation = async (operation) => {
  const [before, behind] = [await operation.ints(1), await operation.ints(2)];
  if (before === null || behind === null) return false;
  const value = operation.inputs.length > 3 ? ((await operation.numbers(3))?.[0] ?? Number.NaN) : 0;
  const mode = operation.text('pad_mode') || 'constant';
  const attributes = { pads: [...before, ...behind], mode, value };
  return lastNode(operation, undefined, 'Pad', operation.inputs.slice(0, 1), attributes);
};

/** As long as the channels stay as many as they were, they are not resized. */
export const interpolate: Translation = (operation) => {
  const [before, after] = [operation.shape(0), operation.result];
  if (before == null || before.length < 3 || before[1] == null || before[1] !== after?.[1]) return false;
  return lastNode(operation, undefined, 'Resize', operation.inputs.slice(0, 1));
};
