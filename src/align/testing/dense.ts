/** Dense ReLU stacks as plain values, a small trainer, and what a thief does to them: for tests, with no file and no graph. */
import { type RandomStream, randomPermutation, seededRandom } from '../../base/index.js';
import type { Segment, UnitGroup } from '../../structure/index.js';
import type { Plannable } from '../plan.js';
import type { WeightTable } from '../table.js';
import { carryUnits } from '../units.js';

export type Dense = ReadonlyMap<string, { readonly shape: readonly number[]; readonly values: Float64Array }>;

export const plain = (tensor: string, axis: number): Segment => ({
  tensor,
  axis,
  start: 0,
  unitStride: 1,
  repeat: 1,
  repeatStride: 1,
});

/** Groups of a dense stack: hidden layer l has the rows of its weight and bias, and the columns of the next weight. */
export function denseModel(widths: readonly number[], scaling: UnitGroup['scaling'] = 'positive'): Plannable {
  const tensors = new Map<string, { shape: number[]; role: 'weight' | 'bias'; nature: { kind: 'learned' } }>();
  const groups: UnitGroup[] = [];
  for (let l = 0; l + 1 < widths.length; l++) {
    tensors.set(`fc${l}.weight`, { shape: [widths[l + 1]!, widths[l]!], role: 'weight', nature: { kind: 'learned' } });
    tensors.set(`fc${l}.bias`, { shape: [widths[l + 1]!], role: 'bias', nature: { kind: 'learned' } });
    if (l + 2 < widths.length) {
      groups.push({
        id: `g${l}`,
        size: widths[l + 1]!,
        vouched: 'graph',
        incoming: [plain(`fc${l}.weight`, 0), plain(`fc${l}.bias`, 0)],
        outgoing: [plain(`fc${l + 1}.weight`, 1)],
        scaling,
        label: `fc${l} → relu`,
      });
    }
  }
  return { tensors, groups };
}

/** PyTorch's default distribution: uniform on ±1/√fan-in. */
export function initialDense(widths: readonly number[], random: RandomStream): Dense {
  const out = new Map<string, { shape: number[]; values: Float64Array }>();
  for (let l = 0; l + 1 < widths.length; l++) {
    const bound = 1 / Math.sqrt(widths[l]!);
    const draw = (n: number) => Float64Array.from({ length: n }, () => (2 * random.unit() - 1) * bound);
    out.set(`fc${l}.weight`, { shape: [widths[l + 1]!, widths[l]!], values: draw(widths[l + 1]! * widths[l]!) });
    out.set(`fc${l}.bias`, { shape: [widths[l + 1]!], values: draw(widths[l + 1]!) });
  }
  return out;
}

export interface Examples {
  readonly x: readonly Float64Array[];
  readonly y: readonly number[];
}

/** Two classes from a fixed random teacher: data on which independent nets learn the same thing. */
export function teacherData(features: number, count: number, seed: number): Examples {
  const random = seededRandom(seed, 'teacher');
  const normal = () => Math.sqrt(-2 * Math.log(random.unit())) * Math.cos(2 * Math.PI * random.unit());
  const a = Float64Array.from({ length: features }, normal);
  const b = Float64Array.from({ length: features }, normal);
  const x = Array.from({ length: count }, () => Float64Array.from({ length: features }, normal));
  const side = (w: Float64Array, row: Float64Array) => row.reduce((sum, value, k) => sum + value * w[k]!, 0);
  return { x, y: x.map((row) => (side(a, row) * side(b, row) > 0 ? 1 : 0)) };
}

/** Cross-entropy by Adam, one example after the other in minibatches of 32. Plain and slow: nets of a few thousand weights. */
export function trainDense(start: Dense, data: Examples, epochs: number, rate: number, seed: number): Dense {
  const random = seededRandom(seed, 'order');
  const net = new Map([...start].map(([name, t]) => [name, { shape: t.shape, values: Float64Array.from(t.values) }]));
  const layers = net.size / 2;
  const weights = Array.from({ length: layers }, (_, l) => net.get(`fc${l}.weight`)!);
  const biases = Array.from({ length: layers }, (_, l) => net.get(`fc${l}.bias`)!);
  const all = [...weights, ...biases].map((t) => ({
    values: t.values,
    gradient: new Float64Array(t.values.length),
    m: new Float64Array(t.values.length),
    v: new Float64Array(t.values.length),
  }));
  let step = 0;
  for (let epoch = 0; epoch < epochs; epoch++) {
    const order = randomPermutation(data.x.length, random);
    for (let at = 0; at < order.length; at += 32) {
      for (const p of all) p.gradient.fill(0);
      const batch = order.subarray(at, at + 32);
      for (const example of batch) backward(weights, biases, all, data.x[example]!, data.y[example]!);
      step++;
      for (const p of all) {
        for (let k = 0; k < p.values.length; k++) {
          const g = p.gradient[k]! / batch.length;
          p.m[k] = 0.9 * p.m[k]! + 0.1 * g;
          p.v[k] = 0.999 * p.v[k]! + 0.001 * g * g;
          const m = p.m[k]! / (1 - 0.9 ** step);
          const v = p.v[k]! / (1 - 0.999 ** step);
          p.values[k] = p.values[k]! - (rate * m) / (Math.sqrt(v) + 1e-8);
        }
      }
    }
  }
  return net;
}

type Values = { readonly shape: readonly number[]; readonly values: Float64Array };

function backward(
  weights: readonly Values[],
  biases: readonly Values[],
  all: readonly { gradient: Float64Array }[],
  x: Float64Array,
  y: number,
): void {
  const layers = weights.length;
  const acts: Float64Array[] = [x];
  for (let l = 0; l < layers; l++) {
    const [out, inn] = weights[l]!.shape as [number, number];
    const next = new Float64Array(out);
    for (let o = 0; o < out; o++) {
      let sum = biases[l]!.values[o]!;
      for (let k = 0; k < inn; k++) sum += weights[l]!.values[o * inn + k]! * acts[l]![k]!;
      next[o] = l + 1 < layers ? Math.max(0, sum) : sum;
    }
    acts.push(next);
  }
  const logits = acts[layers]!;
  const top = Math.max(...logits);
  const e = logits.map((z) => Math.exp(z - top));
  const total = e.reduce((s, z) => s + z, 0);
  let delta = e.map((z, k) => z / total - (k === y ? 1 : 0));
  for (let l = layers - 1; l >= 0; l--) {
    const [out, inn] = weights[l]!.shape as [number, number];
    const back = new Float64Array(inn);
    const gw = all[l]!.gradient;
    const gb = all[layers + l]!.gradient;
    for (let o = 0; o < out; o++) {
      const d = delta[o]!;
      if (d === 0) continue;
      gb[o] = gb[o]! + d;
      for (let k = 0; k < inn; k++) {
        gw[o * inn + k] = gw[o * inn + k]! + d * acts[l]![k]!;
        back[k] = back[k]! + d * weights[l]!.values[o * inn + k]!;
      }
    }
    if (l > 0) delta = back.map((value, k) => (acts[l]![k]! > 0 ? value : 0));
  }
}

export const table = (net: Dense): WeightTable => ({ tensors: net });

const mapValues = (
  net: Dense,
  change: (values: Float64Array, name: string, shape: readonly number[]) => Float64Array,
): Dense => new Map([...net].map(([name, t]) => [name, { shape: t.shape, values: change(t.values, name, t.shape) }]));

/** Symmetric per-tensor quantisation of the weights. */
export const quantised = (net: Dense, bits: number): Dense =>
  mapValues(net, (values, name) => {
    if (name.endsWith('bias')) return values;
    const most = 2 ** (bits - 1) - 1;
    const step = values.reduce((high, value) => Math.max(high, Math.abs(value)), 0) / most;
    return step === 0 ? values : values.map((value) => Math.round(value / step) * step);
  });

/** The smallest share of each weight set to zero. */
export const pruned = (net: Dense, share: number): Dense =>
  mapValues(net, (values, name) => {
    if (name.endsWith('bias')) return values;
    const cut = Float64Array.from(values, Math.abs).sort()[Math.floor(share * values.length)] ?? 0;
    return values.map((value) => (Math.abs(value) < cut ? 0 : value));
  });

/** Permutes every hidden layer: unit i of the copy is unit orders[l][i] of the original. */
export function permuted(net: Dense, orders: readonly ArrayLike<number>[]): Dense {
  let out = net;
  orders.forEach((order, l) => {
    const inverse = new Uint32Array(order.length);
    for (let i = 0; i < order.length; i++) inverse[order[i]!] = i;
    out = mapValues(out, (values, name, shape) => {
      if (name === `fc${l}.weight` || name === `fc${l}.bias`)
        return carryUnits(values, shape, 0, [plain(name, 0)], inverse);
      if (name === `fc${l + 1}.weight`) return carryUnits(values, shape, 1, [plain(name, 1)], inverse);
      return values;
    });
  });
  return out;
}

/** Multiplies each hidden unit by exp(spread · N(0,1)) and divides what uses it. */
export function rescaled(net: Dense, spread: number, random: RandomStream): Dense {
  let out = net;
  for (let l = 0; l + 1 < net.size / 2; l++) {
    const units = net.get(`fc${l}.bias`)!.values.length;
    const factor = Float64Array.from({ length: units }, () =>
      Math.exp(spread * Math.sqrt(-2 * Math.log(random.unit())) * Math.cos(2 * Math.PI * random.unit())),
    );
    const still = Uint32Array.from({ length: units }, (_, i) => i);
    out = mapValues(out, (values, name, shape) => {
      if (name === `fc${l}.weight` || name === `fc${l}.bias`) {
        return carryUnits(values, shape, 0, [plain(name, 0)], still, factor);
      }
      if (name === `fc${l + 1}.weight`) {
        return carryUnits(
          values,
          shape,
          1,
          [plain(name, 1)],
          still,
          factor.map((value) => 1 / value),
        );
      }
      return values;
    });
  }
  return out;
}
