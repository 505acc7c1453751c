/** The nets that are tried when none is asked for, from small to large: accuracy is bought with time. */
import { cnn, mlp, type NetSpec } from '../compute/index.js';

export interface Candidate {
  /** `64-64`, `conv 32×5, 32×5 | 64`. */
  readonly name: string;
  readonly net: NetSpec;
}

export interface NetChoice {
  /** Widths of the hidden dense layers; given, nothing else is tried. */
  readonly hidden?: readonly number[];
  /** Channels of the convolutions, for windows. Default 32, 32. */
  readonly channels?: readonly number[];
}

const KERNEL = 5;

function convolutional(
  input: readonly [number, number],
  channels: readonly number[],
  hidden: readonly number[],
  outputs: number,
): Candidate {
  const kernel = Math.min(KERNEL, input[1]);
  // The second half of the convolutions halves the positions, so that the dense part stays small.
  const layers = channels.map((count, index) => ({
    channels: count,
    kernel,
    stride: index >= channels.length / 2 ? 2 : 1,
  }));
  return {
    name: `conv ${channels.map((count) => `${count}×${kernel}`).join(', ')} | ${hidden.join('-')}`,
    net: cnn(input, layers, hidden, outputs),
  };
}

/** @param input [features] or [sensors, length] */
export function candidatesFor(
  input: readonly number[],
  outputs: number,
  { hidden, channels }: NetChoice = {},
): readonly Candidate[] {
  if (input.length === 2) {
    const shape = [input[0]!, input[1]!] as const;
    if (hidden !== undefined || channels !== undefined) {
      return [convolutional(shape, channels ?? [32, 32], hidden ?? [64], outputs)];
    }
    return [convolutional(shape, [16, 16], [32], outputs), convolutional(shape, [32, 32], [64], outputs)];
  }
  const widths = hidden === undefined ? [[32], [64, 64], [128, 64]] : [hidden];
  return widths.map((one) => ({
    name: one.length === 0 ? 'linear' : one.join('-'),
    net: mlp(input[0]!, one, outputs),
  }));
}
