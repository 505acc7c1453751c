/**
 * Sensor readings of machines that run until they fail, in the manner of NASA's C-MAPSS turbofan data (Saxena et al.,
 * PHM 2008): hidden wear starts at a level of its own, grows exponentially to the limit, and shows in several noisy
 * sensors, in others not at all. Simulated data, free to ship and to publish.
 */
import { inputError, seededRandom } from '../base/index.js';
import { normal } from './noise.js';

export interface RunToFailureSettings {
  /** Machines, 1 … 10,000. */
  readonly units: number;
  readonly seed: number;
  /** Mean life in cycles, 20 … 10,000. Default 200; lives spread by about a quarter around it. */
  readonly life?: number;
}

export interface Reading {
  /** From 1. */
  readonly unit: number;
  /** Operating cycle, from 1 to the unit's life. */
  readonly cycle: number;
  readonly sensors: readonly number[];
}

interface Sensor {
  readonly name: string;
  /** Reading of a new machine, in the sensor's unit. */
  readonly base: number;
  /** Change from new to failed. */
  readonly drift: number;
  /** Standard deviation of the noise of one reading. */
  readonly noise: number;
  /** Spread of `base` over machines. */
  readonly spread: number;
}

const SENSORS: readonly Sensor[] = [
  { name: 'bearing_temperature_k', base: 340, drift: 6, noise: 1, spread: 0.6 },
  { name: 'oil_temperature_k', base: 355, drift: 5, noise: 1.2, spread: 0.5 },
  { name: 'vibration_mm_s', base: 2.2, drift: 1.6, noise: 0.3, spread: 0.15 },
  { name: 'vibration_axial_mm_s', base: 1.4, drift: 0.9, noise: 0.25, spread: 0.1 },
  { name: 'oil_pressure_kpa', base: 420, drift: -18, noise: 4, spread: 3 },
  { name: 'flow_l_min', base: 88, drift: -3.2, noise: 0.8, spread: 0.4 },
  { name: 'motor_current_a', base: 31, drift: 2.4, noise: 0.6, spread: 0.4 },
  { name: 'shaft_speed_rpm', base: 1480, drift: -9, noise: 4, spread: 2 },
  { name: 'ambient_temperature_k', base: 295, drift: 0, noise: 2, spread: 0 },
  { name: 'supply_voltage_v', base: 400, drift: 0, noise: 1.5, spread: 0 },
];

export const RUN_HEADER: readonly string[] = ['unit', 'cycle', ...SENSORS.map(({ name }) => name)];

const within = (value: number, low: number, high: number): boolean =>
  Number.isSafeInteger(value) && value >= low && value <= high;

/** All readings of all units, in order. The last reading of a unit is its failure. @throws `PLANT_SETTINGS` */
export function simulateRuns({ units, seed, life = 200 }: RunToFailureSettings): readonly Reading[] {
  if (!within(units, 1, 10_000) || !within(life, 20, 10_000) || units * life > 4_000_000) {
    throw inputError('PLANT_SETTINGS', 'units or life to simulate are out of range', {
      expected: '1–10,000 units of 20–10,000 cycles, at most 4,000,000 readings in all',
      got: `${units} units of ${life} cycles`,
    });
  }
  const readings: Reading[] = [];
  for (let unit = 1; unit <= units; unit++) {
    const stream = seededRandom(seed, `run ${unit}`);
    const end = Math.max(10, Math.round(life * Math.exp(0.25 * normal(stream))));
    // Wear w(t) = (e^(kt/end) − 1)/(e^k − 1) + initial, cut at 1: k sets how suddenly the end comes.
    const suddenness = 3 + 2 * stream.unit();
    const initial = 0.08 * stream.unit();
    const bases = SENSORS.map(({ base, spread }) => base + spread * normal(stream));
    for (let cycle = 1; cycle <= end; cycle++) {
      const grown = Math.expm1((suddenness * cycle) / end) / Math.expm1(suddenness);
      const wear = initial + (1 - initial) * grown;
      readings.push({
        unit,
        cycle,
        sensors: SENSORS.map(
          ({ drift, noise }, index) => Math.round((bases[index]! + drift * wear + noise * normal(stream)) * 1e4) / 1e4,
        ),
      });
    }
  }
  return readings;
}

/** Rows under `RUN_HEADER`. */
export const runRows = (readings: readonly Reading[]): readonly number[][] =>
  readings.map(({ unit, cycle, sensors }) => [unit, cycle, ...sensors]);
