/** Starts that a popular seed fixes, as the frameworks draw them. */
import type { Dense } from '../../align/testing/dense.js';
import type { Framework } from '../seeds.js';

/** U(±1/√fan-in), weight then bias per layer, in float32 as the framework keeps it. */
export function seededDense(widths: readonly number[], framework: Framework, seed: number): Dense {
  const uniform = framework.uniform(seed);
  const out = new Map<string, { shape: number[]; values: Float64Array }>();
  for (let l = 0; l + 1 < widths.length; l++) {
    const bound = 1 / Math.sqrt(widths[l]!);
    const draw = (n: number) => Float64Array.from({ length: n }, () => Math.fround((2 * uniform() - 1) * bound));
    out.set(`fc${l}.weight`, { shape: [widths[l + 1]!, widths[l]!], values: draw(widths[l + 1]! * widths[l]!) });
    out.set(`fc${l}.bias`, { shape: [widths[l + 1]!], values: draw(widths[l + 1]!) });
  }
  return out;
}
