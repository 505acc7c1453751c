/** The ledger alone, briefly; `npm run bench:main` kills writers of whole rooms 500 times. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { killWriters } from './testing/kill.js';

test('two writers killed 15 times lose nothing that they acknowledged', async (t) => {
  const report = await killWriters(15, 20260301);
  t.diagnostic(JSON.stringify(report));
  assert.deepEqual([report.kills, report.lost, report.problems], [15, 0, []]);
  assert.ok(report.acknowledged > 0, 'nothing was acknowledged, so nothing was tested');
});
