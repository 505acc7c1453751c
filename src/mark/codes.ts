/**
 * The mark of integer codes: a code moves by a whole number of steps, m = round(a·c) for the chip c, with a such that m
 * has the energy that the mark would have had in floats. Coarse codes then move rarely, where the chip is large, and fine
 * ones as floats do; the reading is the same, z = ⟨c, d⟩/‖d‖ with the Gaussian chips themselves (docs/theory.md §7).
 */
import { fixedExp } from './normal.js';

/** P(Z ≥ x), x ≥ 0, by Abramowitz and Stegun 26.2.17: within 7.5e-8, and the same on every machine. */
function upperTail(x: number): number {
  const t = 1 / (1 + 0.2316419 * x);
  const series = t * (0.31938153 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))));
  return (fixedExp(-0.5 * x * x) / 2.5066282746310002) * series;
}

/** E[round(a·Z)²] for a ≤ 1.5: P(|round| ≥ m) is 2·P(Z ≥ (m − ½)/a), and m² = Σ (2j − 1), j ≤ m. */
function energyOf(a: number): number {
  let sum = 0;
  for (let m = 1; m <= 12; m++) sum += (2 * m - 1) * 2 * upperTail((m - 0.5) / a);
  return sum;
}

/** Beyond, rounding adds 1/12 to the energy of a Gaussian, to within one part in ten thousand. */
const FINE = 1;
/** Of what a float mark would have: below, so few codes would move that none of a small tensor might. */
const LEAST_ENERGY = 1e-6;
const HALVINGS = 40;

/** a for an energy in squared steps. */
export function amplitudeFor(energy: number): number {
  if (energy >= FINE) return Math.sqrt(energy - 1 / 12);
  let low = 0.05;
  let high = 1.5;
  for (let step = 0; step < HALVINGS; step++) {
    const middle = (low + high) / 2;
    if (energyOf(middle) < Math.max(LEAST_ENERGY, energy)) low = middle;
    else high = middle;
  }
  return low;
}

/**
 * @returns the change of one value: `size` the standard deviation of a float mark here, `step` the distance of codes.
 *   Amplitudes are found once for each ratio of the two, of which a tensor has as many as it has scales.
 */
export function codeMoves(): (size: number, step: number, chip: number) => number {
  const known = new Map<number, number>();
  return (size, step, chip) => {
    const ratio = Math.abs(size) / step;
    if (!(step > 0 && Number.isFinite(ratio))) return 0;
    let amplitude = known.get(ratio);
    if (amplitude === undefined) {
      amplitude = amplitudeFor(ratio * ratio);
      // A tensor of blocks has a scale for each: what is found is kept for the next, but not without end.
      if (known.size < 4096) known.set(ratio, amplitude);
    }
    return Math.sign(size) * step * Math.round(amplitude * chip);
  };
}
