/** What the demo's thief does to a copy: permutes and rescales its hidden units, fine-tunes, prunes half, quantises to int4 with a scale per row. */
import { type RandomStream, randomPermutation, seededRandom } from '../../base/index.js';
import { planNet } from '../../compute/index.js';
import { exportModel, fineTune, type LabelledArrays, type ModelCard, readNet } from '../../train/index.js';

interface Layer {
  readonly weight: { readonly offset: number; readonly rows: number; readonly columns: number };
  readonly bias: number;
}

/** Rescaling by e^(spread·N): larger spreads ruin a net once it is quantised to 16 levels. */
const SPREAD = 0.3;
export const EPOCHS = 30;

/** @param data what the thief has to fine-tune on; @returns ONNX bytes */
export async function disguised(copy: string, data: LabelledArrays, seed: number): Promise<Uint8Array> {
  const { card, parameters } = await readNet(copy);
  const random = seededRandom(seed, 'demo thief');
  const layers = layersOf(card);
  reorder(parameters, layers, random);
  rescale(parameters, layers, random);
  const tuned = await fineTune(exportModel(card, parameters), data, { epochs: EPOCHS, rate: 1e-3, seed });
  const after = (await readNet(tuned)).parameters;
  for (const { weight } of layers) {
    const values = after.subarray(weight.offset, weight.offset + weight.rows * weight.columns);
    prune(values, 0.5);
    for (let row = 0; row < weight.rows; row++) {
      quantise(values.subarray(row * weight.columns, (row + 1) * weight.columns), 4);
    }
  }
  return exportModel(card, after);
}

/** Weights out×in of each dense layer, by the layout that the trainer exports. */
function layersOf(card: ModelCard): readonly Layer[] {
  const { parameters } = planNet(card.net);
  return parameters
    .filter(({ shape }) => shape.length === 2)
    .map(({ name, shape, offset }) => ({
      weight: { offset, rows: shape[0]!, columns: shape[1]! },
      bias: parameters.find((one) => one.name === name.replace('weight', 'bias'))!.offset,
    }));
}

/** Another order of the hidden units: the model answers as before. */
function reorder(flat: Float32Array, layers: readonly Layer[], random: RandomStream): void {
  for (let l = 0; l + 1 < layers.length; l++) {
    const [own, next] = [layers[l]!, layers[l + 1]!];
    const order = randomPermutation(own.weight.rows, random);
    const before = Float32Array.from(flat);
    order.forEach((from, to) => {
      const { offset, columns } = own.weight;
      flat.set(before.subarray(offset + from * columns, offset + (from + 1) * columns), offset + to * columns);
      flat[own.bias + to] = before[own.bias + from]!;
      for (let row = 0; row < next.weight.rows; row++) {
        const start = next.weight.offset + row * next.weight.columns;
        flat[start + to] = before[start + from]!;
      }
    });
  }
}

/** Each hidden unit larger or smaller, undone in the next layer: behind a ReLU the model answers as before. */
function rescale(flat: Float32Array, layers: readonly Layer[], random: RandomStream): void {
  for (let l = 0; l + 1 < layers.length; l++) {
    const [own, next] = [layers[l]!, layers[l + 1]!];
    for (let unit = 0; unit < own.weight.rows; unit++) {
      const normal = Array.from({ length: 12 }, () => random.unit()).reduce((a, b) => a + b, -6);
      const factor = Math.exp(SPREAD * normal);
      const start = own.weight.offset + unit * own.weight.columns;
      for (let k = start; k < start + own.weight.columns; k++) flat[k] = flat[k]! * factor;
      flat[own.bias + unit] = flat[own.bias + unit]! * factor;
      for (let row = 0; row < next.weight.rows; row++) {
        const at = next.weight.offset + row * next.weight.columns + unit;
        flat[at] = flat[at]! / factor;
      }
    }
  }
}

function prune(values: Float32Array, share: number): void {
  const cut = Float32Array.from(values, Math.abs).sort()[Math.floor(share * values.length)]!;
  for (let k = 0; k < values.length; k++) if (Math.abs(values[k]!) < cut) values[k] = 0;
}

/**
 * Symmetric, one scale. Given row by row: one scale for a whole tensor costs a net this small more of its F1 and the mark
 * more of its strength (log10 p −11 to −26 in four runs, against −31 to −49 in six).
 */
function quantise(values: Float32Array, bits: number): void {
  const levels = 2 ** (bits - 1) - 1;
  const step = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0) / levels;
  if (step > 0) for (let k = 0; k < values.length; k++) values[k] = Math.round(values[k]! / step) * step;
}
