/** An independent forward pass in plain float64 loops: the oracle of gradient and training tests. */
import { type Loss, type NetSpec, planNet } from '../index.js';

export interface ReferenceBatch {
  readonly count: number;
  readonly inputs: ArrayLike<number>;
  readonly targets: ArrayLike<number>;
  readonly weights: ArrayLike<number>;
}

/** Outputs of one example, straight from the definition of each layer. */
export function netOutputs(net: NetSpec, parameters: ArrayLike<number>, input: readonly number[]): readonly number[] {
  let values = [...input];
  for (const { layer, input: shape, output, weight, bias } of planNet(net).layers) {
    const w = (i: number): number => parameters[weight!.offset + i]!;
    const b = (i: number): number => parameters[bias!.offset + i]!;
    if (layer.kind === 'relu') values = values.map((v) => Math.max(v, 0));
    if (layer.kind === 'mean') {
      const [channels, positions] = shape as readonly [number, number];
      const flat = values;
      values = Array.from({ length: channels }, (_, c) => {
        let sum = 0;
        for (let p = 0; p < positions; p++) sum += flat[c * positions + p]!;
        return sum / positions;
      });
    }
    if (layer.kind === 'dense') {
      const flat = values;
      values = Array.from({ length: layer.units }, (_, u) =>
        flat.reduce((sum, v, i) => sum + v * w(u * flat.length + i), b(u)),
      );
    }
    if (layer.kind === 'conv') {
      const [channels, positions] = shape as readonly [number, number];
      const flat = values;
      const made: number[] = [];
      for (let m = 0; m < layer.channels; m++) {
        for (let t = 0; t < output[1]!; t++) {
          let sum = b(m);
          for (let c = 0; c < channels; c++) {
            for (let k = 0; k < layer.kernel; k++) {
              const at = t * layer.stride + k - layer.padding;
              if (at >= 0 && at < positions)
                sum += flat[c * positions + at]! * w((m * channels + c) * layer.kernel + k);
            }
          }
          made.push(sum);
        }
      }
      values = made;
    }
  }
  return values;
}

/** Σ wᵢ lᵢ / Σ wᵢ over the batch. */
export function netLoss(net: NetSpec, loss: Loss, parameters: ArrayLike<number>, batch: ReferenceBatch): number {
  const width = net.input.reduce((product, n) => product * n, 1);
  let sum = 0;
  let total = 0;
  for (let i = 0; i < batch.count; i++) {
    const input = Array.from({ length: width }, (_, j) => batch.inputs[i * width + j]!);
    const outputs = netOutputs(net, parameters, input);
    const target = (k: number): number => batch.targets[i * outputs.length + k]!;
    const top = Math.max(...outputs);
    const normaliser = top + Math.log(outputs.reduce((s, z) => s + Math.exp(z - top), 0));
    const one =
      loss === 'mse'
        ? outputs.reduce((s, z, k) => s + (z - target(k)) ** 2, 0) / outputs.length
        : outputs.reduce((s, z, k) => s - target(k) * (z - normaliser), 0);
    sum += batch.weights[i]! * one;
    total += batch.weights[i]!;
  }
  return sum / total;
}
