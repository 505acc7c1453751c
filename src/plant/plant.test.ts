import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FLEET_HEADER, fleetRows, RUN_HEADER, runRows, simulateFleet, simulateRuns, toCsv } from './index.js';

const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
const deviation = (values: readonly number[]): number => {
  const centre = mean(values);
  return Math.sqrt(mean(values.map((value) => (value - centre) ** 2)));
};

test('the fleet has the marginals of AI4I 2020 (published description and file)', () => {
  const fleet = simulateFleet({ rows: 20_000, seed: 1 });
  const share = (type: string): number => fleet.filter((one) => one.type === type).length / fleet.length;
  assert.ok(Math.abs(share('L') - 0.5) < 0.02 && Math.abs(share('M') - 0.3) < 0.02);
  assert.ok(Math.abs(deviation(fleet.map((one) => one.airTemperature)) - 2) < 0.05);
  assert.ok(Math.abs(mean(fleet.map((one) => one.processTemperature - one.airTemperature)) - 10) < 0.05);
  assert.ok(Math.abs(mean(fleet.map((one) => one.torque)) - 40) < 0.5);
  assert.ok(Math.abs(deviation(fleet.map((one) => one.torque)) - 10) < 0.3);
  // Published file: speed 1538.8 ± 179.3 rpm.
  assert.ok(Math.abs(mean(fleet.map((one) => one.speed)) - 1538.8) < 25);
  assert.ok(Math.abs(deviation(fleet.map((one) => one.speed)) - 179.3) < 30);
  assert.ok(Math.max(...fleet.map((one) => one.toolWear)) <= 253);
  // Published file: 339 failures of 10,000; with more machines of type H here tools wear out sooner.
  const failures = mean(fleetRows(fleet).map((row) => Number(row.at(-1))));
  assert.ok(failures > 0.02 && failures < 0.06, String(failures));
});

test('failure modes follow the published rules on every row', () => {
  for (const one of simulateFleet({ rows: 5_000, seed: 2 })) {
    const power = (one.torque * one.speed * 2 * Math.PI) / 60;
    assert.equal(one.modes.includes('power'), power < 3500 || power > 9000);
    const limit = { L: 11_000, M: 12_000, H: 13_000 }[one.type];
    assert.equal(one.modes.includes('overstrain'), one.toolWear * one.torque > limit);
    const heat = one.processTemperature - one.airTemperature < 8.6 && one.speed < 1380;
    assert.equal(one.modes.includes('heat'), heat);
    if (one.modes.includes('tool wear')) assert.ok(one.toolWear >= 200 && one.toolWear <= 245);
  }
});

test('a simulation is fixed by its seed', () => {
  assert.deepEqual(simulateFleet({ rows: 200, seed: 7 }), simulateFleet({ rows: 200, seed: 7 }));
  assert.notDeepEqual(simulateFleet({ rows: 200, seed: 7 }), simulateFleet({ rows: 200, seed: 8 }));
  assert.deepEqual(simulateRuns({ units: 3, seed: 7 }), simulateRuns({ units: 3, seed: 7 }));
});

test('units run to failure, wear shows in sensors and not in those without drift', () => {
  const runs = simulateRuns({ units: 60, seed: 3 });
  const lives = Array.from({ length: 60 }, (_, i) => runs.filter(({ unit }) => unit === i + 1).length);
  assert.ok(Math.abs(mean(lives) - 200) < 30 && deviation(lives) > 25);
  const change = (sensor: string): number => {
    const index = RUN_HEADER.indexOf(sensor) - 2;
    const late = runs.filter(({ unit, cycle }) => lives[unit - 1]! - cycle < 5);
    const early = runs.filter(({ cycle }) => cycle <= 5);
    return mean(late.map(({ sensors }) => sensors[index]!)) - mean(early.map(({ sensors }) => sensors[index]!));
  };
  assert.ok(change('vibration_mm_s') > 1);
  assert.ok(change('oil_pressure_kpa') < -12);
  assert.ok(Math.abs(change('ambient_temperature_k')) < 0.6);
});

test('rows read as CSV, with quotes where a cell needs them', () => {
  const text = toCsv(FLEET_HEADER, fleetRows(simulateFleet({ rows: 3, seed: 1 })));
  assert.equal(text.split('\n').length, 5);
  assert.equal(
    toCsv(RUN_HEADER, runRows(simulateRuns({ units: 1, seed: 1, life: 20 }))).startsWith('unit,cycle,'),
    true,
  );
  assert.equal(toCsv(['a', 'b'], [['x"y', 'p,q']]), 'a,b\n"x""y","p,q"\n');
});

test('settings out of range are refused', () => {
  assert.throws(() => simulateFleet({ rows: 1e9, seed: 1 }), { code: 'PLANT_SETTINGS' });
  assert.throws(() => simulateRuns({ units: 1e5, seed: 1 }), { code: 'PLANT_SETTINGS' });
});
