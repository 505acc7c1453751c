/**
 * Many training steps as one ONNX graph: a Loop whose body gathers a mini-batch, runs forward and backward pass and
 * updates by Adam. One call runs an epoch (or several), so the cost of crossing into onnxruntime, more than that of a
 * step of a small net, is paid once. Rejected: one call per step (half the speed on 8-64-64-2: 354,000 against 772,000 samples/s).
 */

import { buildOnnx, type OnnxSpec } from '../formats/index.js';
import { type AdamSettings, emitAdam, STEP_COLUMNS, stepTable } from './adam.js';
import { emitForward, emitGradient, type Loss } from './gradient.js';
import { graphBuilder } from './graph.js';
import { type NetSpec, planNet } from './net.js';
import { createSession, runModel } from './onnxruntime.js';

const OPSET = 17;

/** Everything that training carries from step to step: enough to continue it to the identical result. */
export interface TrainingState {
  readonly parameters: Float32Array;
  /** First and second moment, without their factors 1 − β (see `stepTable`). */
  readonly first: Float32Array;
  readonly second: Float32Array;
  /** Steps done. */
  readonly step: number;
}

export const startOf = (parameters: Float32Array): TrainingState => ({
  parameters,
  first: new Float32Array(parameters.length),
  second: new Float32Array(parameters.length),
  step: 0,
});

/** Examples: inputs [n, …input], targets [n, K], weights [n] (0 leaves an example out of loss and gradient). */
export interface Examples {
  readonly count: number;
  readonly inputs: Float32Array;
  readonly targets: Float32Array;
  readonly weights: Float32Array;
}

export interface TrainerSettings {
  readonly net: NetSpec;
  readonly loss: Loss;
  readonly batch: number;
  readonly adam: AdamSettings;
  /** 1 (default) repeats bit for bit on one machine; more help only wide nets. */
  readonly threads?: number;
}

export interface Trainer {
  /**
   * Runs ⌈order / batch⌉ steps over the examples in this order. The last batch may be short.
   * @param rateAt learning rate by index of the step in this call; the settings' rate by default
   * @returns the new state and the loss of every step
   */
  run(
    state: TrainingState,
    examples: Examples,
    order: Uint32Array,
    rateAt?: (index: number) => number,
  ): Promise<{ state: TrainingState; losses: Float32Array }>;
  /** Outputs [n, K] of the net with these parameters: logits or values. */
  predict(parameters: Float32Array, inputs: Float32Array, count: number): Promise<Float32Array>;
  close(): Promise<void>;
}

function trainingModel({ net, loss, adam }: TrainerSettings): OnnxSpec {
  const plan = planNet(net);
  const body = graphBuilder('step/');
  const index = body.node('Gather', ['order', 'i'], { axis: { int: 0 } });
  const values = {
    flat: 'parameters_in',
    input: body.node('Gather', ['inputs', index], { axis: { int: 0 } }),
    target: body.node('Gather', ['targets', index], { axis: { int: 0 } }),
    weight: body.node('Gather', ['weights', index], { axis: { int: 0 } }),
  };
  const row = body.node('Gather', ['table', 'i'], { axis: { int: 0 } });
  const made = emitGradient(body, plan, loss, values);
  const state = { parameters: 'parameters_in', first: 'first_in', second: 'second_in' };
  const next = emitAdam(body, adam, state, made.gradient, row);
  const keep = body.node('Identity', ['more']);
  const flat = (name: string) => ({ name, dtype: 'F32' as const, shape: [plan.size] });
  const step = body.build(
    'step',
    [
      { name: 'i', dtype: 'I64', shape: [] },
      { name: 'more', dtype: 'BOOL', shape: [] },
      flat('parameters_in'),
      flat('first_in'),
      flat('second_in'),
    ],
    [
      { name: keep, dtype: 'BOOL', shape: [] },
      flat(next.parameters),
      flat(next.first),
      flat(next.second),
      { name: made.loss, dtype: 'F32', shape: [] },
    ],
  );
  const outer = graphBuilder();
  const graph = outer.build(
    'training',
    [
      { name: 'steps', dtype: 'I64', shape: [] },
      flat('parameters'),
      flat('first'),
      flat('second'),
      { name: 'inputs', dtype: 'F32', shape: ['examples', ...net.input] },
      { name: 'targets', dtype: 'F32', shape: ['examples', plan.output[0]!] },
      { name: 'weights', dtype: 'F32', shape: ['examples'] },
      { name: 'order', dtype: 'I64', shape: ['steps', 'batch'] },
      { name: 'table', dtype: 'F32', shape: ['steps', STEP_COLUMNS] },
    ],
    [flat('parameters_out'), flat('first_out'), flat('second_out'), { name: 'losses', dtype: 'F32', shape: ['steps'] }],
  );
  const loop = {
    name: 'training',
    op: 'Loop',
    inputs: ['steps', '', 'parameters', 'first', 'second'],
    outputs: ['parameters_out', 'first_out', 'second_out', 'losses'],
    attributes: { body: { graph: step } },
  };
  return { graph: { ...graph, nodes: [loop] }, opset: OPSET };
}

function forwardModel(net: NetSpec): OnnxSpec {
  const plan = planNet(net);
  const g = graphBuilder();
  emitForward(g, plan, 'parameters', 'inputs', 'outputs');
  const graph = g.build(
    'forward',
    [
      { name: 'parameters', dtype: 'F32', shape: [plan.size] },
      { name: 'inputs', dtype: 'F32', shape: ['examples', ...net.input] },
    ],
    [{ name: 'outputs', dtype: 'F32', shape: ['examples', plan.output[0]!] }],
  );
  return { graph, opset: OPSET };
}

function gradientModel(net: NetSpec, loss: Loss): OnnxSpec {
  const plan = planNet(net);
  const g = graphBuilder();
  const made = emitGradient(g, plan, loss, {
    flat: 'parameters',
    input: 'inputs',
    target: 'targets',
    weight: 'weights',
  });
  const graph = g.build(
    'gradient',
    [
      { name: 'parameters', dtype: 'F32', shape: [plan.size] },
      { name: 'inputs', dtype: 'F32', shape: ['examples', ...net.input] },
      { name: 'targets', dtype: 'F32', shape: ['examples', plan.output[0]!] },
      { name: 'weights', dtype: 'F32', shape: ['examples'] },
    ],
    [
      { name: made.loss, dtype: 'F32', shape: [] },
      { name: made.gradient, dtype: 'F32', shape: [plan.size] },
    ],
  );
  return { graph, opset: OPSET };
}

/**
 * Loss and flat gradient of one weighted batch, from the same nodes that training runs.
 * @returns gradient in the layout of `planNet`
 */
export async function gradientOf(
  net: NetSpec,
  loss: Loss,
  parameters: Float32Array,
  { count, inputs, targets, weights }: Examples,
): Promise<{ loss: number; gradient: Float32Array }> {
  const model = gradientModel(net, loss);
  const feeds = {
    parameters: { data: parameters, shape: [parameters.length] },
    inputs: { data: inputs, shape: [count, ...net.input] },
    targets: { data: targets, shape: [count, planNet(net).output[0]!] },
    weights: { data: weights, shape: [count] },
  };
  const results = await runModel(buildOnnx(model), feeds, { threads: 1 });
  const [lossName, gradientName] = model.graph.outputs.map(({ name }) => name) as [string, string];
  return { loss: Number(results[lossName]!.data[0]), gradient: results[gradientName]!.data as Float32Array };
}

/** A short last batch is filled with an added example of weight 0, which has no part in loss or gradient. */
function withPadding(net: NetSpec, outputs: number, { count, inputs, targets, weights }: Examples): Examples {
  const width = net.input.reduce((product, n) => product * n, 1);
  const padded = (values: Float32Array, row: number): Float32Array => {
    const out = new Float32Array((count + 1) * row);
    out.set(values.subarray(0, count * row));
    return out;
  };
  return {
    count: count + 1,
    inputs: padded(inputs, width),
    targets: padded(targets, outputs),
    weights: padded(weights, 1),
  };
}

/** Builds the graphs once; the trainer then serves any number of seeds and data sets of the same shapes. */
export async function createTrainer(settings: TrainerSettings): Promise<Trainer> {
  const { net, batch, adam } = settings;
  const plan = planNet(net);
  const outputs = plan.output[0]!;
  const threads = settings.threads ?? 1;
  const training = await createSession(buildOnnx(trainingModel(settings)), { threads, name: 'training graph' });
  const forward = await createSession(buildOnnx(forwardModel(net)), { threads, name: 'forward graph' });
  let held: { from: Examples; padded: Examples } | undefined;
  const paddedOf = (examples: Examples): Examples => {
    if (held?.from !== examples) held = { from: examples, padded: withPadding(net, outputs, examples) };
    return held.padded;
  };
  return {
    async run(state, examples, order, rateAt) {
      const padded = paddedOf(examples);
      const steps = Math.ceil(order.length / batch);
      const table = stepTable(adam, state.step + 1, steps, rateAt);
      const rows = new BigInt64Array(steps * batch).fill(BigInt(examples.count));
      for (let i = 0; i < order.length; i++) rows[i] = BigInt(order[i]!);
      const size = [plan.size];
      const { parameters_out, first_out, second_out, losses } = await training.run({
        steps: { data: BigInt64Array.of(BigInt(steps)), shape: [] },
        parameters: { data: state.parameters, shape: size },
        first: { data: state.first, shape: size },
        second: { data: state.second, shape: size },
        inputs: { data: padded.inputs, shape: [padded.count, ...net.input] },
        targets: { data: padded.targets, shape: [padded.count, outputs] },
        weights: { data: padded.weights, shape: [padded.count] },
        order: { data: rows, shape: [steps, batch] },
        table: { data: table, shape: [steps, STEP_COLUMNS] },
      });
      return {
        state: {
          parameters: parameters_out!.data as Float32Array,
          first: first_out!.data as Float32Array,
          second: second_out!.data as Float32Array,
          step: state.step + steps,
        },
        losses: losses!.data as Float32Array,
      };
    },
    async predict(parameters, inputs, count) {
      const result = await forward.run({
        parameters: { data: parameters, shape: [plan.size] },
        inputs: { data: inputs, shape: [count, ...net.input] },
      });
      return result.outputs!.data as Float32Array;
    },
    async close() {
      await training.close();
      await forward.close();
    },
  };
}
