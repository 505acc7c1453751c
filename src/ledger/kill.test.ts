/** The ledger alone, briefly; `npm run bench:main` kills writers of whole rooms 500 times. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { killWriters } from './testing/kill.js';

/** Each costs the start of a process. */
const KILLS = process.env.MUNIMENT_FULL === '1' ? 50 : 8;

test(`two writers killed ${KILLS} times lose nothing that they acknowledged`, async (t) => {
  const report = await killWriters(KILLS, 20260301);
  t.diagnostic(JSON.stringify(report));
  assert.deepEqual([report.kills, report.lost, report.problems], [KILLS, 0, []]);
  assert.ok(report.acknowledged > 0, 'nothing was acknowledged, so nothing was tested');
});
