/** Nets by our own trainer on data that everybody shares, and what a thief does to their files. */
import { writeFile } from 'node:fs/promises';
import { type Dense, permuted, pruned, quantised, rescaled } from '../../src/align/testing/dense.js';
import { type RandomStream, randomPermutation, seededRandom } from '../../src/base/index.js';
import { mlp, type NetSpec, planNet } from '../../src/compute/index.js';
import { buildOnnx, type NodeSpec, openModel, type TensorSpec, writeModel } from '../../src/formats/index.js';
import {
  examplesOf,
  fitNet,
  type LabelledArrays,
  type ModelCard,
  type TrainedModel,
  trainOnArrays,
} from '../../src/train/index.js';

/** A seed that no framework's users share by habit. */
export const OWNER_SEED = 918_273_645;
const EXAMPLES = 1_500;
const EPOCHS = 20;

export const netOf = (features = 8, hidden: readonly number[] = [64, 64]): NetSpec => mlp(features, hidden, 2);

export const gaussian = (random: RandomStream): number =>
  Math.sqrt(-2 * Math.log(random.unit())) * Math.cos(2 * Math.PI * random.unit());

/**
 * Two classes by a fixed random teacher, the sign of a product of two projections: nets that learn it learn the same.
 * @param draw apart from each other: the examples of owner and rivals, and those that a thief has
 */
export function sharedData(features = 8, draw = 'everybody', count = EXAMPLES): LabelledArrays {
  const random = seededRandom(1, `teacher of ${features}`);
  const [a, b] = [0, 1].map(() => Float64Array.from({ length: features }, () => gaussian(random)));
  const examples = seededRandom(1, `examples of ${draw}`);
  const inputs = Float32Array.from({ length: count * features }, () => gaussian(examples));
  const targets = Array.from({ length: count }, (_, row) => {
    const side = (w: Float64Array): number => w.reduce((sum, v, k) => sum + v * inputs[row * features + k]!, 0);
    return side(a!) * side(b!) > 0 ? 1 : 0;
  });
  return { inputs, targets };
}

export function train(net: NetSpec, seed: number, data = sharedData(net.input[0])): Promise<TrainedModel> {
  return trainOnArrays({ net, task: 'classify', seed, epochs: EPOCHS }, data);
}

/** Trains on from given parameters: a fine-tune, or a training from a start of one's own. */
export async function trainFrom(
  start: Float32Array,
  card: ModelCard,
  { data, epochs, rate, seed }: { data: LabelledArrays; epochs: number; rate: number; seed: number },
): Promise<Float32Array> {
  const settings = { net: card.net, loss: 'cross-entropy' as const, seed, epochs, batch: 64, rate };
  return (await fitNet(settings, examplesOf(card, data), { start })).parameters;
}

/** The trained parameters in a file written by `trainOnArrays`, in the layout of `planNet`. */
export async function parametersIn(file: string, net: NetSpec): Promise<Float32Array> {
  const model = await openModel(file);
  try {
    const { parameters, size } = planNet(net);
    const flat = new Float32Array(size);
    for (const { name, offset, elements } of parameters) {
      flat.set(await model.tensors.get(name)!.read(0, elements), offset);
    }
    return flat;
  } finally {
    await model.close();
  }
}

/** A copy of the file with other parameters. */
export async function writeWith(file: string, net: NetSpec, flat: Float32Array, out: string): Promise<string> {
  const model = await openModel(file);
  try {
    const values = planNet(net).parameters.map(
      ({ name, offset, elements }) => [name, Float64Array.from(flat.subarray(offset, offset + elements))] as const,
    );
    await writeModel(model, new Map(values), out);
    return out;
  } finally {
    await model.close();
  }
}

/** Dense stacks are named fc0, fc1, … where the thief's tools are; files count from 1. */
export function denseOf(net: NetSpec, flat: Float32Array): Dense {
  return new Map(
    planNet(net).parameters.map(({ name, shape, offset, elements }) => [
      name.replace(/\d+/, (digits) => String(Number(digits) - 1)),
      { shape, values: Float64Array.from(flat.subarray(offset, offset + elements)) },
    ]),
  );
}

export const flatOf = (dense: Dense): Float32Array =>
  Float32Array.from([...dense.values()].flatMap(({ values }) => Array.from(values)));

const changed = (net: NetSpec, flat: Float32Array, change: (dense: Dense) => Dense): Float32Array =>
  flatOf(change(denseOf(net, flat)));

export const quantise = (net: NetSpec, flat: Float32Array, bits: number): Float32Array =>
  changed(net, flat, (dense) => quantised(dense, bits));
export const prune = (net: NetSpec, flat: Float32Array, share: number): Float32Array =>
  changed(net, flat, (dense) => pruned(dense, share));

/** Another order of every hidden layer, and another positive scale of every hidden unit. */
export function disguise(net: NetSpec, flat: Float32Array, random: RandomStream): Float32Array {
  return changed(net, flat, (dense) => {
    const orders = [...dense]
      .filter(([name]) => name.endsWith('bias'))
      .slice(0, -1)
      .map(([, { values }]) => randomPermutation(values.length, random));
    return rescaled(permuted(dense, orders), 0.3, random);
  });
}

/** The weights stored as integers of 8 or 4 bits with one scale an output, as quantisers write ONNX. */
export async function writeQuantised(net: NetSpec, flat: Float32Array, bits: 8 | 4, out: string): Promise<string> {
  const dtype = bits === 8 ? 'I8' : 'I4';
  const most = 2 ** (bits - 1) - 1;
  const dense = [...denseOf(net, flat)];
  const nodes: NodeSpec[] = [];
  const initialisers: TensorSpec[] = [];
  const layers = dense.length / 2;
  for (let l = 0; l < layers; l++) {
    const [weight, bias] = [dense[2 * l]![1], dense[2 * l + 1]![1]];
    const [rows, width] = weight.shape as [number, number];
    const name = `fc${l + 1}.weight`;
    const scales = Float32Array.from({ length: rows }, (_, row) => {
      const values = weight.values.subarray(row * width, (row + 1) * width);
      return values.reduce((high, value) => Math.max(high, Math.abs(value)), 0) / most || 1;
    });
    const integers = weight.values.map((value, k) => Math.round(value / scales[Math.floor(k / width)]!));
    initialisers.push(
      { name: `${name}_quantized`, dtype, shape: weight.shape, values: integers },
      { name: `${name}_scale`, dtype: 'F32', shape: [rows], values: scales },
      { name: `${name}_zero_point`, dtype, shape: [rows], values: new Float64Array(rows) },
      { name: `fc${l + 1}.bias`, dtype: 'F32', shape: bias.shape, values: bias.values },
    );
    nodes.push(
      {
        op: 'DequantizeLinear',
        inputs: [`${name}_quantized`, `${name}_scale`, `${name}_zero_point`],
        outputs: [name],
        attributes: { axis: { int: 0 } },
      },
      {
        op: 'Gemm',
        inputs: [l === 0 ? 'input' : `a${l}`, name, `fc${l + 1}.bias`],
        outputs: [l + 1 === layers ? 'outputs' : `h${l + 1}`],
        attributes: { transB: { int: 1 } },
      },
    );
    if (l + 1 < layers) nodes.push({ op: 'Relu', inputs: [`h${l + 1}`], outputs: [`a${l + 1}`] });
  }
  const graph = {
    name: 'quantised',
    inputs: [{ name: 'input', dtype: 'F32' as const, shape: ['rows', net.input[0]!] }],
    outputs: [{ name: 'outputs', dtype: 'F32' as const, shape: ['rows', 2] }],
    nodes,
    initialisers,
  };
  // INT4 came with opset 21.
  await writeFile(out, buildOnnx({ graph, opset: bits === 4 ? 21 : 17 }));
  return out;
}
