/** The traps of docs/theory.md: what makes independent models agree. Each has the answer that §11 gives it. */
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type RandomStream, randomPermutation, seededRandom } from '../../src/base/index.js';
import { type NetSpec, planNet } from '../../src/compute/index.js';
import { type Comparison, compareFiles, FRAMEWORKS, type Verdict } from '../../src/detect/index.js';
import { buildOnnx, type NodeSpec, type TensorSpec } from '../../src/formats/index.js';
import { exportModel, type ModelCard, type TrainedModel } from '../../src/train/index.js';
import { gaussian, netOf, OWNER_SEED, quantise, sharedData, train, trainFrom } from './nets.js';
import { type Figures, tally, type Workplace } from './section.js';

interface Trap {
  readonly name: string;
  readonly a: string;
  readonly b: string;
  readonly base?: string;
  readonly verdict: Verdict;
  /** What the answer must also say. */
  readonly says?: (answer: Comparison) => boolean;
}

/** @returns `traps`: how many were asked; its value how many came out wrong */
export async function springTraps(place: Workplace): Promise<Figures> {
  const { say } = place;
  const counted = tally(say);
  for (const make of [constantBasis, commonSeeds, publicBase, recurrentIdentity, spoiltRows, onePermutation]) {
    for (const { name, a, b, base, verdict, says } of await make(place)) {
      const answer = await compareFiles(a, b, base === undefined ? {} : { base });
      const [line] = answer.lines;
      const came = `${answer.verdict}, ${line?.statistic ?? 0} of ${line?.n ?? 0} hits: ${answer.reason}`;
      counted.expect(`trap ${name}`, answer.verdict === verdict && (says?.(answer) ?? true), came);
      say(`trap ${name}: ${answer.verdict}, ${line?.statistic ?? 0} of ${line?.n ?? 0} units agree`);
    }
  }
  return { traps: { value: counted.wrong, n: counted.n, interval95: null } };
}

const SENTENCE = /Shared start, base, seed or constants, or derivation/;

async function save({ folder }: Workplace, name: string, bytes: Uint8Array): Promise<string> {
  const file = path.join(folder, `${name}.onnx`);
  await writeFile(file, bytes);
  return file;
}

const values = (elements: number, random: RandomStream): Float64Array =>
  Float64Array.from({ length: elements }, () => gaussian(random));

/** A fixed short-time Fourier transform before learned layers, as speech models have it; the layers are apart. */
async function constantBasis(place: Workplace): Promise<readonly Trap[]> {
  const net = netOf(66);
  const bins = 33;
  const window = 64;
  // Rows are cosines, then sines, under a Hann window.
  const basis = Float64Array.from({ length: 2 * bins * window }, (_, k) => {
    const [row, t] = [Math.floor(k / window), k % window];
    const angle = (2 * Math.PI * (row % bins) * t) / window;
    const hann = 0.5 - 0.5 * Math.cos((2 * Math.PI * t) / window);
    return hann * (row < bins ? Math.cos(angle) : -Math.sin(angle));
  });
  const speech = async (name: string, seed: number): Promise<string> => {
    const { parameters } = await train(net, seed);
    const nodes: NodeSpec[] = [
      {
        op: 'Conv',
        inputs: ['audio', 'stft.forward_basis'],
        outputs: ['spectrum'],
        attributes: { strides: { ints: [16] } },
      },
      { op: 'Abs', inputs: ['spectrum'], outputs: ['magnitude'] },
      {
        op: 'ReduceMean',
        inputs: ['magnitude'],
        outputs: ['a0'],
        attributes: { axes: { ints: [2] }, keepdims: { int: 0 } },
      },
    ];
    const initialisers: TensorSpec[] = [
      { name: 'stft.forward_basis', dtype: 'F32', shape: [2 * bins, 1, window], values: basis },
    ];
    stack(net, parameters, nodes, initialisers);
    return save(place, name, graph(['n', 1, 512], ['n', 2], nodes, initialisers, 'audio'));
  };
  return [
    {
      name: 'shared constant basis',
      a: await speech('basis-a', OWNER_SEED + 1),
      b: await speech('basis-b', OWNER_SEED + 2),
      verdict: 'no-evidence',
      says: ({ shared }) =>
        shared.some(({ a, nature }) => a === 'stft.forward_basis' && nature === 'constant') &&
        shared.every(({ nature }) => nature === 'constant'),
    },
  ];
}

/** Gemm and ReLU of a dense net onto `a0`, to `outputs`. */
function stack(net: NetSpec, flat: Float32Array, nodes: NodeSpec[], initialisers: TensorSpec[]): void {
  const { parameters } = planNet(net);
  for (const { name, shape, offset, elements } of parameters) {
    initialisers.push({ name, dtype: 'F32', shape, values: flat.subarray(offset, offset + elements) });
  }
  const layers = parameters.length / 2;
  for (let l = 0; l < layers; l++) {
    const last = l + 1 === layers;
    nodes.push({
      op: 'Gemm',
      inputs: [`a${l}`, parameters[2 * l]!.name, parameters[2 * l + 1]!.name],
      outputs: [last ? 'outputs' : `h${l}`],
      attributes: { transB: { int: 1 } },
    });
    if (!last) nodes.push({ op: 'Relu', inputs: [`h${l}`], outputs: [`a${l + 1}`] });
  }
}

function graph(
  input: readonly (number | string)[],
  output: readonly (number | string)[],
  nodes: readonly NodeSpec[],
  initialisers: readonly TensorSpec[],
  name: string,
): Uint8Array {
  return buildOnnx({
    graph: {
      name: 'trap',
      inputs: [{ name, dtype: 'F32', shape: input }],
      outputs: [{ name: 'outputs', dtype: 'F32', shape: output }],
      nodes,
      initialisers,
    },
  });
}

const POPULAR = [42, 1234];

/** One seed on both sides, on different data: of our own initialiser and of PyTorch's linear default. */
async function commonSeeds(place: Workplace): Promise<readonly Trap[]> {
  const traps: Trap[] = [];
  const wider = [netOf(8, [64, 64]), netOf(8, [96, 64]), netOf(8, [48, 80])];
  for (const framework of FRAMEWORKS) {
    const label = framework.name.split(' ')[0]!.toLowerCase();
    const grown = async (net: NetSpec, seed: number, who: string): Promise<string> => {
      const data = sharedData(8, `${who} of the seed ${seed}`);
      const { card } = await train(net, OWNER_SEED, data);
      const flat = await trainFrom(startOf(net, framework.uniform(seed)), card, { data, epochs: 20, rate: 3e-3, seed });
      const widths = planNet(net)
        .parameters.map(({ shape }) => shape[0])
        .join('-');
      return save(place, `${label}-${seed}-${widths}-${who}`, exportModel(card, flat));
    };
    for (const seed of POPULAR) {
      for (const [index, net] of wider.entries()) {
        traps.push({
          name: `${label} seed ${seed}, ${index === 0 ? 'same widths' : `widths ${planNet(net).parameters[0]!.shape[0]}-${planNet(net).parameters[2]!.shape[0]}`}`,
          a: await grown(wider[0]!, seed, 'one'),
          b: await grown(net, seed, 'another'),
          verdict: 'inconclusive',
          says: ({ reason, shared }) =>
            reason.includes(`popular seed ${seed} of ${framework.name}`) &&
            shared.some(({ nature }) => nature === 'seed'),
        });
      }
    }
    // A seed that nobody would try to regenerate: agreement that the sentence must cover.
    traps.push({
      name: `${label} common seed that is not popular`,
      a: await grown(wider[0]!, 86_028_157, 'one'),
      b: await grown(wider[0]!, 86_028_157, 'another'),
      verdict: 'related',
      says: ({ reason, kind }) => kind === 'conditional' && SENTENCE.test(reason),
    });
  }
  return traps;
}

/** Weights and biases of every layer uniform on ±1/√fan-in, in float32, in the order of drawing. */
function startOf(net: NetSpec, uniform: () => number): Float32Array {
  const { parameters, size } = planNet(net);
  const flat = new Float32Array(size);
  for (const { offset, elements, fanIn } of parameters) {
    for (let k = 0; k < elements; k++) flat[offset + k] = (2 * uniform() - 1) / Math.sqrt(fanIn);
  }
  return flat;
}

async function publicBase(place: Workplace): Promise<readonly Trap[]> {
  const net = netOf();
  const base = await train(net, OWNER_SEED + 3);
  const tuned = async (name: string, seed: number): Promise<string> => {
    const tuning = { data: sharedData(8, name, 600), epochs: 20, rate: 1e-3, seed };
    return save(place, name, exportModel(base.card, await trainFrom(base.parameters, base.card, tuning)));
  };
  const pair = { a: await tuned('tuned-a', 1), b: await tuned('tuned-b', 2) };
  return [
    {
      ...pair,
      name: 'two fine-tunes of one base, base not named',
      verdict: 'related',
      says: ({ reason, kind }) => kind === 'conditional' && SENTENCE.test(reason),
    },
    {
      ...pair,
      name: 'two fine-tunes of one base, --base',
      base: await save(place, 'base', base.model),
      verdict: 'inconclusive',
      says: ({ shared }) =>
        shared.some(({ nature }) => nature === 'base') &&
        shared.every(({ nature }) => nature === 'base' || nature === 'constant'),
    },
    {
      ...pair,
      name: 'two fine-tunes, a base that neither used',
      base: await save(place, 'no-base', (await train(net, OWNER_SEED + 4)).model),
      verdict: 'related',
    },
  ];
}

/** LSTMs whose recurrent weights start at the identity, in every gate. */
async function recurrentIdentity(place: Workplace): Promise<readonly Trap[]> {
  const [features, hidden, gates] = [6, 64, 4];
  const lstm = (seed: number): Uint8Array => {
    const random = seededRandom(seed, 'lstm');
    const recurrent = Float64Array.from({ length: gates * hidden * hidden }, (_, k) => {
      const [row, column] = [Math.floor(k / hidden) % hidden, k % hidden];
      return (row === column ? 1 : 0) + 0.05 * gaussian(random);
    });
    return graph(
      ['t', 'n', features],
      ['n', 3],
      [
        {
          op: 'LSTM',
          inputs: ['x', 'W', 'R', 'B'],
          outputs: ['', 'last'],
          attributes: { hidden_size: { int: hidden } },
        },
        { op: 'Squeeze', inputs: ['last', 'axis'], outputs: ['state'] },
        {
          op: 'Gemm',
          inputs: ['state', 'out.weight', 'out.bias'],
          outputs: ['outputs'],
          attributes: { transB: { int: 1 } },
        },
      ],
      [
        { name: 'axis', dtype: 'I64', shape: [1], values: [0] },
        {
          name: 'W',
          dtype: 'F32',
          shape: [1, gates * hidden, features],
          values: values(gates * hidden * features, random),
        },
        { name: 'R', dtype: 'F32', shape: [1, gates * hidden, hidden], values: recurrent },
        { name: 'B', dtype: 'F32', shape: [1, 2 * gates * hidden], values: values(2 * gates * hidden, random) },
        { name: 'out.weight', dtype: 'F32', shape: [3, hidden], values: values(3 * hidden, random) },
        { name: 'out.bias', dtype: 'F32', shape: [3], values: values(3, random) },
      ],
      'x',
    );
  };
  const a = await save(place, 'lstm-a', lstm(1));
  return [
    {
      name: 'identity-initialised recurrent weights',
      a,
      b: await save(place, 'lstm-b', lstm(2)),
      verdict: 'no-evidence',
    },
    { name: 'identity-initialised recurrent weights, a true copy', a, b: a, verdict: 'related' },
  ];
}

/** 26 of 64 units dead (zero), or equal to each other, in both nets at the same places. */
async function spoiltRows(place: Workplace): Promise<readonly Trap[]> {
  const net = netOf();
  const [one, other] = [await train(net, OWNER_SEED + 5), await train(net, OWNER_SEED + 6)];
  const spoil = ({ card, parameters }: TrainedModel, how: 'dead' | 'tied'): Float32Array => {
    const flat = Float32Array.from(parameters);
    for (const { offset, shape } of planNet(card.net).parameters.slice(0, 4)) {
      const width = shape[1] ?? 1;
      const first = flat.slice(offset, offset + width);
      for (let unit = 0; unit < 26; unit++) {
        for (let k = 0; k < width; k++) flat[offset + unit * width + k] = how === 'dead' ? 0 : first[k]!;
      }
    }
    return flat;
  };
  const traps: Trap[] = [];
  for (const how of ['dead', 'tied'] as const) {
    const write = (name: string, card: ModelCard, flat: Float32Array) =>
      save(place, `${how}-${name}`, exportModel(card, flat));
    const a = await write('a', one.card, spoil(one, how));
    traps.push(
      { name: `40 % ${how} units`, a, b: await write('b', other.card, spoil(other, how)), verdict: 'no-evidence' },
      {
        name: `40 % ${how} units, a true copy`,
        a,
        b: await write('copy', one.card, quantise(net, spoil(one, how), 8)),
        verdict: 'related',
      },
    );
  }
  return traps;
}

/**
 * Ten tensors on one unit group: ten parallel layers added up. The same values in another order with four fixed points
 * are four hits (log10 p −1.4), not forty; that it looks like a permuted copy is said.
 */
async function onePermutation(place: Workplace): Promise<readonly Trap[]> {
  const [units, features, branches, fixed] = [64, 12, 10, 4];
  const random = seededRandom(place.seed, 'one permutation');
  const weights = Array.from({ length: branches }, () => values(units * features, random));
  const out = values(3 * units, random);
  const write = (name: string, order: ArrayLike<number>): Promise<string> => {
    const nodes: NodeSpec[] = [];
    const initialisers: TensorSpec[] = [];
    for (let k = 0; k < branches; k++) {
      const moved = Float64Array.from(weights[k]!, (_, at) => {
        return weights[k]![order[Math.floor(at / features)]! * features + (at % features)]!;
      });
      initialisers.push({ name: `branch${k}.weight`, dtype: 'F32', shape: [units, features], values: moved });
      nodes.push({
        op: 'Gemm',
        inputs: ['x', `branch${k}.weight`],
        outputs: [`b${k}`],
        attributes: { transB: { int: 1 } },
      });
      if (k > 0) nodes.push({ op: 'Add', inputs: [k === 1 ? 'b0' : `s${k - 1}`, `b${k}`], outputs: [`s${k}`] });
    }
    const last = Float64Array.from(out, (_, at) => out[Math.floor(at / units) * units + order[at % units]!]!);
    initialisers.push({ name: 'out.weight', dtype: 'F32', shape: [3, units], values: last });
    nodes.push(
      { op: 'Relu', inputs: [`s${branches - 1}`], outputs: ['state'] },
      { op: 'Gemm', inputs: ['state', 'out.weight'], outputs: ['outputs'], attributes: { transB: { int: 1 } } },
    );
    return save(place, name, graph(['n', features], ['n', 3], nodes, initialisers, 'x'));
  };
  const rest = randomPermutation(units - fixed, random);
  // A rotation of the random order's own places leaves no further fixed point by chance.
  const order = Array.from({ length: units }, (_, unit) => unit);
  rest.forEach((place_, k) => {
    order[fixed + place_] = fixed + rest[(k + 1) % rest.length]!;
  });
  return [
    {
      name: 'ten tensors that share one permutation',
      a: await write(
        'order-a',
        Array.from({ length: units }, (_, unit) => unit),
      ),
      b: await write('order-b', order),
      verdict: 'inconclusive',
      says: ({ lines }) => lines[0]?.statistic === fixed && lines[0].n === units && lines[0].log10p > -2,
    },
  ];
}
