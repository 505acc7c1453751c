/** Sensor readings by unit and time → windows of the last readings, and the life that is left at their end. */
import { inputError } from '../base/index.js';
import { columnNamed, type Table, textAt } from './table.js';

/** Windows × sensors × length held at once: 128 MB of float32. */
const MAX_VALUES = 32_000_000;

export interface WindowSettings {
  /** Column that names the machine. */
  readonly unit: string;
  /** Column of time or cycles, a number that rises within a unit. */
  readonly time: string;
  /** Readings per window. */
  readonly length: number;
}

export interface Windows {
  readonly count: number;
  /** [count, sensors, length], oldest reading first. */
  readonly values: Float32Array;
  /** Row of the table that ends each window. */
  readonly rows: Uint32Array;
  /** Index of the unit of each window. */
  readonly units: Uint32Array;
  readonly unitNames: readonly string[];
}

interface Run {
  readonly name: string;
  /** Rows in order of time. */
  readonly rows: readonly number[];
}

/** Rows of every unit in order of time. @throws `TRAIN_TIME` where unit or time is missing */
export function runsOf(table: Table, { unit, time }: Pick<WindowSettings, 'unit' | 'time'>): readonly Run[] {
  const units = columnNamed(table, unit);
  const times = columnNamed(table, time).numbers;
  const runs = new Map<string, number[]>();
  for (let row = 0; row < table.rows; row++) {
    const name = textAt(units, row);
    if (name === null || Number.isNaN(times[row]!)) {
      throw inputError('TRAIN_TIME', 'a reading has no unit or no time', {
        where: `${table.name}, row ${row + 2}`,
        expected: `a value in ${unit} and a number in ${time}`,
      });
    }
    const run = runs.get(name);
    if (run === undefined) runs.set(name, [row]);
    else run.push(row);
  }
  return [...runs].map(([name, rows]) => ({ name, rows: rows.sort((a, b) => times[a]! - times[b]! || a - b) }));
}

/**
 * One window per reading from the `length`-th of a unit on. A unit with fewer readings gives one, filled up at the
 * front with its first reading. Missing readings stay NaN: the graph replaces them by the sensor's mean.
 * @param which every reading, or only the last of each unit
 */
export function windowsOf(
  table: Table,
  sensors: readonly string[],
  settings: WindowSettings,
  which: 'all' | 'last' = 'all',
): Windows {
  const { length } = settings;
  if (!Number.isSafeInteger(length) || length < 2 || length > 10_000) {
    throw inputError('TRAIN_WINDOW', 'the length of the windows is out of range', {
      expected: '2 to 10,000 readings',
      got: String(length),
    });
  }
  const runs = runsOf(table, settings);
  const columns = sensors.map((name) => columnNamed(table, name).numbers);
  const ends = runs.flatMap(({ rows }, unit) => {
    const first = which === 'last' ? rows.length - 1 : Math.min(length, rows.length) - 1;
    return Array.from({ length: rows.length - first }, (_, i) => ({ unit, at: first + i }));
  });
  const size = ends.length * sensors.length * length;
  if (size > MAX_VALUES) {
    throw inputError('TABLE_TOO_LARGE', 'these windows do not fit into memory', {
      expected: `at most ${MAX_VALUES} values`,
      got: `${ends.length} windows × ${sensors.length} sensors × ${length} readings`,
      todo: 'use shorter windows, fewer sensors, or a sample of the units',
    });
  }
  const values = new Float32Array(size);
  let out = 0;
  for (const { unit, at } of ends) {
    const { rows } = runs[unit]!;
    for (const column of columns) {
      for (let step = 0; step < length; step++) values[out++] = column[rows[Math.max(0, at - length + 1 + step)]!]!;
    }
  }
  return {
    count: ends.length,
    values,
    rows: Uint32Array.from(ends, ({ unit, at }) => runs[unit]!.rows[at]!),
    units: Uint32Array.from(ends, ({ unit }) => unit),
    unitNames: runs.map(({ name }) => name),
  };
}

/**
 * Time left until the last reading of the unit, for readings that end in failure.
 * @param cap longer lives count as this: far from failure a sensor shows nothing (Heimes 2008 for C-MAPSS: 125)
 */
export function remainingLife(
  table: Table,
  settings: Pick<WindowSettings, 'unit' | 'time'>,
  cap: number | null,
): Float64Array {
  const times = columnNamed(table, settings.time).numbers;
  const life = new Float64Array(table.rows);
  for (const { rows } of runsOf(table, settings)) {
    const end = times[rows.at(-1)!]!;
    for (const row of rows) life[row] = Math.min(cap ?? Number.POSITIVE_INFINITY, end - times[row]!);
  }
  return life;
}
