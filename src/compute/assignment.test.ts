import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { assign, isOptimal } from './assignment.js';

const oracle = JSON.parse(readFileSync(new URL('../../vectors/stats/assignment.json', import.meta.url), 'utf8'));

test('least cost agrees with SciPy, ties and rectangles included', () => {
  for (const { rows, columns, cost, least } of oracle.cases) {
    const costs = Float64Array.from(cost as number[]);
    const got = assign(costs, rows, columns);
    assert.ok(Math.abs(got.cost - least) < 1e-9);
    assert.ok(isOptimal(costs, rows, columns, got));
  }
});

test('duals prove the optimum, and a swap or a changed dual is refused', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 2, max: 9 }).chain((rows) =>
        fc.integer({ min: rows, max: 12 }).chain((columns) =>
          fc.record({
            rows: fc.constant(rows),
            columns: fc.constant(columns),
            cost: fc.array(fc.double({ min: -1, max: 1, noNaN: true }), {
              minLength: rows * columns,
              maxLength: rows * columns,
            }),
          }),
        ),
      ),
      ({ rows, columns, cost }) => {
        const costs = Float64Array.from(cost);
        const best = assign(costs, rows, columns);
        assert.ok(isOptimal(costs, rows, columns, best));
        const swapped = Int32Array.from(best.assignment);
        swapped[0] = best.assignment[1]!;
        swapped[1] = best.assignment[0]!;
        const total = swapped.reduce((sum, j, i) => sum + costs[i * columns + j]!, 0);
        if (total > best.cost + 1e-6) assert.ok(!isOptimal(costs, rows, columns, { ...best, assignment: swapped }));
        const u = Float64Array.from(best.u);
        u[0] = u[0]! + 1e-3;
        assert.ok(!isOptimal(costs, rows, columns, { ...best, u }));
      },
    ),
  );
});

test('bad problems are refused by name', () => {
  assert.throws(() => assign(new Float64Array(6), 3, 2), { code: 'ASSIGNMENT_SHAPE' });
  assert.throws(() => assign(Float64Array.of(Number.NaN), 1, 1), { code: 'ASSIGNMENT_NOT_FINITE' });
  assert.ok(
    !isOptimal(new Float64Array(4), 2, 2, {
      assignment: Int32Array.of(0, 0),
      u: new Float64Array(2),
      v: new Float64Array(2),
    }),
  );
});
