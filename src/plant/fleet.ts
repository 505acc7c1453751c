/**
 * A fleet of milling machines that fail by the published rules of the AI4I 2020 predictive maintenance data set
 * (Matzka, doi 10.1109/AI4I49448.2020.00023). Where the description is silent (speed against torque), the relation is
 * fitted to the published file and said so. Simulated data, free to ship and to publish.
 */
import { inputError, type RandomStream, seededRandom } from '../base/index.js';
import { normal, normalisedWalk } from './noise.js';

export type MachineType = 'L' | 'M' | 'H';
export type FailureMode = 'tool wear' | 'heat' | 'power' | 'overstrain' | 'random';

export interface Operation {
  readonly type: MachineType;
  /** Kelvin. */
  readonly airTemperature: number;
  /** Kelvin. */
  readonly processTemperature: number;
  /** Revolutions per minute. */
  readonly speed: number;
  /** Newton metres. */
  readonly torque: number;
  /** Minutes. */
  readonly toolWear: number;
  readonly modes: readonly FailureMode[];
}

export interface FleetSettings {
  /** Operations recorded, 1 … 1,000,000. */
  readonly rows: number;
  readonly seed: number;
}

export const FLEET_HEADER = [
  'type',
  'air_temperature_k',
  'process_temperature_k',
  'rotational_speed_rpm',
  'torque_nm',
  'tool_wear_min',
  'failure',
] as const;

/** Published shares of product types L, M, H. */
const SHARES = [0.5, 0.3, 0.2] as const;
const TYPES: readonly MachineType[] = ['L', 'M', 'H'];
/** Minutes of wear that one operation adds. */
const WEAR: Readonly<Record<MachineType, number>> = { L: 2, M: 3, H: 5 };
/** Overstrain limit, min·Nm. */
const STRAIN: Readonly<Record<MachineType, number>> = { L: 11_000, M: 12_000, H: 13_000 };
const MAX_ROWS = 1_000_000;
const RADIANS_PER_RPM = (2 * Math.PI) / 60;

/**
 * Fitted to the published file (least squares over 5 Nm bins of torque): power rises linearly with torque,
 * P = 2180 W + 102.6 s⁻¹ · torque; residual 54 rpm; the file's speeds end at 2886 rpm.
 */
function speedAt(torque: number, stream: RandomStream): number {
  const mean = (2180 / torque + 102.6) / RADIANS_PER_RPM;
  return Math.min(2886, Math.max(1168, mean + 54 * normal(stream)));
}

/** @throws `PLANT_SETTINGS` */
export function simulateFleet({ rows, seed }: FleetSettings): readonly Operation[] {
  if (!Number.isSafeInteger(rows) || rows < 1 || rows > MAX_ROWS) {
    throw inputError('PLANT_SETTINGS', 'the number of operations to simulate is out of range', {
      expected: `1 to ${MAX_ROWS}`,
      got: String(rows),
    });
  }
  const stream = seededRandom(seed, 'fleet');
  const air = normalisedWalk(rows, 2, stream);
  const excess = normalisedWalk(rows, 1, stream);
  let wear = 0;
  let limit = 200 + 40 * stream.unit();
  return Array.from({ length: rows }, (_, row) => {
    const type = drawType(stream);
    const airTemperature = round(300 + air[row]!, 1);
    const processTemperature = round(airTemperature + 10 + excess[row]!, 1);
    const torque = round(drawTorque(stream), 1);
    const speed = Math.round(speedAt(torque, stream));
    const reading = { type, airTemperature, processTemperature, speed, torque, toolWear: wear };
    const spent = wear >= limit;
    // At its limit a tool fails or is replaced in time: 120 ends of life, 69 replaced and 51 failed, as published.
    const toolFails = spent && stream.unit() < 51 / 120;
    const random = stream.unit() < 0.001;
    wear = spent ? 0 : wear + WEAR[type];
    if (spent) limit = 200 + 40 * stream.unit();
    return { ...reading, modes: modesOf(reading, toolFails, random) };
  });
}

const round = (value: number, digits: number): number => Math.round(value * 10 ** digits) / 10 ** digits;

function drawType(stream: RandomStream): MachineType {
  const u = stream.unit();
  return u < SHARES[0] ? TYPES[0]! : u < SHARES[0] + SHARES[1] ? TYPES[1]! : TYPES[2]!;
}

/** N(40, 10) Nm without negatives; 3.8 Nm is the least in the published file. */
function drawTorque(stream: RandomStream): number {
  for (;;) {
    const torque = 40 + 10 * normal(stream);
    if (torque >= 3.8) return torque;
  }
}

function modesOf(reading: Omit<Operation, 'modes'>, toolFails: boolean, random: boolean): FailureMode[] {
  const power = reading.torque * reading.speed * RADIANS_PER_RPM;
  const modes: FailureMode[] = [];
  if (toolFails) modes.push('tool wear');
  if (reading.processTemperature - reading.airTemperature < 8.6 && reading.speed < 1380) modes.push('heat');
  if (power < 3500 || power > 9000) modes.push('power');
  if (reading.toolWear * reading.torque > STRAIN[reading.type]) modes.push('overstrain');
  if (random) modes.push('random');
  return modes;
}

/** Rows under `FLEET_HEADER`. As in the published file a random failure alone does not set the failure flag. */
export const fleetRows = (operations: readonly Operation[]): readonly (string | number)[][] =>
  operations.map((one) => [
    one.type,
    one.airTemperature,
    one.processTemperature,
    one.speed,
    one.torque,
    one.toolWear,
    one.modes.some((mode) => mode !== 'random') ? 1 : 0,
  ]);
