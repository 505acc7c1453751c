/** Adam with bias correction (Kingma & Ba 2015, algorithm 1), decoupled weight decay (Loshchilov & Hutter 2019). */
import type { GraphBuilder } from './graph.js';

export interface AdamSettings {
  readonly rate: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  /** Each step first multiplies the parameters by 1 − rate·decay; 0 for none. */
  readonly decay: number;
}

export const ADAM: AdamSettings = { rate: 1e-3, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, decay: 0 };

/** Columns of the step table: step length, corrected epsilon, factor of the decay. */
export const STEP_COLUMNS = 3;

/**
 * What changes from step to step. The graph keeps the moments without their factors (1 − β), so that
 * p ← p·decay − length·M / (√V + ε̂) with M ← β₁M + g, V ← β₂V + g²; the factors and both bias corrections
 * are inside `length` and `ε̂`, in float64 here. Algebraically the update of algorithm 1.
 * @param first number of the first step, from 1 @param rateAt learning rate of the i-th step after `first`
 */
export function stepTable(
  settings: AdamSettings,
  first: number,
  steps: number,
  rateAt: (index: number) => number = () => settings.rate,
): Float32Array {
  const { beta1, beta2, epsilon, decay } = settings;
  const table = new Float32Array(steps * STEP_COLUMNS);
  for (let index = 0; index < steps; index++) {
    const step = first + index;
    const rate = rateAt(index);
    const second = Math.sqrt((1 - beta2 ** step) / (1 - beta2));
    table.set(
      [(rate * (1 - beta1) * second) / (1 - beta1 ** step), epsilon * second, 1 - rate * decay],
      index * STEP_COLUMNS,
    );
  }
  return table;
}

/** State of the optimiser as value names: parameters and the two moments, flat. */
export interface AdamState {
  readonly parameters: string;
  readonly first: string;
  readonly second: string;
}

/** One update as nodes. @param row [STEP_COLUMNS], one row of `stepTable` */
export function emitAdam(
  g: GraphBuilder,
  settings: AdamSettings,
  state: AdamState,
  gradient: string,
  row: string,
): AdamState {
  const [length, epsilon, keep] = g.nodes('Split', [row, g.integers([1, 1, 1])], STEP_COLUMNS, { axis: { int: 0 } });
  const first = g.node('Add', [g.node('Mul', [state.first, g.scalar(settings.beta1)]), gradient]);
  const square = g.node('Mul', [gradient, gradient]);
  const second = g.node('Add', [g.node('Mul', [state.second, g.scalar(settings.beta2)]), square]);
  const root = g.node('Add', [g.node('Sqrt', [second]), epsilon!]);
  const change = g.node('Mul', [g.node('Div', [first, root]), length!]);
  const kept = settings.decay === 0 ? state.parameters : g.node('Mul', [state.parameters, keep!]);
  return { parameters: g.node('Sub', [kept, change]), first, second };
}
